"""Which store is meant: the one that is given, else that of the environment, else the one of this folder."""

import os
from pathlib import Path

from ..store.store import Store
from ..terminal.store_option import DEFAULT_STORE

#: a store, or where its DuckDB file lies; `ATOLL_STORE`, else `./atoll.duckdb`, where None
Place = Store | Path | str | None


def store_at(place: Place) -> Store:
    """Returns the store that a caller means; nothing is opened yet."""
    if isinstance(place, Store):
        return place
    return Store(Path(place or os.environ.get("ATOLL_STORE") or DEFAULT_STORE))
