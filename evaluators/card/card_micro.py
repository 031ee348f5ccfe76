"""What a card says of LiteRT Micro: whether the file runs there, its memory, and what a program needs."""

from collections.abc import Mapping
from typing import Any

from ...hw_models.runtimes.micro import RUNS
from ...spaces.outside.shown import markdown, markdown_code
from ..ranking.figures import FIGURE
from .card import Card
from .card_use import line_of_code, scaled, table

#: classes whose names a card lists
_NAMED = 20


def micro_rows(base: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns what the files need in LiteRT Micro, where it runs them; nothing in cards of older versions."""
    if not ours.get("micro_status"):
        return []
    both, arena = (base, ours), FIGURE["arena_bytes"]
    before, after = (markdown(one.get("micro_status") or "") for one in both)
    rows = [("LiteRT Micro (counted)", before, after)]
    if ours["micro_status"] == RUNS:
        before, after = (arena.exact.text(one.get("arena_bytes")) for one in both)
        rows.append((arena.label(), before, after))
        before, after = (FIGURE["flash_bytes"].exact.text(one["model_bytes"]) for one in both)
        rows.append((FIGURE["flash_bytes"].label(), before, after))
    return rows


def in_micro(card: Card) -> list[str]:
    """Returns what a program for LiteRT Micro needs, where the header for it lies beside."""
    found = next((form.figures for form in card.deliveries if "operators" in form.figures), None)
    if found is None:
        return []
    methods = [str(one) for one in found["operators"]]
    code = [f"tflite::MicroMutableOpResolver<{len(methods)}> resolver;"]
    code += [line_of_code(f"resolver.{method}();") for method in methods]
    rows = [
        (
            f"{what} {number}",
            "x".join(map(str, end["shape"])),
            markdown(end["type"]),
            *("" if end[name] is None else f"{end[name]:.6g}" for name in ("scale", "zero_point")),
        )
        for what in ("input", "output")
        for number, end in enumerate(found[f"{what}s"])
    ]
    ends = table(("", "shape, channels last", "type", "scale", "zero point"), rows)
    said = [f"What goes in is {scaled(card)}." if len(found["inputs"]) == 1 else ""]
    if classes := found.get("classes"):
        names = ", ".join(markdown_code(name) for name in classes[:_NAMED])
        more = f", … ({len(classes):,}, all in the header)" if len(classes) > _NAMED else ""
        said.append(f"Classes in the order of the output: {names}{more}.")
    return ["## In LiteRT Micro", "\n".join(["```cpp", *code, "```"]), ends, " ".join(filter(None, said))]
