"""The page of `results/integers/`: what integers cost networks, one table, worst layers below it."""

from typing import Any

#: what a network may lose on integers without training, points; and how often its file says the same as the
#: simulation at least
LOST_POINTS, LEAST_AGREEMENT = 1.0, 0.99
HEADING = """# Integers on trained networks

Written by `make bench-integers` from `rows.jsonl`, which has machine, commit and date of every row; it goes
on where it was. Networks are trained on pictures of shapes (48x48, ten classes) or on keywords (49x10,
twelve), 4,000 of either, made by `tests/bench/made_data.py`, for 15 epochs (MobileNetV1 at full width,
MobileNetV2, ResNet-18 and EfficientNet-Lite0 for 8), then put on 8 bits without training. Calibration saw
512 training images; all figures are of 1,000 test images that nothing else saw. `simulated` is the network
with the roundings of its kernels, `file` what LiteRT gives, `agree` how often both say the same class,
`steps` their largest difference in steps of the output's grid, `dB` the signal-to-noise ratio of the outputs.
Only what was run is here.
"""


def page(rows: list[dict[str, Any]]) -> str:
    """Returns the page of all rows."""
    lines = [
        "| network | recipe | float, % | simulated, % | file, % | lost, points | agree, % | steps | dB |",
        "| --- | --- |" + " ---: |" * 7,
    ]
    lines += [
        f"| {row['network']} | `{row['recipe'].replace('|', chr(92) + '|')}` | {100 * row['float']:.2f} | "
        f"{100 * row['simulated']:.2f} | {100 * row['file']:.2f} | {row['lost']:+.2f} | "
        f"{100 * row['agreement']:.1f} | {_number(row['steps'])} | {_number(row['outputs_db'])} |"
        for row in rows
    ]
    worst = [
        f"- {row['network']}: "
        + ", ".join(f"`{name}` {ratio:.1f}" for name, ratio in list(row["worst"].items())[:3])
        for row in _first(rows)
    ]
    told = [f"- {row['network']}: {row['equalized']}" for row in rows if row["equalized"]]
    good = found_good(rows)
    said = (
        f"**{sum(good.values())} of {len(good)} networks lose at most {LOST_POINTS:g} point and agree on "
        f"{100 * LEAST_AGREEMENT:.0f} % at least, some recipe of theirs.**"
    )
    parts = [
        HEADING,
        said,
        "\n".join(lines),
        "Layers with the lowest signal-to-noise ratio, dB, of the first recipe:",
    ]
    parts += ["\n".join(worst), "What equalization found:", "\n".join(dict.fromkeys(told)) or "- nothing yet"]
    wide = [
        f"- {row['network']}, `{row['recipe']}`: {', '.join(f'`{name}`' for name in row['wide'])}"
        for row in rows
        if row.get("wide")
    ]
    parts += ["Layers that were kept in half precision:", "\n".join(wide)] if wide else []
    return "\n\n".join(part.strip() for part in parts) + "\n"


def found_good(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Returns by network whether one of its recipes stays within both bounds."""
    found: dict[str, bool] = {}
    for row in rows:
        stays = row["lost"] <= LOST_POINTS and row["agreement"] >= LEAST_AGREEMENT
        found[row["network"]] = found.get(row["network"], False) or stays
    return found


def _first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["network"]: row for row in reversed(rows)}.values())[::-1]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
