"""What the artifact is: agreement of every technique's file, structure, memory, time of int8 beside float."""

import statistics
import tempfile
from pathlib import Path

import torch
from atoll.evaluators.litert.inspect import overhead_bytes, peak_tensor_bytes
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import artifact_bytes, verify_artifact
from atoll.evaluators.steps.evaluate import pipeline_for
from atoll.evaluators.steps.settings import Settings
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.flatten import ChannelsLastFlatten
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from atoll.testing.random_images import RandomImages
from figures import median_seconds, report
from torch import nn

SHAPE = (3, 64, 64)
#: PUB-II's layer, as maps of one row, so that the layer alone is the network
DENSE_SHAPE = (16384, 1, 1)
ROUNDS, RUNS = 25, 20
#: training of each technique: enough to leave it, little enough for minutes
EPOCHS = 0.5
#: technique -> the recipe that shows it where its defaults alone do nothing
SHOWN = {"quantization_offset": "quantize(bits=4) -> quantization_offset"}


def compressed(text: str, network: nn.Module, shape: tuple[int, int, int]) -> nn.Module:
    network = adopt(network, shape).eval()
    for step in Recipe.parse(text):
        network, _ = step.apply(network, RandomImages(shape, 11))
    return network.eval()


def papers_cnn(text: str) -> nn.Module:
    return compressed(text, build_network("baseline_cnn", 11, SHAPE), SHAPE)


def dense_layer(text: str) -> nn.Module:
    layer = nn.Sequential(ChannelsLastFlatten(), nn.Linear(16384, 64, bias=False))
    return compressed(text, layer, DENSE_SHAPE)


def report_techniques() -> None:
    """Every technique on digits, trained a little: its file against its network on all validation images."""
    agreements, drops = {}, {}
    with tempfile.TemporaryDirectory() as cache:
        for technique in TECHNIQUES:
            recipe = Recipe.parse(SHOWN.get(technique.name, technique.name))
            settings = Settings("digits", "coral-dev-board", 0, EPOCHS, EPOCHS)
            pipeline = pipeline_for(settings, Path(cache))
            network = pipeline.run(recipe).network
            content = artifact_bytes(network, input_shape_of(network))
            split = pipeline.dataset.validation
            found = verify_artifact(content, network, split.images, split.labels)
            agreements[technique.name] = 100 * found.agreement
            drops[technique.name] = 100 * abs((found.quality or 0) - (found.network_quality or 0))
    for name, agreement in agreements.items():
        report(f"artifact/agreement_{name}", agreement, "%", 99.5, "higher")
        report(f"artifact/quality_difference_{name}", drops[name], "points", 0.1, "lower")


def ratio_of_times(one: bytes, other: bytes) -> float:
    """Returns the time of one file beside another's: interleaved, one thread, medians."""
    runners = [LiteRtRunner(content) for content in (one, other)]
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):  # what disturbs one disturbs the other
        for runner, found in zip(runners, times, strict=True):
            found.append(runner.time_ms(RUNS))
    return statistics.median(times[0]) / statistics.median(times[1])


def main() -> None:
    torch.set_num_threads(1)
    plain = papers_cnn("baseline")
    as_float = artifact_bytes(plain, SHAPE)
    int8 = artifact_bytes(papers_cnn("quantize(bits=8)"), SHAPE)
    # both with the same rewriting of normalisations
    report("artifact/int8_time_over_float", ratio_of_times(int8, as_float), "ratio", 0.36, "lower")
    train = artifact_bytes(
        dense_layer("tensor_train(rank=4, fit_steps=0, form=fastest) -> quantize(bits=8)"), DENSE_SHAPE
    )
    matrix = artifact_bytes(dense_layer("quantize(bits=8)"), DENSE_SHAPE)
    report("artifact/int8_train_time_over_dense", ratio_of_times(train, matrix), "ratio", 1.0, "lower")
    report("artifact/int8_train_size_over_dense", len(train) / len(matrix), "ratio", 1.0, "lower")
    report("artifact/int8_size_over_float", len(int8) / len(as_float), "ratio", 0.26, "lower")
    peaks = peak_tensor_bytes(int8) / peak_tensor_bytes(as_float)
    report("artifact/int8_peak_memory_over_float", peaks, "ratio", 0.25, "lower")
    for bits in (4, 8):
        ensemble = papers_cnn(f"tensor_train(rank=4, fit_steps=0) -> quantize(bits={bits})")
        found = overhead_bytes(artifact_bytes(ensemble, SHAPE))
        report(f"artifact/overhead_tt_int{bits}", found, "B", 4000, "lower")
    seconds = median_seconds(lambda: artifact_bytes(plain, SHAPE), 7)
    report("artifact/write", seconds * 1e3, "ms", 1000, "lower")
    report_techniques()


if __name__ == "__main__":
    main()
