"""Own data of 200,000 images at 96x96: the memory of decoding and of training, and the speed of decoding.

Each part runs in a process of its own. Anonymous memory counts: pages of mapped files are the system's,
shared by all workers, and dropped when somebody else needs the room.
"""

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.decode import Progress
from atoll.evaluators.sources.open_data import open_data
from atoll.evaluators.training.loop import fit
from atoll.evaluators.training.prediction import predict_logits
from atoll.evaluators.training.settings import Training
from atoll.spaces.graph.adopt import adopt
from figures import report
from torch import nn

IMAGES, SHAPE = 200_000, (3, 96, 96)
#: the promise: of anonymous memory in a worker, torch included
WORKER_BYTES = 1.5e9
#: steps of training: enough to see a leak of one batch a step
STEPS, BATCH = 150, 64


class Generated:
    """Images that are drawn when they are asked for; the same each time."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.random.default_rng(index).integers(0, 256, SHAPE, np.uint8), index % 10


def source_of(count: int) -> DataSource:
    """Names the images; every process by the same function."""
    return DataSource(lambda: Generated(count))


class Watch:
    """The largest anonymous memory of this process while it runs."""

    def __enter__(self) -> "Watch":
        self.most, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            (line,) = [line for line in lines if line.startswith("RssAnon")]
            self.most = max(self.most, int(line.split()[1]) * 1024)


def decoding(cache: Path, count: int) -> dict[str, float]:
    """Decodes all images."""
    with Watch() as watch:
        data = open_data(source_of(count), cache, told)
    return {"anonymous": watch.most, "images_s": count / data.report.seconds}


def told(progress: Progress) -> None:
    print(progress, file=sys.stderr)


def training(cache: Path, count: int) -> dict[str, float]:
    """Trains on random batches of all images, and predicts a split."""
    started = time.perf_counter()
    data = open_data(source_of(count), cache)
    opened = time.perf_counter() - started
    layers = [nn.Conv2d(3, 16, 3, 4), nn.ReLU(), nn.Conv2d(16, 16, 3, 2), nn.ReLU()]
    network = adopt(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)), SHAPE)
    with Watch() as watch:
        fit(
            network, data.train.images, data.train.labels, Training(1e-3, BATCH),
            epochs=STEPS * BATCH / len(data.train), generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        predict_logits(network, data.validation.images[:5000])
        for rows in torch.randperm(len(data.train)).split(1000):  # every page of the file is touched once
            data.train.images[rows].sum()
    return {"anonymous": watch.most, "open_s": opened}


def in_process(part: Callable[[Path, int], dict[str, float]], cache: Path, count: int) -> dict[str, float]:
    """Runs a part in a process of its own and returns its figures."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    process = context.Process(target=_answer, args=(part, cache, count, answers))
    process.start()
    found = answers.get()
    process.join()
    return found


def _answer(part: Callable[[Path, int], dict[str, float]], cache: Path, count: int, answers: Any) -> None:
    torch.set_num_threads(1)
    answers.put(part(cache, count))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=IMAGES)
    count = parser.parse_args().images
    with tempfile.TemporaryDirectory() as folder:
        decoded = in_process(decoding, Path(folder), count)
        trained = in_process(training, Path(folder), count)
    print(file=sys.stderr)
    report("data/decode_anonymous_memory", decoded["anonymous"] / 1e6, "MB", WORKER_BYTES / 1e6, "lower")
    report("data/train_anonymous_memory", trained["anonymous"] / 1e6, "MB", WORKER_BYTES / 1e6, "lower")
    report("data/decode_arrays", decoded["images_s"], "images/s", None, "higher")
    report("data/open_decoded", trained["open_s"], "s", None, "lower")


if __name__ == "__main__":
    main()
