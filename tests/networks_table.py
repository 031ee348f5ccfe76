"""Tries every network with every technique and writes down what works; run again, it goes on.

Adopted exactly, with torch's multiplications, priced, written as float and as int8, through each technique,
and how much of its weights four of them reach: a row each in `results/networks/rows.jsonl`, with the sentence
where it fails, and a table of them. Nothing is trained but what becomes int8, a little. A network is tried in
a process of its own, names on the command line choose some, and what was tried at this commit is not tried
again.
"""

import datetime
import importlib.util
import json
import multiprocessing
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from atoll.evaluators.own.network_source import build as build_named
from atoll.evaluators.tasks.user_code import UserCode
from atoll.spaces.networks import build_network
from atoll.spaces.networks.repvgg import merge_branches, repvgg_a0_branches
from atoll.spaces.networks.torchvision_resnet import resnet18, resnet34, resnet50
from atoll.spaces.networks.torchvision_vgg import vgg16_bn
from atoll.spaces.networks.unet import unet
from atoll.testing.network_trial import COLUMNS, TECHNIQUES, Row, rows, settled
from atoll.testing.patterns import Shapes
from atoll.testing.various_networks import VARIOUS
from torch import nn

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "results" / "networks" / "rows.jsonl"
TABLE = ROWS.with_name("README.md")
#: seconds that a network may take: the largest took 13 minutes of a processor, which other work may share
TIME_LIMIT_S = 3600
CLASSES, OUTPUTS = 10, {"dense_autoencoder": 640}
Networks = dict[str, tuple[Callable[[], nn.Module], Shapes]]

IMAGE = (3, 32, 32)
#: networks of the zoo, at small inputs
ZOO: dict[str, tuple[int, ...]] = {
    "resnet8": IMAGE, "mobilenet_v1_025": (3, 96, 96), "ds_cnn": (1, 49, 10), "dense_autoencoder": (640,),
    "mobilenet_v2": IMAGE, "torchvision_mobilenet_v2": IMAGE, "mobilenet_v3_small": IMAGE,
    "mobilenet_v3_large": IMAGE, "shufflenet_v2": (3, 64, 64), "efficientnet_b0": IMAGE,
    "efficientnet_v2_s": IMAGE, "squeezenet": IMAGE, "convnext_tiny": IMAGE, "densenet121": IMAGE,
    "ghostnet": IMAGE, "fcn_1d": (9, 64), "vit_tiny": IMAGE,
    "sensor_lstm": (9, 32), "baseline_cnn": IMAGE, "inception_v1": IMAGE,
}  # fmt: skip
#: networks of transformers by what a study calls them, small, with arguments of their configurations
TRANSFORMERS: dict[str, dict[str, object]] = {
    "transformers:MobileNetV2Config": {"image_size": 32, "depth_multiplier": 0.35},
    "transformers:ResNetConfig": {
        "embedding_size": 16, "hidden_sizes": [32, 64, 128, 256], "depths": [1, 1, 1, 1],
        "layer_type": "bottleneck",
    },
}  # fmt: skip
HEADING = """# Networks and techniques, tried

Written by `tests/networks_table.py` from `rows.jsonl`. Inputs are patterns under noise; nothing is trained
but, a little, what becomes an int8 file. `nothing` says that the technique works and tells of every layer why
it leaves it alone; a dash, that what it needs failed before. Reach is the share of convolution and dense
weights (attention, recurrent layers and channels that are the network's output aside) in layers that change.
`svd` reaches nothing of `gru` and `sensor_lstm`: beside their recurrent layers they have 64 to 320 weights a
layer, so few that two factors with one more operator save nothing worth it (rank 2, 8 bits: 12,048 bytes in
place of 12,064 for `sensor_lstm`); of `deep_conv_lstm` it reaches the convolutions.
Networks of `transformers:` need that package, which Atoll does not install.
"""
#: how an outcome is shown
MARKS = {"yes": "yes", "no": "**no**", "nothing": "nothing", "not tried": "-"}


# What is tried ---------------------------------------------------------------------------------------


def networks() -> Networks:
    """Return what makes each network, and the shapes of its inputs without the batch."""
    found: Networks = {
        name: (partial(build_network, name, OUTPUTS.get(name, CLASSES), shape), (shape,))
        for name, shape in ZOO.items()
    }
    for build in (resnet18, resnet34, resnet50):
        found[build.__name__] = (partial(build, CLASSES, IMAGE, width=16), (IMAGE,))
    found["vgg16_bn"] = (partial(vgg16_bn, CLASSES, IMAGE, width=0.125), (IMAGE,))
    found["unet"] = (partial(unet, 4, IMAGE, width=8), (IMAGE,))
    found["repvgg_a0"] = (_merged, (IMAGE,))
    for name, arguments in TRANSFORMERS.items():
        found[name] = (partial(build_named, name, arguments, UserCode(ROOT), CLASSES, IMAGE), (IMAGE,))
    return {**found, **VARIOUS}


def _merged() -> nn.Module:
    """Return RepVGG-A0 merged from branches whose norms know such inputs; its own values stay in bounds."""
    return merge_branches(settled(partial(repvgg_a0_branches, CLASSES, IMAGE), (IMAGE,)))


# The runner ------------------------------------------------------------------------------------------


def _append(name: str, commit: str) -> None:
    torch.set_num_threads(1)
    with ROWS.open("a") as file:
        for row in rows(name, *networks()[name]):
            row.update(commit=commit, date=datetime.date.today().isoformat())
            file.write(json.dumps(row) + "\n")
            file.flush()


def read() -> list[Row]:
    """Return the last row of every check of every network."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    last = {(row["network"], row["check"]): row for row in map(json.loads, lines)}
    return [last[name, check] for name in networks() for check in COLUMNS if (name, check) in last]


def left(found: list[Row], commit: str) -> list[str]:
    """Return the networks that were not tried to the end at this commit, and can be here."""
    done = {row["network"] for row in found if row["commit"] == commit and row["check"] == COLUMNS[-1]}
    return [name for name in networks() if name not in {*done, *_not_installed()}]


def _not_installed() -> list[str]:
    """Return the networks whose package is not here: it is not among the pinned ones."""
    return [] if importlib.util.find_spec("transformers") else list(TRANSFORMERS)


def reasons(tried: list[Row]) -> list[tuple[str, set[str]]]:
    """Return what fails, with the networks that it fails on, most networks first."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in tried:
        if row["outcome"] == "no":
            for reason in _reasons_in(row["check"], row["sentence"]):
                found[reason].add(row["network"])
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _reasons_in(check: str, sentence: str) -> set[str]:
    """Return why a check failed, without the names of layers and the numbers of one network."""
    operations = re.findall(r"'([^']+)' at ", sentence)
    check = {"multiplications": "priced", "int8 file": "float file"}.get(check, check)
    check = "a technique" if check in TECHNIQUES else check
    if operations:
        said = {f"operation {operation}" for operation in operations}
    elif check.startswith("reach"):
        said = {part.partition(": ")[2] for part in sentence.partition("above all ")[2].split("; ")}
    else:
        unwritten = re.search(r"[^:]+ cannot be written for LiteRT", sentence)
        said = {unwritten[0].strip() if unwritten else sentence}
    said = {re.sub(r"the parameter .*", "a parameter in the forward", reason) for reason in said}
    return {f"{check}: {re.sub(r'(?<![A-Za-z_])[0-9][0-9,.]*', 'N', reason)}" for reason in said}


def table(tried: list[Row]) -> str:
    """Return the table in Markdown, and below it what fails."""
    cells = {(row["network"], row["check"]): row for row in tried}
    lines = [
        HEADING,
        f"| network | {' | '.join(COLUMNS)} |",
        f"| --- |{' --- |' * len(COLUMNS)}",
    ]
    for name in networks():
        shown = [_cell(cells.get((name, check)), check) for check in COLUMNS]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    lines += ["", "## What fails, by the networks that it concerns", ""]
    lines += [f"- {len(who)} ({', '.join(sorted(who))}): {why}" for why, who in reasons(tried)]
    return "\n".join(lines) + "\n"


def _cell(row: Row | None, check: str) -> str:
    if row is None:
        return ""
    if row["outcome"] == "yes" and check.startswith("reach"):
        return f"{row['value']:.0%}"
    share = re.match(r"\d+%", row["sentence"])
    return f"**{share[0]}**" if share else MARKS[row["outcome"]]


def main(chosen: list[str]) -> int:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    unknown = set(chosen) - set(networks())
    if unknown:
        sys.exit(f"unknown networks: {', '.join(sorted(unknown))}; known are {', '.join(networks())}")
    if _not_installed():
        print(f"transformers is not installed: rows of {', '.join(TRANSFORMERS)} stay", file=sys.stderr)
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    todo = chosen or left(read(), commit)
    for number, name in enumerate(todo, 1):
        print(f"{number} of {len(todo)}: {name}", file=sys.stderr, flush=True)
        process = multiprocessing.get_context("fork").Process(target=_append, args=(name, commit))
        process.start()
        process.join(TIME_LIMIT_S)
        if process.exitcode != 0:
            process.kill()
            print(f"{name} ended with {process.exitcode}", file=sys.stderr, flush=True)
    found = read()
    ROWS.write_text("".join(json.dumps(row) + "\n" for row in found))
    TABLE.write_text(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
