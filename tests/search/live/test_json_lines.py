"""`--json`: one object a line, with the fields that docs/search.md lists."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import Progress
from atoll.search.driver.work import carry_out
from atoll.search.live.output import JsonLines, write_event
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.testing import Replay

DOCS = Path(__file__).parents[3] / "docs" / "search.md"


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_search_in_json_lines(
    store: Store, study: Study, replay: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.lock():
        campaign = Campaign(study, store)
        with Progress(campaign, workers=1, json=True) as progress:
            for _ in range(2):
                trial = campaign.next()
                assert trial is not None
                progress.tick()
                campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))
                progress.tick()
            progress.note("held by one")
    captured = capsys.readouterr()
    assert captured.err == ""
    told = events(captured.out)
    assert {one["event"] for one in told} == {"progress", "said", "trial"}
    assert [one["trial"] for one in told if one["event"] == "trial"] == ["t0001", "t0002"]
    first, last = (told[place] for place in (0, -1))
    assert (first["event"], first["doing"], first["done"]) == ("progress", "starting Ray and its workers", 0)
    assert (last["event"], last["done"], last["workers"]) == ("progress", 2, [])
    running = next(one for one in told if one["event"] == "progress" and one["workers"])
    assert running["workers"] == [
        {"trial": "t0001", "recipe": "baseline", "steps": 0, "seed": None, "position": None}
    ]
    assert {"event": "said", "text": f"{_clock(told)} held by one"} in told


def _clock(told: list[dict[str, Any]]) -> str:
    return next(one["text"].split()[0] for one in told if "held by one" in one.get("text", ""))


def test_every_field_is_documented(store: Store, study: Study, replay: Replay) -> None:
    table = DOCS.read_text().partition("### JSON lines")[2].partition("\n## ")[0]
    told = {
        name for row in table.splitlines() if row.startswith("| ") for name in re.findall(r"`(\w+)`", row)
    }
    out = io.StringIO()
    with store.lock():
        campaign = Campaign(study, store)
        trial = campaign.next()
        assert trial is not None
        with Progress(campaign, workers=1) as progress:
            lines = JsonLines(out)
            lines.show(progress._now())
        campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))
        lines.ended(trial.told, trial.facts)
        lines.say("x")
    found = {name for one in events(out.getvalue()) for name in one}
    found |= {"study", "store", "end_reason", "best_trial", "best"}  # of the end
    assert found - {"event"} <= told
    assert told <= found | {
        "event",
        "progress",
        "trial",
        "said",
        "end",
        "position",
        "steps",
        "step",
        "epochs_done",
        "epochs",
    }


def test_what_json_has_not_and_what_moves_a_cursor() -> None:
    out = io.StringIO()
    write_event("said", {"text": "a\x1b[2J\nb", "left": float("nan")}, out)
    assert out.getvalue() == '{"event": "said", "text": "a\\u001b[2J\\nb", "left": null}\n'
