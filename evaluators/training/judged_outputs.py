"""Which of a network's outputs are trained and judged, where it has several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.heads import heads, named_heads
from ...spaces.nearest import known_names
from ...spaces.technique.context import Criterion


@dataclass(frozen=True)
class JudgedOutputs:
    """The outputs of a network by name, and those of them that loss and quality see.

    Args:
        names: of all, in the order that files have too: the keys of a dictionary, positions in a tuple.
        by_name: whether a dictionary is what functions get of several; else a tuple.
        chosen: position of the one that alone is judged; None where all are.
        choosing: positions of those whose largest logit chooses a class, where all are judged.
    """

    names: tuple[str, ...]
    by_name: bool
    chosen: int | None = None
    choosing: tuple[int, ...] = ()

    @classmethod
    def of(cls, returned: Any, output: str | int | None, choosing: tuple[str | int, ...]) -> "JudgedOutputs":
        """Returns what is judged of what a network returned.

        Args:
            returned: several outputs.
            output: name or position of the one that is judged; None for all.
            choosing: names or positions of those that choose a class.

        Raises:
            AtollError: it has no such output.
        """
        names = tuple(named_heads(returned))
        chosen = None if output is None else position_of(names, output)
        of_classes = tuple(sorted({position_of(names, one) for one in choosing}))
        return cls(names, isinstance(returned, dict), chosen, of_classes)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "JudgedOutputs":
        """Returns what `to_json` wrote."""
        return cls(tuple(told["names"]), told["by_name"], told["chosen"], tuple(told["choosing"]))

    def to_json(self) -> dict[str, Any]:
        """Returns every field in JSON's own types."""
        return {
            "names": list(self.names),
            "by_name": self.by_name,
            "chosen": self.chosen,
            "choosing": list(self.choosing),
        }

    def judged(self, returned: Any) -> tuple[Tensor, ...]:
        """Returns the outputs that are judged of what a network returned, or of its heads."""
        found: tuple[Tensor, ...] = heads(returned)
        return found if self.chosen is None else (found[self.chosen],)

    def shown(self, returned: Any) -> Any:
        """Returns them as loss and quality see them: the one that is judged, or all by name or in a tuple."""
        found = self.judged(returned)
        if self.chosen is not None:
            return found[0]
        return dict(zip(self.names, found, strict=True)) if self.by_name else found

    def loss(self, criterion: Criterion, returned: Any, labels: Tensor) -> Tensor:
        """Returns the loss of the outputs that are judged."""
        return criterion(self.shown(returned), labels)


def position_of(names: tuple[str, ...], output: str | int) -> int:
    """Returns the position of an output.

    Args:
        names: of all outputs.
        output: its name or its position.

    Raises:
        AtollError: there is no such output.
    """
    if output in names:
        return names.index(str(output))
    if isinstance(output, int) and 0 <= output < len(names):
        return output
    known = known_names(str(output), names) if any(names) else "it has one alone, which needs no `output`"
    raise AtollError(f"the network has no output {output!r}; {known}")
