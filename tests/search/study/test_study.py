"""Tests of studies and their files."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.tasks.digits import DIGITS
from atoll.evaluators.training.judged_outputs import JudgedOutputs
from atoll.search.proposer.guided import GuidedProposer
from atoll.search.proposer.space import Space
from atoll.search.study.limits import Limits
from atoll.search.study.reference import PAPERS, REFERENCE, fixed_recipes, left_out, reference_recipes
from atoll.search.study.same_study import check_same
from atoll.search.study.study import Study
from atoll.search.study.study_file import (
    built_in_studies,
    create_study,
    find_study_file,
    read_study,
    task_study,
)
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import count_recipes, grid_steps, is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import technique_named


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_what_was_left_open_is_filled_in() -> None:
    study = Study.create({"task": "digits"})
    assert study.techniques == tuple(technique.name for technique in study.technique_types)
    assert study.epochs_per_step == study.budget_epochs > 0
    assert study.constraints == ("quality_drop <= 0.02",)
    assert study.baseline_epochs == 4 * study.budget_epochs


def test_a_study_made_by_its_class_is_checked_and_complete() -> None:
    values: dict[str, Any] = {
        "task": "digits",
        "techniques": ["quantize", "cluster"],
        "limits": {"trials": 9},
    }
    study = Study(**values)
    assert study == Study.create(values)
    assert study != Study(**values | {"seed": 1})
    assert repr(study) == "Study(task='digits', techniques=('cluster', 'quantize'), limits=Limits(trials=9))"
    assert study.model_fields_set == set(values)
    with pytest.raises(AtollError, match="unknown task 'digit'"):
        Study(task="digit")
    with pytest.raises(AtollError, match="min_steps: got 3, allowed is at most max_steps"):
        Study(task="digits", min_steps=3, max_steps=2)


def test_a_study_without_a_name_is_called_after_its_definition() -> None:
    study = Study.create({"task": "digits", "seed": 7})
    assert study.study_name == f"digits-7-{study.digest[:6]}"


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"limits": {"trials": 9, "workers": 1, "time_minutes": 1, "ensembles": 5}}, True),
        ({"name": "mine"}, True),
        ({"techniques": ["tensor_train", "quantize"]}, False),
        ({"seed": 1}, False),
        ({"epochs_per_step": 1}, False),
        ({"constraints": ["latency_ms <= 10"]}, False),
        ({"profile": "memory"}, False),
    ],
)
def test_identity_is_the_definition_without_name_and_limits(values: dict[str, Any], same: bool) -> None:
    plain = Study.create({"task": "digits"})
    assert (Study.create({"task": "digits", **values}).digest == plain.digest) is same


def test_the_order_in_which_techniques_are_listed_means_nothing() -> None:
    one = Study.create({"task": "digits", "techniques": ["quantize", "cluster"]})
    other = Study.create({"task": "digits", "techniques": ["cluster", "quantize"]})
    assert one.digest == other.digest


def test_a_stored_definition_gives_the_study_again() -> None:
    study = Study.create({"task": "digits", "seed": 2, "profile": "cost", "limits": {"trials": 30}})
    again = Study.from_stored("mine", study.definition(), {"trials": 40})
    assert again.definition() == study.definition()
    assert (again.study_name, again.limits) == ("mine", Limits(trials=40))


def test_another_definition_under_a_known_name_is_refused_with_the_difference() -> None:
    stored = Study.create({"task": "digits"}).definition()
    wanted = Study.create({"task": "digits", "max_steps": 3}).definition()
    with pytest.raises(AtollError, match=r"'mine'.*max_steps was 4, is now 3.*another name"):
        check_same("mine", stored, wanted, "this search")


def test_a_stored_study_goes_on_over_the_space_that_it_was_begun_with() -> None:
    """Other values are tried by now; what was named in the study stands beside what was not."""
    study = Study.create({"task": "digits", "settings": {"tensor_train": {"form": ["fastest"]}}})
    stored = study.definition()
    assert Study.from_stored("mine", stored, None).grids == study.grids == study.settings
    stored["space"]["tensor_train"]["rank"] = [4, 8]
    again = Study.from_stored("mine", json.loads(json.dumps(stored)), None)
    assert again.definition() == stored and again.digest != study.digest
    assert again.settings == study.settings
    space = Space(again.technique_types, again.min_steps, again.max_steps, again.grids)
    trains = [step.settings() for step in space.steps["tensor_train"]]
    assert [(step["rank"], step["form"]) for step in trains] == [(4, "fastest"), (8, "fastest")]
    assert len(space.steps["tucker"]) == len(grid_steps(technique_named("tucker")))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rank", [4, "many"], r'space.tensor_train.rank was \[4, "many"\]'),
        ("rank", 5, "space.tensor_train.rank was 5"),
        ("rank", [], r"space.tensor_train.rank was \[\]"),
        ("ranks", [5], r"space.tensor_train.ranks was \[5\], is now null"),
        ("version", 0, "space.tensor_train.version was 0, is now 1"),
    ],
)
def test_a_stored_space_that_means_something_else_by_now_is_a_difference(
    name: str, value: Any, said: str
) -> None:
    stored = Study.create({"task": "digits"}).definition()
    stored["space"]["tensor_train"][name] = value
    with pytest.raises(AtollError, match=said):
        Study.from_stored("mine", stored, None)


@pytest.mark.parametrize("space", [5, [], {"svd": 5}, None])
def test_a_stored_space_that_is_none_is_a_difference(space: Any) -> None:
    stored = Study.create({"task": "digits", "techniques": ["svd", "quantize"]}).definition()
    with pytest.raises(AtollError, match="space"):
        Study.from_stored("mine", {**stored, "space": space}, None)


def test_what_hand_made_chains_use_is_tried_and_what_never_was_feasible_is_not() -> None:
    plain = Study.create({"task": "digits"})
    steps = {step for technique in plain.technique_types for step in grid_steps(technique, plain.grids)}
    for chain in (
        "tensor_train(rank=16) -> tucker(rank=0.25) -> prune_channels(ratio=0.25) -> "
        "quantize(bits=4, first_last=same) -> distill(temperature=4.0, alpha=0.1)",
        "tensor_train(rank=12) -> tucker(rank=0.125) -> quantize(bits=8)",
    ):
        assert steps.issuperset(Recipe.parse(chain))
    dead = Recipe.parse("prune_weights(ratio=0.9) -> svd(rank=4)").steps
    assert not steps & set(dead)
    settings = {"prune_weights": {"ratio": [0.5, 0.9]}, "svd": {"rank": [4]}}
    named = Study.create({"task": "digits", "settings": settings})
    assert all(step in grid_steps(type(step), named.grids) for step in dead)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"input_shape": (3, 64)}, "its student takes images, inputs are of 3x64"),
        ({"input_shape": (640,)}, "its student takes images, inputs are of 640"),
        ({"input_shape": (1, 49, 10)}, "49"),
        ({"outputs": JudgedOutputs(("kind", "place"), True)}, "the network has 2 outputs, compact_cnn one"),
    ],
)
def test_a_student_that_does_not_fit_is_left_out_of_the_reference_set(
    changed: dict[str, Any], why: str
) -> None:
    task = replace(DIGITS, **changed)
    ((text, said),) = left_out(task).items()
    assert text == "distill(student=compact_cnn)" and why in said
    assert reference_recipes(task) == reference_recipes(DIGITS)[:-1]
    assert not left_out(DIGITS)


def test_reference_and_papers_are_legal_and_the_baseline_comes_first() -> None:
    assert len(reference_recipes(DIGITS)) == len(REFERENCE) == 6
    assert reference_recipes(DIGITS)[0] == Recipe()
    assert list(fixed_recipes(DIGITS).values()) == ["baseline"] + 5 * ["reference"] + len(PAPERS) * ["paper"]
    assert all(is_legal(recipe.steps) for recipe in fixed_recipes(DIGITS))


def test_the_built_in_studies_can_be_read() -> None:
    assert built_in_studies() == ["characters", "demo"]
    assert read_study(find_study_file(None)).task == "digits"
    assert read_study(find_study_file("characters")).task == "characters"
    assert task_study("digits")["task"] == "digits"


def test_the_command_line_comes_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\nseed: 1\nlimits:\n  trials: 30\n  workers: 2\n")
    study = read_study(path, {"seed": 4, "limits": {"trials": 50}})
    assert (study.seed, study.limits) == (4, Limits(trials=50, workers=2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: digits\ntrails: 5\n", r"line 2: unknown key 'trails'; .*Known: .*constraints"),
        ("task: digits\nlimits:\n  trails: 5\n", r"line 3: unknown key 'trails'; did you mean 'trials'"),
        (
            "task: digits\nlimits:\n  trials: many\n",
            r"line 3: limits.trials: got 'many', it should be a whole number",
        ),
        (
            "task: digits\nmax_steps: 0\n",
            r"line 2: max_steps: got 0, it should be greater than",
        ),
        ("task: digits\ntechniques: [quantise]\n", r"line 2: .*'quantise'.*did you mean 'quantize'"),
        ("task: digts\n", r"line 1: .*'digts'.*did you mean 'digits'"),
        ("task: digits\nprofile: fast\n", r"line 2: unknown profile 'fast'"),
        ("task: digits\ndevice: coral\n", r"line 2: .*'coral'.*coral-dev-board"),
        ("name: nano\ntask: digits\ndevice: nano\n", r"line 3: unknown device 'nano'"),
        ("name: &n nano\ntask: digits\n\ndevice: *n\n", r"line 4: unknown device 'nano'"),
        (
            "task: digits\nsettings:\n  quantize:\n    bits:\n    - 8\n    - 7\n",
            r"line 6: .*got 7, allowed is",
        ),
        ("task: digits\nsettings:\n  quantize:\n    bit: [8]\n", r"line 4: .*unknown setting 'bit'"),
        (
            "task: digits\nsettings: {quantize: {bits: 8}}\n",
            r"line 2: settings.quantize.bits: got 8, .*a list",
        ),
        (
            "task: digits\nprofile:\n  accuracy: high\n",
            r"line 3: profile.accuracy: got 'high', .*a valid number",
        ),
        ("task: digits\nconstraints:\n- macs <= 3\n- foo <= 3\n", r"line 4: .*unknown metric 'foo'"),
        ("task: digits\nmax_steps: 1\n", r"line 2: min_steps: got 2"),
        ("task: digits\ndevice:\n  nano\n", r"line 3: unknown device 'nano'"),
        ("task: digits\nwrong:\n  nano\n", r"line 2: unknown key 'wrong'"),
        ("", r"got nothing, allowed is a YAML mapping"),
        ("task: digits\nconstraints: ['latency <= 3']\n", r"line 2: .*unknown metric 'latency'.*latency_ms"),
        ("task: digits\nconstraints: latency_ms <= 3\n", r"line 2: constraints: got .*, it should be a list"),
        ("task: digits\nprofile: {}\n", r"no weight is above 0"),
        ("task: digits\nprofile: {accuracy: -1}\n", r"weight of accuracy is -1.0"),
        ("task: digits\nname: a/b\n", r"line 2: name: got 'a/b'"),
        ("task: digits\nseed: 1\nseed: 2\n", r"line 3: key 'seed' is given twice"),
        ("task: digits\nmin_steps: 5\n", r"min_steps: got 5, allowed is at most max_steps, which is 4"),
        ("device: host\n", r"task is missing"),
        ("- task\n", r"got a list, allowed is a YAML mapping"),
        ("task: [\n", r"line 2: "),
        (
            "task: !!python/object/apply:os.getcwd []\n",
            r"line 1: got the tag !!python/object/apply:os.getcwd",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(AtollError, match=message) as error:
        read_study(path)
    assert str(error.value).startswith(str(path))


def test_a_mistake_of_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\nlimits:\n  trials: 30\n")
    with pytest.raises(AtollError, match=r"^command line: limits.time_minutes: got -1.0"):
        read_study(path, {"limits": {"time_minutes": -1.0}})


def test_the_command_line_hides_no_mistake_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\nlimits: 5\n")
    with pytest.raises(AtollError, match=r"line 2: limits: got 5, it should be a mapping"):
        read_study(path, {"limits": {"trials": 3}})


@pytest.mark.parametrize("text", ["task: {word}\n", "task: digits\nname: {word}\n", "{word}: 1\n"])
def test_a_message_stays_short_whatever_the_file_holds(tmp_path: Path, text: str) -> None:
    with pytest.raises(AtollError) as error:
        read_study(write(tmp_path, text.format(word="x" * 50_000)))
    assert len(str(error.value)) < 1200


def test_a_mistake_of_the_command_line_that_the_file_has_too_is_the_command_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "task: digits\ndevice: host\n")
    with pytest.raises(AtollError, match=r"^command line: unknown device 'nano'"):
        read_study(path, {"device": "nano"})


def test_a_missing_file_is_named_with_what_is_allowed() -> None:
    with pytest.raises(AtollError, match=r"'nowhere.yaml'.*no such file.*characters, demo"):
        find_study_file("nowhere.yaml")


def test_values_without_a_file_are_checked_too() -> None:
    with pytest.raises(AtollError, match=r"^here: seed: got -1"):
        create_study({"task": "digits", "seed": -1}, "here")


WIDER = {
    "task": "digits",
    "techniques": ["prune_channels", "quantize"],
    "settings": {
        "prune_channels": {"ratio": [0.5], "criterion": ["l1", "taylor"]},
        "quantize": {"bits": [16, 4], "scheme": ["symmetric", "affine"]},
    },
}


def test_a_study_says_which_values_are_tried() -> None:
    study = Study.create(WIDER)
    proposer = GuidedProposer(Space(study.technique_types, 1, 2, study.settings), 0)
    proposed: list[Recipe] = []
    while (recipe := proposer.propose(len(proposed), [], known=proposed)) is not None:
        proposed.append(recipe)
    # half precision has no scheme: three of four combinations, each with two kinds of ends
    channels, widths = 2, 3 * 2
    assert len(proposed) == channels + widths + 2 * channels * widths
    assert count_recipes(study.technique_types, 2, study.settings) == len(proposed)
    steps = [step for recipe in proposed for step in recipe]
    assert {step.settings().get("criterion") for step in steps} == {None, "l1", "taylor"}


def test_other_values_are_another_study_and_come_back_from_the_store() -> None:
    study = Study.create(WIDER)
    plain = Study.create({**WIDER, "settings": {}})
    assert study.digest != plain.digest
    stored = json.loads(json.dumps(study.definition()))
    assert Study.from_stored("mine", stored, None).settings == study.settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantise": {}}, "quantise.*did you mean 'quantize'"),
        ({"cluster": {"clusters": [8]}}, "'cluster', which is not among the techniques"),
        ({"quantize": {"bit": [8]}}, "unknown setting 'bit'; did you mean 'bits'"),
        ({"quantize": {"bits": [5]}}, "settings: quantize: bits: got 5, allowed is one of 16, 8, 4, 3, 2"),
        ({"quantize": {"layers": [1.10]}}, "settings: quantize: layers: got the number 1.1, .*in quotes"),
        ({"quantize": {"bits": []}}, "allowed are one or more values, each once"),
        ({"quantize": {"bits": [8, 8.0]}}, "allowed are one or more values, each once"),
        ({"quantize": {"bits": [16], "scheme": ["affine"]}}, "no combination of"),
    ],
)
def test_values_that_cannot_be_tried_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AtollError, match=message):
        Study.create({**WIDER, "settings": settings})


def test_a_loss_is_part_of_the_definition_only_where_it_is_distilled() -> None:
    plain, distilled = Study(task="digits"), Study(task="digits", loss="distilled")
    assert "loss" not in plain.definition() and distilled.definition()["loss"] == "distilled"
    assert (plain.trial_settings(1).loss, distilled.trial_settings(1).loss) == ("labels", "distilled")
    assert Study.from_stored("mine", distilled.definition(), None).loss == "distilled"
    with pytest.raises(AtollError, match="loss: got 'distil', it should be 'labels' or 'distilled'"):
        create_study({"task": "digits", "loss": "distil"}, "study")


def test_epochs_of_techniques_are_part_of_the_definition_only_where_they_differ() -> None:
    plain, same = Study(task="digits"), Study(task="digits", epochs={"quantize": 2})
    assert "epochs" not in plain.definition() and same.definition() == plain.definition()
    other = Study(task="digits", epochs={"tensor_train": 3, "quantize": 0})
    assert other.definition()["epochs"] == {"tensor_train": 3.0, "quantize": 0.0}
    assert Study.from_stored("mine", other.definition(), None).definition() == other.definition()
    settings = other.trial_settings(1)
    assert [settings.epochs_of(name) for name in ("tensor_train", "quantize", "cluster")] == [3, 0, 2]
    for epochs, said in (
        ({"quantise": 1}, "unknown technique 'quantise'.*did you mean 'quantize'"),
        ({"quantize": -1}, "epochs.quantize: got -1, it should be greater than or equal to 0"),
        ({"quantize": "many"}, "epochs.quantize: got 'many', it should be a valid number"),
    ):
        with pytest.raises(AtollError, match=said):
            create_study({"task": "digits", "epochs": epochs}, "study")


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ({}, 8.0),
        ({"quantize": 0}, 8.0),  # four other steps
        ({"tensor_train": 5}, 11.0),  # once: 5 + 2 + 2 + 2
        ({"tensor_train": 5, "svd": 3}, 12.0),
        ({"distill": 3}, 12.0),  # may come again
    ],
)
def test_the_baseline_may_spend_as_much_as_any_candidate(epochs: dict[str, float], expected: float) -> None:
    assert Study(task="digits", goal="smallest", epochs=epochs).baseline_epochs == expected


def test_a_runtime_is_part_of_the_definition_only_where_it_is_given() -> None:
    plain, named = Study(task="digits"), Study(task="digits", runtime="litert-2")
    assert "runtime" not in plain.definition() and named.definition()["runtime"] == "litert-2"
    assert str(plain.demands[-1]) == "minimum_runtime <= 2.14.0"  # the device's
    assert str(named.demands[-1]) == "minimum_runtime <= 2.23.0"
    with pytest.raises(AtollError, match="unknown runtime 'litert-9'"):
        Study(task="digits", runtime="litert-9")


def test_a_setting_learned_later_is_part_of_the_definition_only_where_it_is_tried() -> None:
    values = {"task": "digits", "techniques": ["quantize", "mixed_precision"]}
    plain = Study.create(values).definition()["space"]
    assert list(plain["quantize"]) == [
        "version", "bits", "first_last", "activations", "scheme", "granularity", "calibration", "method",
        "layers",
    ]  # fmt: skip
    assert list(plain["mixed_precision"]) == ["version", "bits", "activations", "layers"]
    tried = {"quantize": {"equalize": ["none", "cross_layer"]}}
    study = Study.create({**values, "settings": tried})
    assert study.definition()["space"]["quantize"]["equalize"] == ["none", "cross_layer"]
    assert Study.of_definition("again", study.definition()).digest == study.digest
    assert Study.create(values).digest != study.digest
