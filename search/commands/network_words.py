"""What `atoll export` says of a network that it exports without a study."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

from ...spaces.errors import AtollError

if TYPE_CHECKING:
    from ..api.exports import Exported

#: a trial where none is named; of a network it means no recipe
BEST = "best"
#: a size of one to three axes, channels last
_SIZE = re.compile(r"[1-9][0-9]{0,6}(x[1-9][0-9]{0,6}){0,2}")
#: axes of an image
_IMAGE_AXES = 3


@dataclass(frozen=True)
class Words:
    """The options that are a network's alone; each None where it is not given."""

    weights: str | None = None
    data: str | None = None
    input: str | None = None
    classes: int | None = None
    normalize: str | None = None
    device: str | None = None

    def given(self) -> dict[str, Any]:
        """Returns what is given, by the option's name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def options(self) -> str:
        """Returns the options that are given: `--weights, --data`."""
        return ", ".join(f"--{name}" for name in self.given())

    def shape(self) -> tuple[int, ...] | None:
        """Returns the shape of an input, channels first; None where none is given.

        Raises:
            AtollError: it is no size.
        """
        if self.input is None:
            return None
        if not _SIZE.fullmatch(self.input):
            raise AtollError(
                f"--input: got {self.input!r:.80}, allowed is HEIGHTxWIDTHxCHANNELS, LENGTHxCHANNELS or "
                "FEATURES, such as 224x224x3"
            )
        *places, channels = map(int, self.input.split("x"))
        return (channels, *places)

    def task(self) -> dict[str, Any]:
        """Returns them under the names of a task."""
        given, shape = self.given(), self.shape()
        found = {name: given[name] for name in ("weights", "data", "classes") if name in given}
        told: dict[str, Any] = {}
        if shape is not None and len(shape) == _IMAGE_AXES:
            told |= {"size": f"{shape[1]}x{shape[2]}", "channels": shape[0]}
        if self.normalize is not None:
            told["normalize"] = self.normalize
        return found | ({"input": told} if told else {})


def export_alone(
    network: str,
    recipe: str,
    output: Path | None,
    words: Words,
    any_agreement: bool,
    any_float: bool,
    thumbnails: bool,
    also: list[str],
) -> "Exported":
    """Exports a network without a study.

    Raises:
        AtollError: as `export_network`.
    """
    from ...hw_models.devices.device_folder import DEFAULT_DEVICE
    from ...spaces.recipes.recipe import BASELINE
    from ..api.exports import export_network

    options = {"network": network, **words.given()}
    told = ["atoll", "export", *([] if recipe == BEST else [recipe])]
    told += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return export_network(
        network,
        output,
        recipe=BASELINE if recipe == BEST else recipe,
        shape=words.shape(),
        device=words.device or DEFAULT_DEVICE,
        any_agreement=any_agreement,
        any_float=any_float,
        thumbnails=thumbnails,
        also=also,
        commands=[join(told)],
        **words.task(),
    )
