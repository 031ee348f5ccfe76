"""How far Vela's figures of a planned file are from those of the trained one, over 20 random recipes.

Recipes are drawn, and three that are mapped in part are named; they are trained for an epoch a step, and
compiled for every device `ethos-u…`: as they were planned, with integers drawn in place of weights, and as
they were trained. Goes on where it was interrupted.
"""

import argparse
import datetime
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.ethos_u.compiler import compile_for_ethos_u
from atoll.evaluators.measuring.artifact import artifact_of
from atoll.evaluators.steps.evaluate import pipeline_for, planned_for, price_recipe
from atoll.evaluators.steps.settings import Settings
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.device_folder import ETHOS_U
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.recipes.order import check_order, grid_steps
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from figures import report
from recorded import machine
from torch import nn
from vela_page import page

TASK, COUNT, TARGET_PCT = "digits", 20, 10.0
ROWS = Path(__file__).parents[2] / "results" / "vela" / "rows.jsonl"
DEVICES = tuple(f"ethos-{size}" for size in ETHOS_U)
#: beside the drawn ones, which the compiler maps whole: layers in float, which it leaves to the processor
PARTLY = (
    "quantize(bits=8, layers=~first)",
    "quantize(bits=8, layers=~last)",
    "svd(rank=16) -> quantize(bits=8, layers=dense)",
)
FIGURES = ("cycles", "flash_bytes", "sram_bytes", "file_bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cache", type=Path, default=cache_dir(), help="folder of the step cache")
    options = parser.parse_args()
    settings = Settings(TASK, DEVICES[0], seed=0, epochs_per_step=1.0, baseline_epochs=1.0)
    pipeline = pipeline_for(settings, options.cache)
    ROWS.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    for recipe in (*map(Recipe.parse, PARTLY), *drawn()):
        if any(row["recipe"] == str(recipe) for row in rows):
            continue
        trained, plan = pipeline.run(recipe).network, planned_for(recipe, TASK)
        new = [compared(recipe, device, plan, trained) for device in DEVICES]
        with ROWS.open("a") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in new)
        rows += new
        (ROWS.parent / "README.md").write_text(page(rows, TARGET_PCT), encoding="utf-8")
    told(rows)


def drawn() -> Iterator[Recipe]:
    """Yields recipes that can be compiled: up to two steps of any technique, and 8 bits."""
    numbers, found = random.Random(0), set[Recipe]()
    eight = Recipe.parse("quantize(bits=8)").steps[0]
    others = [step for technique in TECHNIQUES for step in grid_steps(technique)]
    while len(found) < COUNT:
        recipe = Recipe((*numbers.sample(others, numbers.choice([1, 2])), eight))
        try:
            check_order(recipe)
            price_recipe(recipe, TASK, DEVICES[0])
        except AtollError:
            continue
        if recipe not in found:
            found.add(recipe)
            yield recipe


def compared(recipe: Recipe, device: str, plan: nn.Module, trained: nn.Module) -> dict[str, Any]:
    """Returns what the compiler says of a plan and of what was trained."""
    setup = Device.load(device).npu_setup()
    assert setup is not None and setup.npu is not None
    row: dict[str, Any] = {"recipe": str(recipe), "device": device}
    for name, network in (("planned", plan), ("trained", trained)):
        file = artifact_of(trace(network, input_shape_of(network)), drawn=True)
        found = compile_for_ethos_u(file, setup.npu)
        row[name] = {"mappable": found.report.mappable, "file_bytes": len(found.content)}
        row[name] |= {figure: getattr(found.report, figure) for figure in FIGURES[:-1]}
    git = ["git", "describe", "--always", "--dirty=+"]
    commit = subprocess.run(git, cwd=ROWS.parents[2], capture_output=True, text=True, check=True).stdout
    return row | {
        "exact": all(step.plan_is_exact for step in recipe),
        "vela": found.version,
        "commit": commit.strip(),
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
    }


def told(rows: list[dict[str, Any]]) -> None:
    """Prints the figures; of plans that are a lower bound none is compared."""
    rows = [row for row in rows if row["exact"]]
    other = sum(row["planned"]["mappable"] != row["trained"]["mappable"] for row in rows)
    report("vela/shares_that_differ", other, "files", 0, "lower")
    for figure in FIGURES:
        off = [100 * abs(row["planned"][figure] / row["trained"][figure] - 1) for row in rows]
        report(f"vela/{figure}_mean", mean(off), "%", None, "lower")
        report(f"vela/{figure}_worst", max(off), "%", TARGET_PCT, "lower")


if __name__ == "__main__":
    main()
