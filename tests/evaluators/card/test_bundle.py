"""The native bundle: the same network to the last bit, without pickle; what does not fit is named."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.evaluators.card.bundle import RECIPE, TENSORS, load_bundle, save_bundle
from atoll.evaluators.digests import digest_tensors
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.pipeline_result import PipelineResult
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from safetensors.torch import load_file, save_file

RECIPES = [
    "baseline",
    "prune_channels(ratio=0.5)",
    "prune_weights(ratio=0.5)",
    "tensor_train(rank=2, fit_steps=5)",
    "tucker(rank=2, fit_steps=5)",
    "cp(rank=2, fit_steps=5)",
    "svd(rank=2, fit_steps=5)",
    "cluster(clusters=8)",
    "quantize(bits=8)",
    "quantize(bits=2, first_last=same)",
    "quantize(bits=16)",
    "quantize(bits=3, scheme=affine)",
    "quantize(bits=8, activations=dynamic)",
    "mixed_precision(bits=6.0)",
    "ternarize",
    "binarize",
    "binarize(activations=binary)",
    "distill",
    "distill(student=compact_cnn)",
    "quantize(bits=4) -> quantization_offset",
    "distill(student=compact_cnn) -> prune_channels(ratio=0.25) -> quantize(bits=4)",
    "tensor_train(rank=2, fit_steps=5) -> prune_weights -> cluster(clusters=8) -> quantize(bits=8)",
]

Run = Callable[[str], PipelineResult]


@pytest.fixture(scope="module")
def pipeline(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder: Path = tmp_path_factory.mktemp("cache")
    return Pipeline(Settings(tiny_task.name, "coral-dev-board", 0, 0.1, 0.1), folder)


@pytest.fixture
def bundle(pipeline: Pipeline, tmp_path: Path) -> Path:
    save(pipeline, "prune_channels(ratio=0.5) -> quantize(bits=8)", tmp_path)
    return tmp_path


def save(pipeline: Pipeline, text: str, folder: Path) -> PipelineResult:
    recipe = Recipe.parse(text)
    result = pipeline.run(recipe)
    save_bundle(folder, result.network, pipeline.task, recipe, result.decisions)
    return result


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_every_technique_is_tried() -> None:
    tried = {step.name for text in RECIPES for step in Recipe.parse(text)}
    assert tried == {technique.name for technique in TECHNIQUES}


@pytest.mark.parametrize("text", RECIPES)
def test_a_network_comes_back_bit_for_bit(pipeline: Pipeline, text: str, tmp_path: Path) -> None:
    result = save(pipeline, text, tmp_path)
    network, about = load_bundle(tmp_path)
    state = network.state_dict()
    assert list(state) == list(result.network.state_dict())
    for name, tensor in result.network.state_dict().items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor), name
    images = pipeline.dataset.validation.images
    assert torch.equal(predict_logits(network, images), predict_logits(result.network, images))
    assert not network.training
    assert about["recipe"] == str(Recipe.parse(text))
    assert about["weights_digest"] == result.digest


def test_the_same_network_gives_the_same_bytes(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        save(pipeline, "cluster(clusters=8)", tmp_path / folder)
    for name in (TENSORS, RECIPE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_bundle_is_safetensors_and_json_alone(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {TENSORS, RECIPE}
    assert load_file(bundle / TENSORS)
    json.loads((bundle / RECIPE).read_text())


_LOAD_WITHOUT_PICKLE = """
import pickle, sys
from pathlib import Path
import torch
from atoll.evaluators.card.bundle import load_bundle
def refused(*arguments, **named):
    raise SystemExit("pickle was used")
pickle.load = pickle.loads = torch.load = torch.serialization._load = refused
network, about = load_bundle(Path(sys.argv[1]))
print(about["weights_digest"])
"""


def test_another_process_loads_it_without_pickle(bundle: Path) -> None:
    """No task of that name is known there: the bundle tells everything itself."""
    found = subprocess.run(
        [sys.executable, "-c", _LOAD_WITHOUT_PICKLE, str(bundle)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == json.loads((bundle / RECIPE).read_text())["weights_digest"]


def test_other_weights_are_found_out(bundle: Path) -> None:
    state = load_file(bundle / TENSORS)
    state[next(iter(state))].view(-1)[0] += 1
    save_file(state, bundle / TENSORS)
    with pytest.raises(AtollError, match=rf"{TENSORS}: the weights are not those that {RECIPE} was"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", [TENSORS, RECIPE])
def test_a_cut_or_missing_file_is_no_bundle(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(AtollError, match=f"no bundle in {bundle}"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(AtollError, match=f"no bundle in {bundle}: .*No such file"):
        load_bundle(bundle)


@pytest.mark.parametrize("form", [99, None, "1"])
def test_another_format_is_refused(bundle: Path, form: Any) -> None:
    change(bundle / RECIPE, format=form)
    with pytest.raises(AtollError, match=rf"{RECIPE}: got format {form!r}, allowed is 1; a newer Atoll"):
        load_bundle(bundle)


def test_json_of_something_else_is_refused(bundle: Path) -> None:
    (bundle / RECIPE).write_text("[1]")
    with pytest.raises(AtollError, match=r"got format \[1\], allowed is 1"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"decisions": []}, "holds no network: ValueError"),
        ({"decisions": [{}, {}]}, "the decisions name 'structure'"),
        ({"decisions": 3}, "holds no network: TypeError"),
        ({"input_shape": None}, "holds no network: TypeError"),
        ({"network": "resnet"}, "unknown network 'resnet'"),
        ({"steps": [], "decisions": []}, f"{TENSORS} does not fit the structure in {RECIPE}"),
        ({"steps": [{"technique": "prune"}], "decisions": [{}]}, "without 'version'"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:30],
)
def test_what_does_not_fit_is_named(bundle: Path, changed: dict[str, Any], message: str) -> None:
    change(bundle / RECIPE, **changed)
    with pytest.raises(AtollError, match=message) as caught:
        load_bundle(bundle)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_lacks_a_part_is_named(bundle: Path) -> None:
    about = json.loads((bundle / RECIPE).read_text())
    del about["weights_digest"]
    (bundle / RECIPE).write_text(json.dumps(about))
    with pytest.raises(AtollError, match=f"{RECIPE} holds no network: KeyError: 'weights_digest'"):
        load_bundle(bundle)


def test_the_digest_is_that_of_the_stored_tensors(bundle: Path) -> None:
    about = json.loads((bundle / RECIPE).read_text())
    assert digest_tensors(load_file(bundle / TENSORS)) == about["weights_digest"]
