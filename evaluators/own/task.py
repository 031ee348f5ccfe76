"""A task as a user describes it, in YAML or in Python, with the same words."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from torch import nn

from ...spaces.errors import AtollError
from ...spaces.layers.scaling import IMAGENET, PIXELS, Scaling
from ...spaces.nearest import known_names
from ..training.settings import Training
from .mistake import TaskMistake

#: scalings of pixels that have a name
NORMALIZE = {
    "imagenet": IMAGENET,
    "half": PIXELS,
    "unit": Scaling((0.0,), (255.0,)),
    "none": Scaling((0.0,), (1.0,)),
}
#: what is allowed where a pattern says it, which is for programs
_ALLOWED: dict[tuple[int | str, ...], str] = {
    ("input", "size"): "allowed is HEIGHTxWIDTH, 96x96 say, or one number for both",
    ("name",): "allowed are up to 60 letters, digits and . _ -, the first of them no sign",
}
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"


class Input(BaseModel):
    """What a network takes.

    Args:
        size: HEIGHTxWIDTH that images are brought to, or one number for both; as they are when None.
        channels: of an image; as the data have them when None.
        mean, std: of each channel or all, of pixels as shares of 255, of other data in their own unit.
        normalize: a scaling by name instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4}(x[1-9][0-9]{0,4})?$")] | None = None
    channels: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    normalize: str | None = None

    @field_validator("size", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _one_scaling(self) -> "Input":
        if (self.mean is None) != (self.std is None):
            missing = "std" if self.std is None else "mean"
            raise TaskMistake(f"input has no {missing}, allowed are both or neither", ("input",))
        if self.normalize is not None and self.mean is not None:
            raise TaskMistake(
                "input has mean and std and normalize, allowed is either", ("input", "normalize")
            )
        if self.normalize is not None and self.normalize not in NORMALIZE:
            raise TaskMistake(
                f"input.normalize: unknown {self.normalize!r}. {known_names(self.normalize, NORMALIZE)}",
                ("input", "normalize"),
            )
        return self

    @property
    def height_width(self) -> tuple[int, int] | None:
        """The size in pixels."""
        if self.size is None:
            return None
        height, _, width = self.size.partition("x")
        return int(height), int(width or height)

    def scaling(self, of_bytes: bool) -> Scaling | None:
        """Returns what is stated; None where nothing is.

        Args:
            of_bytes: whether inputs are stored as bytes, of whose shares of 255 mean and std are.
        """
        if self.normalize is not None:
            return NORMALIZE[self.normalize]
        if self.mean is None or self.std is None:
            return None
        return Scaling.pixels(self.mean, self.std) if of_bytes else Scaling(self.mean, self.std)


class QualityWords(BaseModel):
    """What judges outputs, with what a name alone does not say.

    Args:
        function: `file.py:NAME`, `package.module:NAME`, or a function of outputs and targets that gives one
            number; None for a quality of the package.
        name: what reports call it; of the package's, which one.
        unit: what it is measured in; "%" of a share in [0, 1].
        higher_is_better: which way is better; a function has to say it.
        of_classes: whether outputs are logits of classes, where a function judges them; of several outputs
            that it judges together, names or positions of those that are.
        tolerance: how far two networks' numbers may lie apart and still be the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    function: Any = None
    name: str = ""
    unit: str | None = None
    higher_is_better: Annotated[bool, Field(strict=True)] | None = None
    of_classes: Annotated[bool, Field(strict=True)] | tuple[str | int, ...] = True
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Task(BaseModel):
    """A network of one's own, its data, and how it is trained and judged.

    Args:
        network: an `nn.Module`; or by `file.py:NAME`, `package.module:NAME`, a name of the zoo, `timm:NAME`,
            `transformers:CONFIG`, or a `.pt2` file of torch.export.
        arguments: for the function that builds it.
        weights: file of a state dict: `.safetensors`, `.pt`, `.pth`; None where the network has its own.
        data: where images and labels are.
        train, validation, test: instead of `data`, map-style datasets that give (input, label) pairs.
        input: size, channels and scaling of what the network takes.
        classes: how many there are, or their names, where the data do not tell.
        head: `new` trains a last layer for classes that the weights do not know.
        quality: by name, or a function with its direction and unit.
        loss: by name, or a function of outputs and targets; the usual one of the quality when None.
        output: name or position of the one output that quality and loss judge, where the network has several;
            when None both have to be functions, and get all.
        epochs_per_step: passes over the training split after every step of a recipe.
        batch_size: inputs a step of training.
        learning_rate: peak of a fine-tuning run.
        optimizer, schedule, weight_decay, momentum, warm_up, clip_norm, label_smoothing, patience, augment,
        balance, precision: how its networks are trained, see `Training`.
        skip_bad: whether pictures that cannot be read are left out and counted.
        expected_quality: of the given network, where it is known.
        name: of the task; the study file's when None.

    Raises:
        pydantic.ValidationError: unknown keys, wrong types, out of range.
        TaskMistake: what excludes each other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    network: nn.Module | str
    arguments: dict[str, Any] = {}
    weights: str | None = None
    data: Any = None
    train: Any = None
    validation: Any = None
    test: Any = None
    input: Input = Input()
    classes: Annotated[int, Field(ge=2, le=10**6, strict=True)] | tuple[str, ...] | None = None
    head: Literal["new"] | None = None
    quality: Any = QualityWords(name="accuracy")
    loss: Any = None
    output: Annotated[int, Field(ge=0, le=1000, strict=True)] | str | None = None
    epochs_per_step: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 1.0
    batch_size: Annotated[int, Field(le=2**20, strict=True)] = 64
    learning_rate: Annotated[float, Field(le=100, allow_inf_nan=False)] = 1e-3
    optimizer: str = "adamw"
    schedule: str = "one_cycle"
    weight_decay: Annotated[float, Field(allow_inf_nan=False)] | None = None
    momentum: Annotated[float, Field(allow_inf_nan=False)] = 0.9
    warm_up: Annotated[float, Field(allow_inf_nan=False)] | None = None
    clip_norm: Annotated[float, Field(allow_inf_nan=False)] | None = None
    label_smoothing: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    patience: Annotated[int, Field(strict=True)] | None = None
    augment: tuple[str, ...] | None = None
    balance: str = "none"
    precision: str = "auto"
    skip_bad: Annotated[bool, Field(strict=True)] = False
    expected_quality: Annotated[float, Field(allow_inf_nan=False)] | None = None
    name: Annotated[str, Field(pattern=_NAME)] | None = None

    @field_validator("weights", mode="before")
    @classmethod
    def _as_path(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @field_validator("quality", mode="before")
    @classmethod
    def _as_words(cls, value: Any) -> Any:
        if isinstance(value, QualityWords):
            return value
        if isinstance(value, Mapping):
            return QualityWords.model_validate(value)
        is_function = callable(value) or ":" in str(value)
        return QualityWords(function=value) if is_function else QualityWords(name=str(value))

    @property
    def training(self) -> Training:
        """How its networks are trained.

        Raises:
            TaskMistake: a setting is out of range.
        """
        try:
            return Training(**{field.name: getattr(self, field.name) for field in fields(Training)})
        except AtollError as error:
            named = str(error).split()[0].rstrip(":")  # messages begin with what they are about
            raise TaskMistake(f"task.{error}", (named,)) from error

    @model_validator(mode="after")
    def _trains(self) -> "Task":
        _ = self.training
        return self

    @model_validator(mode="after")
    def _data_once(self) -> "Task":
        given = [name for name in ("train", "validation", "test") if getattr(self, name) is not None]
        if (self.data is None) == (not given):
            got = "both data and " + given[0] if given else "neither data nor train"
            raise TaskMistake(f"got {got}, allowed is one of them", ("data",))
        if given and self.train is None:
            raise TaskMistake(
                f"got {given[0]} and no train, allowed is train alone or with others", (given[0],)
            )
        return self

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """What was given alone."""
        return [
            (name, getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set
        ]


def task_of(value: Any) -> Task:
    """Returns a task from what YAML or Python gives.

    Raises:
        AtollError: it is something else, or says what is not allowed; where that stands is in a TaskMistake.
    """
    if isinstance(value, Task):
        return value
    if not isinstance(value, Mapping):
        raise AtollError(f"got a {type(value).__name__}, allowed is a task")
    try:
        return Task.model_validate(dict(value))
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(part for part in first["loc"] if part in value or part in _below(value, first["loc"]))
        last = str(first["loc"][-1])
        if first["type"] == "extra_forbidden":
            parts: dict[tuple[int | str, ...], type[BaseModel]] = {
                ("input",): Input,
                ("quality",): QualityWords,
            }
            model = parts.get(first["loc"][:-1], Task)
            message = f"unknown key {last!r}; {known_names(last, model.model_fields)}"
        elif first["type"] == "missing":
            message = f"task.{'.'.join(map(str, first['loc']))} is missing"
        else:
            said = _ALLOWED.get(first["loc"]) or first["msg"][0].lower() + first["msg"][1:]
            message = f"task.{'.'.join(map(str, where))}: got {first['input']!r:.100}, {said}"
        raise TaskMistake(message, where) from error


def _below(value: Any, path: tuple[Any, ...]) -> set[Any]:
    """Returns what of the way to a mistake the value has: pydantic adds the readings that it tried."""
    found: set[Any] = set()
    for part in path:
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list) and isinstance(part, int)
        ):
            found.add(part)
            value = value[part]
    return found
