"""The device and its samples, made once: they are frozen."""

import pytest
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.device_folder import About, device_folder
from atoll.hw_models.devices.samples import samples

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


@pytest.fixture
def processor_of_the_fit(monkeypatch):
    """As if this machine had the processor on which the device `host` was measured."""
    fitted_on = About.read(device_folder("host")).processor
    monkeypatch.setattr("atoll.hw_models.devices.device_folder.this_processor", lambda: fitted_on)
    monkeypatch.setattr("atoll.hw_models.devices.device.this_processor", lambda: fitted_on)
