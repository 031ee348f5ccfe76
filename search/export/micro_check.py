"""Checks an export for LiteRT Micro: by its rules, and by its interpreter where that is installed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ...evaluators.card.bundle import load_bundle
from ...evaluators.litert.lower import operator_layers
from ...evaluators.litert.micro_run import MicroRun, has_interpreter, largest_steps, run_in_micro
from ...evaluators.litert.runtime import LiteRtRunner
from ...evaluators.measuring.artifact import artifact_bytes
from ...hw_models.runtimes.micro import MICRO, PACKAGE, why_not
from ...hw_models.runtimes.micro_arena import arena_of
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes
from ...spaces.outside.shown import shown
from .export import ARTIFACT

#: inputs that the interpreter and LiteRT are both given: drawn, for an export brings no data
_INPUTS = 8
#: values of one of them: four megapixels of one channel, which no arena has room for (own choice)
_MOST_VALUES = 2**22


@dataclass(frozen=True)
class OperatorInMicro:
    """One operator of a file: its version and layer as far as they are known, and why it does not run."""

    operator: str
    version: int
    layer: str
    reason: str


@dataclass(frozen=True)
class MicroCheck:
    """A file as LiteRT Micro takes it.

    Args:
        operators: in the order of execution, those of loops behind.
        arena_bytes: claimed.
        flash_bytes: the model array alone.
        run: by the interpreter; None where it was not asked.
        difference: largest between its outputs and those of LiteRT's plain kernels, in steps of the output's
            grid; None where it did not run the file, or where one gave no finite numbers.
        why: it was not asked.
    """

    operators: tuple[OperatorInMicro, ...]
    arena_bytes: int
    flash_bytes: int
    run: MicroRun | None
    difference: float | None
    why: str

    @property
    def passed(self) -> bool:
        """Whether it runs, as far as can be told."""
        return not any(one.reason for one in self.operators) and (self.run is None or not self.run.refusal)

    def rows(self) -> list[dict[str, Any]]:
        """Returns one row an operator."""
        return [{**asdict(one), "runs_on": "" if one.reason else "LiteRT Micro"} for one in self.operators]

    def sentences(self) -> list[str]:
        """Returns the verdict by the rules, and what the interpreter made of the file."""
        first = next((f"{one.operator}: {one.reason}" for one in self.operators if one.reason), "")
        verdict = (
            f"LiteRT Micro does not load it: {shown(first)}" if first else "LiteRT Micro runs all operators"
        )
        sizes = (
            f"arena {self.arena_bytes:,} bytes claimed, flash {self.flash_bytes:,} for the model array alone"
        )
        return [f"{verdict}, by its rules; {sizes}", self._tried()]

    def _tried(self) -> str:
        if self.run is None:
            return f"its interpreter was not asked, since {self.why}"
        if self.run.refusal:
            return f"its interpreter refused it in that arena: {self.run.refusal}"
        recorded, difference = self.run.recorded_bytes, self.difference
        told = "nothing that is understood" if recorded is None else f"{recorded:,} bytes"
        far = "not all finite, there or in LiteRT,"
        if difference is not None:
            far = f"at most {difference:.3g} steps away from LiteRT's plain kernels"
        return (
            f"its interpreter accepted it in that arena; its allocator recorded {told} (64-bit reference "
            f"kernels: CMSIS-NN may need more scratch); outputs are {far} on {_INPUTS} drawn inputs"
        )

    def to_json(self) -> Mapping[str, Any]:
        """Returns plain JSON."""
        tried = None
        if self.run is not None:
            tried = {
                "accepted": not self.run.refusal,
                "refusal": self.run.refusal,
                "recorded_bytes": self.run.recorded_bytes,
                "largest_difference_lsb": self.difference,
            }
        return {
            "device": MICRO,
            "passed": self.passed,
            "operators": self.rows(),
            "arena_bytes": self.arena_bytes,
            "flash_bytes": self.flash_bytes,
            "interpreter": tried,
        }


def micro_check(folder: Path, trust: bool = False) -> MicroCheck:
    """Checks an export; the interpreter is given only a file that Atoll writes from the weights.

    Args:
        folder: what `atoll export` wrote.
        trust: whether the interpreter, native code, is given whatever lies there.

    Raises:
        AtollError: for a folder that holds no export.
    """
    try:
        content = read_bytes(inside(folder, ARTIFACT))
    except OSError as error:
        raise AtollError(f"no export in {folder}: {ARTIFACT} cannot be read ({error.strerror})") from error
    with damage_told(f"no export in {folder}: {ARTIFACT} is damaged"):
        file = TfliteFile.parse(content)
        network, _ = load_bundle(folder)
        shape = input_shape_of(network)
        ours = artifact_bytes(network, shape) == content
        layers = operator_layers(network, shape) if ours else []
        operators = [
            OperatorInMicro(
                operator.name,
                operator.version,
                layers[at] if graph is file and at < len(layers) else "",
                why_not(graph, operator),
            )
            for graph in file.graphs
            for at, operator in enumerate(graph.operators)
        ]
        arena = arena_of(file).bytes
    run, difference, why = None, None, ""
    if not has_interpreter():
        why = f"{PACKAGE} is not installed (the extra `micro`)"
    elif not ours and not trust:
        why = f"the weights give another {ARTIFACT} (--trust hands it to the interpreter)"
    elif (values := sum(file.tensors[index].elements for index in file.inputs)) > _MOST_VALUES:
        why = f"it takes {values:,} values at once, and is given {_MOST_VALUES:,} at most"
    else:
        run, difference = _tried(content, file)
    return MicroCheck(tuple(operators), arena, file.size_bytes, run, difference, why)


def _tried(content: bytes, file: TfliteFile) -> tuple[MicroRun, float | None]:
    """Runs a file over drawn inputs, in the range of pixels that went through the usual scaling."""
    sizes = [file.tensors[index].shape[1:] for index in file.inputs]
    shape = sizes[0] if len(sizes) == 1 else (sum(int(np.prod(size)) for size in sizes),)
    inputs = np.random.default_rng(0).uniform(-1, 1, (_INPUTS, *shape)).astype(np.float32)
    run = run_in_micro(content, inputs)
    if run.refusal:
        return run, None
    runner = LiteRtRunner(content, delegate=False)
    heads = zip(*(runner.run_heads(one) for one in inputs), strict=True)
    difference = largest_steps(run, [np.concatenate(values) for values in heads])
    return run, difference if isfinite(difference) else None
