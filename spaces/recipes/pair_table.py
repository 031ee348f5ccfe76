"""What a later step does to what an earlier one left: every ordered pair of techniques, computed from plans.

Written down in `techniques/PAIRS.md` by `make pairs`; nobody edits it.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from ..graph.adopt import adopt
from ..layers.bits import FLOAT_BITS
from ..layers.layer import Layer
from ..layers.structure import named_layers
from ..networks import build_network
from ..technique.fates import every_fate
from ..technique.technique import Technique
from ..techniques import TECHNIQUES
from .order import refusal

PAIRS_FILE = Path(__file__).parents[1] / "techniques" / "PAIRS.md"
#: the network whose plans are compared: PUB-I's and PUB-III's CNN
NETWORK, CLASSES, INPUT_SHAPE = "baseline_cnn", 35, (3, 64, 64)
#: what a step may leave beside constraints on weights
CHANNELS, FORM, ACTIVATIONS = "channels", "form", "activations"
FLOAT_ACTIVATIONS = (FLOAT_BITS, False)
MARKS: dict[str, str] = {"carried over": "=", "imposed anew": "~", "dropped": "x"}
NOTHING, REFUSED = "·", "–"


@dataclass(frozen=True)
class PairFate:
    """What became of one thing that the first step left, or why the second cannot follow.

    Args:
        first, second: names of the techniques, at their default settings.
        constraint: a kind of constraint on weights (`mask`, `codebook`, …), `channels` (fewer than before),
            `form` (layers written as products), `activations` (narrower than float); None where the first
            step leaves nothing in force, or the pair is refused.
        fate: carried over, imposed anew or dropped.
        layers: where that is so.
        refusal: why the order is refused, in words.
    """

    first: str
    second: str
    constraint: str | None = None
    fate: str | None = None
    layers: tuple[str, ...] = ()
    refusal: str | None = None


@cache
def pair_fates(techniques: tuple[type[Technique], ...] = TECHNIQUES) -> tuple[PairFate, ...]:
    """Returns the fates for every ordered pair, in the order of the techniques; milliseconds a pair."""
    given = reference_network()
    found: list[PairFate] = []
    for first in techniques:
        before = first().plan(given)
        for second in techniques:
            found += _of_pair(given, first(), before, second())
    return tuple(found)


def reference_network() -> nn.Module:
    """Returns the network that the table is made on, on the meta device."""
    with torch.device("meta"):
        return adopt(build_network(NETWORK, CLASSES, INPUT_SHAPE), INPUT_SHAPE).eval()


def _of_pair(given: nn.Module, first: Technique, before: nn.Module, second: Technique) -> Iterator[PairFate]:
    reason = refusal((first, second))
    if reason is not None:
        yield PairFate(first.name, second.name, refusal=reason)
        return
    fates = fates_of_all(given, before, second.plan(before))
    if not fates:
        yield PairFate(first.name, second.name)
    for constraint, by_layer in fates.items():
        for fate in MARKS:
            layers = tuple(name for name, what in by_layer.items() if what == fate)
            if layers:
                yield PairFate(first.name, second.name, constraint, fate, layers)


def fates_of_all(given: nn.Module, before: nn.Module, after: nn.Module) -> dict[str, dict[str, str]]:
    """Returns what became of everything that earlier steps left on a network.

    Args:
        given: the network before any step.
        before: after the earlier steps.
        after: after the step in question.

    Returns:
        constraint -> layer -> fate, with `channels`, `form` and `activations` before constraints on weights.
    """
    found: dict[str, dict[str, str]] = {}
    was, layers = dict(named_layers(given)), dict(named_layers(after))
    for name, layer in named_layers(before):
        for constraint, fate in _structural_fates(was.get(name), layer, layers.get(name)):
            found.setdefault(constraint, {})[name] = fate
    ordered = {key: found[key] for key in (CHANNELS, FORM, ACTIVATIONS) if key in found}
    for name, fates in every_fate(before, after).items():
        for constraint, fate in fates:
            ordered.setdefault(constraint, {})[name] = fate
    return ordered


def _structural_fates(given: Layer | None, before: Layer, after: Layer | None) -> Iterator[tuple[str, str]]:
    """Yields the fates of what a layer is, beside its constraints."""
    if given is None or _sizes(before) != _sizes(given):
        kept = after is not None and all(
            new <= old for new, old in zip(_sizes(after), _sizes(before), strict=True)
        )
        yield CHANNELS, "carried over" if kept else "dropped"
    if before.decomposed and not (given is not None and given.decomposed):
        if after is None or type(after) is not type(before):
            yield FORM, "dropped"
        else:  # a train of other sizes is decomposed anew; merging its factors leaves the product what it is
            sliced = after.sliceable or _sizes(after) == _sizes(before)
            yield FORM, "carried over" if sliced else "imposed anew"
    if _activations(before) != FLOAT_ACTIVATIONS:
        now = FLOAT_ACTIVATIONS if after is None else _activations(after)
        same = now == _activations(before)
        yield (
            ACTIVATIONS,
            "carried over" if same else "dropped" if now == FLOAT_ACTIVATIONS else "imposed anew",
        )


def _sizes(layer: Layer) -> tuple[int, int]:
    return layer.inputs, layer.outputs


def _activations(layer: Layer) -> tuple[int, bool]:
    """Returns the bits of the activations, and whether the layer sees the signs of its input alone."""
    return layer.activation_bits, layer.input_sign is not None


# For readers -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """The pairs as a matrix of short codes.

    Args:
        names: of the techniques, rows and columns alike.
        left: name -> what the technique leaves as a first step, in the order of the marks in its row.
        cells: (first, second) -> one mark a constraint, several where layers differ.
    """

    names: tuple[str, ...]
    left: dict[str, tuple[str, ...]]
    cells: dict[tuple[str, str], str]


def matrix(pairs: Sequence[PairFate]) -> Matrix:
    """Returns the matrix of codes."""
    names = tuple(dict.fromkeys(pair.first for pair in pairs))
    left: dict[str, tuple[str, ...]] = {}
    for name in names:
        constraints = (pair.constraint for pair in pairs if pair.first == name and pair.constraint)
        left[name] = tuple(dict.fromkeys(constraints))
    cells = {}
    for first in names:
        for second in names:
            rows = [pair for pair in pairs if (pair.first, pair.second) == (first, second)]
            cells[first, second] = _cell(rows, left[first])
    return Matrix(names, left, cells)


def _cell(rows: Sequence[PairFate], constraints: Sequence[str]) -> str:
    if rows[0].refusal is not None:
        return REFUSED
    marks = [
        "".join(MARKS[row.fate] for row in rows if row.constraint == constraint and row.fate)
        for constraint in constraints
    ]
    return " ".join(marks) or NOTHING


LEGEND = (
    "Marks stand in the order of what the row's step leaves: `=` carried over (kept as it is, or sliced with "
    "its layer), `~` imposed anew (the same demand, fitted again), `x` dropped, two together where layers "
    f"differ; `{NOTHING}` the first step leaves nothing that could be lost, `{REFUSED}` refused."
)


def markdown(pairs: Sequence[PairFate]) -> str:
    """Returns the page that is committed beside the techniques."""
    table = matrix(pairs)
    numbers = {name: n for n, name in enumerate(table.names, start=1)}
    head = "| first step, and what it leaves | " + " | ".join(str(n) for n in numbers.values()) + " |"
    lines = [
        "# What a later step does to what an earlier one left",
        "",
        "Written by `make pairs` from the plans of every ordered pair of techniques, at default settings "
        f"on `{NETWORK}`; a test compares it with the code.",
        "",
        head,
        "| --- |" + " :-: |" * len(numbers),
    ]
    for name, number in numbers.items():
        left = ", ".join(table.left[name]) or "nothing"
        cells = " | ".join(_code(table.cells[name, second]) for second in numbers)
        lines.append(f"| {number} `{name}`: {left} | {cells} |")
    lines += ["", "Columns are the second step, numbered as the rows. " + LEGEND, ""]
    lines += ["## Where it is not simply carried over", "", *_changes(pairs), ""]
    lines += ["## What is refused", "", *_refusals(pairs)]
    return "\n".join(lines) + "\n"


def _code(cell: str) -> str:
    return cell if cell in (NOTHING, REFUSED) else f"`{cell}`"


def _changes(pairs: Sequence[PairFate]) -> list[str]:
    """Returns a line for every pair and constraint whose fate is not `carried over` everywhere."""
    told: dict[tuple[str, str, str], list[PairFate]] = {}
    for pair in pairs:
        if pair.constraint is not None:
            told.setdefault((pair.first, pair.second, pair.constraint), []).append(pair)
    lines = []
    for (first, second, constraint), rows in told.items():
        if [row.fate for row in rows] != ["carried over"]:
            fates = "; ".join(f"{row.fate} on {', '.join(row.layers)}" for row in rows)
            lines.append(f"- `{first} -> {second}`: {constraint} {fates}")
    return lines


def _refusals(pairs: Sequence[PairFate]) -> list[str]:
    """Returns a line for every reason, with the pairs that it refuses."""
    told: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.refusal is not None and pair.first != pair.second:
            told.setdefault(pair.refusal, []).append(f"`{pair.first} -> {pair.second}`")
    lines = ["- any technique directly after itself on the same layers: it is one step written twice"]
    return lines + [f"- {', '.join(refused)}: {reason}" for reason, refused in told.items()]


def main() -> int:
    """Writes the committed page anew."""
    PAIRS_FILE.write_text(markdown(pair_fates()), encoding="utf-8")
    print(f"wrote {PAIRS_FILE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
