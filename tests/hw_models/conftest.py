"""The device and its samples, made once: they are frozen."""

import pytest
from atoll.hw_models.device import Device, samples

NAME = "coral-dev-board"


@pytest.fixture(scope="session")
def coral_samples():
    return {sample.model.quantity: sample for sample in samples(NAME)}


@pytest.fixture(scope="session")
def coral():
    return Device.load(NAME)
