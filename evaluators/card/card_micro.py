"""What a card says of LiteRT Micro: whether the file runs there, its memory, and what a program needs."""

from collections.abc import Iterable, Mapping
from typing import Any

from ...hw_models.runtimes.micro import RUNS
from ...spaces.outside.shown import markdown
from ..delivery.micro_use import resolver_method
from ..ranking.figures import FIGURE
from .card import Card
from .card_use import classes_said, line_of_code, scaled, table

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
    """Returns what a program for LiteRT Micro needs, where it runs the file; nothing where it does not."""
    if card.interface is not None:
        if card.metrics.get("micro_status") != RUNS:
            return []
        return ["## In LiteRT Micro", _code(map(resolver_method, card.interface.operators), card.metrics)]
    return _of_older(card)


def _code(methods: Iterable[str], figures: Mapping[str, Any]) -> str:
    """Returns the operators as code, and the arena where it is known."""
    names = list(methods)
    code = [f"tflite::MicroMutableOpResolver<{len(names)}> resolver;"]
    code += [line_of_code(f"resolver.{method}();") for method in names]
    if figures.get("arena_bytes") is not None:
        code.append(f"alignas(16) static uint8_t arena[{figures['arena_bytes']:.0f}];")
    return "\n".join(["```cpp", *code, "```"])


def _of_older(card: Card) -> list[str]:
    """Returns the same of a card that tells the file's operators only with a header for such a program."""
    found = next((form.figures for form in card.deliveries if "operators" in form.figures), None)
    if found is None:
        return []
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
    said.append(classes_said(found.get("classes") or (), _NAMED, "the header"))
    code = _code([str(one) for one in found["operators"]], {})
    return ["## In LiteRT Micro", code, ends, " ".join(filter(None, said))]
