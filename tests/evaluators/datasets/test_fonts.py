"""The font families: installed, disjoint over the splits, clones counted as one."""

import tomllib
from itertools import combinations
from pathlib import Path

import pytest
from atoll.evaluators.datasets.characters import CLASSES
from atoll.evaluators.datasets.fonts import EXTRA, FONT_FAMILIES, FontFamily, families_of, fonts_digest
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
    with pytest.raises(AtollError, match=r"draws Nowhere from font-nowhere, .* 'atoll\[characters\]'"):
        family.paths()


def test_a_missing_file_is_named() -> None:
    family = FontFamily("Roboto", "Roboto", "train", "font_roboto", "files", ("Roboto-Gone.ttf",))
    with pytest.raises(AtollError, match=r"font-roboto lacks files/Roboto-Gone\.ttf"):
        family.paths()


def test_digest_is_stable() -> None:
    assert fonts_digest() == fonts_digest()
    assert len(fonts_digest()) == 64


def test_the_extra_of_the_message_has_every_package() -> None:
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    packages = {family.package.replace("_", "-") for family in FONT_FAMILIES}
    fonts = {name for name in packages if name.startswith("font-")}
    assert set(project["optional-dependencies"][EXTRA]) == fonts
    assert not fonts & set(project["dependencies"])
    for package in packages - fonts:  # those that come with what is needed anyway
        assert any(needed.startswith(package) for needed in project["dependencies"])
    assert f".[{EXTRA}," in (root / "Makefile").read_text()
