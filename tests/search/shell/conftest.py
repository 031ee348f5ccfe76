"""A store with one study, whose only recipe has a name that Markdown would take for markup."""

import pytest
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("asked") / "atoll.duckdb")
    key = {"study": "a|b", "trial": "t0001", "recipe_digest": "d", "seed": 0, "epochs_per_step": 1.0}
    for event in (
        {"type": "study", "study": "a|b", "baseline": {"model_bytes": 100}},
        {"type": "proposed", "recipe": "prune_channels(ratio=0.5) -> binarize"} | key,
        {"type": "ended", "status": "finished", "metrics": {"quality": 0.875, "model_bytes": 25}} | key,
    ):
        store.journal.append(event_from_json(event))
    return store
