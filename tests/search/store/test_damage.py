"""Whatever byte of a study's files is damaged: the same figures, the work done again, or one sentence."""

import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import drive_here
from atoll.search.store.events import Ended, Proposed, StudyDescribed, event_from_json
from atoll.search.store.journal import Journal
from atoll.search.store.rows import Rows
from atoll.search.store.selection import choose_study
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.testing import Replay

FIGURES = ("recipe", "origin", "status", "quality", "model_bytes", "latency_ms", "objective", "violation")


def drive(store: Store, study: Study, replay: Replay) -> None:
    with store.lock():
        store.recover()
        drive_here(Campaign(study, store), replay)
        store.recover()


def figures_of(store: Store) -> dict[str, list]:
    return {row["recipe"]: [row[name] for name in FIGURES] for row in store.trials()}


@pytest.fixture
def whole(store: Store, study: Study, replay: Replay) -> bytes:
    """The journal of a study that ran to its end."""
    drive(store, study, replay)
    return store.journal_path.read_bytes()


def lines_of(journal: bytes) -> Iterator[tuple[int, int]]:
    """Yields start and end of every line."""
    start = 0
    for line in journal.splitlines(keepends=True):
        yield start, start + len(line)
        start += len(line)


def rows_of(journal: bytes, path: Path) -> Rows:
    path.write_bytes(journal)
    rows = Rows()
    for event in Journal(path).read()[0]:
        rows.apply(event)
    return rows


def test_any_byte_flipped_or_cut_off_changes_no_figure_of_a_trial(whole: bytes, tmp_path: Path) -> None:
    path, rng = tmp_path / "damaged.jsonl", random.Random(0)
    before = rows_of(whole, path).trials
    places = [rng.randrange(start, end) for start, end in lines_of(whole) for _ in range(4)]
    flipped = [whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :] for at in places]
    for damaged in (*flipped, *(whole[:at] for at in places[::3])):
        for key, row in rows_of(damaged, path).trials.items():
            assert [row.get(name) for name in ("recipe", "origin", "proposal")] == [
                before[key].get(name) for name in ("recipe", "origin", "proposal")
            ]
            if row["status"] != "running":  # that one is run again
                assert [row.get(name) for name in ("status", "metrics", "seconds")] == [
                    before[key].get(name) for name in ("status", "metrics", "seconds")
                ]


@pytest.mark.slow
def test_a_study_goes_on_to_the_same_end_without_its_database_and_any_one_line(
    whole: bytes, store: Store, study: Study, replay: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    rng, before = random.Random(1), figures_of(store)
    kinds = [event.kind for event in store.journal.read()[0]]
    # every kind of line twice, and the last one
    chosen = {
        rng.choice([n for n, one in enumerate(kinds) if one == kind]) for kind in set(kinds) for _ in "ab"
    }
    for number in sorted({*chosen, 0, len(kinds) - 1}):
        start, end = list(lines_of(whole))[number]
        at = rng.randrange(start, end - 1)
        store.path.unlink()
        store.journal_path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        caplog.clear()
        drive(store, study, replay)
        assert figures_of(store) == before
        [said] = [record.getMessage() for record in caplog.records]
        assert f"skipped 1 line that cannot be read, the first at byte {start}" in said


def test_a_trial_of_which_only_one_line_is_left_is_known(
    whole: bytes, store: Store, study: Study, replay: Replay
) -> None:
    """Every event is understood by itself: of each trial its end alone gives the whole study."""
    before = figures_of(store)
    events = store.journal.read()[0]
    store.path.unlink()
    store.journal_path.unlink()
    for event in events:
        if isinstance(event, Ended):
            store.journal.append(event)
    assert figures_of(store) == before
    [row] = store.studies()
    assert (row["digest"], row["definition"]) == (study.digest, None)
    # What it was judged by is lost: nothing is ranked without it.
    message = f"the definition of study '{study.study_name}' cannot be read .*given again, writes it anew"
    with pytest.raises(AtollError, match=message):
        choose_study(store, None)
    drive(store, study, replay)
    assert figures_of(store) == before
    assert choose_study(store, None).definition == study.definition()


def test_another_definition_is_refused_even_where_the_stored_one_is_lost(
    whole: bytes, store: Store, study: Study, replay: Replay
) -> None:
    events = store.journal.read()[0]
    store.path.unlink()
    store.journal_path.unlink()
    for event in events:
        if not isinstance(event, StudyDescribed):
            store.journal.append(event)
    other = Study.create({**study.model_dump(), "name": study.study_name, "max_steps": 3})
    with pytest.raises(AtollError, match="another definition than that of this search"):
        drive(store, other, replay)


def test_an_older_journal_without_the_line_that_proposed_a_trial_runs_it_again(
    whole: bytes, store: Store, study: Study, replay: Replay
) -> None:
    """Before, only `proposed` told the recipe; the trial cannot be shown, and comes again by itself."""
    before = figures_of(store)
    events = store.journal.read()[0]
    store.path.unlink()
    store.journal_path.unlink()
    told = {"recipe": None, "origin": None, "proposal": None, "study_digest": None}
    for event in events:
        if isinstance(event, Proposed) and event.trial == "t0003":
            continue
        older = event if isinstance(event, (StudyDescribed, Proposed)) else replace(event, **told)
        store.journal.append(older)
    assert "t0003" not in {row["trial"] for row in store.trials()}
    drive(store, study, replay)
    assert figures_of(store) == before


def test_a_finished_trial_without_whole_metrics_is_run_again(
    whole: bytes, store: Store, study: Study, replay: Replay
) -> None:
    before, events = figures_of(store), store.journal.read()[0]
    for metrics in ({"quality": 2.0}, {}, None):
        for origin in ("baseline", "reference"):
            end = next(one for one in events if isinstance(one, Ended) and one.origin == origin)
            store.journal.append(replace(end, metrics=metrics))
    drive(store, study, replay)
    assert figures_of(store) == before


def test_a_recipe_that_nobody_knows_is_left_aside(
    whole: bytes, store: Store, study: Study, replay: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    key = {"study": study.study_name, "trial": "t0900", "recipe_digest": "d", "seed": study.seed}
    foreign = {"type": "proposed", **key, "epochs_per_step": study.budget_epochs, "recipe": "magic(x=1)"}
    store.journal.append(event_from_json(foreign))
    drive(store, study, replay)
    assert "trial t0900 of the store is left aside: " in caplog.text


def test_a_journal_cut_and_written_on_is_folded_from_its_start(store: Store) -> None:
    """What was folded no longer ends at a line: the offset of the store means nothing."""
    key = {"study": "s", "recipe": "binarize", "seed": 0, "epochs_per_step": 1.0}
    for n in (1, 2):
        store.journal.append(Proposed(**key, trial=f"t{n}", recipe_digest=f"d{n}"))
    assert store.fold()
    content = store.journal_path.read_bytes()
    store.journal_path.write_bytes(content[:-1] + b"\x0b")  # the newline, flipped
    store.journal.append(Proposed(**key, trial="t3", recipe_digest="d3", origin="search" * 9))
    assert [row["trial"] for row in store.trials("s")] == ["t1", "t2", "t3"]


#: flips bytes of a store and asks it; a process of its own, for DuckDB itself could end it
FLIPS = """
import random, sys
from pathlib import Path
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

store, rng = Store(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
answers = (lambda: store.trials(), lambda: store.studies(), lambda: store.steps("s", "t0003"),
           lambda: store.user_query("FROM trials ORDER BY trial").to_pylist())
whole = store.path.read_bytes()
want = [answer() for answer in answers]
said = same = 0
for number in range(40):
    # mostly where there is something: the file is full of empty space
    at = rng.randrange(len(whole))
    while number % 4 and not whole[at]:
        at = rng.randrange(len(whole))
    damaged = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1:]
    if number % 10 == 9:
        damaged = whole[:at]
    for answer, right in zip(answers, want):
        store.path.write_bytes(damaged)
        try:
            assert answer() == right, f"another answer after a flip at byte {at}"
            same += 1
        except AtollError as error:
            assert "\\n" not in str(error) and len(str(error)) > 20
            said += 1
store.path.unlink()
assert [answer() for answer in answers] == want
print(said, same)
"""


@pytest.mark.slow
def test_any_byte_of_the_database_is_the_same_answer_or_one_sentence(store: Store) -> None:
    store.journal.append(StudyDescribed(study="s", digest="d", definition={"task": "digits"}))
    for n in range(30):
        about = {"study": "s", "trial": f"t{n:04d}", "recipe": "binarize", "recipe_digest": f"d{n}"}
        steps = [{"position": 1, "quality": n / 100, "notes": {"n": n}}]
        told = {"status": "finished", "metrics": {"quality": n / 100}, "steps": steps}
        store.journal.append(Ended(**about, seed=0, epochs_per_step=1.0, **told))
    assert store.fold()
    command = [sys.executable, "-c", FLIPS, str(store.path), "0"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    said, same = map(int, found.stdout.split())
    assert said > 0 and same > 0
