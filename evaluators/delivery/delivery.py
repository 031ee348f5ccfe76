"""What is handed over beside the LiteRT file, in which forms, and the proof that a form computes the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ...hw_models.formulas.setup import Npu
from ...spaces.errors import AtollError
from ...spaces.graph.heads import Outputs, as_outputs, heads, mapped
from ...spaces.layers.structure import scaling_of
from ..measuring.artifact import largest_differences
from ..tasks.quality import ACCURACY, Quality
from ..training.prediction import predict_logits
from .quiet import hushed

#: images of the validation split that a form is run on: some runtimes take a second an image
IMAGES = 100
#: below this share of equal answers a form is not the network (as for the LiteRT file)
LEAST_AGREEMENT = 0.99
#: and none of its outputs may be off by more than this share of what the network's spans over the images:
#: right files were 0.0092 off at most, one by a fault of the runtime 0.17 with 97 % of labels the same
#: (docs/export.md); own choice between the two
LARGEST_SHARE = 0.1


@dataclass(frozen=True)
class Source:
    """What is handed over.

    Args:
        name: what the files of C call it; letters, digits and underscores.
        network: compressed, in evaluation mode.
        artifact: bytes of its LiteRT file.
        images: (N, C, H, W), uint8, of the validation split.
        quality: of the task; says what agrees.
        classes: names of what its one output chooses among; none where outputs are numbers, or several.
        npu: of the study's device; None where it has none.
    """

    name: str
    network: nn.Module
    artifact: bytes
    images: Tensor
    quality: Quality = ACCURACY
    classes: tuple[str, ...] = ()
    npu: Npu | None = None


class Form(Protocol):
    """One way to hand a network over."""

    #: its name, of its file, and of those that it needs beside
    name: str
    file: str
    beside: tuple[str, ...]
    #: the packages that make and run it
    packages: tuple[str, ...]
    #: why a file of this form by somebody else is not opened unasked; "" where it is compared as bytes alone
    risk: str

    def check(self) -> None:
        """Raises AtollError where packages are missing."""

    def write(self, folder: Path, source: Source) -> str:
        """Writes its files; returns in words what its file holds."""

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Returns figures that its file gives, by name with unit, the proof that it computes the same too."""


@dataclass(frozen=True)
class Delivery:
    """One form in the folder.

    Args:
        form: its name.
        file: its file.
        beside: further files that it brought.
        bytes: of the file.
        holds: what the file holds, in words.
        figures: what it measured of the file.
        versions: of the packages that made and ran it.
    """

    form: str
    file: str
    beside: Sequence[str]
    bytes: int
    holds: str
    figures: Mapping[str, Any]
    versions: Mapping[str, str]

    @classmethod
    def of(cls, form: Form, folder: Path, source: Source) -> "Delivery":
        """Writes a form into a folder and measures it."""
        holds = form.write(folder, source)
        figures = form.measure(folder, source)
        size = (folder / form.file).stat().st_size
        versions = {package: version(package) for package in form.packages}
        return cls(form.name, form.file, list(form.beside), size, holds, figures, versions)


def compare(
    form: str,
    run: Callable[[Tensor], Any],
    source: Source,
    least: float = LEAST_AGREEMENT,
    answers: Callable[[nn.Module, Tensor], Outputs] = predict_logits,
    runtime: str = "",
) -> dict[str, Any]:
    """Runs a form beside the network on real images.

    Forms that are written from the network hold what it computes: biases as they are, results rounded once.

    Args:
        form: named where they disagree.
        run: logits (1, K) for one image (1, C, H, W) as the network takes it; several outputs in their order.
        source: network and images; the first `IMAGES` are used.
        least: share of equal answers below which the form is not the network.
        answers: of the network; `shipped_logits` where the form is the LiteRT file itself.
        runtime: the package that runs it.

    Returns:
        `images`, `agreement` (share of equal answers), `largest_difference` (of any output), and where the
        `runtime` is named, that with its version.

    Raises:
        AtollError: they disagree on more than the allowed share, or an output is further off than allowed.
    """
    images = source.images[:IMAGES]
    expected, scaling = answers(source.network, images), scaling_of(source.network)
    with torch.no_grad():
        said = [as_outputs(run(scaling.to_network(image))) for image in images.split(1)]
    found = mapped(lambda *parts: torch.cat(parts), *said)
    try:
        differences = largest_differences(found, expected)
    except AtollError as error:
        raise AtollError(f"{form}: {error}") from error
    agreement = source.quality.agreement(found, expected)
    if agreement < least:
        raise AtollError(
            f"{form}: the file agrees with the network on {100 * agreement:.1f} % of {len(images)} "
            f"validation images, allowed are {100 * least:.0f} % at least"
        )
    for difference, output in zip(differences, heads(expected, Tensor), strict=True):
        span = float(output.max() - output.min())
        if difference > LARGEST_SHARE * span > 0:
            raise AtollError(
                f"{form}: an output of the file is off the network's by {100 * difference / span:.1f} % of "
                f"what that spans over {len(images)} validation images, allowed are "
                f"{100 * LARGEST_SHARE:.0f} % at most"
            )
    figures = {"images": len(images), "agreement": agreement, "largest_difference": max(differences)}
    return figures | ({"runtime": _with_version(runtime)} if runtime else {})


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # a build of one's own has none
        return package


def example_of(source: Source) -> Tensor:
    """Returns one image as the network takes it, (1, C, H, W), float."""
    return scaling_of(source.network).to_network(source.images[:1])


def require(form: str, extra: str, *modules: str) -> None:
    """Looks whether the packages of an extra are there.

    Raises:
        AtollError: one is not; the message says how to install it.
    """
    for module in modules:
        try:
            with hushed():
                import_module(module)
        except ImportError as error:
            raise AtollError(
                f"{form} needs the package {module.partition('.')[0]}, which is not installed or broken "
                f"({error}): pip install 'atoll[{extra}]', in a clone .venv/bin/pip install -e '.[{extra}]'"
            ) from error
