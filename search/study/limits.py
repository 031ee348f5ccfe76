"""When a search ends, and what a trial is given of its machine: no part of a study's identity."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

_Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]


class Limits(BaseModel):
    """When a search ends: at the first of these that is reached; they are no part of a study's identity.

    Args:
        ensembles: finished recipes of two steps or more that the searcher proposed.
        trials: finished and failed trials of the study, the reference set included.
        time_minutes: since the command began; running trials are finished.
        workers: trials at a time; all cores when None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ensembles: _Count | None = None
    trials: _Count | None = None
    time_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    workers: Annotated[int, Field(ge=1, le=4096, strict=True)] | None = None

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """What was given alone."""
        return given_fields(self)


class Resources(BaseModel):
    """What a trial is given of its machine; no part of a study's identity.

    Args:
        cpu: cores, and threads of torch; what the workers leave each other when None.
        gpu: share of a GPU, or whole ones; what the workers leave each other when None, a quarter at least,
            and nothing where there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: Annotated[int, Field(ge=1, le=4096, strict=True)] | None = None
    gpu: Annotated[float, Field(ge=0, le=64, allow_inf_nan=False)] | None = None

    @field_validator("gpu")
    @classmethod
    def _whole_above_one(cls, gpu: float | None) -> float | None:
        if gpu is not None and gpu > 1 and gpu != int(gpu):
            raise ValueError("it should be a share of one GPU, or a whole number of them")
        return gpu

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """What was given alone."""
        return given_fields(self)


def given_fields(model: BaseModel) -> list[tuple[str | None, Any]]:
    """Returns the fields of a model that were given, in their order."""
    given = model.model_fields_set
    return [(name, getattr(model, name)) for name in type(model).model_fields if name in given]
