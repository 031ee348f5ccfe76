"""What the artifact costs: structure beside the weights, and time of int8 against float on this machine."""

import statistics

import torch
from atoll.evaluators.artifact import artifact_bytes
from atoll.evaluators.litert.inspect import overhead_bytes
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.spaces.layers.structure import adopt, input_shape_of
from atoll.spaces.networks import build_network
from atoll.spaces.recipe import Recipe
from figures import median_seconds, report
from torch import nn

SHAPE = (3, 64, 64)
ROUNDS = 15


class Images:
    """Gives a technique random images: sizes and times do not depend on what was learnt."""

    input_shape, num_classes, teacher, epochs_left = SHAPE, 11, None, 0.0

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)

    def images(self, count: int) -> torch.Tensor:
        return torch.rand(min(count, 64), *SHAPE, generator=self.generator) * 2 - 1

    def fit(self, model: nn.Module, **_: object) -> None:
        pass


def compressed(text: str) -> nn.Module:
    network = adopt(build_network("baseline_cnn", 11, SHAPE), SHAPE).eval()
    for step in Recipe.parse(text):
        network, _ = step.apply(network, Images())
    return network.eval()


def main() -> None:
    torch.set_num_threads(1)
    plain = compressed("baseline")
    files = {
        "float": artifact_bytes(plain, SHAPE),
        "int8": artifact_bytes(compressed("quantize(bits=8)"), SHAPE),
    }
    ensemble = compressed("tensor_train(rank=4, fit_steps=0) -> quantize(bits=4)")
    report(
        "artifact/overhead_tt_int4",
        overhead_bytes(artifact_bytes(ensemble, input_shape_of(ensemble))),
        "B",
        4000,
        "lower",
    )
    report(
        "artifact/write", median_seconds(lambda: artifact_bytes(plain, SHAPE), 7) * 1e3, "ms", 1000, "lower"
    )
    runners = {name: LiteRtRunner(content) for name, content in files.items()}
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(ROUNDS):  # interleaved: what disturbs one disturbs the other
        for name, runner in runners.items():
            times[name].append(runner.time_ms(20))
    ratio = statistics.median(times["int8"]) / statistics.median(times["float"])
    report("artifact/int8_time_over_float", ratio, "ratio", 0.5, "lower")
    report("artifact/int8_size_over_float", len(files["int8"]) / len(files["float"]), "ratio", 0.26, "lower")


if __name__ == "__main__":
    main()
