"""What a technique is: one way to compress a network, with the domain of its settings.

Invariants, checked by the contract suite over every technique:

* An instance is a *step*: frozen settings, validated on construction, with a JSON round trip.
* `plan` works on the `meta` device, without data, in milliseconds; it gives the structure that `apply`
  will give (`plan_is_exact`), or one in which no layer costs more.
* `apply` never changes its input and shares no storage with it; randomness comes only from the
  context's generator.
* `rebuild` gives the structure of `apply` again from the decisions alone; the tensors come from the
  safetensors file.
* No technique names another. Which orders are legal is known in `order.py` alone, from what a technique
  declares here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from torch import nn

from ..errors import AtollError
from ..layers.structure import apply_structure, never_called, structure_changes
from .context import Context
from .domains import Domain, LayerPattern, check_settings
from .fates import fates
from .targets import meant_names

Stage = Literal["structure", "weights", "numbers", "training"]
Decisions = dict[str, Any]
#: why a layer is left alone that evaluation skips
NEVER_CALLED = "never called: evaluation does not run it, and no file holds it"


def setting(default: Any, domain: Domain, source: str, shown: bool = False, later: bool = False) -> Any:
    """Declares one setting of a technique.

    Args:
        default: its value where a recipe does not name it.
        domain: the legal values and the search grid.
        source: paper, equation or measured file that the default comes from.
        shown: whether the canonical text always prints it (otherwise only where it differs).
        later: whether studies were stored before there was the setting: their definitions say nothing of it,
            and those that try its default alone do neither, so that they are the same studies.
    """
    told = {"domain": domain, "source": source, "shown": shown, "later": later}
    return field(default=default, metadata=told)


def layers_setting() -> Any:
    """Declares which layers a technique touches; the field's name is `layers`."""
    return setting("*", LayerPattern(), "own choice: all layers that the technique suits")


@dataclass(frozen=True)
class Technique(ABC):
    """One step of a recipe; subclasses add settings as fields made by `setting`."""

    name: ClassVar[str]
    version: ClassVar[int]
    stage: ClassVar[Stage]
    source: ClassVar[str]
    #: a stage that must come earlier in a recipe; None where the step can come first
    needs_stage: ClassVar[Stage | None] = None
    #: whether the step may come again later in a recipe (never directly after itself)
    repeatable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked = check_settings(self.name, self.domains(), self.settings())
        for key, value in checked.items():
            object.__setattr__(self, key, value)

    @classmethod
    def domains(cls) -> dict[str, Domain]:
        """Returns the domain of each setting, in order."""
        return {f.name: f.metadata["domain"] for f in fields(cls)}

    @classmethod
    def unsaid(cls, tried: Mapping[str, Sequence[Any]]) -> set[str]:
        """Returns which settings a study leaves out that tries these values: later ones at their default."""
        return {f.name for f in fields(cls) if f.metadata["later"] and tuple(tried[f.name]) == (f.default,)}

    def settings(self) -> dict[str, Any]:
        """Returns the settings as plain JSON values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to_json(self) -> dict[str, Any]:
        """Returns name, version and every setting."""
        return {"technique": self.name, "version": self.version, "settings": self.settings()}

    def identity(self) -> dict[str, Any]:
        """Returns name, version and the settings that differ from their defaults."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {"technique": self.name, "version": self.version, "settings": changed}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Builds the step from named settings; unknown names raise with the nearest known one."""
        return cls(**check_settings(cls.name, cls.domains(), settings))

    def __str__(self) -> str:
        shown = [
            f"{f.name}={getattr(self, f.name)}"
            for f in fields(self)
            if f.metadata["shown"] or getattr(self, f.name) != f.default
        ]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    @property
    def plan_is_exact(self) -> bool:
        """Whether `plan` gives the very structure of `apply`; otherwise nothing in it is dearer."""
        return True

    @property
    def chooses_half(self) -> bool:
        """Whether some layers will have half precision of which `plan` does not know."""
        return False

    @property
    def fine_tuned(self) -> bool:
        """Whether the network is trained with what the step left of its budget."""
        return True

    # What `order.py` needs to know ------------------------------------------------------------------

    @property
    def scope(self) -> str:
        """The pattern of names and groups of layers that the step touches."""
        return str(getattr(self, "layers", "*"))

    @property
    def replaces_network(self) -> bool:
        """Whether the step forgets the network before it (a student)."""
        return False

    @property
    def levels_per_weight(self) -> int | None:
        """How many values a weight may still take after the step; None where it does not limit them."""
        return None

    @property
    def needs_levels(self) -> int | None:
        """The fewest values a weight must still be able to take for the step to have a meaning."""
        return None

    # The contract -----------------------------------------------------------------------------------

    @abstractmethod
    def plan(self, model: nn.Module) -> nn.Module:
        """Returns the structure after the step, on the meta device, without data."""

    @abstractmethod
    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        """Returns a compressed copy of the network and what was decided on the way."""

    def rebuild(self, model: nn.Module, decisions: Decisions) -> nn.Module:
        """Returns the structure that `apply` gave, without data or training.

        Args:
            model: the network before the step (any device; its weights do not matter).
            decisions: what `apply` returned; `structure` lists every layer that the step changed.

        Raises:
            AtollError: when the decisions do not fit the network.
        """
        copy = deepcopy(model)
        try:
            apply_structure(copy, decisions["structure"])
        except KeyError as error:
            raise AtollError(f"{self.name}: the decisions name {error} which the network lacks") from error
        return copy

    def decisions(self, before: nn.Module, after: nn.Module, **notes: Any) -> Decisions:
        """Returns the decisions that lead from one structure to the other, with remarks for the reader.

        Args:
            before, after: the network that the step was given and what it made of a copy.
            notes: remarks as plain JSON; `left_alone` says by layer why the step did not touch it. Those that
                the network never calls are added here.
        """
        idle = dict.fromkeys(sorted(never_called(before) & meant_names(before, self.scope)), NEVER_CALLED)
        if idle:
            notes["left_alone"] = {**notes.get("left_alone", {}), **idle}
        return {"structure": structure_changes(before, after), "fates": fates(before, after), **notes}
