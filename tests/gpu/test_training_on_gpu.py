"""Training on a GPU gives what training on the CPU gives (torch, numpy, pyarrow and safetensors suffice)."""

import math
from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.steps.context import TrainingContext
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training import loop, prediction
from atoll.evaluators.training.accelerator import CPU, accelerator_name, arithmetic
from atoll.evaluators.training.loop import TrainingDiverged
from atoll.evaluators.training.prediction import predict_logits
from atoll.evaluators.training.settings import Training
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="tests/gpu: torch sees no GPU here")
GPU = torch.device("cuda", 0)
SHAPE, CLASSES = (3, 32, 32), 6
#: one of every technique, with settings that a small network can stand
RECIPES = (
    "quantize(bits=8)",
    "quantize(bits=4)",
    "prune_channels(ratio=0.5)",
    "prune_weights(ratio=0.5)",
    "cluster(clusters=16)",
    "binarize",
    "ternarize",
    "mixed_precision(bits=6.0)",
    "svd(rank=8)",
    "tucker(rank=0.5)",
    "cp(rank=16)",
    "tensor_train(rank=16)",
    "distill(kind=response)",
    "distill(kind=feature)",
    "distill(teacher=mutual)",
    "distill(teacher=bigger)",
    "prune_channels(ratio=0.25, criterion=taylor, schedule=iterative) -> quantize(bits=8)",
    "prune_weights(ratio=0.5, schedule=agp)",
    "quantize(bits=8) -> quantization_offset(strength=1.0)",
)


def pictures(count: int, seed: int) -> Split:
    """Stripes of six directions and colours in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    images = torch.randn(count, *SHAPE, generator=generator) * 40 + 128
    for label in range(CLASSES):
        angle = math.pi * label / CLASSES
        stripes = torch.sin((rows * math.cos(angle) + columns * math.sin(angle)) * 0.8) * 50
        images[labels == label, label % 3] += stripes
    return Split(images.clamp(0, 255).to(torch.uint8), labels)


DATA = ImagesInMemory(
    "stripes", pictures(600, 0), pictures(300, 1), pictures(60, 2), tuple("abcdef"), "stripes-1"
)


def task(**training: Any) -> Task:
    how = Training(**{"learning_rate": 3e-3, "batch_size": 32, **training})
    return Task("stripes", lambda: DATA, "compact_cnn", SHAPE, CLASSES, how, 2.0)


def new_network(of: Task) -> nn.Module:
    return adopt(of.new_network(), SHAPE)


def context(of: Task, teacher: nn.Module | None = None, epochs: float = 3.0) -> TrainingContext:
    bigger = None if teacher is None else lambda: teacher
    return TrainingContext(of, DATA, teacher, 7, epochs, bigger_teacher=bigger)


@pytest.fixture(scope="module")
def baseline() -> nn.Module:
    network = new_network(task())
    context(task(), epochs=8).fit(network)
    return network.eval()


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Returns what hides the GPU from here on."""

    def hide() -> None:
        monkeypatch.setattr(loop, "training_device", lambda: CPU)
        monkeypatch.setattr(prediction, "training_device", lambda: CPU)

    return hide


def devices(network: nn.Module) -> set[str]:
    return {tensor.device.type for tensor in network.state_dict().values()}


def test_a_network_learns_and_comes_back(baseline: nn.Module) -> None:
    assert devices(baseline) == {"cpu"} and not baseline.training
    assert task().quality(baseline, DATA.validation) > 0.9
    assert accelerator_name()


def test_predictions_are_those_of_the_cpu(baseline: nn.Module, on_cpu: Callable[[], None]) -> None:
    images = DATA.validation.images
    there = predict_logits(baseline, images)
    on_cpu()
    here = predict_logits(baseline, images)
    assert there.device == CPU
    span = float(here.max() - here.min())
    assert float((there - here).abs().max()) < 1e-3 * span
    assert float((there.argmax(1) == here.argmax(1)).float().mean()) >= 0.99


def test_the_first_steps_are_those_of_the_cpu(on_cpu: Callable[[], None]) -> None:
    # SGD: AdamW's first steps are as large for a slope of nothing, whose sign is that of the last digit
    exact = task(precision="float32", augment=("mirror", "rotation"), optimizer="sgd", learning_rate=0.01)
    there, here = new_network(exact), new_network(exact)
    context(exact, epochs=0.25).fit(there)
    on_cpu()
    context(exact, epochs=0.25).fit(here)
    for name, tensor in here.state_dict().items():
        if tensor.is_floating_point():
            bound = 0.02 * float(tensor.abs().max()) + 5e-4
            assert float((there.state_dict()[name] - tensor).abs().max()) < bound, name


@pytest.mark.parametrize("text", RECIPES)
def test_every_technique_does_there_what_it_does_here(
    baseline: nn.Module, on_cpu: Callable[[], None], text: str
) -> None:
    if any(word in text for word in ("tucker", "tensor_train", "cp(")) and find_spec("tensorly") is None:
        pytest.skip("tensorly is not there")

    def carried_out() -> tuple[nn.Module, float]:
        network = deepcopy(baseline)
        for step in Recipe.parse(text):
            world = context(task(), deepcopy(baseline))
            network, _ = step.apply(network, world)
            if step.fine_tuned and world.epochs_left > 0:
                world.fit(network)
        return network, task().quality(network, DATA.validation)

    there, quality_there = carried_out()
    on_cpu()
    here, quality_here = carried_out()
    assert devices(there) == {"cpu"}
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (there, here)]
    assert shapes[0] == shapes[1]
    assert abs(quality_there - quality_here) <= 0.1


def test_rounded_activations_are_trained_in_float32(baseline: nn.Module) -> None:
    rounded = Recipe.parse("quantize(bits=8)").steps[0].plan(baseline)
    with arithmetic(baseline, "auto", GPU):
        assert torch.is_autocast_enabled("cuda")
    with arithmetic(rounded, "auto", GPU):
        assert not torch.is_autocast_enabled("cuda")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_every_precision_learns(precision: str) -> None:
    how = task(precision=precision, optimizer="sgd", learning_rate=0.05, schedule="cosine", clip_norm=1.0)
    network = new_network(how)
    context(how, epochs=8).fit(network)
    assert how.quality(network, DATA.validation) > 0.8


def test_balancing_and_patience_work_there() -> None:
    for balance in ("weights", "resample"):
        how = task(balance=balance, patience=2, label_smoothing=0.1)
        network = new_network(how)
        context(how, epochs=4).fit(network)
        assert devices(network) == {"cpu"}
        assert how.quality(network, DATA.validation) > 0.5


def test_divergence_is_found_there() -> None:
    how = task(learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match="training diverged"):
        context(how).fit(new_network(how))
