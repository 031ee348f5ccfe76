"""What layers that go over maps with a window have in common, whether they gather or spread."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from ..errors import AtollError
from .cost import OperationCost
from .factor import Factor
from .one_weight import OneWeight

#: as long as a map's side may be (`spaces.written.graph_json`): no window of use is larger
_MOST = 2**20
#: settings of windows that may be 0; of all others the least is 1
_FROM_ZERO = ("padding", "more")


@dataclass(frozen=True)
class MapWindow:
    """How a layer goes over maps, (vertical, horizontal); sequences are maps of height 1."""

    #: fewest bits in which the artifact stores the weights (see `storage_bits`)
    narrowest_bits: ClassVar[int]
    #: words that may stand for numbers of zeros
    paddings: ClassVar[tuple[str, ...]] = ()

    def cost(
        self,
        weight: Factor,
        biases: int,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        activation_bits: int,
        dynamic: bool = False,
    ) -> OperationCost:
        """Returns the cost of going over maps once.

        Args:
            weight: [out, in / groups, kh, kw].
            biases: their number.
            input_shape, output_shape: (channels, height, width), or (channels, length).
            activation_bits: 32 is float.
            dynamic: whether the kernel rounds float activations as it runs.
        """
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain JSON; `from_json` reads it."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave, beside whatever else is stored there.

        Raises:
            AtollError: a setting is not of its kind.
            KeyError: one is missing.
        """
        names = (field.name for field in fields(cls))
        return cls(**{name: _setting(name, stored[name], cls.paddings) for name in names})


def _setting(name: str, stored: Any, paddings: tuple[str, ...]) -> Any:
    """Returns a setting of a window: whole numbers, a pair or one of groups, or a word."""
    if name == "padding" and isinstance(stored, str) and stored in paddings:
        return stored
    least = 0 if name in _FROM_ZERO else 1
    numbers = [stored] if name == "groups" else stored
    whole = isinstance(numbers, list) and all(type(one) is int and least <= one <= _MOST for one in numbers)
    if not whole or len(numbers) != (1 if name == "groups" else 2):
        raise AtollError(
            f"got a window with {name} {stored!r:.80}, allowed are whole numbers from {least} to {_MOST}, "
            "one an axis"
        )
    return stored if name == "groups" else tuple(numbers)


class OverMaps(OneWeight):
    """A layer of one weight [out, in / groups, kh, kw] that goes over maps with a window."""

    @property
    def window(self) -> MapWindow:
        """How it goes over its maps."""
        raise NotImplementedError

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        biases = 0 if self.bias is None else self.outputs
        shapes = (input_shape, output_shape)
        return [self.window.cost(self.weight, biases, *shapes, self.activation_bits, self.dynamic)]

    def body_spec(self) -> dict[str, Any]:
        bias = self.bias is not None
        return {"inputs": self.inputs, "outputs": self.outputs, **self.window.to_json(), "bias": bias}
