"""Values that share a grid: averages stay on that of what they average, concatenated values lie on one."""

from dataclasses import dataclass

from ..layers.program import Rounding
from ..operations.integer_kernels import FIXED_RANGES, averages
from .grid_flow import GridFlow


@dataclass(frozen=True)
class GridGroup:
    """Values on one grid.

    Args:
        name: of the grid, that of one of the values.
        roundings: how each value is rounded; the range follows those that no other one of them holds.
        fixed: the range where the kernel knows only that one.
    """

    name: str
    roundings: dict[str, Rounding]
    fixed: tuple[float, float] | None


def grid_groups(flow: GridFlow) -> list[GridGroup]:
    """Returns the groups of all values with a grid, in the order of execution.

    What cannot lie on the grid of a concatenation, since its kernel knows another one only, is moved to it.
    """
    leader = {name: name for name in flow.maker}

    def join(name: str, other: str) -> None:
        old, new = leader[other], leader[name]
        leader.update({member: new for member, own in leader.items() if own == old})

    constant = {name for name, maker in flow.maker.items() if maker.kind == "parameter"}
    averaged = {name for name, maker in flow.maker.items() if averages(maker.kind, maker.module)}
    fixed = {
        name: FIXED_RANGES[maker.kind] for name, maker in flow.maker.items() if maker.kind in FIXED_RANGES
    }
    for name in averaged:
        join(flow.carrier[flow.maker[name].inputs[0]], name)
    parts: set[str] = set()
    for name, maker in flow.maker.items():
        if maker.kind == "concatenate":
            for part in {flow.carrier[source] for source in maker.inputs} - averaged - fixed.keys():
                join(name, part)
                parts.add(part)
    members: dict[str, list[str]] = {}
    for name in flow.maker:
        members.setdefault(leader[name], []).append(name)
    return [_group(names, averaged, parts, constant, fixed) for names in members.values()]


def _group(
    names: list[str],
    averaged: set[str],
    parts: set[str],
    constant: set[str],
    fixed: dict[str, tuple[float, float]],
) -> GridGroup:
    followed = [name for name in names if name not in averaged | parts]
    roundings = {}
    for name in names:
        how = "averaged" if name in averaged else "followed" if name in followed else "kept"
        how = "constant" if how == "followed" and name in constant else how
        roundings[name] = Rounding(followed[-1], how)  # type: ignore[arg-type]  # the three words
    return GridGroup(followed[-1], roundings, fixed.get(followed[-1]))
