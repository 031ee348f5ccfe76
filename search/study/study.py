"""A study: one search, as the user's YAML defines it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SkipValidation,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from ...evaluators.ranking.constraints import DEFAULT_CONSTRAINTS
from ...evaluators.ranking.demands import Demand, demands
from ...evaluators.ranking.goal import SCORE, Goal
from ...evaluators.ranking.ranking import check_weights, profile_weights
from ...evaluators.steps.settings import Settings
from ...evaluators.tasks import load_task
from ...hw_models.devices.device_folder import runtime_of
from ...hw_models.runtimes.runtime import Runtime
from ...spaces.errors import AtollError
from ...spaces.recipes.order import MAX_STEPS, Grids, check_order
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Technique
from ...spaces.techniques import TECHNIQUES, technique_named
from ..proposer.objective import LINEAR
from ..proposer.proposer import DEFAULT_SAMPLER, check_sampler
from .budgets import checked_epochs, largest_budget
from .limits import Limits, Resources, given_fields
from .own_task import is_own, prepared_name
from .reference import PAPERS, REFERENCE, REFERENCE_VERSION, reference_texts
from .same_study import check_same
from .study_checks import (
    StudyMistake,
    at,
    check_device,
    check_runtime,
    checked_constraints,
    checked_grids,
    checked_techniques,
    spelt_out,
    stored_grids,
)

#: An ensemble has two steps or more; single techniques are compared by the reference set.
MIN_STEPS = 2
#: Best recipes that are trained with further seeds at the end, and seeds of each (own choice: of three there
#: is a standard error, and of five the luckiest of one seed is seldom all that is left).
FINALISTS, FINALIST_SEEDS = 5, 3
DEFAULT_DEVICE = "coral-dev-board"  # the papers' device (PUB-I §5.2)
DEFAULT_PROFILE = "balanced"  # equal weights: the profile of someone who states no preference

#: what a definition means that says nothing of it: it is as old as that
_OF_OLD = {
    "goal": SCORE,
    "scale": LINEAR,
    "sampler": "guided",
    "finalist_seeds": 1,
    "loss": "labels",
    "epochs": {},
    "warm_start": False,
}


class Study(BaseModel):
    """One search: what is compressed, for which device, over which space, for what and until when.

    Args:
        name: at most 100 letters, digits, `.`, `_` and `-`; TASK-SEED-digest when None, see `study_name`.
        task: name of a task; or a user's own, as values or a `Task`, or by `file.py:NAME` or
            `package.module:NAME` of one: that is prepared, and the study has the name of what came of it.
        device: name of a device with a calibrated cost model.
        runtime: what runs the file there, such as `tflite-2.14` or `litert-2`: recipes whose file it does not
            load are rejected; the device's own when None.
        techniques: names of those that may be proposed; all when None.
        settings: values that the search tries, by technique and setting, where these are not the technique's
            own (`atoll techniques` lists both).
        min_steps, max_steps: length of the proposed recipes.
        epochs_per_step: passes over the training split after every step; the task's own when None.
        epochs: of single techniques, by name, in their place; after 0 only statistics are measured again.
        loss: what steps are fine-tuned against: `labels`, or `distilled`, the baseline's answers beside them.
        goal: what makes one candidate better than another: `score`, the papers' weighted ranking; `smallest`,
            `fastest` or `least_memory`; or `{minimize: METRIC}`, also of a product `METRIC * METRIC`.
        profile: weight profile of THESIS table 4, or weights by role; for the score.
        scale: how costs count in the score: `log`, every halving alike, or `linear`, as in the papers.
        constraints: what a winner must meet.
        finalists: how many of the best are trained again at the end, and measured from their files.
        finalist_seeds: with how many seeds in all, from the study's own on; 1 trains nothing again.
        sampler: what says which recipes are tried: `atoll` grows them by price and what was learned, `tpe` is
            Optuna's alone, `random` draws; `guided` is what studies had before there was a choice.
        warm_start: whether the sampler begins with what other studies of the task in the store found.
        seed: of everything random.
        limits: when it ends.
        resources: what a trial is given of its machine.

    Raises:
        pydantic.ValidationError: unknown keys, wrong types, out of range.
        StudyMistake: unknown task, technique, device, profile or metric; lengths that exclude each other.

    >>> study = Study(task="digits", techniques=["quantize", "cluster"], limits={"ensembles": 3})
    >>> study.techniques, study.max_steps, study.budget_epochs  # what was left open is filled in
    (('cluster', 'quantize'), 4, 2.0)
    >>> study
    Study(task='digits', techniques=('cluster', 'quantize'), limits=Limits(ensembles=3))
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    task: SkipValidation[str]
    device: str = DEFAULT_DEVICE
    runtime: str | None = None
    techniques: tuple[str, ...] | None = None
    settings: dict[str, dict[str, tuple[Any, ...]]] = {}
    min_steps: Annotated[int, Field(ge=1, le=12, strict=True)] = MIN_STEPS
    max_steps: Annotated[int, Field(ge=1, le=12, strict=True)] = MAX_STEPS
    epochs_per_step: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] | None = None
    epochs: dict[str, Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]] = {}
    loss: Literal["labels", "distilled"] = "labels"
    goal: str | dict[str, str] = SCORE
    profile: str | dict[str, float] = DEFAULT_PROFILE
    scale: Literal["log", "linear"] = "log"
    constraints: tuple[str, ...] = tuple(str(constraint) for constraint in DEFAULT_CONSTRAINTS)
    finalists: Annotated[int, Field(ge=1, le=100, strict=True)] = FINALISTS
    finalist_seeds: Annotated[int, Field(ge=1, le=20, strict=True)] = FINALIST_SEEDS
    sampler: str = DEFAULT_SAMPLER
    warm_start: Annotated[bool, Field(strict=True)] = False
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] = 0
    limits: Limits = Limits()
    resources: Resources = Resources()
    #: the reference set of the task, as texts
    _reference: tuple[str, ...] = PrivateAttr(())
    #: the values that a stored study was begun with, whatever a search tries by now
    _begun_with: Grids = PrivateAttr({})

    @classmethod
    def create(
        cls, values: Mapping[str, Any], file: Path | None = None, images: int | None = None
    ) -> "Study":
        """Builds a study from the values that a YAML file holds.

        Args:
            values: as `Study(**values)` takes them.
            file: paths of a user's own task are relative to its folder; to the current one when None.
            images: how many a user's own task decodes at most, to be looked at; all when None.
        """
        context = {"file": file or Path("own.yaml"), "images": images}
        return cls.model_validate(dict(values), context=context)

    @model_validator(mode="after")
    def _completed(self, info: ValidationInfo) -> Self:
        """Checks what one field alone does not tell, and fills in what was left open."""
        own = is_own(self.task)
        if not own:
            with at("task"):
                load_task(self.task)
        with at("device"):
            check_device(self.device)
        with at("runtime"):
            check_runtime(self.device, self.runtime)
        with at("sampler"):
            check_sampler(self.sampler)
        if self.warm_start and self.sampler != DEFAULT_SAMPLER:
            raise StudyMistake(
                f"warm_start: got true with the sampler {self.sampler!r}, which learns from no other study; "
                f"allowed is {DEFAULT_SAMPLER!r}",
                ("warm_start",),
            )
        with at("goal"):
            goal = Goal.parse(self.goal)
        for name in ("profile", "scale"):
            if not goal.is_score and name in self.model_fields_set:
                raise StudyMistake(f"{name}: it belongs to the goal {SCORE}; this study's is {goal}", (name,))
        with at("profile"):
            check_weights(profile_weights(self.profile))
        chosen = checked_techniques(self.techniques)
        settings = checked_grids(self.settings, chosen)
        self._begun_with = stored_grids((info.context or {}).get("space"), chosen)
        epochs = checked_epochs(self.epochs)
        if self.min_steps > self.max_steps:
            raise StudyMistake(
                f"min_steps: got {self.min_steps}, allowed is at most max_steps, which is {self.max_steps}",
                ("min_steps" if "min_steps" in self.model_fields_set else "max_steps",),
            )
        for text in (*REFERENCE, *PAPERS):
            check_order(Recipe.parse(text))
        constraints = checked_constraints(self.constraints, self.device, goal)
        if own:  # last: it may take minutes
            context = info.context or {"file": Path("own.yaml")}
            file = context["file"]
            folder, name = file and file.absolute().parent, file.stem if file else ""
            name = prepared_name(self.task, folder, name, context.get("images"))
            self.__dict__["task"] = name
        if goal.is_score:  # once: later the task may be gone from this machine
            self._reference = reference_texts(load_task(self.task))
        each = float(self.epochs_per_step or load_task(self.task).epochs_per_step)
        # past the freezing, and without a word in `model_fields_set`: that says what was given
        self.__dict__.update(
            techniques=tuple(t.name for t in TECHNIQUES if t.name in chosen),
            settings=settings,
            goal=goal.value,
            epochs_per_step=each,
            epochs={name: own for name, own in epochs.items() if own != each},
            constraints=constraints,
        )
        return self

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """What was given alone: the defaults are many."""
        return given_fields(self)

    @property
    def technique_types(self) -> tuple[type[Technique], ...]:
        """The techniques that may be proposed, in the order of the package."""
        return tuple(technique_named(name) for name in self.techniques or ())

    @property
    def grids(self) -> Grids:
        """The values that the search tries, where these are not the techniques' own of today."""
        names = {**self._begun_with, **self.settings}
        return {name: {**self._begun_with.get(name, {}), **self.settings.get(name, {})} for name in names}

    @property
    def demands(self) -> tuple[Demand, ...]:
        """What a winner must meet: the constraints, and that the runtime loads its file."""
        return demands(self.constraints, self.runs_on)

    @property
    def runs_on(self) -> Runtime | None:
        """What runs the file: of the study, else of the device; None where neither says."""
        return runtime_of(self.device, self.runtime)

    @property
    def parsed_goal(self) -> Goal:
        """What makes one candidate better than another."""
        return Goal.parse(self.goal)

    @property
    def budget_epochs(self) -> float:
        """Passes over the training split after every step: the budget in a trial's key."""
        if self.epochs_per_step is None:
            raise ValueError("a study has a budget once it was checked")
        return self.epochs_per_step

    @property
    def further_seeds(self) -> tuple[int, ...]:
        """The seeds of the finalists beside its own."""
        return tuple((self.seed + place) % 2**32 for place in range(1, self.finalist_seeds))

    @property
    def baseline_epochs(self) -> float:
        """The largest budget that any candidate may spend, which is the baseline's."""
        fixed = (*REFERENCE, *PAPERS) if self.parsed_goal.is_score else REFERENCE[:1]
        longest = max(len(Recipe.parse(text)) for text in fixed)
        return largest_budget(max(self.max_steps, longest), self.budget_epochs, self.epochs, self.grids)

    def trial_settings(self, threads: int) -> Settings:
        """Returns what its trials are run with, by workers of so many threads."""
        budgets = self.budget_epochs, self.baseline_epochs
        return Settings(self.task, self.device, self.seed, *budgets, threads, self.loss, self.epochs)

    def definition(self) -> dict[str, Any]:
        """Returns what decides the outcome, in JSON's own types: everything but name, limits and resources.

        The space is spelt out: other versions or grids of a technique make another study. What every study
        was before there was a choice is left out, as a runtime that is not given is, so that
        studies that were stored stay the same.
        """
        fields = self.model_dump(mode="json", exclude={"name", "limits", "resources"})
        if self.runtime is None:
            del fields["runtime"]
        goal = self.parsed_goal
        if not goal.is_score:
            del fields["profile"], fields["scale"]
        fields = {name: value for name, value in fields.items() if (name, value) not in _OF_OLD.items()}
        found = {**fields, "space": spelt_out(self.technique_types, self.grids)}
        if goal.is_score:
            found["reference"] = {
                "version": REFERENCE_VERSION,
                "recipes": list(self._reference),
                "papers": list(PAPERS),
            }
        return json.loads(json.dumps(found))

    def given_limits(self) -> dict[str, Any]:
        """Returns limits and resources as a store keeps them, beside the definition."""
        limits = self.limits.model_dump(mode="json")
        resources = self.resources.model_dump(mode="json", exclude_none=True)
        return {**limits, "resources": resources} if resources else limits

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, hexadecimal: two studies with the same one are the same."""
        text = json.dumps(self.definition(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def study_name(self) -> str:
        """Its own name, or TASK-SEED-first six digits of its digest."""
        return self.name or f"{self.task.partition('@')[0]}-{self.seed}-{self.digest[:6]}"

    @classmethod
    def of_definition(
        cls, name: str, definition: Mapping[str, Any], limits: Mapping[str, Any] | None = None
    ) -> "Study":
        """Builds what a stored definition means to this Atoll, whatever else the one that wrote it meant.

        It goes on over the space that it was begun with, where these values are still allowed.

        Raises:
            AtollError: it means nothing: parts are missing, or not what they are for.
        """
        values = {key: value for key, value in definition.items() if key in cls.model_fields}
        of_score = () if values.get("goal", SCORE) == SCORE else ("goal", "scale")
        of_old = {name: value for name, value in _OF_OLD.items() if name not in of_score}
        values = {**of_old, **values}
        given = dict(limits or {})
        resources = given.pop("resources", {})
        try:
            return cls.model_validate(
                {**values, "name": name, "limits": given, "resources": resources},
                context={"file": None, "space": definition.get("space")},
            )  # a store's task is a name: no code is run for it
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise AtollError(f"study {name!r} of the store: {where}: {first['msg']}") from error
        except StudyMistake as error:
            raise AtollError(f"study {name!r} of the store: {error}") from error

    @classmethod
    def from_stored(
        cls, name: str, definition: Mapping[str, Any], limits: Mapping[str, Any] | None
    ) -> "Study":
        """Builds the study that a store holds.

        Raises:
            AtollError: as `of_definition`; or this Atoll would run another study under that definition, and
                the difference is shown.
        """
        study = cls.of_definition(name, definition, limits)
        check_same(name, definition, study.definition(), "this version of Atoll")
        return study
