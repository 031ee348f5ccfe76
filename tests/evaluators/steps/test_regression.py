"""A regression goes the whole way: a dense auto-encoder on features, judged by its mean absolute error."""

from collections.abc import Iterator

import pytest
import torch
from atoll.evaluators import tasks
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.measuring.artifact import artifact_bytes, verify_artifact
from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks import given_network
from atoll.evaluators.tasks.given_network import save_given
from atoll.evaluators.tasks.qualities import quality_named
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.loop import fit
from atoll.evaluators.training.losses import labels_loss, loss_named
from atoll.evaluators.training.settings import Training
from atoll.spaces.layers.scaling import Scaling
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

FEATURES, HIDDEN, CODE = 24, 32, 4
#: of features as a sensor gives them, in degrees, far from zero
MEAN, SPREAD = 20.0, 4.0
pytestmark = pytest.mark.slow


class AutoEncoder(Task):
    """A network of one's own, in shape like the one of MLPerf Tiny."""

    def new_network(self) -> nn.Module:
        def block(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]

        torch.manual_seed(0)
        inner = [*block(FEATURES, HIDDEN), *block(HIDDEN, CODE), *block(CODE, HIDDEN)]
        return nn.Sequential(*inner, nn.Linear(HIDDEN, FEATURES))


def features(count: int, seed: int) -> Split:
    """Features that lie on a curved surface of two dimensions, and themselves as targets, standardised."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(2, FEATURES, generator=torch.Generator().manual_seed(0))
    found = torch.tanh(torch.randn(count, 2, generator=generator) @ mixing)
    found += 0.05 * torch.randn(count, FEATURES, generator=generator)
    return Split(MEAN + SPREAD * found, found)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    dataset = ImagesInMemory("surface", features(768, 1), features(512, 2), features(64, 3), (), "1")
    made = AutoEncoder(
        "surface",
        lambda: dataset,
        "own",
        (FEATURES,),
        FEATURES,
        Training(2e-3, 32),
        1.0,
        Scaling((MEAN,), (SPREAD,)),
        quality_named("mean_absolute_error", unit="spreads"),
    )
    network = made.new_network()
    fit(
        network, dataset.train.images, dataset.train.labels, Training(1e-2, 32), epochs=25,
        generator=torch.Generator().manual_seed(0), scaling=made.scaling,
        objective=labels_loss(loss_named("mean_squared_error")),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    save_given(network, folder / "surface.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASKS", (made,))
        patch.setattr(given_network, "WEIGHTS_FOLDER", folder)
        yield made


@pytest.fixture(scope="module")
def pipeline(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(Settings("surface", "coral-dev-board", 0, 3.0, 3.0), tmp_path_factory.mktemp("cache"))


def test_the_baseline_is_the_network_with_the_smallest_error(pipeline: Pipeline, task: Task) -> None:
    result = pipeline.baseline
    qualities = result.steps[0].notes["quality"]
    assert result.metrics.quality == min(qualities.values()) == qualities[result.steps[0].notes["chosen"]]
    assert QualityTerms.of(result.metrics) == QualityTerms("mean_absolute_error", "spreads", False)
    # it learnt the surface: a network that knew nothing would be off by the mean of its targets' distances
    targets = task.dataset().validation.labels
    assert result.metrics.quality < 0.25 * float((targets - targets.mean(dim=0)).abs().mean())
    assert (result.metrics.label_loyalty, result.metrics.probability_loyalty) == (1.0, None)


@pytest.mark.parametrize(
    "recipe",
    [
        "quantize(bits=8)",
        "prune_channels(ratio=0.2, criterion=taylor) -> quantize(bits=8)",
        "prune_weights(ratio=0.3, criterion=taylor) -> distill()",
        "quantize(bits=8) -> quantization_offset() -> distill(kind=relation)",
        "distill(teacher=mutual)",
        "distill(teacher=bigger)",
    ],
)
def test_a_recipe_is_carried_out_measured_and_its_file_is_the_network(
    pipeline: Pipeline, task: Task, recipe: str
) -> None:
    result = pipeline.run(Recipe.parse(recipe))
    terms, baseline = task.quality_terms, pipeline.baseline.metrics
    validation = task.dataset().validation
    # nothing was lost but a fifth of the error, or what a fifth of the channels was worth
    assert terms.drop(baseline.quality, result.metrics.quality) < 0.6 * baseline.quality
    assert result.metrics.label_loyalty is not None
    assert result.metrics.probability_loyalty is None
    content = artifact_bytes(result.network, task.input_shape)
    assert len(content) == result.metrics.model_bytes
    found = verify_artifact(
        content, result.network, validation.images, validation.labels, quality=task.judged_by
    )
    assert found.count == 512
    assert found.agreement >= 0.99
    assert found.quality == pytest.approx(result.metrics.quality, rel=0.02)
    assert found.network_quality == pytest.approx(result.metrics.quality, rel=1e-5)
