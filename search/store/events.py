"""What happens in a study: one frozen dataclass a kind of event, and each as the JSON of a journal's line.

Every event is understood by itself: those of a trial carry its recipe, seed and budget and the digest of the
study's definition, so that one unreadable line costs what that line said and no more. What an older Atoll
wrote carries less; what a newer one adds is left aside.
"""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from ...spaces.errors import AtollError

#: lists and objects within each other; ours have seven
_MOST_NESTED = 50

_Text = Annotated[str, Strict(), Field(max_length=100_000)]
_Name = Annotated[str, Strict(), Field(min_length=1, max_length=200)]
_TrialName = Annotated[str, Strict(), Field(pattern=r"^t[0-9]{1,9}$")]
#: Names of trials count up from t0001, and no search comes here: one from here on is somebody else's, and is
#: not counted on from, since no name would be left soon.
FOREIGN_NUMBER = 10**8
_Whole = Annotated[int, Strict(), Field(ge=-(2**63), lt=2**63)]  # the store's BIGINT
_Number = Annotated[float, Strict()]
_Moment = _Text | _Number  # ISO 8601, or seconds since the epoch
_Object = Annotated[dict[str, Any], Strict()]
_Figure = Annotated[bool, Strict()] | Annotated[int, Strict()] | _Number | _Text | None
#: how a trial ends whose process was lost, and the reason of one whose driver died: it is run again
INTERRUPTED = "interrupted"
EndStatus = Literal["finished", "failed", "rejected", "interrupted"]
TrialKey = tuple[str, str, int, float]


def _numbered(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    positions = [step.get("position") for step in steps]
    if any(type(place) is not int or not 0 <= place < 2**31 for place in positions):
        raise ValueError("a step's position is a whole number from 0 on")
    if len(set(positions)) < len(positions):
        raise ValueError("two steps have one position")
    return steps


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a study.

    Args:
        study: its name.
    """

    #: the "type" of the JSON
    kind: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    study: _Name

    @classmethod
    @cache
    def _names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; what is not known is left out, and NaN and infinities are null."""
        known = {name: getattr(self, name) for name in type(self)._names()}
        return {"type": self.kind} | {
            name: plain(value) for name, value in known.items() if value is not None
        }


@dataclass(frozen=True, kw_only=True)
class StudyDescribed(Event):
    """What a study is: at its beginning, and once its scales are frozen.

    Args:
        digest, definition: without its limits.
        limits: trials, time, workers.
        created_at: when it began.
        baseline: metrics of what drops and ratios refer to.
        reference: the reference set, and the objective that it froze.
        warm_start: what a study that begins warm took from others: `lessons`, and the names of the `studies`.
        ended: that only finalists follow: the `reason`, and the recipes of the `finalists`.
    """

    kind = "study"

    digest: _Text | None = None
    definition: _Object | None = None
    limits: _Object | None = None
    created_at: _Moment | None = None
    baseline: _Object | None = None
    reference: _Object | None = None
    warm_start: _Object | None = None
    ended: _Object | None = None


@dataclass(frozen=True, kw_only=True)
class TrialEvent(Event):
    """Something that happened to a trial.

    Args:
        trial: its name within the study.
        recipe_digest, seed, epochs_per_step: with the study, the trial's key.
        recipe: text form.
        origin: baseline, reference, paper, search, evaluate or finalist.
        proposal: n of the searcher's n-th proposal.
        study_digest: of the definition.
    """

    trial: _TrialName
    recipe_digest: _Name | None = None
    seed: _Whole | None = None
    epochs_per_step: _Number | None = None
    recipe: _Text | None = None
    origin: _Name | None = None
    proposal: _Whole | None = None
    study_digest: _Name | None = None

    @property
    def key(self) -> TrialKey | None:
        """Study, recipe digest, seed and budget; None where the event does not carry them all."""
        if self.recipe_digest is None or self.seed is None or self.epochs_per_step is None:
            return None
        return (self.study, self.recipe_digest, self.seed, self.epochs_per_step)

    @classmethod
    def of_row(cls, row: Mapping[str, Any], **more: Any) -> Self:
        """Returns an event of a trial that the store has.

        Args:
            row: of the view `trials`.
            more: what happened.
        """
        return cls(**{name: row[name] for name in (*_KEY, "recipe", "origin", "proposal")}, **more)


@dataclass(frozen=True, kw_only=True)
class Proposed(TrialEvent):
    """A trial has a name.

    Args:
        parameters: the proposal as the optimiser knows it.
    """

    kind = "proposed"

    parameters: _Object | None = None


@dataclass(frozen=True, kw_only=True)
class Started(TrialEvent):
    """A worker has it.

    Args:
        started_at: when.
        worker_pid, node, threads: of the worker, where that is known.
    """

    kind = "started"

    started_at: _Moment | None = None
    worker_pid: _Whole | None = None
    node: _Text | None = None
    threads: _Whole | None = None


@dataclass(frozen=True, kw_only=True)
class Ended(TrialEvent):
    """What came of it; once more with its score where that came later.

    Args:
        status: how it ended.
        reason: why it is not finished.
        interruptions: how often its process was lost so far.
        objective, violation: on the frozen scales; by constraint.
        metrics: of a finished one.
        steps: as reported; None leaves those that are stored.
        seconds: wall time.
        worker_pid, node, threads, weights_digest, artifact: as reported.
        ended_at: when.
    """

    kind = "ended"

    status: EndStatus
    reason: _Text | None = None
    interruptions: _Whole | None = None
    objective: _Number | None = None
    violation: Mapping[str, _Number | None] | None = None
    metrics: dict[str, _Figure] | None = None
    steps: Annotated[list[_Object], AfterValidator(_numbered)] | None = None
    seconds: _Number | None = None
    worker_pid: _Whole | None = None
    node: _Text | None = None
    threads: _Whole | None = None
    weights_digest: _Text | None = None
    artifact: _Text | None = None
    ended_at: _Moment | None = None


@dataclass(frozen=True, kw_only=True)
class Measured(TrialEvent):
    """What was read off its file, or predicted from it.

    Args:
        figures: by name; they stand beside the other fields in the JSON.
    """

    kind = "measured"

    figures: dict[str, _Figure]

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON, the figures under their own names."""
        told = super().to_json()
        return {**told.pop("figures"), **told}


@dataclass(frozen=True, kw_only=True)
class LookedAtTest(TrialEvent):
    """Somebody looked at the test split.

    Args:
        command: that looked.
        quality: what it saw.
        looked_at: when.
    """

    kind = "test_look"

    command: _Text | None = None
    quality: _Number | None = None
    looked_at: _Moment | None = None


_KEY = ("study", "trial", "recipe_digest", "seed", "epochs_per_step")
KINDS: Mapping[str, type[Event]] = {
    one.kind: one for one in (StudyDescribed, Proposed, Started, Ended, Measured, LookedAtTest)
}


def event_from_json(value: Any) -> Event | None:
    """Returns the event that a line's JSON tells, None for a kind that only a newer Atoll knows.

    Raises:
        AtollError: it is no event: a part is missing, or of the wrong type, size or range.
    """
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or "study" not in value:
        raise AtollError("no event: an object with the members type and study is needed")
    kind = KINDS.get(value["type"])
    if kind is None:
        return None
    if kind is Measured:
        names = {"type", *TrialEvent._names()}
        figures = {name: one for name, one in value.items() if name not in names}
        value = {name: one for name, one in value.items() if name in names} | {"figures": figures}
    if _is_deeper(value, _MOST_NESTED):
        raise AtollError(f"no event: lists and objects lie in each other more than {_MOST_NESTED} deep")
    try:
        found = _reader(value["type"])(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise AtollError(f"an event {kind.kind!r}: {where}: {first['msg']}") from error
    return found


@cache
def _reader(kind: str) -> Callable[[Any], Event]:
    return TypeAdapter(KINDS[kind]).validator.validate_python


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in (dict, list)
        ]
        if not layer:
            return False
    return True


def plain(value: Any) -> Any:
    """Returns the value in JSON's own types, with null for every number that JSON cannot say.

    Half a surrogate pair (of an undecodable file name in a failure's reason) is written out: DuckDB has no
    such text.
    """
    if value is None or type(value) in (bool, int):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # numpy and torch scalars
    if isinstance(value, os.PathLike):
        value = str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
