"""A further look at the test split, written into the card and counted in the store."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ...evaluators.card.card import Card, TestLook
from ...evaluators.measuring.artifact_report import file_quality
from ...evaluators.tasks import load_task
from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import inside, read_bytes
from ..store.events import LookedAtTest
from ..store.store import Store
from .checked import Checked, least_compared
from .export import ARTIFACT, write_card
from .verification import read_card


def look_again(folder: Path, store: Store, trust: bool = False) -> tuple[Checked, bool]:
    """Measures an exported file on the test split once more.

    Args:
        folder: an export that was verified.
        store: counts the look where it knows the trial.
        trust: whether a quality that is somebody's code may run.

    Returns:
        the first look's quality beside this one's, and whether the store counted it.

    Raises:
        AtollError: the quality is code, and nobody said that it may run.
    """
    card = read_card(folder)
    task = load_task(card.task)
    if task.code is not None and not trust:
        raise AtollError(f"--test judges by {', '.join(task.code_files)}: --trust runs it")
    content = read_bytes(inside(folder, ARTIFACT))
    quality = file_quality(content, task.dataset().test, task.judged_by, task.scaling)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    look = TestLook(quality, now, "verify")
    looks = [*card.test_looks, look]
    write_card(folder, replace(card, test_looks=looks))
    figure = "test_looks.0.quality"
    found = Checked.of(figure, looks[0].quality, quality, least_compared(figure, card))
    return found, _count(store, card, look)


def _count(store: Store, card: Card, look: TestLook) -> bool:
    """Adds the look to the store's journal, which any process may append to."""
    study, trial = card.study, card.trial
    known = store.path.exists() or store.journal.size_bytes() > 0
    row = next((row for row in store.trials(study) if row["trial"] == trial), None) if known else None
    if row is None:
        return False
    told = {"command": look.command, "quality": look.quality, "looked_at": look.at}
    store.journal.append(LookedAtTest.of_row(row, **told))
    return True
