"""Runs an export in another release of the runtime and compares it with its network."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from ...evaluators.card.bundle import load_bundle
from ...evaluators.measuring.artifact import (
    Verification,
    artifact_bytes,
    compared,
    run_beside,
    shipped_logits,
)
from ...evaluators.measuring.noise import quality_error
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.runtimes.packages import packages_of
from ...evaluators.runtimes.run import Kernels, Refusal, run_in
from ...hw_models.runtimes.need import Need
from ...hw_models.runtimes.runtime import Runtime
from ...hw_models.runtimes.wheels import Wheel, wheel_of
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes
from ...spaces.outside.shown import shown
from .export import ARTIFACT, LEAST_AGREEMENT
from .verification import check_task, read_card, task_here

Outcome = Literal["agrees", "computes something else", "refused"]
OTHER: Outcome = "computes something else"


@dataclass(frozen=True)
class KernelRun:
    """What one set of a runtime's kernels made of a file.

    Args:
        kernels: which.
        outcome: `agrees` where it is the network, as an export's file has to be.
        found: beside the network; None where there is nothing that can be compared.
        reason: why there is not: the runtime's words, or what it gave.
    """

    kernels: Kernels
    outcome: Outcome
    found: Verification | None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """Returns it as a row of a table."""
        names = ("agreement", "largest_difference", "quality", "network_quality")
        figures = {name: None if self.found is None else getattr(self.found, name) for name in names}
        return {"kernels": self.kernels, "outcome": self.outcome, **figures, "reason": self.reason}


@dataclass(frozen=True)
class RuntimeCheck:
    """A file in a release of the runtime.

    Args:
        runtime: its name, with the release whose operators it has.
        wheel: what ran.
        images: of the validation split that were compared.
        need: what the file needs by the table of releases.
        runs: with its default kernels and with the plain ones alone.
    """

    runtime: Runtime
    wheel: Wheel
    images: int
    need: Need
    runs: tuple[KernelRun, ...]

    @property
    def passed(self) -> bool:
        """Whether what a device runs, the default kernels, agrees with the network."""
        return self.runs[0].outcome == "agrees"

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row a set of kernels."""
        return [one.row() for one in self.runs]

    def sentences(self) -> list[str]:
        """Returns what ran and what came of it, the runtime's own words, and what the table says."""
        said = f"{self.wheel} ({self.runtime.name}) was given the file and {self.images} validation images: "
        first, plain = self.runs
        said += f"its default kernels: {first.outcome}; its plain kernels: {plain.outcome}"
        reasons = dict.fromkeys(one.reason for one in self.runs if one.reason)
        return [said, *(f"why: {shown(reason)}" for reason in reasons), self._rule()]

    def _rule(self) -> str:
        needed = self.need.release
        if not needed:
            return f"the table of releases does not know {shown(self.need.reason)}"
        loads = self.runtime.loads(needed) and self.runtime.line not in self.need.not_in
        verb = "as" if loads == self.passed else "against"
        return (
            f"that is {verb} the table of releases says: the file needs TensorFlow Lite {needed} "
            f"({shown(self.need.told)}), and {self.runtime.name} has {self.runtime.release}"
        )

    def to_json(self) -> Mapping[str, Any]:
        """Returns plain JSON."""
        return {
            "runtime": self.runtime.name,
            "package": asdict(self.wheel),
            "passed": self.passed,
            "images": self.images,
            "minimum_runtime": self.need.release or None,
            "minimum_runtime_reason": self.need.reason,
            "runs": self.rows(),
        }


def runtime_check(folder: Path, name: str, trust: bool, say: Callable[[str], None]) -> RuntimeCheck:
    """Runs an export in a release; it is given only a file that Atoll writes from the weights.

    Args:
        folder: what `atoll export` wrote.
        name: of the runtime; it is installed where it is not there.
        trust: whether the runtime, native code, is given whatever lies there.
        say: hears that it is installed.

    Raises:
        AtollError: there is no such runtime or it cannot be installed, the folder holds no export, its file
            is another one, or its task is not here.
    """
    runtime, wheel = Runtime.named(name), wheel_of(name)
    card = read_card(folder)
    try:
        content = read_bytes(inside(folder, ARTIFACT))
    except OSError as error:
        raise AtollError(f"no export in {folder}: {ARTIFACT} cannot be read ({error.strerror})") from error
    with damage_told(f"no export in {folder}: {ARTIFACT} is damaged"):
        need = Need.of(TfliteFile.parse(content))
        network, about = load_bundle(folder)
        ours = artifact_bytes(network, input_shape_of(network)) == content
    if not ours and not trust:
        raise AtollError(f"{folder} was not run: the weights give another {ARTIFACT} (--trust runs it)")
    task, untold = task_here(card, trust)
    if task is None:
        raise AtollError(f"{folder} was not run: {untold}")
    check_task(folder, card, about, task)
    packages = packages_of(name, say)
    split, terms = task.dataset().validation, QualityTerms.of(card.metrics)
    expected = shipped_logits(network, split.images)
    noise = max(quality_error(card.metrics, len(split)), terms.resolution(card.metrics["quality"]))

    def run(kernels: Kernels) -> KernelRun:
        runner = partial(run_in, packages, wheel, kernels)
        try:
            given = run_beside(content, network, split.images, runner=runner)
        except Refusal as error:
            return KernelRun(kernels, "refused", None, str(error))
        try:
            found = compared(given, expected, split.labels, task.judged_by)
        except AtollError as error:  # no finite numbers
            return KernelRun(kernels, OTHER, None, str(error))
        worse = terms.drop(found.network_quality or 0.0, found.quality or 0.0)
        is_it = found.agreement >= LEAST_AGREEMENT or worse <= noise
        return KernelRun(kernels, "agrees" if is_it else OTHER, found)

    return RuntimeCheck(runtime, wheel, len(split), need, tuple(map(run, get_args(Kernels))))
