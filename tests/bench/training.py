"""How fast we train beside a bare loop, what a cached prefix costs, and what a trial costs beside Ray's own.

One thread throughout. Images a second come from processor time, in turns, so that what else runs disturbs
both alike; the others are wall time.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.evaluate import pipeline_for, price_recipe
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Outcome, Work
from atoll.evaluators.training.loop import fit
from atoll.evaluators.training.settings import Training
from atoll.search.driver.launch import pricer_of
from atoll.search.driver.ray_cluster import RAY_FOLDER_CHARACTERS, cluster, ray_environment
from atoll.search.driver.runner import run_study
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.machine.allocator import keep_freed_memory
from atoll.spaces.machine.scratch import scratch_folder
from atoll.spaces.networks.papers_cnn import papers_cnn
from atoll.spaces.recipes.recipe import Recipe
from figures import report
from torch import Tensor, nn
from torch.nn import functional as F

#: of the task `characters`, and images enough for so many steps
SHAPE, CLASSES, BATCH_SIZE, STEPS = (3, 64, 64), 35, 64, 20
ROUNDS = 9
WIDTHS = {"full": 1, "quarter": 4}
#: three steps, of which two change the structure, and a fourth that goes on from them
PREFIX = "prune_channels(ratio=0.5) -> tensor_train(rank=8, fit_steps=0) -> quantize(bits=8)"
DEVICE = "coral-dev-board"
TRIALS = 40


def papers_network(divisor: int) -> nn.Module:
    """Returns the papers' CNN with a share of its channels, untrained."""
    torch.manual_seed(0)
    channels = (32 // divisor, 64 // divisor, 64 // divisor)
    return papers_cnn(channels, 64 // divisor, CLASSES, SHAPE)


def bare_epoch(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """The loop of PyTorch's tutorials: batches scaled as ours are, no augmentation, schedule or checks."""
    network.train()
    for picked in torch.randperm(len(images)).split(BATCH_SIZE):
        batch = images[picked].float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(batch), labels[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def seconds_of(run: Callable[[], Any]) -> float:
    """Returns the processor time of a call."""
    started = time.process_time()
    run()
    return time.process_time() - started


def report_speed(width: str) -> None:
    """Images a second of our loop, with augmentation and checks, over those of the bare one."""
    generator = torch.Generator().manual_seed(0)
    count = STEPS * BATCH_SIZE
    images = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (count,), generator=generator)
    ours = adopt(papers_network(WIDTHS[width]), SHAPE)
    bare = papers_network(WIDTHS[width])
    training = Training(learning_rate=1e-3, batch_size=BATCH_SIZE)
    optimizer = torch.optim.AdamW(bare.parameters(), lr=training.learning_rate)
    runs = (
        lambda: fit(ours, images, labels, training, epochs=1, generator=generator),
        lambda: bare_epoch(bare, optimizer, images, labels),
    )
    seconds = [[seconds_of(run) for run in runs] for _ in range(ROUNDS + 1)][1:]
    our_s, bare_s = (statistics.median(column) for column in zip(*seconds, strict=True))
    report(f"training/speed_over_bare_{width}", bare_s / our_s, "ratio", 0.95, "higher")
    report(f"training/images_{width}", count / our_s, "images/s", None, "higher")


def report_cached_prefix() -> None:
    """What a recipe costs whose every step is in the cache, in a pipeline that has seen none of them."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings("digits", DEVICE, 0, 0.05, 0.05)
        recipe = Recipe.parse(PREFIX)
        pipeline_for(settings, Path(folder)).run(recipe)
        seconds = []
        for _ in range(ROUNDS + 1):
            pipeline = Pipeline(settings, Path(folder))
            pipeline.run(Recipe())  # a worker has data and baseline from its first trial on
            started = time.perf_counter()
            pipeline.run(recipe)
            seconds.append(time.perf_counter() - started)
    report("training/cached_prefix", statistics.median(seconds[1:]) * 1e3, "ms", 50.0, "lower")


class Known:
    """An evaluator that has its answer, and writes down when it was asked.

    Args:
        metrics: of any recipe.
        asked: file of the moments, a line each, in seconds.
    """

    def __init__(self, metrics: Metrics, asked: Path) -> None:
        self.metrics, self.asked = metrics, asked

    def __call__(self, work: Work) -> Outcome:
        _note(self.asked)
        return Outcome("finished", metrics=self.metrics, seconds=0.0, weights_digest=work.recipe.digest)


def _note(path: Path) -> None:
    with path.open("a") as file:
        file.write(f"{time.monotonic()}\n")


def ms_between(path: Path) -> float:
    """Returns the median time from one noted moment to the next, without the first quarter."""
    moments = [float(line) for line in path.read_text().split()]
    waits = [after - before for before, after in itertools.pairwise(moments)]
    return statistics.median(waits[len(waits) // 4 :]) * 1e3


def ray_alone(asked: Path) -> None:
    """Has Ray Tune run trials that do nothing, as a search sets it up: one worker, used again and again."""
    with ray_environment(None), scratch_folder(RAY_FOLDER_CHARACTERS) as scratch, cluster(None, 1, scratch):
        from ray import tune
        from ray.tune import RunConfig, TuneConfig, Tuner
        from ray.tune.search import Searcher

        class Counting(Searcher):
            """Suggests one trial at a time, as our searcher does."""

            told, running, failed = 0, 0, False

            def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
                if self.running or self.told == TRIALS:
                    return None if self.running else self.FINISHED
                self.told += 1
                self.running += 1
                return {}

            def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
                self.running -= 1
                self.failed |= error

            def set_max_concurrency(self, max_concurrent: int) -> bool:
                return True

        class Nothing(tune.Trainable):
            def step(self) -> dict[str, Any]:
                with asked.open("a") as file:
                    file.write(f"{time.monotonic()}\n")
                return {"done": True}

            def reset_config(self, new_config: dict[str, Any]) -> bool:
                return True

            def save_checkpoint(self, checkpoint_dir: str) -> None:
                pass  # without it every trial fails, and the next one starts a process

        counting = Counting()
        tuner = Tuner(
            tune.with_resources(Nothing, {"cpu": 1}),
            tune_config=TuneConfig(
                search_alg=counting, num_samples=-1, max_concurrent_trials=1, reuse_actors=True
            ),
            run_config=RunConfig(name="trials", storage_path=str(scratch), verbose=0),
        )
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            tuner.fit()
        if counting.failed:
            raise RuntimeError("a trial of Ray's own failed: its figures mean nothing")


def search_alone(asked: Path, store: Path) -> None:
    """Searches with answers that are known: proposals, prices, journal, folding, progress are as ever."""
    study = Study(
        task="digits",
        device=DEVICE,
        goal="smallest",
        constraints=("quality_drop <= 0.02",),
        limits={"trials": TRIALS, "workers": 1},
    )
    price = price_recipe(Recipe(), study.task, study.device).to_metrics()
    sizes = {name: price["model_bytes"] for name in ("payload_bytes", "packed_bytes")}
    known = Metrics.from_json(
        {
            **price,
            **sizes,
            "quality": 0.95,
            "quality_name": "accuracy",
            "quality_unit": "share",
            "quality_higher_is_better": True,
            "nonzero_parameters": price["parameters"],
            "label_loyalty": 1.0,
            "probability_loyalty": 1.0,
            "train_epochs": 1.0,
            "train_seconds": 1.0,
        }
    )
    run_study(study, Store(store), pricer=pricer_of(study), evaluator=Known(known, asked))


def report_overhead() -> None:
    """What passes between two trials beyond what does in Ray Tune alone.

    The second search proposes what the first did, whose prices this process still has: what is left is the
    journal, the store, the progress and the way to the worker and back.
    """
    alone: list[float] = []
    searches: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for turn in range(2):
            ray_alone(folder / f"ray{turn}")
            search_alone(folder / f"search{turn}", folder / f"store{turn}.duckdb")
            alone.append(ms_between(folder / f"ray{turn}"))
            searches.append(ms_between(folder / f"search{turn}"))
    report("training/ray_trial", statistics.mean(alone), "ms", None, "lower")
    cold, warm = (ours - rays for ours, rays in zip(searches, alone, strict=True))
    report("training/trial_overhead", warm, "ms", 50.0, "lower")
    report("training/trial_overhead_with_first_prices", cold, "ms", None, "lower")


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    for width in WIDTHS:
        report_speed(width)
    report_cached_prefix()
    report_overhead()


if __name__ == "__main__":
    main()
