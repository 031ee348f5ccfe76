"""The model card of an export, `card.json`: one frozen dataclass, its one reader and its one writer.

Somebody else may have written what is read: types and sizes are checked here, whether the figures are true is
not. What a newer Atoll adds to a card is kept; parts of another form than ours are refused.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from ..delivery.delivery import Delivery
from ..digests import digest_json
from ..measuring.artifact_report import ArtifactReport
from ..measuring.file_ends import FileEnd, FileInterface
from ..measuring.sample_report import SampleReport
from ..ranking.figures import FIGURE
from .bundle import LARGEST_STEPS

#: characters of a text (as in a journal's event), and of what is said of a wrong place
_LONGEST_TEXT, _LONGEST_PLACE = 100_000, 200
#: files, devices, looks, remarks: ours have a dozen, and anybody may look at the test split again
_MANY = 10_000
#: classes that a card names
MOST_NAMES = _MANY


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    for name in row.keys() & FIGURE.keys():
        if type(row[name]) not in (int, float, type(None)):
            raise ValueError(f"{name} is no number")
    return row


def _figures(figures: dict[str, Any]) -> dict[str, Any]:
    for name, value in figures.items():
        if not isinstance(value, bool | int | float | str | None):
            raise ValueError(f"{name:.80} is no figure")
    return _numbers(figures)


_Texts = Annotated[list[str], Field(max_length=_MANY)]
_TextByName = Annotated[dict[str, str], Field(max_length=_MANY)]
#: figures by name, numbers where the table of figures knows them, beside names and statuses; a row has notes
_Figures = Annotated[dict[str, Any], Field(max_length=_MANY), AfterValidator(_figures)]
_Row = Annotated[dict[str, Any], Field(max_length=_MANY), AfterValidator(_numbers)]
_Side = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class TestLook:
    """A look at the test split.

    Args:
        quality: of the file there.
        at: when, ISO 8601.
        command: that looked.
    """

    __test__: ClassVar = False  # no test of pytest's

    quality: float
    at: str
    command: str


@dataclass(frozen=True)
class PredictedFigure:
    """What a device is predicted to need for the network.

    Args:
        device, quantity: of what; the unit is in the quantity's name.
        value, low, high: with the ends of its interval.
        status: how far the measurements carry it.
        setup: that it refers to; empty where none matters.
    """

    device: str
    quantity: str
    value: int | float
    low: int | float
    high: int | float
    status: str
    setup: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything that is known of an export.

    Args:
        study, trial, task, network, device: names.
        input_shape: (channels, height, width), (channels, length) or (features,).
        scaling: what makes of stored inputs what the network takes; missing where that is `PIXELS`.
        inputs: of the file where it has several, of which `input_shape` is the row; missing where it has one.
        numbers: whether outputs are numbers; missing where they choose among classes.
        recipe: text form.
        seed, epochs_per_step, threads: that it was made with.
        metrics, baseline: of the trial and its study's baseline, under the names of `Metrics`.
        waterfall: one row for the baseline and one after every step.
        predictions: of the finished network.
        fit_digests: SHA-256 of what predicted, by device, None for a device without; missing in older cards.
        artifact: read off the file.
        outputs: of the file, where it has several.
        noise: signal-to-noise ratio of each layer on its grids, dB, and of the outputs; missing where nothing
            is rounded, and in older cards.
        interface: of the file; missing in older cards, as the next two.
        classes: their names, in the order of the output that chooses among them; missing also where none
            does, and of more than ten thousand.
        samples: what file and network say of single samples of the validation split.
        test_looks, baseline_test_looks: the first one first.
        test_images: of the test split; missing in older cards.
        weights_digest: SHA-256 over names, types, shapes and bytes.
        dropped: what the file does not hold of the network.
        remarks: whether what was exported is what the store knows.
        versions: of what it was made with.
        data: version of the dataset.
        commands: that make it again.
        exported_at: when, ISO 8601.
        deliveries: further forms in the folder.
        files: SHA-256 by name.
        text_digest: SHA-256 of the card as text; missing in older cards.
        card_digest: of everything else; missing before it is sealed.
        more: what a newer Atoll adds.
    """

    # strict: no text is taken for a number; what lies within without a word of its own is read so too
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, str_max_length=_LONGEST_TEXT
    )

    study: str
    trial: str
    task: str
    network: str
    input_shape: Annotated[list[_Side], Field(min_length=1, max_length=3)]
    scaling: dict[str, list[int | float]] | None = None
    inputs: Annotated[list[FileEnd], Field(min_length=2, max_length=_MANY)] | None = None
    numbers: bool | None = None
    recipe: str
    seed: int
    epochs_per_step: int | float
    threads: int | None
    device: str
    metrics: _Figures
    baseline: _Figures
    waterfall: Annotated[list[_Row], Field(min_length=1, max_length=1 + LARGEST_STEPS)]
    predictions: Annotated[list[PredictedFigure], Field(max_length=_MANY)]
    fit_digests: Annotated[dict[str, str | None], Field(max_length=_MANY)] | None = None
    artifact: ArtifactReport
    outputs: Annotated[list[FileEnd], Field(max_length=_MANY)] | None = None
    noise: Annotated[dict[str, float], Field(max_length=_MANY)] | None = None
    interface: FileInterface | None = None
    classes: Annotated[list[str], Field(min_length=1, max_length=MOST_NAMES)] | None = None
    samples: SampleReport | None = None
    test_looks: Annotated[list[TestLook], Field(max_length=_MANY)]
    baseline_test_looks: Annotated[list[TestLook], Field(max_length=_MANY)]
    test_images: int | None = None
    weights_digest: str
    dropped: _Texts
    remarks: _Texts
    versions: _TextByName
    data: str
    commands: _Texts
    exported_at: str | None = None
    deliveries: Annotated[list[Delivery], Field(max_length=_MANY)]
    files: _TextByName
    text_digest: str | None = None
    card_digest: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `card.json`, in its order."""
        told = asdict(self)
        more = told.pop("more")
        return {name: one for name, one in told.items() if one is not None or name not in _LEFT_OUT} | more

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Returns the card whose `to_json` gives this value again, to the digit where Atoll wrote it.

        Raises:
            AtollError: it is no card: a part is missing, or of the wrong type, size or range.
        """
        if not isinstance(value, Mapping):
            raise AtollError("no card: an object is needed")
        for name in _LEFT_OUT:
            if name in value and value[name] is None:
                raise AtollError(f"no card: {name}: got null, allowed is to leave it out")
        more = {name: one for name, one in value.items() if name not in _NAMES}
        known = {name: one for name, one in value.items() if name in _NAMES}
        found: Self = _read(cls, known | {"more": more})
        return found


_NAMES = tuple(one.name for one in fields(Card) if one.name != "more")
_LEFT_OUT = tuple(one.name for one in fields(Card) if one.default is not MISSING)


@dataclass(frozen=True)
class _Named:
    """As much of a card as names its files."""

    __pydantic_config__: ClassVar[ConfigDict] = Card.__pydantic_config__

    files: _TextByName


def files_named(value: Any) -> dict[str, str]:
    """Returns the SHA-256 of each file that a card names, by name, whatever else the card says.

    Raises:
        AtollError: it names none, or in another form.
    """
    told = {"files": value.get("files")} if isinstance(value, Mapping) else value
    found: _Named = _read(_Named, told)
    return found.files


def card_digest(card: Card | Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a card's figures, without the digest itself, hexadecimal.

    Args:
        card: or what `card.json` holds.
    """
    told = card.to_json() if isinstance(card, Card) else card
    return digest_json({name: value for name, value in told.items() if name != "card_digest"})


def _read(kind: type, value: Any) -> Any:
    try:
        # as JSON: lists and objects are what the dataclasses want, and nothing else is converted
        return _reader(kind).validate_json(json.dumps(value, allow_nan=False))
    except ValidationError as error:
        first = error.errors()[0]
        where = shown(".".join(map(str, first["loc"])))
        raise AtollError(f"no card: {where:.{_LONGEST_PLACE}}: {shown(first['msg'])}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise AtollError(f"no card: {shown(error):.{_LONGEST_PLACE}}") from error


@cache
def _reader(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
