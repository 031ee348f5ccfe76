"""Tests of `atoll techniques`: every setting and choice is listed, and what steps do to each other."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest
from atoll.search.commands.cli import main
from atoll.search.commands.technique_list import sentence
from atoll.spaces.recipes.pair_table import pair_fates
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.domains import Choice, Domain, OrWord
from atoll.spaces.techniques import TECHNIQUES

NAMES = [technique.name for technique in TECHNIQUES]


def listed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    assert main(["techniques", *words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def text_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["techniques", *words]) == 0
    return capsys.readouterr().out


def choices(domain: Domain) -> list[str]:
    if isinstance(domain, OrWord):
        return [domain.word, *choices(domain.domain)]
    return [str(value) for value in domain.values] if isinstance(domain, Choice) else []


def test_every_setting_has_a_row_with_all_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {(row["technique"], row["setting"]): row for row in listed(capsys)}
    for technique in TECHNIQUES:
        for field in fields(technique):
            row = rows.pop((technique.name, field.name))
            domain = field.metadata["domain"]
            assert row["stage"] == technique.stage and row["source"] == technique.source
            assert row["default"] == field.default and row["default_source"] == field.metadata["source"]
            assert row["allowed"] == domain.describe()
            assert row["grid"].split(", ") == [str(value) for value in domain.grid]
            assert all(word in re.split(r"[ ,]+", row["allowed"]) for word in choices(domain))
            assert row["repeatable"] is technique.repeatable
            assert Recipe.parse(row["example"]).steps == (technique(),)
    assert all(setting is None for _, setting in rows)  # techniques without settings


def test_what_the_papers_name_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = set(re.findall(r"[\w.]+", json.dumps(listed(capsys))))
    assert {
        *("l1", "l2", "random", "geometric_median", "bn_scale", "taylor"),
        *("one_shot", "iterative", "agp", "oto"),
        *("tensor_train", "tucker", "cp", "svd"),
        *("ternarize", "binarize", "cluster", "mixed_precision", "quantization_offset"),
        *("symmetric", "affine", "per_tensor", "per_channel", "min_max", "percentile", "mse", "dynamic"),
        *("response", "feature", "relation", "self", "mutual", "bigger"),
    } <= words


def test_every_technique_says_in_one_sentence_what_it_does() -> None:
    for technique in TECHNIQUES:
        assert re.fullmatch(r"[A-Z][^\n]{20,200}\.", sentence(technique)), technique.name


def test_the_paragraphs_say_what_the_rows_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = listed(capsys)
    for width in (60, 80, 100, 130):
        monkeypatch.setenv("COLUMNS", str(width))
        printed = text_of(capsys)
        assert max(map(len, printed.splitlines())) <= width
        words = set(printed.split())
        for row in rows:
            said = f"{row['allowed']} {row['default']} {row['grid']} {row['about']} {row['default_source']}"
            assert set(said.split()) <= words, row["technique"]
        for technique in TECHNIQUES:
            again = "may come again later" if technique.repeatable else "comes once for the same layers"
            assert f"{technique.name} ({technique.stage}; {again})" in printed


def test_one_technique_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert {row["technique"] for row in listed(capsys, "quantize")} == {"quantize"}
    assert text_of(capsys, "quantize").startswith("quantize (numbers")
    assert main(["techniques", "quantise"]) == 2
    assert "unknown technique 'quantise'; did you mean 'quantize'?" in capsys.readouterr().err


def test_csv_has_a_line_a_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["techniques", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("technique,stage,about,repeatable,example,source,setting,allowed,default")
    assert len(lines) == 1 + len(listed(capsys))


def test_pairs_as_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys, "--pairs")
    assert len(rows) == len(pair_fates())
    dropped = {
        "first": "prune_weights",
        "second": "tensor_train",
        "constraint": "mask",
        "fate": "dropped",
        "layers": ["classifier.dense1"],
        "refusal": None,
    }
    assert dropped in rows
    assert main(["techniques", "--pairs", "--format", "csv"]) == 0
    assert "prune_weights,tensor_train,mask,dropped,classifier.dense1," in capsys.readouterr().out


def test_pairs_as_a_matrix_and_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    printed = text_of(capsys, "--pairs")
    for number, name in enumerate(NAMES, start=1):
        assert re.search(rf"^{number} {name} ", printed, flags=re.MULTILINE)
    assert "carried over" in printed and "imposed anew" in printed and "refused" in printed
    words = text_of(capsys, "binarize", "--pairs")
    assert re.search(r"binarize +cluster +refused\s+\S", words)
    assert re.search(r"distill +binarize +nothing", words)
    assert re.search(r"prune_weights +binarize +mask +carried over", words)
    assert not re.search(r"prune_weights +tensor_train", words)
