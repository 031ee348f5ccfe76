"""Exports from Python: folder and card of `export`, verdicts of `verify`; what they do others test."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from atoll import AtollError, export, verify
from atoll.search.api import exports
from atoll.search.export.checked import Checked

CARD = {"baseline": {"model_bytes": 4000}, "artifact": {"model_bytes": 100}}
SAME, OTHER = Checked("a", 1, 1, "same"), Checked("b", 1, 2, "differs")
UNKNOWN = Checked("c", 1, None, "not compared", "c cannot be told")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Notes what is exported instead of doing it."""
    found: list[Any] = []
    monkeypatch.setattr(exports, "stored_study", lambda name, store: SimpleNamespace(name="s", asked=name))
    monkeypatch.setattr(exports, "choose_trial", lambda store, study, trial, profile: {"trial": trial})

    def export_trial(store: Any, study: Any, trial: Any, folder: Path, **options: Any) -> Any:
        found.append((store.path, study.asked, trial["trial"], folder, options["also"]))
        return SimpleNamespace(to_json=lambda: CARD)

    monkeypatch.setattr(exports, "export_trial", export_trial)
    return found


def test_export_says_where_and_how_small(asked: list[Any], tmp_path: Path) -> None:
    found = export("t0003", tmp_path / "a.duckdb", str(tmp_path / "out"), study="mine", also=["pack"])
    assert asked == [(tmp_path / "a.duckdb", "mine", "t0003", tmp_path / "out", ["pack"])]
    assert (found.folder, found.artifact) == (tmp_path / "out", tmp_path / "out" / "model.tflite")
    assert (found.card, found.compression_ratio) == (CARD, 40.0)


def test_export_has_a_folder_of_its_own_where_none_is_given(asked: list[Any], tmp_path: Path) -> None:
    assert export(store=tmp_path / "a.duckdb").folder == Path("exports/s-best")
    assert asked[0][2] == "best"


def test_export_lets_code_of_the_task_run_only_where_its_user_says_so(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    let: list[Any] = []
    monkeypatch.setattr(exports, "_task_of", lambda stored: f"task of {stored.name}")
    monkeypatch.setattr(exports, "trust_task", let.append)
    export("t0003", tmp_path / "a.duckdb", tmp_path / "out")
    assert let == []
    export("t0003", tmp_path / "a.duckdb", tmp_path / "out", trust=True)
    assert let == ["task of s"] and len(asked) == 2


@pytest.mark.parametrize(
    ("rows", "differing"), [([SAME, UNKNOWN], ()), ([SAME, OTHER], ("b",)), ([OTHER, OTHER], ("b", "b"))]
)
def test_verify_passes_where_nothing_differs(
    rows: list[Checked], differing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted: list[bool] = []

    def verify_export(folder: Path, trust: bool) -> list[Checked]:
        trusted.append(trust)
        return rows

    monkeypatch.setattr(exports, "verify_export", verify_export)
    monkeypatch.setattr(exports, "other_versions", lambda folder: ["made with another torch"])
    monkeypatch.setattr(exports, "look_again", lambda *_: pytest.fail("nobody asked for it"))
    found = verify("somewhere")
    assert (found.differing, found.passed) == (differing, not differing)
    assert found.rows == tuple(rows)
    assert found.notes == (*["c cannot be told"] * (UNKNOWN in rows), "made with another torch")
    assert trusted == [False]  # unless it is asked for
    verify("somewhere", trust=True)
    assert trusted == [False, True]


@pytest.mark.parametrize("rows", [[SAME], [OTHER]])
def test_the_test_split_is_looked_at_only_where_nothing_differs(
    rows: list[Checked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Path] = []
    look = Checked("test_looks.0.quality", 0.5, 0.5, "same")

    def look_again(folder: Path, store: Any, trust: bool) -> tuple[Checked, bool]:
        looks.append(folder)
        return look, False

    monkeypatch.setattr(exports, "verify_export", lambda folder, trust: rows)
    monkeypatch.setattr(exports, "other_versions", lambda folder: [])
    monkeypatch.setattr(exports, "look_again", look_again)
    found = verify(tmp_path, test=True, store=tmp_path / "a.duckdb")
    assert found.looked_at_test == bool(looks) == (rows == [SAME])
    assert (look in found.rows) == found.looked_at_test
    if found.looked_at_test:
        assert "looked at again" in found.notes[-1] and "does not know the trial" in found.notes[-1]


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="no export in"):
        verify(tmp_path)
