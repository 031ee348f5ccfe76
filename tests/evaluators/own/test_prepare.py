"""From a user's task to a prepared one: what it keeps, what it is keyed by, and what it refuses."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.measuring.artifact import artifact_bytes, verify_artifact
from atoll.evaluators.own.mistake import TaskMistake
from atoll.evaluators.own.prepare import prepare
from atoll.evaluators.own.task import Task
from atoll.evaluators.prepared_quota import evict
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.given_network import adopted_network
from atoll.evaluators.tasks.prepared import data_folder, prepared_task
from atoll.evaluators.tasks.trusted import is_trusted
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.scaling import IMAGENET, Scaling
from torch import nn
from torch.utils.data import TensorDataset

NETS = """
from torch import nn

def build(width=4):
    print("building")
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16 * width, 10),
    )

def nothing():
    return 3

def scripted():
    import torch
    return torch.jit.script(build())

def fails():
    raise ValueError("no such width")

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = build()
    def forward(self, x):
        y = self.net(x)
        return {"logits": y, "twice": 2 * y}

class Alike(Two):
    def forward(self, x):
        y = self.net(x)
        return {"a": {"b": y}, "a.b": 2 * y}
"""
METRICS = """
import torch
from helper import share

def recall(outputs, targets):
    return share(outputs.argmax(1) == targets)

def nan(outputs, targets):
    return float("nan")

def words(outputs, targets):
    return "good"

def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets)

def per_sample(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

def constant(outputs, targets):
    return torch.zeros(())
"""


def network(width: int = 4) -> nn.Sequential:
    """The network of NETS, with its own fixed weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(16 * width, 10),
        )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the project; a cache folder of its own lies beside it."""
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS)
    (folder / "metrics.py").write_text(METRICS)
    (folder / "helper.py").write_text("def share(hits):\n    return hits.float().mean()\n")
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 40), ("val", 20), ("test", 10)):
        arrays[f"x_{split}"] = generator.integers(0, 256, (count, 1, 8, 8), np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(folder / "data.npz", **arrays)
    torch.save(network().state_dict(), folder / "weights.pt")
    return folder


def series() -> dict[str, Any]:
    """Inputs without a place: 640 numbers each, of two classes."""
    return {"x": np.random.default_rng(1).random((12, 640), np.float32), "y": np.arange(12) % 2}


#: a user's function with its direction
RECALL = {"function": "metrics.py:recall", "higher_is_better": True}


def judged(function: str, **words: Any) -> dict[str, Any]:
    """A quality by a function of METRICS."""
    return {"quality": {**RECALL, "function": f"metrics.py:{function}", **words}}


PLAIN: dict[str, Any] = {
    "network": "nets.py:build",
    "weights": "weights.pt",
    "data": "data.npz",
    "input": {"mean": 0.5, "std": 0.25},
}


def prepared(project: Path, **values: Any) -> Any:
    given = {key: value for key, value in {**PLAIN, **values}.items() if value is not None}
    return prepare(given, project, "parts", lambda _: None)


def anew(name: str) -> Any:
    """The task as another process reads it."""
    prepared_task.cache_clear()
    return load_task(name)


def test_workers_have_the_network_without_its_code(project: Path) -> None:
    task = prepared(project)
    shutil.rmtree(project)
    found = anew(task.name)
    images = found.dataset().validation.images
    expected = network().eval()(Scaling.pixels([0.5], [0.25]).to_network(images))
    assert torch.allclose(predict_logits(adopted_network(found), images), expected, atol=1e-5)
    assert found.name.startswith("parts@") and found.num_classes == 10 and found.input_shape == (1, 8, 8)
    assert found.code is None and found.code_files == (), "only quality and loss need code"
    assert "nets" not in sys.modules


def test_a_python_task_is_the_same_one(project: Path) -> None:
    arrays = np.load(project / "data.npz")
    sets = {
        split: TensorDataset(torch.from_numpy(arrays[f"x_{key}"]), torch.from_numpy(arrays[f"y_{key}"]))
        for split, key in (("train", "train"), ("validation", "val"), ("test", "test"))
    }
    task = Task(network=network(), input={"mean": 0.5, "std": 0.25}, **sets)  # type: ignore[arg-type]
    found = prepare(task, project, "parts", lambda _: None)
    other = prepared(project)
    assert found.name == other.name, "one network, one set of weights, one set of data"
    written = project / "mine.py"
    written.write_text(
        "from atoll import Task\nimport nets, numpy\nTASK = Task(network='nets.py:build', data='data.npz', "
        "weights='weights.pt', input={'mean': 0.5, 'std': 0.25})\n"
    )
    assert prepare("mine.py:TASK", project, "parts", lambda _: None).name == found.name


@pytest.mark.parametrize(
    ("values", "same"),
    [
        ({"name": "other"}, True),
        ({"arguments": {"width": 4}}, True),
        ({"expected_quality": 0.9}, True),
        ({"learning_rate": 0.01}, False),
        ({"augment": ["mirror"]}, False),
        ({"input": {"mean": 0.5, "std": 0.5}}, False),
        ({"quality": RECALL}, False),
        ({"loss": "metrics.py:loss"}, False),
        ({"weights": None}, False),
    ],
)
def test_what_decides_a_result_decides_the_name(values: dict[str, Any], same: bool, project: Path) -> None:
    digests = [prepared(project, **one).name.partition("@")[2] for one in ({}, values)]
    assert (digests[0] == digests[1]) is same


def test_another_metric_under_the_same_name_is_another_task(project: Path) -> None:
    before = prepared(project, quality=RECALL).name
    (project / "helper.py").write_text("def share(hits):\n    return 1 - hits.float().mean()\n")
    assert prepared(project, quality=RECALL).name != before
    (project / "nets.py").write_text((project / "nets.py").read_text() + "\n# a remark\n")
    assert prepared(project).name == prepared(project).name
    prepared(project)


def test_the_source_of_the_network_is_no_part_of_it(project: Path) -> None:
    before = prepared(project).name
    (project / "nets.py").write_text("# moved\n" + (project / "nets.py").read_text().replace("width", "wide"))
    assert prepared(project).name == before


def test_own_functions_judge_and_train_from_their_copies(project: Path) -> None:
    task = prepared(project, quality=RECALL, loss="metrics.py:loss")
    assert task.code is not None and is_trusted(task.code) and task.code_files == ("helper.py", "metrics.py")
    shutil.rmtree(project)
    found = anew(task.name)
    split = found.dataset().validation
    outputs = torch.eye(10)[split.labels]
    outputs[0] = outputs[0].roll(1)
    assert found.quality_name == "recall"
    assert found.judged_by.measure(outputs, split.labels) == pytest.approx(0.95)


def test_code_that_this_machine_never_ran_is_not_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = prepared(project, quality=RECALL)
    (project.parent / "cache" / "trusted").unlink()
    found = anew(task.name)
    split = found.dataset().validation
    for run in (lambda: found.judged_by.measure(torch.eye(10)[split.labels], split.labels), found.check_data):
        with pytest.raises(AtollError, match=r"needs helper.py, metrics.py: --trust runs it"):
            run()


def test_a_search_begins_with_the_data_that_were_decoded(project: Path) -> None:
    task = prepared(project)
    assert task.check_data is not None
    task.check_data()
    path = data_folder(task.name) / "train.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(AtollError, match=r"are not what was decoded; delete .* decoded again"):
        task.check_data()


def test_functions_of_a_script_travel_by_value(project: Path) -> None:
    factor = 0.5

    def half(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return factor * (outputs.argmax(1) == targets).float().mean()

    task = prepared(
        project,
        quality={"function": half, "higher_is_better": True},
        loss=lambda outputs, targets: outputs.square().mean(),
    )
    split = task.dataset().validation
    found = anew(task.name)
    assert found.judged_by.measure(torch.eye(10)[split.labels], split.labels) == 0.5
    assert found.code_files == ("functions.pickle",)
    (project.parent / "cache" / "trusted").unlink()
    from atoll.evaluators.tasks.own_functions import _loaded

    _loaded.cache_clear()
    with pytest.raises(AtollError, match=r"needs functions.pickle: --trust runs it"):
        anew(task.name).judged_by.measure(torch.eye(10)[split.labels], split.labels)


def test_scaling_is_stated_or_measured_and_said(project: Path) -> None:
    said: list[str] = []
    found = prepare({**PLAIN, "input": {}}, project, "parts", said.append)
    train = found.dataset().train.images.double()
    assert found.scaling.mean == pytest.approx((float(train.mean()),), rel=1e-3)
    assert found.scaling.std == pytest.approx((float(train.std()),), rel=1e-2)
    assert any("were measured on the training data" in line for line in said)
    stated = prepared(project, input={"normalize": "half"})
    assert stated.scaling == Scaling((127.5,), (127.5,))
    with pytest.raises(TaskMistake, match=r"got 3 means, allowed is one, or 1, one a channel"):
        prepared(project, input={"normalize": "imagenet"})
    assert IMAGENET.channels == 3


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("values", "where", "message"),
    [
        ({"network": "nets.py:nothing"}, ("network",), "nets.py:nothing gave a int, allowed is a torch"),
        ({"network": "nets.py:fails"}, ("network",), r"fails raised ValueError \(nets.py, line 19\): no"),
        ({"network": "nets.py:scripted"}, ("network",), "scripted is a program of TorchScript, allowed is"),
        ({"network": "nets.py:Two", "weights": None}, ("network",), "the network has 2 outputs"),
        ({"network": "nets.py:Alike", "weights": None}, ("network",), "has 2 outputs of the names a.b"),
        (
            {"network": "nets.py:Two", "weights": None, "output": 1, **judged("recall", of_classes=[1])},
            ("quality", "of_classes"), r"of_classes is \[1\] where one output is judged",
        ),
        (judged("recall", of_classes=["x"]), ("quality", "of_classes"), r"of_classes is \['x'\] where one"),
        ({"network": "mobilenet_v9"}, ("network",), "unknown network 'mobilenet_v9'; allowed is file"),
        ({"network": "timm:resnet18"}, ("network",), "timm is not installed here|timm:resnet18 raised"),
        ({"network": "nets.pt2"}, ("network",), r"there is no file .*nets.pt2"),
        (
            {"arguments": {"widht": 3}}, ("arguments", "widht"),
            "nets.py:build: unknown argument 'widht'; did you mean 'width'",
        ),
        (
            {"network": "nets.py:nothing", "arguments": {"x": 3}}, ("arguments", "x"),
            "nothing: unknown argument 'x'; it takes none",
        ),
        ({"network": "resnet8", "arguments": {"width": 3}}, ("arguments",), "resnet8: a network of the zoo"),
        ({"network": "nets.pt2", "arguments": {"width": 3}}, ("arguments",), "nets.pt2: a program takes no"),
        ({"arguments": {"width": 5}}, ("weights",), "does not fit the network, 7 differences"),
        ({"weights": "none.pt"}, ("weights",), "none.pt: there is no such file"),
        ({"classes": 12}, ("classes",), r"the network tells 10 classes apart, the data have 12 \(0, 1, "),
        ({"expected_quality": 97.5}, ("expected_quality",), r"is 97.5, allowed is a share of 1: 0.975 for"),
        ({"network": "nets.py"}, ("network",), "nets.py names no function; allowed is nets.py:NAME of one"),
        ({"quality": "acuracy"}, ("quality",), "unknown quality 'acuracy'"),
        (judged("nan"), ("quality",), "quality 'nan': its function gave nan"),
        (judged("words"), ("quality",), "quality 'words': its function gave str"),
        (judged("mising"), ("quality",), "metrics.py has no mising; it has constant, loss"),
        ({"loss": "metrics.py:per_sample"}, ("loss",), r"'per_sample': its function gave a tensor of \(16,"),
        ({"loss": "metrics.py:constant"}, ("loss",), "loss 'constant': its function gave a tensor of"),
        ({"quality": "metrics.py:recall"}, ("quality",), "nothing says which way is better"),
        ({"quality": {"name": "accuracy", "higher_is_better": False}}, ("quality",), "its own is True"),
        ({"loss": "l1"}, ("loss",), "loss l1: got labels that are classes"),
        ({"data": "nowhere"}, ("data",), "nowhere is not there"),
        ({"learning_rate": -1}, ("learning_rate",), "learning_rate is -1"),
        ({"augment": ["miror"]}, ("augment",), "augment: unknown 'miror'"),
        ({"data": "series.npz", "augment": ["mirror"]}, ("augment",), "got 'mirror' for inputs of 640"),
        ({"epochs": 3}, ("epochs",), "unknown key 'epochs'; .*epochs_per_step"),
        ({"input": {"sise": 3}}, ("input", "sise"), "unknown key 'sise'.*size"),
        ({"input": {"size": "8xx8"}}, ("input", "size"), "size: got '8xx8', allowed is HEIGHTxWIDTH, 96"),
        ({"input": {"size": [8, 8]}}, ("input", "size"), r"size: got \[8, 8\], allowed is HEIGHTxWIDTH, 96"),
        ({"input": {"mean": 0.5}}, ("input",), "input has no std, allowed are both or neither"),
        ({"head": "old"}, ("head",), "task.head: got 'old'"),
        ({"train": [1], "data": "data.npz"}, ("data",), "got both data and train, allowed is one"),
    ],
)  # fmt: skip
def test_mistakes_say_where_and_what(
    values: dict[str, Any], where: tuple[str, ...], message: str, project: Path
) -> None:
    np.savez(project / "series.npz", **series())
    with pytest.raises(AtollError, match=message) as told:
        prepared(project, **values)
    assert getattr(told.value, "where", ()) == where
    assert "\n" not in str(told.value)


def test_the_zoo_makes_as_many_outputs_as_targets_have_numbers_from_inputs_of_its_axes(project: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 24)).astype(np.float32)
    np.savez(project / "values.npz", x=values, y=values[:, :6])
    found = prepared(
        project, network="dense_autoencoder", weights=None, data="values.npz", quality="mean_absolute_error"
    )
    network = adopted_network(found)
    assert network(torch.zeros(2, 24)).shape == (2, 6)
    with pytest.raises(TaskMistake, match=r"\(24,\) as \(channels, height, width\)"):
        prepared(project, network="ds_cnn", weights=None, data="values.npz", quality="mean_absolute_error")


class Squeezed(nn.Module):
    """Gives (N,), or two numbers and (N,) beside them."""

    def __init__(self, several: bool) -> None:
        super().__init__()
        self.both, self.one, self.several = nn.Linear(3, 2), nn.Linear(3, 1), several

    def forward(self, x: torch.Tensor) -> Any:
        one = self.one(x).squeeze(1)
        return (self.both(x), one) if self.several else one


@pytest.mark.parametrize("output", [None, 0, 1])
def test_a_number_a_sample_needs_no_axis(output: int | None, project: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    targets = x[:, :2] if output == 0 else x.sum(1)
    task = Task(
        network=Squeezed(output is not None),
        data=lambda: (x, targets),
        quality="mean_absolute_error",
        output=output,
    )
    found = prepare(task, project, "squeezed", say=lambda _: None)
    network, images = adopted_network(found), found.dataset().validation.images
    content = artifact_bytes(network, found.input_shape)
    verified = verify_artifact(content, network, images, quality=found.judged_by)
    assert verified.agreement == 1 and verified.largest_difference < 1e-5
    assert found.num_classes == (2 if output == 0 else 1)


def test_of_hundreds_of_measured_channels_a_few_are_said(project: Path) -> None:
    np.savez(project / "series.npz", **series())
    (project / "nets.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Sequential(nn.Linear(640, 2))\n"
    )
    said: list[str] = []
    given = {"network": "nets.py:build", "data": "series.npz"}
    found = prepare(given, project, "parts", said.append)
    (line,) = [text for text in said if text.startswith("input: mean")]
    assert line.count("… (640 of them)") == 2 and len(line) < 300
    assert found.scaling is not None and len(found.scaling.mean) == 640


def test_a_network_that_is_no_module_of_torch_is_named(project: Path) -> None:
    with pytest.raises(AtollError, match=r"task.network: got 3"):
        prepared(project, network=3)
    with pytest.raises(AtollError, match="LSTM does not run on images"):
        prepared(project, network=nn.LSTM(8, 8), weights=None)


def test_a_new_head_is_trained_and_the_rest_keeps_what_it_knows(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = dict(np.load(project / "data.npz"))
    labels = {split: np.arange(count) % 3 for split, count in (("train", 60), ("val", 30), ("test", 12))}
    generator = np.random.default_rng(0)
    for split, these in labels.items():
        images = generator.integers(0, 60, (len(these), 1, 8, 8), np.uint8)
        images[np.arange(len(these)), 0, 2 * these] += 180  # the class is the row that is bright
        arrays |= {f"x_{split}": images, f"y_{split}": these}
    np.savez(project / "data.npz", **arrays)
    told = r"10 classes apart, the data have 3 \(0, 1, 2\);.*`head: new`"
    with pytest.raises(TaskMistake, match=told) as mistake:
        prepared(project)
    assert mistake.value.where == ("network",), "the study file says nothing of classes"
    task = prepared(project, head="new", learning_rate=0.05, batch_size=8)
    split = task.dataset().validation
    found = adopted_network(task)
    assert task.num_classes == 3 and task.quality(found, split) > 0.9
    moved = (found.get_submodule("0").factors()["weight"].effective() - network()[0].weight).abs()
    assert 0 < float(moved.detach().max()) < 0.2, "trained too, at a tenth of the rate"
    wrapped = {f"module.{name}": tensor for name, tensor in network().state_dict().items()}
    torch.save({"state_dict": wrapped}, project / "weights.pt")
    assert prepared(project, head="new", learning_rate=0.05, batch_size=8).name == task.name
    with monkeypatch.context() as patch:
        patch.setenv("ATOLL_DATA_GIB", "0")
        assert evict() == 0, "this process holds head, task and data"
    assert prepared(project, head="new", learning_rate=0.05, batch_size=8).name == task.name
    [kept] = (cache_dir() / "heads").glob("*.safetensors")
    whole = kept.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1]):
        kept.write_bytes(damaged)
        assert prepared(project, head="new", learning_rate=0.05, batch_size=8).name == task.name
        assert kept.read_bytes() == whole, "trained anew"


@pytest.mark.parametrize("sizes", [None, ({0: torch.export.Dim("n")},)], ids=["fixed", "any"])
def test_a_program_of_torch_export_needs_no_code(sizes: Any, project: Path) -> None:
    images = torch.zeros(2, 1, 8, 8)
    program = torch.export.export(network().eval(), (images,), strict=False, dynamic_shapes=sizes)
    torch.export.save(program, project / "nets.pt2")
    task = prepared(project, network="nets.pt2", weights=None)
    images = task.dataset().validation.images
    expected = network().eval()(Scaling.pixels([0.5], [0.25]).to_network(images))
    assert torch.allclose(predict_logits(adopted_network(task), images), expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [None, ({0: torch.export.Dim("n")},)])
def test_a_program_for_other_sizes_is_told(
    sizes: Any, project: Path, recwarn: pytest.WarningsRecorder
) -> None:
    images = torch.zeros(2, 1, 12, 8)
    given = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 10))
    program = torch.export.export(given.eval(), (images,), strict=False, dynamic_shapes=sizes)
    torch.export.save(program, project / "nets.pt2")
    recwarn.clear()
    told = r"nets.pt2 was exported for inputs of 1x12x8, the data have 1x8x8; allowed are equal ones: set "
    with pytest.raises(TaskMistake, match=told):
        prepared(project, network="nets.pt2", weights=None)
    assert not recwarn.list


def test_a_compiled_network_is_the_one_that_was_compiled(project: Path) -> None:
    given = prepared(project, network=network())
    assert prepared(project, network=torch.compile(network())).name == given.name


def test_packages_of_networks_are_asked_for_the_classes_of_the_data(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Timm:
        """Stands in for timm, which does not load here."""

        @staticmethod
        def create_model(name: str, num_classes: int, **options: Any) -> nn.Module:
            asked.append((name, num_classes, options))
            return network()

    monkeypatch.setitem(sys.modules, "timm", Timm)  # type: ignore[arg-type]
    prepared(project, network="timm:resnet18", arguments={"in_chans": 1}, weights=None)
    assert asked == [("resnet18", 10, {"in_chans": 1})]
    zoo = prepared(project, network="compact_cnn", weights=None, input={})
    assert zoo.scaling == Scaling((127.5,), (127.5,)), "what the zoo's networks take"


def test_a_network_that_is_not_as_good_as_its_user_knows_is_said(project: Path) -> None:
    task = prepared(project)
    quality = task.quality(adopted_network(task), task.dataset().validation)
    said: list[str] = []
    prepare({**PLAIN, "expected_quality": quality}, project, "parts", said.append)
    assert not any("expected_quality" in line for line in said)
    prepare({**PLAIN, "expected_quality": quality + 0.02}, project, "parts", said.append)
    (line,) = (line for line in said if "expected_quality" in line)
    assert f"accuracy {quality:.4g}" in line and "look first at what pixels are scaled by" in line
