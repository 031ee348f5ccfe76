"""A device: its measurements, its fitted cost models, its predictions."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names
from .calibration import Sample, fit, priced_tables, sample
from .cost_model import COST_MODELS, LATENCY, MEMORY
from .fitted import Fitted
from .layer_table import LayerTable
from .measurements import Measurement, check_ids, read_measurements
from .memory import memory_work
from .prediction import Prediction

#: every device: (name, folder below hw_models)
DEVICES: tuple[tuple[str, str], ...] = (("coral-dev-board", "coral_dev_board"),)
_ROOT = Path(__file__).parent
#: version of the fitted file
FORMAT = 1


def device_names() -> list[str]:
    """Returns the names of all devices."""
    return [name for name, _ in DEVICES]


def device_folder(name: str) -> Path:
    """Returns the folder of a device; unknown names raise with the nearest known one."""
    for known, folder in DEVICES:
        if known == name:
            return _ROOT / folder
    raise AtollError(f"unknown device {name!r}; {known_names(name, device_names())}")


@dataclass(frozen=True)
class Device:
    """A board or runtime with calibrated cost models.

    Args:
        name: as in `DEVICES`.
        title: what it is, for people.
        setups: set-up -> what it was, the default first.
        fitted: quantity -> its model.
    """

    name: str
    title: str
    setups: dict[str, str]
    fitted: dict[str, Fitted]

    @classmethod
    def load(cls, name: str) -> Self:
        """Reads a device from its folder.

        Raises:
            AtollError: for an unknown name, or a fitted file of another version.
        """
        folder = device_folder(name)
        about = _about(folder)
        path = folder / "fitted.json"
        with open(path, encoding="utf-8") as stream:
            stored = json.load(stream)
        if stored.get("format") != FORMAT:
            raise AtollError(
                f"{path}: got format {stored.get('format')!r}, allowed is {FORMAT}; "
                f"`atoll calibrate --device {name} --write` writes it anew"
            )
        fitted = {model.quantity: Fitted.from_json(model, stored[model.quantity]) for model in COST_MODELS}
        return cls(name, about["title"], about["setups"], fitted)

    def predict(
        self, table: LayerTable, setup: str | None = None, model_bytes: int | None = None
    ) -> dict[str, Prediction]:
        """Predicts what a network costs here.

        Args:
            table: the network's.
            setup: one of `setups`, the default where None.
            model_bytes: size of its artifact, where known.

        Returns:
            latency_ms and peak_memory_bytes.
        """
        memory = self.fitted[MEMORY.quantity]
        return {
            LATENCY.quantity: self.fitted[LATENCY.quantity].predict(table, setup),
            MEMORY.quantity: memory.predict(table, setup, memory_work(table, model_bytes)),
        }

    def gaps(self, table: LayerTable) -> list[str]:
        """Returns, in words, why predictions for a network are extrapolated; nothing where they are not."""
        return self.fitted[LATENCY.quantity].coverage.gaps(table)


def measurements_path(name: str) -> Path:
    """Returns the file of a device's own measurements."""
    return device_folder(name) / "measurements.csv"


def samples(name: str, path: Path | None = None, excluded: tuple[str, ...] = ()) -> list[Sample]:
    """Reads measurements and sorts their rows, one sample a quantity.

    Args:
        name: of the device, for its structures and its default set-up.
        path: a CSV file, the device's own where None.
        excluded: ids to leave out of the fits.
    """
    folder = device_folder(name)
    rows = read_measurements(measurements_path(name) if path is None else path)
    check_ids(rows, excluded)
    tables = priced_tables(rows, folder)
    default = next(iter(_about(folder)["setups"]))
    return [sample(model, rows, tables, default, excluded) for model in COST_MODELS]


def fitted_text(fits: Mapping[str, Fitted]) -> str:
    """Returns the content of the fitted file."""
    stored: dict[str, Any] = {"format": FORMAT}
    stored.update({quantity: fitted.to_json() for quantity, fitted in fits.items()})
    return json.dumps(stored, indent=1, sort_keys=True) + "\n"


def fit_all(found: list[Sample]) -> dict[str, Fitted]:
    """Fits every quantity."""
    return {one.model.quantity: fit(one) for one in found}


def measurements_of(name: str) -> tuple[Measurement, ...]:
    """Returns a device's own measurements."""
    return read_measurements(measurements_path(name))


def _about(folder: Path) -> dict[str, Any]:
    with open(folder / "device.toml", "rb") as stream:
        return tomllib.load(stream)
