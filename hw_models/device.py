"""A device: its fitted cost models and its predictions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ..spaces.errors import AtollError
from .calibration import Sample, fit
from .cost_model import QUANTITIES
from .device_folder import About, device_folder
from .fitted import Fitted
from .layer_table import LayerTable
from .prediction import Prediction

#: version of the fitted file
FORMAT = 2


@dataclass(frozen=True)
class Device:
    """A board or runtime with calibrated cost models.

    Args:
        name: its name.
        about: its title and set-ups.
        fits: its models, each of one quantity and some of the set-ups.
        setup: the chosen set-up; None where none was, and intervals hold the spread between them.
    """

    name: str
    about: About
    fits: tuple[Fitted, ...]
    setup: str | None = None

    @classmethod
    def load(cls, name: str) -> Self:
        """Reads a device from its folder.

        Args:
            name: NAME, or NAME:SETUP for one of its set-ups.

        Raises:
            AtollError: for an unknown name or set-up, or a fitted file of another version.
        """
        device, _, setup = name.partition(":")
        folder = device_folder(device)
        about = About.read(folder)
        path = folder / "fitted.json"
        try:
            with open(path, encoding="utf-8") as stream:
                stored = json.load(stream)
        except (OSError, ValueError) as error:
            raise AtollError(f"{path}: cannot be read ({error}); {_again(device)}") from error
        if stored.get("format") != FORMAT:
            raise AtollError(
                f"{path}: got format {stored.get('format')!r}, allowed is {FORMAT}; {_again(device)}"
            )
        fits = tuple(Fitted.from_json(one) for one in stored["fits"])
        return cls(device, about, fits, about.setup(setup).name if setup else None)

    def predict(
        self, table: LayerTable, setup: str | None = None, model_bytes: int | None = None
    ) -> dict[str, Prediction]:
        """Predicts what a network costs here.

        Args:
            table: the network's.
            setup: one of the set-ups; the device's own choice where None. Where nothing was chosen at all,
                the value is the first set-up's and the interval holds those of all.
            model_bytes: size of its artifact, where known.

        Returns:
            latency_ms and peak_memory_bytes; what was never measured here is priced by the device's CPU,
            where it names one, and is left out where not.

        Raises:
            AtollError: for an unknown set-up.
        """
        chosen = setup or self.setup
        found = {}
        for quantity in QUANTITIES:
            names = [self.about.setup(chosen).name] if chosen else [one.name for one in self.about.setups]
            priced = [
                fitted.predict(table, name, fitted.model.work(table, model_bytes))
                for name in names
                for fitted in self.fits
                if fitted.model.quantity == quantity and name in fitted.setups
            ]
            if priced:
                found[quantity] = priced[0].spanning(priced[1:])
        if self.about.cpu and len(found) < len(QUANTITIES):
            others = Device.load(self.about.cpu).predict(table, None, model_bytes)
            found |= {key: one.elsewhere() for key, one in others.items() if key not in found}
        return found

    def gaps(self, table: LayerTable) -> list[str]:
        """Returns, in words, why predictions for a network are extrapolated; nothing where they are not."""
        setup = self.about.setup(self.setup).name
        of_setup = (fitted for fitted in self.fits if setup in fitted.setups)
        return list(dict.fromkeys(gap for fitted in of_setup for gap in fitted.coverage.gaps(table)))


def _again(device: str) -> str:
    return f"`atoll calibrate --device {device} --write` writes it anew"


def fitted_text(fits: Sequence[Fitted]) -> str:
    """Returns the content of the fitted file."""
    stored: dict[str, Any] = {"format": FORMAT, "fits": [fitted.to_json() for fitted in fits]}
    return json.dumps(stored, indent=1, sort_keys=True) + "\n"


def fit_all(samples: Sequence[Sample]) -> tuple[Fitted, ...]:
    """Fits every sample."""
    return tuple(fit(sample) for sample in samples)
