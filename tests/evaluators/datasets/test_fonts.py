"""The font families: installed, disjoint over the splits, clones counted as one."""

from itertools import combinations

import pytest
from atoll.evaluators.datasets.characters import CLASSES
from atoll.evaluators.datasets.fonts import FONT_FAMILIES, FontFamily, families_of, fonts_digest
from atoll.spaces.errors import AtollError
from PIL import ImageFont

SPLITS = ("train", "validation", "test")


def test_every_family_is_in_one_known_split_and_none_twice() -> None:
    assert {family.split for family in FONT_FAMILIES} == set(SPLITS)
    assert len({family.name for family in FONT_FAMILIES}) == len(FONT_FAMILIES)
    files = [path for family in FONT_FAMILIES for path in family.paths()]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(("one", "other"), list(combinations(SPLITS, 2)))
def test_designs_of_two_splits_are_disjoint(one: str, other: str) -> None:
    assert not {f.design for f in families_of(one)} & {f.design for f in families_of(other)}


def _advance_widths(path: str) -> tuple[float, ...]:
    """Widths of all characters relative to H: the same in metric-compatible fonts, whatever their name."""
    font = ImageFont.truetype(path, 1000, layout_engine=ImageFont.Layout.BASIC)
    unit = font.getlength("H")
    return tuple(round(font.getlength(character) / unit, 2) for character in CLASSES)


def test_no_font_is_a_metric_clone_of_one_in_another_split() -> None:
    seen: dict[tuple[float, ...], FontFamily] = {}
    for family in FONT_FAMILIES:
        for path in family.paths():
            widths = _advance_widths(str(path))
            if len(set(widths)) == 1:
                continue  # a monospaced font: equal widths say nothing
            clone = seen.setdefault(widths, family)
            assert clone.split == family.split, f"{family.name} has the metrics of {clone.name}"


def test_a_missing_package_is_named() -> None:
    family = FontFamily("Nowhere", "Nowhere", "train", "font_nowhere", "files", ("Nowhere.ttf",))
    with pytest.raises(AtollError, match=r"font package font-nowhere is not installed.*`characters`"):
        family.paths()


def test_a_missing_file_is_named() -> None:
    family = FontFamily("Roboto", "Roboto", "train", "font_roboto", "files", ("Roboto-Gone.ttf",))
    with pytest.raises(AtollError, match=r"font-roboto lacks files/Roboto-Gone\.ttf"):
        family.paths()


def test_digest_is_stable() -> None:
    assert fonts_digest() == fonts_digest()
    assert len(fonts_digest()) == 64
