"""A device: its fitted cost models and its predictions."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.machine.processor import this_processor
from ..fitting.calibration import Sample, fit
from ..fitting.fitted import Fitted
from ..formulas.cost_model import QUANTITIES
from ..formulas.edge_tpu_rules import split
from ..formulas.prediction import Prediction
from ..formulas.setup import Npu, Setup
from ..tables.layer_table import LayerTable
from .device_folder import About, device_folder

#: version of the fitted file
FORMAT = 2
FITTED = "fitted.json"
#: beside a fitted file that a user wrote, as `sha256sum --check` reads it
DIGEST = "fitted.sha256"
#: How much further a latency interval reaches on a processor that the fit never saw: fitted with AMX, 8-bit
#: networks took 3.7 times as long as predicted on a processor without VNNI (own measurement, 2026).
OTHER_PROCESSOR = 4.0


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
        chosen = about.setup(setup).name if setup else None
        if about.has_npu:
            return cls(device, about, (), chosen)
        path = folder / FITTED
        try:
            content = path.read_bytes()
            # An older Atoll wrote none, and the package's own files are pip's to look after.
            written = (folder / DIGEST).read_bytes() if (folder / DIGEST).exists() else None
            stored = json.loads(content)
        except (OSError, ValueError, RecursionError) as error:
            raise AtollError(f"{path}: cannot be read ({error}); {_again(device)}") from error
        if written not in (None, digest_line(content).encode()):
            raise AtollError(
                f"{path}: a part is missing or damaged (its digest is not the one in {DIGEST}); "
                f"{_again(device)}"
            )
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise AtollError(f"{path}: not a fitted file of format {FORMAT}; {_again(device)}")
        try:
            fits = tuple(Fitted.from_json(one) for one in stored["fits"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise AtollError(f"{path}: a part is missing or damaged ({error}); {_again(device)}") from error
        return cls(device, about, fits, chosen)

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

        >>> from atoll.hw_models.tables.planned import planned_steps
        >>> from atoll.hw_models.tables.network_table import layer_table
        >>> from atoll.spaces.recipes.recipe import Recipe
        >>> network, smaller = planned_steps(Recipe.parse("svd(rank=4)"), "baseline_cnn", (3, 64, 64), 35)
        >>> board = Device.load("coral-dev-board:pub1")
        >>> whole = board.predict(layer_table(network, (3, 64, 64), "whole"))["latency_ms"]
        >>> part = board.predict(layer_table(smaller, (3, 64, 64), "part"))["latency_ms"]
        >>> part.low < part.value < whole.value
        True
        """
        chosen = setup or self.setup
        found = {}
        for quantity in QUANTITIES:
            names = [chosen] if chosen else self.about.comparable(quantity)
            of_setups = [self._priced(quantity, table, name, model_bytes) for name in names]
            priced = [one for one in of_setups if one is not None]
            if priced:
                found[quantity] = priced[0].spanning(priced[1:])
        if (
            self.about.other_processor and "latency_ms" in found
        ):  # memory follows the network, not the processor
            found["latency_ms"] = found["latency_ms"].widened(OTHER_PROCESSOR).elsewhere()
        if self.about.cpu and len(found) < len(QUANTITIES):
            others = Device.load(self.about.cpu).predict(table, None, model_bytes)
            found |= {key: one.elsewhere() for key, one in others.items() if key not in found}
        return found

    @property
    def remark(self) -> str:
        """What a reader of its predictions must know about where they come from; empty for nothing."""
        if not self.about.other_processor:
            return ""
        return (
            f"{self.name} was measured on another processor ({self.about.processor}) than this one "
            f"({this_processor()}): its latency intervals are {OTHER_PROCESSOR:g} times as wide up and down; "
            f"`atoll calibrate --device {self.name} --measure` measures here, in minutes"
        )

    def npu_setup(self, setup: str | None = None) -> Setup | None:
        """Returns the set-up whose compiler is asked in place of a formula; None where formulas price."""
        chosen = self.about.setup(setup or self.setup)
        return chosen if chosen.npu is not None else None

    def _priced(
        self, quantity: str, table: LayerTable, name: str, model_bytes: int | None
    ) -> Prediction | None:
        """Returns what a set-up takes, with the rest on the set-up that takes it; None if never measured."""
        setup = self.about.setup(name)
        fitted = next((f for f in self.fits if f.model.quantity == quantity and name in f.setups), None)
        if fitted is None:
            return None
        parts = split(table) if setup.rest_on else None
        if parts is None or parts.cpu is None:
            return fitted.predict(table, name, fitted.model.work(table, model_bytes))
        rest = self._priced(quantity, parts.cpu, setup.rest_on, None)
        if parts.chip is None or rest is None:
            return rest and replace(rest.elsewhere(), setup=name)
        return fitted.predict(parts.chip, name).plus(rest)

    def lacking(self, setup: str | None = None) -> list[str]:
        """Returns the quantities that predictions lack, for they were never measured.

        Memory of LiteRT Micro is no prediction: it is counted on the file. An NPU's compiler gives both.
        """
        if self.about.cpu or self.about.has_npu:
            return []
        counted = ["peak_memory_bytes"] if self.about.is_micro else []
        chosen = self.about.setup(setup or self.setup).name
        return [
            quantity
            for quantity in QUANTITIES
            if quantity not in counted
            and not any(f.model.quantity == quantity and chosen in f.setups for f in self.fits)
        ]

    def gaps(self, table: LayerTable, setup: str | None = None) -> list[str]:
        """Returns, in words, why predictions for a network are extrapolated; nothing where they are not."""
        chosen = self.about.setup(setup or self.setup)
        parts = split(table) if chosen.rest_on else None
        if parts is not None and parts.cpu is not None:
            return [str(parts)]
        of_setup = (fitted for fitted in self.fits if chosen.name in fitted.setups)
        found = [gap for fitted in of_setup for gap in fitted.coverage.gaps(table)]
        return list(dict.fromkeys(filter(None, (self.remark, *found))))


def npu_of(device: str) -> Npu | None:
    """Returns the NPU of a device; None where it has none, and where no device here has that name.

    Args:
        device: NAME or NAME:SETUP.
    """
    try:
        setup = Device.load(device).npu_setup()
    except AtollError:
        return None
    return None if setup is None else setup.npu


def _again(device: str) -> str:
    return f"`atoll calibrate --device {device} --write` writes it anew"


def fitted_text(fits: Sequence[Fitted]) -> str:
    """Returns the content of the fitted file."""
    stored: dict[str, Any] = {"format": FORMAT, "fits": [fitted.to_json() for fitted in fits]}
    return json.dumps(stored, indent=1, sort_keys=True) + "\n"


def digest_line(content: bytes) -> str:
    """Returns the content of the digest's file for that of the fitted file."""
    return f"{hashlib.sha256(content).hexdigest()}  {FITTED}\n"


def fit_all(samples: Sequence[Sample]) -> tuple[Fitted, ...]:
    """Fits every sample."""
    return tuple(fit(sample) for sample in samples)
