"""The settings of a study: one value that is hashed, sent and told from others; keys of old results stay."""

import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from math import prod

import pytest
from atoll.evaluators.steps import study_basis
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.study_basis import StudyBasis
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

SETTINGS = Settings("digits", "coral-dev-board", 3, 1.5, 6.0, threads=2)
OTHERS = {
    "task": "characters",
    "device": "host",
    "seed": 4,
    "epochs_per_step": 2.0,
    "baseline_epochs": 8.0,
    "threads": 1,
    "loss": "distilled",
    "epochs": {"quantize": 0.5},
}


def test_settings_cross_processes() -> None:
    assert pickle.loads(pickle.dumps(SETTINGS)) == SETTINGS
    for settings in (SETTINGS, replace(SETTINGS, loss="distilled", epochs={"quantize": 0})):
        assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_settings_stay_as_they_are() -> None:
    with pytest.raises(FrozenInstanceError):
        SETTINGS.seed = 4  # type: ignore[misc]


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_each_of_them_tells_settings_apart(name: str) -> None:
    other = replace(SETTINGS, **{name: OTHERS[name]})
    assert other != SETTINGS and other.digest != SETTINGS.digest
    assert len({SETTINGS, other, replace(other)}) == 2


def test_whole_epochs_are_the_same_settings_however_they_are_written() -> None:
    """Equal ones share a pipeline, so they must share its keys, which are made of JSON."""
    whole = Settings("digits", "coral-dev-board", 0, 1, 6)
    assert whole == Settings("digits", "coral-dev-board", 0, 1.0, 6.0)
    assert json.dumps(whole.to_json()) == json.dumps(replace(whole, epochs_per_step=1.0).to_json())
    assert whole.digest == replace(whole, baseline_epochs=6.0).digest


def test_keys_of_results_stay_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """As commit 8afbcd9 gave them, before there were settings: other keys would lose everything trained.

    But for networks on integers, which are judged otherwise since then.
    """
    monkeypatch.setattr(study_basis, "library_versions", lambda: {"torch": "0"})
    basis = StudyBasis(SETTINGS)
    recipe = Recipe.parse("prune_channels(ratio=0.5)")
    assert set(SETTINGS.to_json()) == {name for name in OTHERS if name not in ("loss", "epochs")}
    assert StudyBasis(replace(SETTINGS, epochs={"cluster": 3})).step_key(recipe) == basis.step_key(recipe)
    assert basis.step_key(recipe) == "ee1387f9f04235c70a51a6d767daa192f60d7e284ab8ce2c5720fceb48abfbb4"
    on_integers = basis.step_key(Recipe.parse("prune_channels(ratio=0.5) -> quantize(bits=8)"))
    assert on_integers != "9831ca94b97b70ed43d4decfc9697a520c64ed878115230cfee92416b348d655"
    assert (
        basis.key(baseline_epochs=6.0) == "98383e61c4298f20047ee7de7a686d65ad1e286f35f2d70bc7316790d022049c"
    )


def test_only_tasks_of_classes_with_one_logit_have_other_keys_since_it_is_taught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def differ(outputs: tuple[int, ...], numbers: bool = False) -> bool:
        shape, keys = StudyBasis(SETTINGS).task.input_shape, set()
        last = nn.Unflatten(1, outputs) if outputs else _Flat()
        network = adopt(nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), prod(outputs)), last), shape)
        for version in (2, 3):
            monkeypatch.setattr(study_basis, "ONE_LOGIT_VERSION", version)
            basis = StudyBasis(SETTINGS)
            train = basis.dataset.train
            labels = train.labels.float() if numbers else train.labels
            basis.dataset = replace(basis.dataset, train=replace(train, labels=labels))  # type: ignore[type-var]
            basis.given = network
            keys.add(basis.key())
        return len(keys) == 2

    assert differ((1,)) and differ((1, 3, 3)) and differ(())
    assert not differ((2,)) and not differ((2, 1)) and not differ((1,), numbers=True)


class _Flat(nn.Module):
    """Takes the axis of one logit away."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits.flatten()


def test_only_images_without_augmentation_have_other_keys_since_their_layout_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def differ(augment: tuple[str, ...] | None) -> bool:
        keys = set()
        for version in (2, 3):
            monkeypatch.setattr(study_basis, "LAYOUT_VERSION", version)
            basis = StudyBasis(SETTINGS)
            basis.task = replace(basis.task, training=replace(basis.task.training, augment=augment))
            keys.add(basis.key())
        return len(keys) == 2

    assert differ(()) and not differ(None) and not differ(("mirror",))
