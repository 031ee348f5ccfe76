"""What 8-bit integers cost trained networks, and whether their files compute what was foreseen.

Five networks that people ship are trained on data that are made here, put on integers without training
(`method=ptq`), with and without cross-layer equalization and bias correction, and their files are run over
test images that calibration never saw. Where a network loses more than is allowed, the layers with the
lowest signal-to-noise ratio are kept in half precision, one more at a time. Names on the command line
choose networks. Trained weights lie in the cache and every row in `results/integers/rows.jsonl`, so that
the next run goes on where this one ended.
"""

import argparse
import datetime
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.card.card_noise import IMAGES as NOISE_IMAGES
from atoll.evaluators.card.card_noise import WORST
from atoll.evaluators.datasets.dataset import Split
from atoll.evaluators.digests import digest_json, library_versions
from atoll.evaluators.measuring.artifact import artifact_bytes, verify_artifact
from atoll.evaluators.tasks.quality import ACCURACY
from atoll.evaluators.training.loop import fit
from atoll.evaluators.training.prediction import predict_logits
from atoll.evaluators.training.settings import Training
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.statistics import reestimate
from atoll.spaces.layers.structure import scaling_of
from atoll.spaces.networks import build_network
from atoll.spaces.networks.efficientnet import B0
from atoll.spaces.networks.inverted_residual import around_blocks, inverted_residual
from atoll.spaces.quantization.noise import OUTPUTS, layer_noise
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.worlds import World
from figures import report
from integers_page import LEAST_AGREEMENT, LOST_POINTS, found_good, page
from made_data import VERSION, keywords, pictures
from recorded import machine
from safetensors.torch import load_file, save_file
from technique_rows import Row, Rows
from torch import nn

RESULTS = Path(__file__).parents[2] / "results" / "integers"
PLAIN = "quantize(bits=8, method=ptq)"
#: what is tried of every network
RECIPES = (
    PLAIN,
    "quantize(bits=8, method=ptq, equalize=cross_layer)",
    "quantize(bits=8, method=ptq, correct_bias=empirical)",
    "quantize(bits=8, method=ptq, equalize=cross_layer, correct_bias=empirical)",
)
#: training images of each network, of which the first calibrate; test images, which nothing else sees
TRAINED_ON, TESTED_ON, CALIBRATED_ON = 4_000, 1_000, 512
SIDE, EPOCHS = 48, 15
#: epochs of the networks that take six to ten times as long a picture (own choice: minutes of one core each)
EPOCHS_OF_LARGE = 8
#: layers that are kept in half precision at most
WIDEST = 3


class Subject(NamedTuple):
    """A network with its data and how long it is trained."""

    build: Callable[[], nn.Module]
    data: Callable[[int, int], Split]
    epochs: int


def efficientnet_lite0(num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Builds EfficientNet-Lite0: B0 without squeeze-excitation, with ReLU6 (its README; Tan & Le 2019)."""
    blocks, channels = nn.Sequential(), 32
    for stage in B0:
        for position in range(stage.blocks):
            stride = stage.stride if position == 0 else 1
            expanded = stage.expansion * channels
            blocks.append(inverted_residual(channels, expanded, stage.channels, stage.size, stride))
            channels = stage.channels
    return around_blocks(input_shape[0], 32, blocks, channels, num_classes)


def shapes(count: int, seed: int) -> Split:
    return pictures(count, SIDE, seed)


def _zoo(name: str, epochs: int) -> Subject:
    return Subject(lambda: build_network(name, 10, (3, SIDE, SIDE)), shapes, epochs)


SUBJECTS = {
    "ds_cnn": Subject(lambda: build_network("ds_cnn", 12, (1, 49, 10)), keywords, EPOCHS),
    "mobilenet_v1_025": _zoo("mobilenet_v1_025", EPOCHS),
    "mobilenet_v1": _zoo("mobilenet_v1", EPOCHS_OF_LARGE),
    "mobilenet_v2": _zoo("mobilenet_v2", EPOCHS_OF_LARGE),
    "resnet18": _zoo("resnet18", EPOCHS_OF_LARGE),
    "efficientnet_lite0": Subject(lambda: efficientnet_lite0(10, (3, SIDE, SIDE)), shapes, EPOCHS_OF_LARGE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("networks", nargs="*", choices=[*SUBJECTS, []], help="by default all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows(RESULTS / "rows.jsonl")
    about = {"commit": _commit(), "machine": machine(), "date": datetime.date.today().isoformat()}
    for name in options.networks or SUBJECTS:
        print(f"== {name}", file=sys.stderr, flush=True)
        for row in _rows_of(name, rows):
            rows.append(row | about)
            (RESULTS / "README.md").write_text(page(rows.all()), encoding="utf-8")
    good = found_good(rows.all())
    report("integers/networks_that_stay", sum(good.values()), f"of {len(good)} networks", None, "higher")


def _rows_of(name: str, rows: Rows) -> Iterator[Row]:
    """Yields the rows of a network that are not there yet; it is trained where its weights are not."""
    subject = SUBJECTS[name]
    common = {"network": name, "epochs": subject.epochs, "data": VERSION, "libraries": library_versions()}
    common |= {"images": [TRAINED_ON, TESTED_ON, CALIBRATED_ON], "side": SIDE}

    def key(recipe: str) -> str:
        return digest_json({**common, "recipe": Recipe.parse(recipe).digest})[:16]

    split = None
    for recipe in _recipes(lambda recipe: rows.find(key(recipe))):
        if rows.find(key(recipe)) is None:
            split = split or (subject.data(TRAINED_ON, 0), subject.data(TESTED_ON, 1))
            trained = _trained(name, subject, digest_json(common)[:16], split[0])
            yield {
                "key": key(recipe),
                "network": name,
                "recipe": recipe,
                **_measured(*trained, recipe, *split),
            }


def _recipes(find: Callable[[str], Row | None]) -> Iterator[str]:
    """Yields what is tried: the settings; where the plain one loses too much, more and more layers wide."""
    yield from RECIPES
    last = PLAIN
    for count in range(1, WIDEST + 1):
        found = find(last)  # its row was just made, or was there
        if found is None or (found["lost"] <= LOST_POINTS and found["agreement"] >= LEAST_AGREEMENT):
            return
        last = f"mixed_precision(bits=8, wide={count})"
        yield last


def _trained(name: str, subject: Subject, key: str, train: Split) -> tuple[nn.Module, float]:
    """Returns the float network, and the processor seconds that its training took."""
    path = cache_dir() / "bench_integers" / f"{name}-{key}.safetensors"
    network = adopt(subject.build(), tuple(train.images.shape[1:]))
    if path.exists():
        tensors = load_file(path)
        seconds = float(tensors.pop("seconds"))
        network.load_state_dict(tensors)
        return network.eval(), seconds
    started, generator = time.process_time(), torch.Generator().manual_seed(0)
    training = Training(3e-3, 64)
    fit(network, train.images, train.labels, training, epochs=subject.epochs, generator=generator)
    # a short training leaves statistics behind that lag, and a step on integers measures them anew: without
    # this the integers were 1.3 points better than float
    reestimate(network, scaling_of(network).to_network(train.images))
    seconds = time.process_time() - started
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    save_file({**network.state_dict(), "seconds": torch.tensor(seconds)}, draft)
    draft.replace(path)
    return network.eval(), seconds


def _measured(given: nn.Module, train_s: float, recipe: str, train: Split, test: Split) -> dict[str, Any]:
    """Returns what a recipe makes of a network: qualities, agreement of the file, and the noise."""
    scaled = scaling_of(given).to_network(train.images[:CALIBRATED_ON])
    world = World(scaled, train.labels[:CALIBRATED_ON], given, epochs=0)
    network, decisions = given, dict[str, Any]()
    for step in Recipe.parse(recipe):
        network, decisions = step.apply(network, world)
    network.eval()
    content = artifact_bytes(network, tuple(test.images.shape[1:]))
    found = verify_artifact(content, network, test.images, test.labels)
    assert found.quality is not None
    quality = ACCURACY.measure(predict_logits(given, test.images), test.labels)
    noise = layer_noise(network, scaling_of(network).to_network(train.images[:NOISE_IMAGES]))
    ratios = {name: round(ratio, 1) for name, ratio in noise.items()}
    outputs = ratios.pop(OUTPUTS, None)
    worst = sorted(ratios, key=ratios.__getitem__)[:WORST]
    return {
        "train_s": round(train_s),
        "float": quality,
        "simulated": found.network_quality,
        "file": found.quality,
        "lost": round(100 * (quality - found.quality), 2),
        "agreement": found.agreement,
        "difference": found.largest_difference,
        "steps": found.largest_difference_lsb,
        "images": found.count,
        "bytes": len(content),
        "equalized": decisions.get("equalized"),
        "wide": list(decisions.get("wide", ())),
        "outputs_db": outputs,
        "worst": {name: ratios[name] for name in worst},
    }


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty=+"]
    done = subprocess.run(git, cwd=RESULTS.parents[1], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
