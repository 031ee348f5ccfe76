"""Recipes in few characters, for tables: `tt16 > tucker.25 > q4`, with a legend for newcomers."""

import re
from collections.abc import Iterable

from .table_layout import HARD_BLANK, wrapped

#: technique -> its short name, and the setting whose value stands right behind that
SHORT: dict[str, tuple[str, str]] = {
    "prune_channels": ("pc", "ratio"),
    "prune_weights": ("pw", "ratio"),
    "tensor_train": ("tt", "rank"),
    "tucker": ("tucker", "rank"),
    "cp": ("cp", "rank"),
    "svd": ("svd", "rank"),
    "cluster": ("c", "clusters"),
    "quantize": ("q", "bits"),
    "mixed_precision": ("mp", "bits"),
    "ternarize": ("ter", "threshold"),
    "binarize": ("bin", "first_last"),
    "distill": ("d", "temperature"),
    "quantization_offset": ("qo", "strength"),
}
_LONG, _SHORT = " -> ", " > "
_STEP = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_WITHIN_A_PAIR = re.compile("(?<![,;]) ")
_NUMBER = re.compile(r"\d*\.?\d+")


def short_recipe(recipe: str) -> str:
    """Returns a recipe's short form; what is no step of ours stays as it is.

    >>> short_recipe("tensor_train(rank=16) -> tucker(rank=0.25) -> quantize(bits=4, first_last=same)")
    'tt16 > tucker.25 > q4:fl=same'
    """
    return _SHORT.join(map(_short_step, recipe.split(_LONG)))


def legend(recipes: Iterable[str]) -> str:
    """Returns what the short names of some recipes stand for, in the order of their first use.

    >>> legend(["quantize(bits=4, first_last=same)", "tucker(rank=0.5)"])
    'q quantize(bits), fl first_last; tucker tucker(rank)'
    """
    said: dict[str, dict[str, None]] = {}
    for step in (step for recipe in recipes for step in recipe.split(_LONG)):
        technique, settings = _parts(step)
        if technique in SHORT:
            others = said.setdefault(technique, {})
            others.update(dict.fromkeys(name for name, _ in settings if name != SHORT[technique][1]))
    return "; ".join(
        ", ".join(
            [f"{SHORT[name][0]} {name}({SHORT[name][1]})", *(f"{abbreviated(one)} {one}" for one in others)]
        )
        for name, others in said.items()
    )


def legend_lines(recipes: Iterable[str], width: int) -> list[str]:
    """Returns the legend in lines, none of which ends between a short name and what it stands for.

    >>> legend_lines(["quantize(bits=4, first_last=same) -> tucker(rank=0.5)"], width=35)
    ['q quantize(bits), fl first_last;', 'tucker tucker(rank)']
    """
    text = legend(recipes)
    return wrapped(_WITHIN_A_PAIR.sub(HARD_BLANK, text), width) if text else []


def abbreviated(setting: str) -> str:
    """Returns a setting's short name: initials, or three letters of a single word.

    >>> abbreviated("first_last"), abbreviated("criterion")
    ('fl', 'cri')
    """
    words = setting.split("_")
    return setting[:3] if len(words) == 1 else "".join(word[:1] for word in words)


def _short_step(step: str) -> str:
    technique, settings = _parts(step)
    if technique not in SHORT:
        return step
    short, main = SHORT[technique]
    for name, value in settings:
        if name != main:
            short += f":{abbreviated(name)}={_short_value(value)}"
        else:
            short += _short_value(value) if _NUMBER.fullmatch(value) else f"={value}"
    return short


def _parts(step: str) -> tuple[str, list[tuple[str, str]]]:
    """Returns technique and settings; a step that is not written as ours are is a technique nobody knows."""
    found = _STEP.fullmatch(step)
    if found is None:
        return step, []
    settings = [part.partition("=") for part in re.split(r", (?=\w+=)", found[2])]
    return found[1], [(name, value) for name, _, value in settings]


def _short_value(value: str) -> str:
    if not _NUMBER.fullmatch(value):
        return value
    return re.sub(r"\.0$", "", re.sub(r"^0\.", ".", value))
