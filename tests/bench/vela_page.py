"""The page of `results/vela/`: how far Vela's figures before training are off, a row a recipe."""

from statistics import mean
from typing import Any

HEADING = """# What Vela says before and after training

Recipes on the task `digits` (`baseline_cnn`), each step trained for an epoch, compiled by Vela for all five
devices `ethos-u…`: the planned file, with integers drawn in place of weights, and the trained one. Twenty
recipes are drawn at random; three more leave layers in float, which Vela does not map. Only what was run is
here. Written by `make bench-vela`, which goes on where it was; date, commit and machine stand in every row of
`rows.jsonl`. Nothing here was measured: all figures are the compiler's estimates, and come from no clock.
"""
TABLE = """Share, cycles and flash are of the trained file on `ethos-u55-128`; the others are how far the
planned one is off over the five devices, from the least to the most, in %.

| recipe | on the NPU | cycles | flash, B | cycles off | flash off | SRAM off |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""
TAIL = """
Tensor trains and small factors of CP are furthest off: the few weights of a channel are drawn with a largest
one each, and trained ones are spread wider below it.
"""
_SHOWN = "ethos-u55-128"
_OFF = ("cycles", "flash_bytes", "sram_bytes")


def page(rows: list[dict[str, Any]], target_pct: float) -> str:
    """Returns the page of all rows whose plan is exact."""
    rows = [row for row in rows if row["exact"]]
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_recipe.setdefault(row["recipe"], []).append(row)
    same = sum(row["planned"]["mappable"] == row["trained"]["mappable"] for row in rows)
    partly = sum(0 < row["trained"]["mappable"] < 1 for row in rows)
    said = [
        f"{name} by {mean(off):.1f} % in the mean and {max(off):.1f} % at most"
        for name, figure in zip(("cycles were off", "flash", "SRAM"), _OFF, strict=True)
        for off in [[abs(_off(row, figure)) for row in rows]]
    ]
    told = (
        f"**Before training the share of operators on the NPU was that of the trained file in {same} of "
        f"{len(rows)} pairs ({len(by_recipe)} recipes, {partly} pairs mapped in part); {', '.join(said)} "
        f"(target: {target_pct:g} %).**"
    )
    return "\n".join([HEADING, told, "", TABLE, *(_line(*one) for one in by_recipe.items()), TAIL])


def _line(recipe: str, rows: list[dict[str, Any]]) -> str:
    shown = next(row["trained"] for row in rows if row["device"] == _SHOWN)
    cells = [f"{shown['mappable']:.2f}", f"{shown['cycles']:,}", f"{shown['flash_bytes']:,}"]
    for figure in _OFF:
        off = [_off(row, figure) for row in rows]
        cells.append(f"{min(off):+.1f} to {max(off):+.1f}")
    return f"| `{recipe}` | " + " | ".join(cells) + " |"


def _off(row: dict[str, Any], figure: str) -> float:
    return float(100 * (row["planned"][figure] / row["trained"][figure] - 1))
