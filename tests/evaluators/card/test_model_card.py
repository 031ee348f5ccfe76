"""The model card: every figure with its unit and source, and a load snippet that runs."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.card.card_noise import WORST, noise_of
from atoll.evaluators.card.model_card import card_markdown
from atoll.evaluators.card.waterfall import predictions, waterfall
from atoll.evaluators.card.waterfall_figure import draw_waterfall
from atoll.evaluators.delivery.micro_use import MicroUse
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.measuring.artifact_report import report_artifact
from atoll.evaluators.measuring.file_ends import file_inputs, file_outputs
from atoll.evaluators.ranking.figures import PACKED_ALONE
from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.prediction import predict_logits
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.scaling import PIXELS
from atoll.spaces.quantization.noise import OUTPUTS
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.worlds import World
from torch import Tensor, nn

Card = dict[str, Any]
Made = Callable[[str], tuple[Card, bytes, Any]]

LOOK = {"quality": 0.875, "at": "2026-11-21T10:00:00+00:00", "command": "search"}


@pytest.fixture(scope="module")
def pipeline(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(Settings(tiny_task.name, "coral-dev-board", 0, 0.1, 0.1), tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def made(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Gives a recipe's card, file and network."""

    def make(text: str) -> tuple[Card, bytes, Any]:
        recipe = Recipe.parse(text)
        result = pipeline.run(recipe)
        content = artifact_bytes(result.network, pipeline.task.input_shape)
        folder = tmp_path_factory.mktemp("bundle")
        about = save_bundle(folder, result.network, pipeline.task, recipe, result.decisions)
        steps = [asdict(step) for step in result.steps if step.position]
        baseline = pipeline.baseline.metrics.to_json()
        card = {
            "study": "tiny-0-abcdef",
            "trial": "t0007",
            "task": "tiny",
            "network": "compact_cnn",
            "input_shape": list(pipeline.task.input_shape),
            "recipe": str(recipe),
            "seed": 0,
            "device": "coral-dev-board",
            "metrics": result.metrics.to_json(),
            "baseline": baseline,
            "waterfall": waterfall(about, baseline, steps, "coral-dev-board"),
            "predictions": predictions(about, ["coral-dev-board"]),
            "epochs_per_step": 0.1,
            "threads": 1,
            "artifact": report_artifact(content, result.network, pipeline.dataset.validation).to_json(),
            "test_looks": [],
            "baseline_test_looks": [LOOK],
            "weights_digest": result.digest,
            "files": {"model.tflite": "f" * 64},
            "dropped": ["names of tensors", "metadata"],
            "deliveries": [],
            "remarks": ["quality equals the stored trial's"],
            "versions": {"atoll": "0.1.0"},
            "data": "1",
            "commands": ['atoll evaluate "x"'],
        }
        return card, content, result.network

    return make


@pytest.fixture(scope="module")
def card(made: Made) -> Card:
    return made("prune_channels(ratio=0.5) -> quantize(bits=8)")[0]


def cells(text: str, label: str) -> list[str]:
    """Returns the cells of the table row that begins with a label."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_same_card_gives_the_same_text(card: Card) -> None:
    assert card_markdown(card) == card_markdown({name: card[name] for name in reversed(card)})


def test_every_figure_names_its_source_and_unit(card: Card) -> None:
    text = card_markdown(card)
    lines = text.split("## Figures")[1].split("##")[0].splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    assert len(table) >= 12
    for row in table:
        assert re.search(r"\((measured|predicted|counted)\b", row), row
    units = {"file": "B", "payload": "B", "latency": "ms", "peak memory": "KiB", "multiply": "MAC"}
    for begin, unit in units.items():
        assert all(f", {unit} " in row for row in table if row.startswith(f"| {begin}")), begin


def test_figures_are_those_of_the_card(card: Card) -> None:
    text = card_markdown(card)
    ours, base, file = card["metrics"], card["baseline"], card["artifact"]
    assert cells(text, "file, B (measured)")[1:] == [
        f"{base['model_bytes']:,}",
        f"{file['model_bytes']:,}",
    ]
    assert cells(text, "accuracy, validation (measured, network)")[1:] == [
        f"{100 * base['quality']:.2f} %",
        f"{100 * ours['quality']:.2f} %",
    ]
    assert cells(text, "accuracy, test (measured, file)")[1:] == ["87.50 % (2026-11-21)", "not looked at"]
    latency = cells(text, "latency, ms (predicted, coral-dev-board)")[2]
    assert latency.startswith(f"{ours['latency_ms']:,.2f} ({ours['latency_ms_low']:,.2f} to ")
    assert ours["latency_status"] in latency
    assert f"over {file['images']:,} validation images" in text
    assert f"{100 * file['agreement']:.2f} % of them" in text
    assert f"{base['model_bytes'] / file['model_bytes']:.1f} times smaller" in text
    for digest in (card["weights_digest"], *card["files"].values()):
        assert f"`{digest}`" in text


def test_every_step_has_its_row(card: Card) -> None:
    text = card_markdown(card)
    for row in card["waterfall"][1:]:
        found = cells(text, str(row["position"]))
        assert found[1:7] == [
            f"`{row['step']}`",
            row["stage"],
            f"{100 * row['quality']:.2f} %",
            f"{row['model_bytes']:,}",
            f"{row['payload_bytes']:,}",
            f"{row['packed_bytes']:,}",
        ]
        low, high = row["latency_ms_low"], row["latency_ms_high"]
        assert found[8] == f"{row['latency_ms']:,.2f} ({low:,.2f} to {high:,.2f})"
        assert found[-1] == f"{row['epochs']:.1f}"
    assert cells(text, "0")[1] == "baseline"


def test_predictions_name_device_set_up_unit_and_status(card: Card) -> None:
    table = card_markdown(card).split("## On devices")[1].split("##")[0]
    for row, name, divisor, unit in zip(
        card["predictions"], ("latency", "peak memory"), (1, 1024), ("ms", "KiB"), strict=True
    ):
        (line,) = [line for line in table.splitlines() if f"| {name} |" in line]
        assert line.startswith(f"| coral-dev-board | {row['setup'] or 'default'} |")
        low, high = row["low"] / divisor, row["high"] / divisor
        assert f"| {row['value'] / divisor:,.2f} ({low:,.2f} to {high:,.2f}) {unit} |" in line
        assert line.endswith(f"| {row['status']} |")


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([], "test split: not looked at"),
        ([LOOK], "test split: looked at once with this model: 87.50 % (2026-11-21) by `atoll search`"),
        (
            [LOOK, {**LOOK, "quality": 0.88, "command": "verify"}],
            "looked at 2 times with this model: 87.50 %",
        ),
    ],
)
def test_looks_at_the_test_split_are_counted_and_the_first_is_shown(
    card: Card, looks: list[dict[str, Any]], said: str
) -> None:
    text = card_markdown({**card, "test_looks": looks})
    assert said in text
    shown = "87.50 % (2026-11-21)" if looks else "not looked at"
    assert cells(text, "accuracy, test (measured, file)")[2] == shown


def opening(card: Card, drop: float, **more: Any) -> str:
    metrics = {**card["metrics"], "quality": card["baseline"]["quality"] - drop}
    return card_markdown({**card, "metrics": metrics, **more}).split("\n\n")[1]


@pytest.mark.parametrize(
    ("drop", "said"),
    [(0.0123, "1.23 points worse"), (-0.02, "2.00 points better"), (0.0, "neither better nor worse")],
)
def test_a_drop_is_said_in_points(card: Card, drop: float, said: str) -> None:
    assert f"{said} in accuracy" in opening(card, drop)


def test_a_model_that_lost_a_point_on_test_is_not_called_as_good(card: Card) -> None:
    looks = {"baseline_test_looks": [{**LOOK, "quality": 0.885}], "test_looks": [LOOK], "test_images": 1000}
    said = opening(card, 0.0, **looks)
    assert "neither" not in said and "0.00 points apart in accuracy on the validation split" in said
    # sqrt((0.885 x 0.115 + 0.875 x 0.125) / 1000) = 0.0145
    assert "On the test split it is 1.00 points worse (within the noise of both, 2.91 points" in said
    assert "neither" in opening(card, 0.0, baseline_test_looks=[LOOK], test_looks=[LOOK], test_images=1000)


def test_a_card_of_before_says_nothing_of_noise_on_test(card: Card) -> None:
    said = opening(card, 0.0, baseline_test_looks=[{**LOOK, "quality": 0.9}], test_looks=[LOOK])
    assert "On the test split it is 2.50 points worse. Trial" in said


def test_fates_and_layers_left_alone_are_told(card: Card) -> None:
    notes = {"fates": {"conv1": [["mask", "dropped"]]}, "left_alone": {"dense2": "too small"}}
    notes |= {"equalized": "2 pairs", "not_corrected": {"conv3": "it has no bias"}}
    base, first, second = card["waterfall"]
    rows = [base, {**first, "notes": notes}, {**second, "notes": {"left_alone": ["conv2"]}}]
    text = card_markdown({**card, "waterfall": rows})
    assert "- step 1, `conv1`: mask dropped" in text
    assert "- step 1 left `dense2` alone: too small" in text
    assert "- step 1 equalized 2 pairs\n" in text
    assert "- step 1 did not correct the mean of `conv3`: it has no bias" in text
    assert "- step 2 left alone: `conv2`" in text


@pytest.mark.parametrize("text", ["quantize(bits=8)", "prune_channels(ratio=0.5)"])
def test_the_snippet_gives_the_network_s_label(
    made: Made, pipeline: Pipeline, text: str, tmp_path: Path
) -> None:
    """As a reader would run it, beside the file, with an image of their own in place of the example."""
    card, content, network = made(text)
    (tmp_path / "model.tflite").write_bytes(content)
    image = pipeline.dataset.validation.images[:1]
    np.save(tmp_path / "image.npy", PIXELS.to_network(image).permute(0, 2, 3, 1).numpy())
    snippet = card_markdown(card).split("```python\n")[1].split("```")[0]
    assert len(snippet.splitlines()) == 5
    own, count = re.subn(r"np\.zeros\(.*?np\.float32\)", 'np.load("image.npy")', snippet)
    assert count == 1
    compile(snippet, "snippet", "exec")
    found = subprocess.run(
        [sys.executable, "-c", own], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == int(predict_logits(network, image).argmax())


def test_the_snippet_of_a_regression_gives_numbers_in_the_unit_of_its_targets(
    made: Made, pipeline: Pipeline, tmp_path: Path
) -> None:
    card, content, network = made("quantize(bits=8)")
    (tmp_path / "model.tflite").write_bytes(content)
    image = pipeline.dataset.validation.images[:1]
    np.save(tmp_path / "image.npy", PIXELS.to_network(image).permute(0, 2, 3, 1).numpy())
    snippet = card_markdown({**card, "numbers": True}).split("```python\n")[1].split("```")[0]
    own = re.sub(r"np\.zeros\(.*?np\.float32\)", 'np.load("image.npy")', snippet)
    own = own.replace("print(", 'np.save("found.npy", ')
    subprocess.run([sys.executable, "-c", own], cwd=tmp_path, check=True)
    found, expected = np.load(tmp_path / "found.npy"), predict_logits(network, image).numpy()
    np.testing.assert_allclose(found, expected, atol=0.05 * np.ptp(expected))


class Ends(nn.Module):
    """One input or two, and two outputs, of which the second is float in an int8 file."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(5 - number, 4) for number in range(inputs))
        self.kind, self.place = nn.Linear(4, 3), nn.Linear(4, 2)

    def forward(self, first: Tensor) -> dict[str, Tensor]:
        return self.ends(first)

    def ends(self, *given: Tensor) -> dict[str, Tensor]:
        x = torch.relu(sum(layer(one) for layer, one in zip(self.layers, given, strict=True)))
        return {"kind": self.kind(x), "place": torch.exp(self.place(x))}


class EndsOfTwo(Ends):
    def forward(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return self.ends(first, second)


@pytest.mark.parametrize(("kind", "shapes", "row"), [(Ends, ((5,),), [5]), (EndsOfTwo, ((5,), (4,)), [9])])
def test_the_snippet_gives_every_output_whatever_goes_in(
    card: Card, kind: type[Ends], shapes: Any, row: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        given, values = adopt(kind(len(shapes)), shapes).eval(), torch.randn(64, *row)
    (step,) = Recipe.parse("quantize(bits=8)")
    network, _ = step.apply(given, World(values, torch.arange(64) % 3, None, epochs=0))
    content = artifact_bytes(network, tuple(row))
    runner = LiteRtRunner(content)
    assert {one["dtype"] for one in runner.inputs} == {np.int8}
    assert [one["dtype"] for one in runner.outputs] == [np.int8, np.float32]
    (tmp_path / "model.tflite").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    inputs = file_inputs(content)
    told = {
        "input_shape": row,
        "artifact": {**card["artifact"], "largest_difference_lsb": None},
        "outputs": [asdict(one) for one in file_outputs(content, ("kind", "place"))],
        **({} if inputs is None else {"inputs": [asdict(one) for one in inputs]}),
    }
    found: list[np.ndarray] = []
    exec(card_markdown(card | told).split("```python\n")[1].split("```")[0], {"print": found.append})
    for ours, expected in zip(found, runner.run_heads(np.zeros(row)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_the_snippet_s_example_has_the_file_s_shape(card: Card) -> None:
    assert "np.zeros((1, 8, 8, 1), np.float32)" in card_markdown(card)


def test_the_card_of_a_regression_speaks_of_numbers_in_their_unit(card: Card) -> None:
    terms = {
        "quality_name": "mean_absolute_error",
        "quality_unit": "°C",
        "quality_higher_is_better": False,
        "probability_loyalty": None,
    }
    look = {**LOOK, "quality": 0.51234}
    text = card_markdown(
        card
        | {
            "metrics": {**card["metrics"], **terms, "quality": 0.375},
            "baseline": {**card["baseline"], **terms, "quality": 0.25},
            "input_shape": [24],
            "scaling": {"mean": [20.0], "std": [4.0]},
            "numbers": True,
            "test_looks": [look],
            "baseline_test_looks": [look],
        }
    )
    label = "mean_absolute_error, validation (measured, network)"
    assert cells(text, label)[1:] == ["0.25 °C", "0.375 °C"]
    assert "0.125 °C worse in mean_absolute_error on the validation split, measured." in text
    assert "On the test split it is 0 °C apart. " in text
    assert "noise" not in text
    assert re.search(r"validation samples, the file gave [0-9.]+ % of the network's numbers; the", text)
    assert cells(text, "the same numbers as the baseline (measured)")[1:]
    assert "values = np.zeros((1, 24), np.float32)  # yours: features, (value - 20) / 4" in text
    assert "argmax" not in text and "image" not in text.split("## Use")[1].split("##")[0]


@pytest.mark.parametrize(
    ("shape", "scaling", "said"),
    [
        ([1, 8, 8], None, "# yours: height x width x channels, pixel / 127.5 - 1"),
        ([3, 100], ([0.0], [32768.0]), "# yours: length x channels, (value - 0) / 32768"),
        (
            [3, 8, 8],
            ([1, 2, 3], [4, 5, 6]),
            "(pixel - mean) / std of every channel, mean 1, 2, 3, std 4",
        ),
        ([9], ([1] * 9, [2] * 9), "(value - mean) / std of every channel, as `scaling` in recipe.json says"),
    ],
)
def test_the_snippet_says_what_an_input_has_to_be(
    card: Card, shape: list[int], scaling: tuple[list[float], list[float]] | None, said: str
) -> None:
    changed = card | {"input_shape": shape}
    if scaling is not None:
        changed |= {"scaling": {"mean": list(map(float, scaling[0])), "std": list(map(float, scaling[1]))}}
    assert said in card_markdown(changed)


def test_other_forms_stand_beside_the_file_s_bytes_and_the_payload_s(card: Card) -> None:
    text = card_markdown(card)
    assert "## Other forms" not in text
    structure = f"{card['artifact']['structure_bytes']:,} bytes are structure"
    assert structure in text and "Dropped: names of tensors, metadata." in text
    compared = {"images": 100, "agreement": 0.99, "largest_difference": 0.0125, "runtime": "it 1.2"}
    forms = [
        {"form": "pack", "file": "model.tflite.packed", "bytes": 1234, "holds": "it", "figures": {}},
        {"form": "onnx", "file": "model.onnx", "bytes": 5678, "holds": "QDQ", "figures": compared},
    ]
    forms = [{**form, "beside": [], "versions": {}} for form in forms]
    lines = card_markdown({**card, "deliveries": forms}).splitlines()
    file, payload = card["artifact"]["model_bytes"], card["metrics"]["payload_bytes"]
    sizes = f"{file:,} | {{}} | {payload:,.0f}"
    assert (
        f"| `model.tflite.packed` | {sizes.format('1,234')} | it | holds the bytes of model.tflite |" in lines
    )
    (onnx,) = [line for line in lines if line.startswith("| `model.onnx`")]
    assert sizes.format("5,678") in onnx
    assert "99.00 % of 100 images, largest difference 0.0125, run by it 1.2" in onnx
    assert f"{PACKED_ALONE[1:]}." in text.split("## Step by step")[0]


def test_a_network_that_no_study_chose_is_said_to_be_none_s(card: Card) -> None:
    assert "of study" in card_markdown(card)
    text = card_markdown({**card, "study": "", "trial": "", "commands": []})
    assert "No study chose it, and nothing was trained." in text and "of study" not in text
    assert "made again" not in text


def test_what_a_program_for_litert_micro_needs_is_listed_beside_its_header(made: Made) -> None:
    card, content, _ = made("prune_channels(ratio=0.5) -> quantize(bits=8)")
    use = MicroUse.of(TfliteFile.parse(content))
    form = {"form": "c_array", "file": "model_data.h", "beside": ["micro_main.cc"], "bytes": 9, "holds": "it"}
    figures = {**use.to_json(), "classes": ["zero`", *map(str, range(1, 30))]}
    text = card_markdown({**card, "deliveries": [{**form, "figures": figures, "versions": {}}]})
    section = text.split("## In LiteRT Micro")[1].split("## Use")[0]
    assert f"tflite::MicroMutableOpResolver<{len(use.operators)}> resolver;\nresolver.Add" in section
    assert all(f"resolver.{method}();" in section for method in use.operators)
    scale, zero_point = use.inputs[0].scale, use.inputs[0].zero_point
    assert cells(section, "input 0")[2:] == ["int8", f"{scale:.6g}", f"{zero_point}"]
    assert "What goes in is pixel / 127.5 - 1." in section
    assert r"Classes in the order of the output: `zero\x60`, `1`, " in section
    assert "`19`, … (30, all in the header)." in section and "`20`" not in section
    assert "## In LiteRT Micro" not in card_markdown(card)
    assert cells(text, "LiteRT Micro (counted)")[1:] == ["runs", "runs"]
    arena = f"{card['metrics']['arena_bytes']:,}"
    assert cells(text, "tensor arena of LiteRT Micro, B (predicted)")[2] == arena
    size = f"{card['metrics']['model_bytes']:,}"
    assert cells(text, "flash, the model array alone, B (predicted)")[2] == size


def test_a_latency_that_nobody_knows_is_said_so(made: Made) -> None:
    card, *_ = made("prune_channels(ratio=0.5) -> quantize(bits=8)")
    unknown = dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high"))
    unknown["latency_status"] = "unknown: litert-micro was never timed"
    changed = {name: {**card[name], **unknown} for name in ("metrics", "baseline")}
    rows = [{**row, **unknown} for row in card["waterfall"]]
    text = card_markdown({**card, **changed, "waterfall": rows, "device": "litert-micro"})
    said = cells(text, "latency, ms (predicted, litert-micro)")
    assert said[1:] == ["unknown: litert-micro was never timed"] * 2
    assert text.split("## Step by step")[1].split("##")[0].count("| unknown |") == len(rows)
    picture = draw_waterfall(rows, QualityTerms.of(card["metrics"]), "litert-micro")
    assert b"latency" not in picture and b"memory" in picture


def test_an_estimate_without_an_interval_is_given_none(card: Card) -> None:
    known: Card = dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high"), 0.646)
    known["latency_status"] = "compiler estimate"
    one = {
        "device": "ethos-u55-128",
        "setup": "high-end",
        "quantity": "latency_ms",
        "status": "compiler estimate",
    }
    text = card_markdown(
        {
            **card,
            **{name: {**card[name], **known} for name in ("metrics", "baseline")},
            "predictions": [{**card["predictions"][0], **one, "value": 0.646, "low": 0.646, "high": 0.646}],
            "device": "ethos-u55-128",
        }
    )
    said = cells(text, "latency, ms (predicted, ethos-u55-128)")
    assert said[1:] == ["0.65 (compiler estimate)"] * 2
    assert "| latency | 0.65 ms | compiler estimate |" in text


def test_the_layers_that_lose_most_on_integers_are_named(made: Made, pipeline: Pipeline) -> None:
    card, _, network = made("quantize(bits=8)")
    assert "## Noise" not in card_markdown(card)  # as in older cards
    noise = noise_of(network, pipeline.dataset.validation.images)
    assert noise is not None
    text = card_markdown({**card, "noise": noise})
    section = text.split("## Noise of integers")[1].split("##")[0]
    ratios = {name: ratio for name, ratio in noise.items() if name != OUTPUTS}
    worst = sorted(ratios, key=ratios.__getitem__)[:WORST]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{name}` | {ratios[name]:.1f} |" for name in worst]
    assert f"of the network's outputs it is {noise[OUTPUTS]:.1f} dB" in section
    assert min(ratios.values()) > 20 and "layers=~" not in section
    low = card_markdown({**card, "noise": {"one": 31.0, "two": 12.04, "three": 12.5, OUTPUTS: 11.0}})
    assert "`layers=~two`" in low and low.index("| `two` | 12.0 |") < low.index("| `three` | 12.5 |")
    network = made("baseline")[2]
    assert noise_of(network, pipeline.dataset.validation.images) is None
