"""A network without a study: the folder of a trial's export, with no quality that nobody measured."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from atoll import AtollError, export_network, verify
from atoll.evaluators.card.bundle import load_bundle
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.search.commands.cli import main
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.norm import Norm
from atoll.spaces.networks import build_network
from PIL import Image
from safetensors.torch import save_file
from torch import nn

SHAPE = (3, 16, 16)
OWN = """
import torch
from torch import nn

def build():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(32, {outputs}),
    )
"""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with networks of one's own, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "nets.py").write_text(OWN.format(outputs=5))
    (tmp_path / "numbers.py").write_text(OWN.format(outputs=1))
    return tmp_path


def pictures(folder: Path, count: int) -> list[np.ndarray]:
    """Writes pictures of the network's own size and returns them, (H, W, C)."""
    folder.mkdir(parents=True)
    made = list(np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))
    for number, pixels in enumerate(made):
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return made


def answers(content: bytes, inputs: list[np.ndarray]) -> list[int]:
    """Labels that LiteRT itself gives for images (H, W, C), scaled."""
    model = Interpreter(model_content=content)
    model.allocate_tensors()
    given, taken = model.get_input_details()[0], model.get_output_details()[0]
    found = []
    for one in inputs:
        scale, zero = given["quantization"]
        fed = (
            np.round(one / scale + zero).clip(-128, 127).astype(np.int8) if scale else one.astype(np.float32)
        )
        model.set_tensor(given["index"], fed[None])
        model.invoke()
        found.append(int(model.get_tensor(taken["index"]).argmax()))
    return found


def test_a_network_of_the_zoo_with_its_weights_is_written_as_it_is(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    network = build_network("compact_cnn", 4, SHAPE).eval()
    save_file(network.state_dict(), own / "w.safetensors")
    options = [
        "--network",
        "compact_cnn",
        "--weights",
        "w.safetensors",
        "--input",
        "16x16x3",
        "--classes",
        "4",
    ]
    assert main(["export", *options]) == 0
    folder = own / "exports" / "compact_cnn"
    content = (folder / "model.tflite").read_bytes()
    assert content == artifact_bytes(adopt(network, SHAPE).eval(), SHAPE)
    found = verify(folder)
    assert found.passed and any(
        row.figure == "artifact.agreement" and row.verdict == "same" for row in found.rows
    )
    card = json.loads((folder / "card.json").read_text())
    assert (card["study"], card["trial"], card["recipe"], card["network"]) == (
        "",
        "",
        "baseline",
        "compact_cnn",
    )
    assert card["metrics"]["quality_name"] == "same_answer" and not card["test_looks"]
    assert card["remarks"] == [
        "no data were given: inputs are noise, and the quality is how near answers are to those of the given "
        "network, not how right they are"
    ]
    text = (folder / "MODEL_CARD.md").read_text()
    assert "No study chose it, and nothing was trained." in text and "accuracy" not in text
    assert f"atoll export {' '.join(options)}" in text
    assert "no data were given" in capsys.readouterr().err


def test_eight_bits_by_pictures_without_labels(own: Path) -> None:
    """The quality is how many answers LiteRT has in common with the given network, on pictures held back."""
    made = pictures(own / "pictures", 41)
    told: dict[str, Any] = {"data": "pictures", "input": {"normalize": "unit"}, "shape": SHAPE}
    given = export_network("nets.py:build", "float", **told).card
    exported = export_network("nets.py:build", recipe="quantize(bits=8)", also=["pack"], **told)
    assert exported.folder == Path("exports/build") and exported.compression_ratio > 1
    card = exported.card
    held = [pixels / 255 for pixels in made[1:-1:2]]
    wanted = answers((own / "float" / "model.tflite").read_bytes(), held)
    got = answers(exported.artifact.read_bytes(), held)
    assert card["artifact"]["images"] == len(held) == 20
    assert card["artifact"]["quality"] == pytest.approx(np.mean(np.equal(got, wanted)))
    assert given["artifact"]["quality"] == card["baseline"]["quality"] == 1.0
    assert card["remarks"][0].startswith("no labels were given, and the quality is how near answers are")
    assert "nothing was trained: steps measured on 20 inputs" in card["remarks"]
    assert verify(exported.folder).passed
    for name, digest in card["files"].items():
        assert hashlib.sha256((exported.folder / name).read_bytes()).hexdigest() == digest
    (exported.folder / "mine.txt").write_text("kept")
    with pytest.raises(AtollError, match=r"'mine\.txt', which is of no export"):
        export_network("nets.py:build", **told)


def test_labels_where_there_are_some_are_what_judges(own: Path) -> None:
    for label in range(5):
        pictures(own / "data" / f"class{label}", 4)
    card = export_network("nets.py:build", "out", data="data", input={"normalize": "half"}).card
    assert card["metrics"]["quality_name"] == "accuracy" and card["artifact"]["images"] == 5
    assert card["remarks"] == [
        "no weights were given: they are those that the network's code made, or chance"
    ]


def test_numbers_are_compared_as_numbers(own: Path) -> None:
    card = export_network("numbers.py:build", "out", shape=SHAPE, input={"normalize": "none"}).card
    assert card["numbers"] and card["metrics"]["quality_name"] == "mean_absolute_error"
    assert card["artifact"]["quality"] == pytest.approx(0, abs=1e-5)


def test_a_program_of_torch_export_is_read(own: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()
    dynamic = ({0: torch.export.Dim("n")},)
    program = torch.export.export(network, (torch.zeros(2, 3, 4, 4),), dynamic_shapes=dynamic)
    torch.export.save(program, own / "mine.pt2")
    exported = export_network("mine.pt2", shape=(3, 4, 4), input={"normalize": "none"})
    assert exported.folder == Path("exports/mine")
    images = list(np.random.default_rng(0).uniform(-1, 1, (9, 4, 4, 3)).astype(np.float32))
    expected = network(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)).argmax(1).tolist()
    assert answers(exported.artifact.read_bytes(), images) == expected


def test_few_pictures_leave_the_statistics_of_the_training(own: Path) -> None:
    pictures(own / "pictures", 4)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 5)]
    network = nn.Sequential(*layers).eval()
    known = torch.rand(8, generator=torch.Generator().manual_seed(0)) + 0.5
    network[1].load_state_dict(network[1].state_dict() | {"running_mean": known})
    words: dict[str, Any] = {"shape": SHAPE, "input": {"normalize": "unit"}, "data": "pictures"}
    exported = export_network(network, recipe="quantize(bits=8, method=ptq)", **words)
    assert (
        "nothing was trained: steps measured on 2 inputs, and normalisations kept their statistics, which "
        "fewer than 100 would make worse"
    ) in exported.card["remarks"]
    written, _ = load_bundle(exported.folder)
    (norm,) = (part for part in written.modules() if isinstance(part, Norm))
    assert torch.equal(norm.running_mean, known)


ZOO = ["--network", "compact_cnn", "--input", "16x16x3", "--classes", "4"]
MINE = ["--network", "nets.py:build", "--input", "16x16x3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--network", "compact_cn", *ZOO[2:]], "unknown network 'compact_cn'; allowed is file.py:NAME"),
        (["--network", "compact_cnn"], "got no data, needed is then the shape of an input: --input HEIGHTx"),
        (
            ["--network", "compact_cnn", "--input", "16x16"],
            "got compact_cnn without a number of classes, needed",
        ),
        ([*ZOO[:3], "16x0x3"], "--input: got '16x0x3', allowed is HEIGHTxWIDTHxCHANNELS"),
        (
            ["quantize(bits=8)", *ZOO],
            "quantize(bits=8): quantize measures on inputs, and there are none; allowed",
        ),
        (
            ["distill", *ZOO],
            "distill trains, and the export of a network trains nothing; allowed are",
        ),
        (["t0001", *ZOO], "unknown technique 't0001'"),
        (MINE, "nothing says what pixels are scaled by before this network sees them"),
        ([*MINE, "--normalize", "uint"], "input.normalize: unknown 'uint'"),
        ([*MINE, "--normalize", "unit", "--weights", "nets.py"], "nets.py: got another kind of file"),
        ([*MINE, "--normalize", "unit", "--weights", "none.pt"], "none.pt: there is no such file"),
        (
            [*MINE, "--normalize", "unit", "--data", "few"],
            "few holds 3 pictures, allowed are 4 or more",
        ),
        ([*MINE, "--normalize", "unit", "--data", "bad"], "bad/000.png is no picture in a format that"),
        ([*MINE, "--also", "vela"], "--also vela: "),
        ([*MINE, "--device", "toaster"], "toaster"),
        ([*MINE, "--study", "s"], "got --network with --study or --profile, allowed is one of them"),
        (["--weights", "w.pt", "--data", "d"], "got --weights, --data without --network, whose they are"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    words: list[str], said: str, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures(own / "few", 3)
    pictures(own / "bad", 5)
    (own / "bad" / "000.png").write_bytes(b"no picture")
    assert main(["export", *words]) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and printed.count("\n") == 0 and "Traceback" not in printed
    assert not (own / "exports").exists()
