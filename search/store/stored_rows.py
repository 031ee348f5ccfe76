"""Rows as the store gives them: those of its views, and those of a leaderboard.

They are dictionaries, since that is what SQL, CSV and JSON have too; what stands in each is said here alone.
The units are those of the columns' comments (`search/sql/meanings.py`), None is SQL's null. JSON columns are
read as they come out.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from ...spaces.errors import AtollError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

R = TypeVar("R")
_READER = json.JSONDecoder()  # of thousands of short texts: without what `json.loads` looks at first

JSON_COLUMNS = (
    "definition",
    "limits",
    "baseline",
    "reference",
    "proposal_parameters",
    "violation",
    "metrics",
    "measured",
    "notes",
)
#: columns that are an object wherever they are anything
_OBJECTS = ("definition", "limits", "baseline", "reference", "metrics", "measured", "violation")


class StudyRow(TypedDict):
    """A study, with the counts of its trials; `StoredStudy` is its checked form."""

    study: str
    digest: str | None
    created_at: datetime | None
    trials: int
    finished: int
    failed: int
    rejected: int
    running: int
    best_objective: float | None
    seconds: float | None
    test_looks: int
    definition: dict[str, Any] | None
    limits: dict[str, Any] | None
    baseline: dict[str, Any] | None
    baseline_model_bytes: int | None
    reference: dict[str, Any] | None


class TrialRow(TypedDict):
    """A recipe evaluated in a study with one seed and one budget."""

    study: str
    trial: str
    recipe: str
    seed: int
    status: str
    reason: str | None
    objective: float | None
    quality: float | None
    model_bytes: int | None
    payload_bytes: int | None
    compression_ratio: float | None
    macs: int | None
    latency_ms: float | None
    peak_memory_bytes: int | None
    seconds: float | None
    origin: str
    step_count: int
    epochs_per_step: float
    violation: Any
    packed_bytes: int | None
    parameters: int | None
    nonzero_parameters: int | None
    label_loyalty: float | None
    probability_loyalty: float | None
    edge_tpu_mappable: float | None
    ethos_u_mappable: float | None
    ethos_u_flash_bytes: int | None
    minimum_runtime: str | None
    minimum_runtime_reason: str | None
    train_epochs: float | None
    train_seconds: float | None
    micro_status: str | None
    arena_bytes: int | None
    arena_bytes_low: int | None
    arena_bytes_high: int | None
    flash_bytes: int | None
    model_bytes_low: int | None
    model_bytes_high: int | None
    latency_ms_low: float | None
    latency_ms_high: float | None
    peak_memory_bytes_low: int | None
    peak_memory_bytes_high: int | None
    quality_name: str | None
    quality_unit: str | None
    quality_higher_is_better: bool | None
    latency_status: str | None
    peak_memory_status: str | None
    model_bytes_measured: int | None
    packed_bytes_measured: int | None
    peak_memory_bytes_measured: int | None
    latency_host_ms_measured: float | None
    latency_host_ms: float | None
    latency_host_ms_low: float | None
    latency_host_ms_high: float | None
    latency_host_status: str | None
    peak_memory_host_bytes_measured: int | None
    peak_memory_host_bytes: int | None
    peak_memory_host_bytes_low: int | None
    peak_memory_host_bytes_high: int | None
    peak_memory_host_status: str | None
    agreement: float | None
    quality_of_file: float | None
    test_quality: float | None
    test_quality_at: datetime | None
    test_drop: float | None
    interruptions: int | None
    worker_pid: int | None
    node: str | None
    threads: int | None
    started_at: datetime | None
    ended_at: datetime | None
    artifact: str | None
    recipe_digest: str
    weights_digest: str | None
    proposal: int | None
    proposal_parameters: Any
    metrics: dict[str, Any] | None
    measured: dict[str, Any] | None


class StepRow(TypedDict):
    """A step of a trial; position 1 is the first, 0 the baseline."""

    study: str
    trial: str
    position: int
    step: str | None
    technique: str | None
    stage: str | None
    epochs: float | None
    seconds: float | None
    quality: float | None
    payload_bytes: int | None
    model_bytes: int | None
    packed_bytes: int | None
    macs: int | None
    latency_ms: float | None
    peak_memory_bytes: int | None
    parameters: int | None
    cached: bool | None
    worker_pid: int | None
    notes: Any
    recipe: str
    seed: int
    epochs_per_step: float
    status: str
    recipe_digest: str
    settings: dict[str, str] | None


class RecipeRow(TrialRow):
    """A recipe beside its study's baseline: one of its trials, with the means over its seeds.

    `evaluators/ranking/leaderboard.py` makes it and says what is what. The row of a baseline that the study
    did not run itself has its figures alone.
    """

    n: int
    baseline_quality: float
    quality_std: float | None
    quality_drop: float
    quality_drop_error: float | None
    test_drop_error: float | None
    test_gap: float | None
    meets: bool
    misses: str


class LeaderboardRow(RecipeRow):
    """A recipe with its place among the others."""

    rank: int
    score: float


class StoredRows(list[R]):
    """Rows of the store as dictionaries, and as the table that they came in.

    Args:
        rows: the dictionaries.
        table: the same rows; JSON columns are text in it.
    """

    def __init__(self, rows: list[R], table: "pa.Table") -> None:
        super().__init__(rows)
        self._table = table

    def arrow(self) -> "pa.Table":
        """Returns them as a table of Arrow."""
        return self._table

    def df(self) -> "pandas.DataFrame":
        """Returns them as a data frame of pandas.

        Raises:
            AtollError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401 (Arrow's own word for its absence is another one)
        except ImportError as error:
            raise AtollError(_absent("pandas")) from error
        return self._table.to_pandas()

    def pl(self) -> "polars.DataFrame":
        """Returns them as a data frame of polars.

        Raises:
            AtollError: polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise AtollError(_absent("polars")) from error
        found = polars.from_arrow(self._table)
        return found if isinstance(found, polars.DataFrame) else found.to_frame()


def _absent(package: str) -> str:
    return f"{package} is not installed: `pip install {package}`, or take the rows as .arrow()"


def stored_value(column: str, text: str, place: Path) -> Any:
    """Returns what a JSON column holds.

    Args:
        column: one of `JSON_COLUMNS`.
        text: its JSON.
        place: the store, for the error message.

    Raises:
        AtollError: it is no JSON, or not what the column is for.
    """
    try:
        value, end = _READER.raw_decode(text.strip(" \t\n\r"))
        if end < len(text):  # spaces behind it, or no JSON
            value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AtollError(f"the store {place}: column {column} holds no JSON ({error})") from error
    if value is None:
        return None
    if column in _OBJECTS and not isinstance(value, dict):
        raise AtollError(f"the store {place}: column {column} holds {brief(value)}, an object is meant")
    if column == "violation":
        for constraint, one in value.items():
            if type(one) not in (int, float, type(None)):
                got = f"{brief(one)} for {constraint:.80}"
                raise AtollError(f"the store {place}: column violation holds {got}, a number is meant")
    return value


def brief(value: Any) -> str:
    """Returns a value as JSON for an error message, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
