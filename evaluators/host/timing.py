"""Times networks on this machine, for the device `host`."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...hw_models.board import bench
from ...hw_models.fitting.measurements import parse_size
from ...hw_models.tables.planned import planned
from ...spaces.machine.processor import this_processor
from ...spaces.machine.scratch import scratch_folder
from ...spaces.recipes.recipe import Recipe
from ..measuring.artifact import artifact_bytes
from .networks import CALIBRATION, HostNetwork

#: the one set-up of the device
SETUP = "one-thread"
#: turns of every network, and least runs over all of them: 24 of the largest, thousands of the smallest
ROUNDS, RUNS = 12, 24

#: hears (steps done, steps in all, what is done now)
Tick = Callable[[int, int, str], None]


def measure_host(
    tick: Tick | None = None, networks: Sequence[HostNetwork] = CALIBRATION, rounds: int = ROUNDS
) -> list[dict[str, str]]:
    """Lowers networks, times their files in turns with one thread and measures their peak memory.

    Nothing is trained: time does not depend on the values of weights. What other processes take from the
    thread is not counted, but they slow caches and memory down: nothing else should run meanwhile.

    Args:
        tick: hears how far it is.
        networks: what is timed.
        rounds: turns of every network.

    Returns:
        one row a network, by the columns of a file of measurements (`hw_models.board.bench.COLUMNS`).

    Raises:
        AtollError: a network cannot be written.
        BenchError: a file does not run here.
    """
    done, total = 0, len(networks) * (2 + rounds)
    load = os.getloadavg()[0]  # of others: this process has not begun

    def step(what: str) -> None:
        nonlocal done
        if tick is not None:
            tick(done, total, what)
        done += 1

    rows = []
    with scratch_folder() as folder:
        paths = []
        for number, network in enumerate(networks):
            step(f"writing {network.id}")
            file = folder / f"{number}.tflite"
            file.write_bytes(host_artifact(network))
            paths.append(str(file))
        memory = []
        for network, path in zip(networks, paths, strict=True):
            step(f"memory of {network.id}")
            memory.append(bench.peak_memory_mib(path))
        times = bench.time_files(
            paths,
            rounds=rounds,
            runs=RUNS,
            tick=lambda turn, path: step(f"time, round {turn + 1} of {rounds}"),
            clock=time.thread_time,
        )
        for network, path, mib in zip(networks, paths, memory, strict=True):
            rows.append(_row(network, Path(path), mib, times[path], load))
    if tick is not None:
        tick(total, total, "done")
    return rows


def host_artifact(network: HostNetwork) -> bytes:
    """Returns the file of a network, weights all zero."""
    shape = parse_size(network.input_shape, network.id)
    model = planned(Recipe.parse(network.recipe), network.network, shape, network.num_classes)
    return artifact_bytes(model, shape)


def _row(
    network: HostNetwork, path: Path, mib: float, rounds: list[list[float]], load: float
) -> dict[str, str]:
    about = bench.describe(str(path), str(path.parent))
    ms, spread_pct, runs = bench.latency(rounds)
    values = {
        **about,
        "id": network.id,
        "setup": SETUP,
        "family": f"{network.network} {'int8' if 'bits=8)' in network.recipe else network.recipe}",
        "network": network.network,
        "recipe": "" if network.recipe == "baseline" else network.recipe,
        "input_shape": network.input_shape,
        "num_classes": network.num_classes,
        "latency_ms": f"{ms:.5g}",
        "peak_memory_mib": f"{mib:.5g}",
        "latency_credible": "yes",
        "memory_credible": "yes",
        "artifact": "",
        "runs": runs,
        "spread_pct": f"{spread_pct:.1f}",
        "threads": 1,
        "runtime": bench.import_runtime()[1],
        "notes": f"{this_processor()}, load {load:.1f}",
    }
    return {column: str(values.get(column, "")) for column in bench.COLUMNS}
