"""The device and its samples, made once: they are frozen."""

import pytest
from atoll.hw_models.device import Device
from atoll.hw_models.samples import samples

NAME = "coral-dev-board"


@pytest.fixture(scope="session")
def coral_samples():
    return {sample.model.quantity: sample for sample in samples(NAME)}


@pytest.fixture(scope="session")
def coral():
    return Device.load(NAME)


@pytest.fixture(scope="session")
def coral_fits(coral):
    return {fitted.model.quantity: fitted for fitted in coral.fits}
