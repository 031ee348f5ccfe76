"""`atoll init` and `atoll check`: from weights and data to a study file, and what is wrong with one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.search.commands import init as init_module
from atoll.search.commands.cli import main
from PIL import Image
from torch import nn

#: tells the classes apart by how bright red and blue are: right only for pixels as ImageNet has them
NETS = """
import torch
from torch import nn

def build():
    print("building")
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()
    def forward(self, x):
        return self.net(x), self.net(x)

class Raises(nn.Module):
    def forward(self, x):
        raise ValueError("no such thing")

class Prints(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()
    def forward(self, x):
        print("running")
        return self.net(x)

def nan(outputs, targets):
    return float("nan")
"""
NAMES = ("amber", "bolt", "ñut")
#: brightness of all channels, by class; means of ImageNet are 124, 116, 104
LEVELS = (40, 120, 220)
STUDY = {
    "task": {
        "network": "nets.py:build",
        "weights": "parts.pt",
        "data": "parts",
        "input": {"size": "8x8", "normalize": "imagenet"},
    },
    "techniques": ["quantize"],
    "max_steps": 2,
    "min_steps": 1,
    "limits": {"ensembles": 2},
}


def weights() -> dict[str, torch.Tensor]:
    """Weights that choose class 0 for dark, 2 for bright pictures and 1 between, as ImageNet scales them."""
    with torch.random.fork_rng(devices=[]):
        network = nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    state = network.state_dict()
    state["0.weight"].zero_()
    state["0.weight"][0, :, 0, 0] = -1 / 3
    state["0.weight"][1, :, 0, 0] = 1 / 3
    state["0.bias"].zero_()
    state["4.weight"].zero_()
    state["4.weight"][0, 0] = state["4.weight"][2, 1] = 1.0
    state["4.bias"].copy_(torch.tensor([0.0, 0.8, 0.0]))
    return state


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the project, which is the current one; nobody sits at a terminal."""
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("nets.py").write_text(NETS)
    generator = np.random.default_rng(0)
    for label, name in enumerate(NAMES):
        Path("parts", name).mkdir(parents=True)
        for number in range(20):
            pixels = LEVELS[label] + generator.integers(-20, 20, (8, 8, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(f"parts/{name}/{number}.png")
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights().items()}, "epoch": 3}, "parts.pt")
    write(STUDY)
    return folder


def write(study: Any, name: str = "parts.yaml") -> None:
    """Write a study file; JSON is YAML."""
    Path(name).write_text(json.dumps(study))


def changed(**task: Any) -> None:
    """Write the study with some of its task replaced."""
    write({**STUDY, "task": {**STUDY["task"], **task}})  # type: ignore[dict-item]


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def atoll(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


# check -----------------------------------------------------------------------------------------------


def test_a_check_says_what_a_search_would_be(project: Path, atoll: Run) -> None:
    status, out, err = atoll("check", "parts.yaml", "--format", "json")
    assert status == 0 and "building" in err
    found = json.loads(out)
    assert found["input_shape"] == [3, 8, 8] and found["classes"] == 3 and found["images"] == 60
    assert found["judged"]["quality"] == 1.0 and found["judged"]["best_scaling"] is None
    # by hand: 12 + 4 weights and biases of the convolution, 12 + 3 of the dense layer, 4 bytes each
    layers = {layer["layer"]: layer for layer in found["layers"]}
    assert layers["0"]["weight_bytes"] == 64 and layers["4"]["weight_bytes"] == 60
    assert layers["0"]["macs"] == 64 * 12 and layers["4"]["macs"] == 12
    assert sum(layer["bytes_share"] for layer in found["layers"]) == pytest.approx(1)
    assert sum(layer["latency_share"] for layer in found["layers"]) == pytest.approx(1, abs=1e-3)
    (quantize,) = found["reach"]
    assert quantize["weights_share"] == 1.0 and quantize["left_alone"] == {}
    assert found["pace"]["batch_size"] == 42 and found["pace"]["timed"] == 20
    assert found["costs"]["epoch_s"] == found["pace"]["step_s"]  # 42 images are a batch
    assert found["legal_recipes"] > 0 and found["problems"] == []
    with Image.open(found["contact_sheet"]["file"]) as sheet:
        assert sheet.format == "PNG" and sheet.width > 64 and sheet.height > 8 * 64
    # the first of every class, then the second
    assert found["contact_sheet"]["rows"] == [NAMES[row % 3] for row in range(8)]


def test_what_a_chip_does_not_take_is_said(project: Path, atoll: Run) -> None:
    write({**STUDY, "device": "coral-edge-tpu"})
    _, out, _ = atoll("check", "parts.yaml", "--format", "json")
    found = json.loads(out)
    assert found["gaps"] == [
        "3 operations from 0 on run on the CPU: float activations: the Edge TPU runs 8-bit integers alone"
    ]
    # convolution with its ReLU, mean and dense layer are all on Coral's list
    assert found["eight_bits"]["edge_tpu"]["mappable"] == 1.0
    assert found["eight_bits"]["price"]["model_bytes"] < found["price"]["model_bytes"] + 4096


def test_tables_fit_eighty_columns(project: Path, atoll: Run) -> None:
    write({**STUDY, "techniques": ["quantize", "svd", "tucker", "distill", "ternarize"]})
    status, out, err = atoll("check", "parts.yaml", "-o", "sheet.png")
    assert status == 0 and Path("sheet.png").exists()
    assert max(map(len, out.splitlines())) <= 80
    assert "svd reaches 0.0% of the weights" in err and "leave it out of `techniques`" in err
    assert "0: the network's first layer" in " ".join(out.split())
    # an estimate from epochs alone is one of training
    assert re.search(r"an ensemble +about .* of training on average", out)
    assert re.search(r"finalists +about .* on top of the limit: 5 recipes", out)
    assert re.search(r"the search +at least ", out)


def test_scaling_is_named_first(project: Path, atoll: Run) -> None:
    changed(input={"size": "8x8", "normalize": "unit"}, expected_quality=1.0)
    status, out, _ = atoll("check", "parts.yaml", "--format", "json")
    assert status == 0
    first = json.loads(out)["problems"][0]
    assert "100.0% with pixels scaled as `imagenet`" in first and "normalize: imagenet" in first


def test_a_quality_that_is_off_for_another_reason_is_said(project: Path, atoll: Run) -> None:
    state = weights()
    state["4.weight"] = state["4.weight"].roll(1, 0)
    state["4.bias"] = state["4.bias"].roll(1, 0)
    torch.save(state, "parts.pt")
    changed(expected_quality=0.99)
    _, out, _ = atoll("check", "parts.yaml", "--format", "json")
    first = json.loads(out)["problems"][0]
    assert "expected_quality is 99.0%" in first and "scaling of pixels first" in first
    assert "order of the classes" in first


def test_of_large_data_a_sample_is_decoded(project: Path, atoll: Run) -> None:
    _, out, _ = atoll("check", "parts.yaml", "--images", "30", "--format", "json")
    found = json.loads(out)
    assert found["images"] == 60 and sum(found["looked_at"].values()) == 30
    # 21 train of the sample's 30, so 42 of all
    assert found["costs"]["epoch_s"] == pytest.approx(2 * found["pace"]["step_s"])


def test_limits_that_cannot_be_kept_are_said(project: Path, atoll: Run) -> None:
    write({**STUDY, "limits": {"time_minutes": 1e-6}})
    _, out, _ = atoll("check", "parts.yaml", "--format", "json")
    (problem,) = json.loads(out)["problems"]
    assert "the time limit is" in problem and "the baseline alone takes" in problem
    write({**STUDY, "limits": {}})
    _, out, _ = atoll("check", "parts.yaml", "--format", "json")
    (problem,) = json.loads(out)["problems"]
    assert problem.startswith("nothing ends the search")


def test_uneven_classes_and_two_labels_are_said(project: Path, atoll: Run) -> None:
    for number in range(3, 20):
        Path(f"parts/bolt/{number}.png").unlink()
    Path("parts/bolt/same.png").write_bytes(Path("parts/amber/0.png").read_bytes())
    Path("parts/amber/broken.png").write_bytes(b"no picture")
    changed(skip_bad=True)
    _, out, _ = atoll("check", "parts.yaml", "--format", "json")
    said = "\n".join(json.loads(out)["problems"])
    assert "`balance: weights`" in said and "two labels: keep the right one" in said
    assert "broken.png" in said


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"network": "nets.py:Pair"}, "2 outputs"),
        ({"network": "nets.py:Raises", "weights": None}, "no such thing"),
        ({"network": "nets.py:biuld"}, "nets.py has no biuld; it has"),
        ({"network": "compact_cnn"}, "parts.pt does not fit the network"),
        ({"weights": "none.pt"}, "there is no such file"),
        ({"weights": "nets.py"}, "weights"),
        ({"data": "none"}, "none is not there"),
        ({"classes": ["amber", "bolt"]}, "ñut"),
        ({"classes": 4}, "has 3 classes"),
        ({"input": {"size": "8x8", "channels": 1}}, "channels"),
        ({"quality": {"function": "nets.py:nan", "higher_is_better": True}}, "nan"),
        ({"wieghts": "parts.pt"}, "did you mean"),
    ],
)
def test_bad_input_is_one_sentence(task: Any, told: str, project: Path, atoll: Run) -> None:
    changed(**task)
    status, out, err = atoll("check", "parts.yaml")
    last = err.splitlines()[-1]
    assert (status, out) == (2, ""), err
    assert "parts.yaml, line 1" in last and told in last.replace("n\u0303", "ñ"), last
    assert "internal error" not in err and "Traceback" not in err


def test_what_the_network_prints_is_no_result(project: Path, atoll: Run) -> None:
    torch.save({f"net.{name}": tensor for name, tensor in weights().items()}, "parts.pt")
    changed(network="nets.py:Prints")
    status, out, _ = atoll("check", "parts.yaml", "--format", "json")
    assert status == 0 and json.loads(out)["judged"]["quality"] == 1.0


def test_an_error_is_said_in_its_unit_and_a_network_of_numbers_as_one(project: Path, atoll: Run) -> None:
    values = np.random.default_rng(0).normal(size=(60, 12)).astype(np.float32)
    np.savez("values.npz", x=values, y=values + 1)
    Path("line.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    layer = nn.Linear(12, 12)\n"
        "    nn.init.eye_(layer.weight); nn.init.constant_(layer.bias, 0.5)\n"
        "    return nn.Sequential(layer)\n"
    )
    changed(
        network="line.py:build", weights=None, data="values.npz", input={"normalize": "none"},
        quality={"name": "mean_absolute_error", "unit": "dB"},
    )  # fmt: skip
    status, out, err = atoll("check", "parts.yaml")
    assert status == 0, err
    assert "line.py:build: 12 in, numbers out" in out and " 0.5 dB on 9 validation images" in out
    assert "quality_drop <= 0.02, the usual one, is of shares; mean_absolute_error is 0.5 dB" in err


def test_a_task_of_python_is_looked_at_too(project: Path, atoll: Run) -> None:
    Path("own.py").write_text(
        "from atoll import Task\n"
        "TASK = Task(network='nets.py:build', weights='parts.pt', data='parts',\n"
        "            input={'size': '8x8', 'normalize': 'imagenet'}, expected_quality=0.5)\n"
    )
    write({**STUDY, "task": "own.py:TASK"})
    status, out, _ = atoll("check", "parts.yaml", "--images", "30", "--format", "json")
    found = json.loads(out)
    assert status == 0 and found["images"] == 60 and "expected_quality is 50.0%" in found["problems"][0]


def test_an_unreadable_picture_is_named(project: Path, atoll: Run) -> None:
    Path("parts/amber/broken.png").write_bytes(b"no picture")
    status, _, err = atoll("check", "parts.yaml")
    assert status == 2 and "parts/amber/broken.png" in err.splitlines()[-1] and "skip_bad: true" in err


def test_labels_out_of_range_are_named(project: Path, atoll: Run) -> None:
    np.savez("data.npz", x=np.zeros((40, 3, 8, 8), np.uint8), y=np.arange(40) % 4 - 1)
    changed(data="data.npz")
    status, _, err = atoll("check", "parts.yaml")
    assert status == 2 and "has the label -1" in err.splitlines()[-1]


def test_what_the_page_says_works_as_pasted(project: Path, atoll: Run) -> None:
    page = (Path(__file__).parents[3] / "docs/first_steps.md").read_text()
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 4
    Path("parts.yaml").unlink()
    for line in lines:
        words = line.split()
        assert words[0] == "atoll" and atoll(*words[1:])[0] == 0, line


# init ------------------------------------------------------------------------------------------------


def test_what_init_writes_is_checked_as_it_is(project: Path, atoll: Run) -> None:
    words = ("--network", "nets.py:build", "--weights", "parts.pt", "--data", "parts")
    status, out, err = atoll("init", *words, "--normalize", "imagenet", "-o", "new.yaml", "--name", "first")
    assert status == 0 and "atoll check new.yaml" in out and "60 items, 3 classes; sizes 8x8" in err
    text = Path("new.yaml").read_text()
    assert "the first layer takes 3 channels; the last, module.4, gives 3" in text
    assert "# 3 classes: amber 20, bolt 20, ñut 20" in text.replace("n\u0303", "ñ")
    status, out, err = atoll("check", "new.yaml", "--format", "json")
    assert status == 0 and json.loads(out)["judged"]["quality"] == 1.0


def test_paths_are_relative_to_the_file(project: Path, atoll: Run) -> None:
    Path("studies").mkdir()
    words = ("--network", "nets.py:build", "--weights", str(project / "parts.pt"), "--data", "parts")
    assert atoll("init", *words, "-o", "studies/new.yaml")[0] == 0
    text = Path("studies/new.yaml").read_text()
    for line in ("network: ../nets.py:build", "weights: ../parts.pt", "data: ../parts"):
        assert line in text
    named = ("--network", "transformers:vit/config.json", "--data", "parts")
    assert atoll("init", *named, "-o", "studies/vit.yaml")[0] == 0
    assert "network: transformers:../vit/config.json" in Path("studies/vit.yaml").read_text()


def test_init_overwrites_nothing_unasked(project: Path, atoll: Run) -> None:
    before = Path("parts.yaml").read_text()
    words = ("--network", "nets.py:build", "--data", "parts", "-o", "parts.yaml")
    status, _, err = atoll("init", *words)
    assert status == 2 and "--force" in err and Path("parts.yaml").read_text() == before
    assert atoll("init", *words, "--force")[0] == 0 and Path("parts.yaml").read_text() != before


@pytest.mark.parametrize("missing", ["--network", "--data"])
def test_where_nobody_can_be_asked_the_missing_flag_is_named(missing: str, project: Path, atoll: Run) -> None:
    words = {"--network": "nets.py:build", "--data": "parts"}
    del words[missing]
    status, _, err = atoll("init", *(word for pair in words.items() for word in pair))
    assert status == 2 and f"init: {missing} is missing" in err and not Path("study.yaml").exists()


def test_data_of_a_function_are_not_run(project: Path, atoll: Run) -> None:
    Path("data.py").write_text("raise SystemExit('it was run')")
    status, _, err = atoll("init", "--network", "nets.py:build", "--data", "data.py:load")
    assert status == 2 and "data.py:load is a function, which `atoll init` does not run" in err
    assert not Path("study.yaml").exists()


def test_uneven_sizes_need_one(project: Path, atoll: Run) -> None:
    Image.new("RGB", (9, 12)).save("parts/bolt/other.png")
    words = ("init", "--network", "nets.py:build", "--data", "parts")
    status, _, err = atoll(*words)
    assert status == 2 and "--input is missing" in err and "8x8, 12x9" in err
    assert atoll(*words, "--input", "8x8")[0] == 0 and "size: 8x8" in Path("study.yaml").read_text()


def test_a_terminal_is_asked(project: Path, atoll: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["nets.py:build", "parts.pt", "parts", "imagenet"])
    asked: list[str] = []

    def prompt(text: str, **_: Any) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr(init_module.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(init_module.typer, "prompt", prompt)
    assert atoll("init")[0] == 0 and len(asked) == 4
    text = Path("study.yaml").read_text()
    for line in (
        "  network: nets.py:build\n",
        "  weights: parts.pt\n",
        "  data: parts\n",
        "normalize: imagenet\n",
    ):
        assert line in text


def test_other_classes_get_a_new_head(project: Path, atoll: Run) -> None:
    Path("parts/cog").mkdir()
    for number in range(20):
        Image.new("RGB", (8, 8), (number, 250, 0)).save(f"parts/cog/{number}.png")
    assert atoll("init", "--network", "nets.py:build", "--weights", "parts.pt", "--data", "parts")[0] == 0
    text = Path("study.yaml").read_text()
    assert "the weights tell 3 classes apart, the data have 4" in text and "\n  head: new\n" in text


def test_numbers_and_rare_classes(project: Path, atoll: Run) -> None:
    generator = np.random.default_rng(0)
    np.savez("floats.npz", x=generator.random((40, 2, 16), np.float32), y=generator.random(40, np.float32))
    assert atoll("init", "--network", "nets.py:build", "--data", "floats.npz")[0] == 0
    text = Path("study.yaml").read_text()
    assert "quality: mean_absolute_error" in text and "size: 2" not in text and "input:\n" not in text
    np.savez("ints.npz", x=np.zeros((40, 3, 8, 8), np.uint8), y=np.arange(40) // 35)
    assert atoll("init", "--network", "nets.py:build", "--data", "ints.npz", "--force")[0] == 0
    text = Path("study.yaml").read_text()
    assert "# 2 classes: 0 35, 1 5" in text and "balance: weights" in text
