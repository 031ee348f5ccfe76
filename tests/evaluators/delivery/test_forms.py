"""Every form computes what the network does, for networks of every kind; what is missing is told."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from atoll.evaluators.delivery import delivery, executorch_file, packed_file
from atoll.evaluators.delivery.delivery import Source
from atoll.evaluators.delivery.forms import FORMS, VELA, check_forms, deliver, form_of, measure_again
from atoll.evaluators.delivery.quiet import quiet
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.plain_network.network import PlainFactor, plain_network
from atoll.evaluators.plain_network.pairs import carried_on
from atoll.evaluators.training.prediction import predict_logits
from atoll.hw_models.runtimes.micro import PACKAGE, TRIED
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import weight_factors
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.random_images import RandomImages
from torch import nn

SHAPE = (3, 8, 8)
RECIPES = [
    "baseline",
    "quantize(bits=8)",
    "tensor_train(rank=2, fit_steps=0) -> quantize(bits=4)",
    "tucker(rank=0.5, fit_steps=0) -> quantize(bits=8, activations=float)",
    "cluster(clusters=8) -> prune_weights(ratio=0.5)",
    "binarize(activations=binary)",
    "quantize(bits=8, scheme=affine)",
]


def source_of(text: str) -> Source:
    torch.manual_seed(0)
    network = adopt(build_network("compact_cnn", 7, SHAPE), SHAPE).eval()
    for step in Recipe.parse(text):
        network, _ = step.apply(network, RandomImages(SHAPE, 7))
    images = (torch.rand(20, *SHAPE) * 255).to(torch.uint8)
    return Source("tiny_t0001", network.eval(), artifact_bytes(network, SHAPE), images)


@pytest.fixture(scope="module")
def int8() -> Source:
    return source_of("quantize(bits=8)")


@pytest.mark.parametrize("text", RECIPES)
def test_the_plain_network_is_the_network(text: str) -> None:
    source = source_of(text)
    expected = predict_logits(source.network, source.images)
    for form in ("arithmetic", "pairs"):
        plain = plain_network(source.network, form)
        assert not any(parameter.requires_grad for parameter in plain.parameters())
        assert {type(factor) for factor in weight_factors(plain)} == {PlainFactor}
        torch.testing.assert_close(predict_logits(plain, source.images), expected, rtol=0, atol=1e-5)
    assert not any(isinstance(factor, PlainFactor) for factor in weight_factors(source.network))


def test_grids_are_carried_on_behind_poolings_without_changing_a_value(int8: Source) -> None:
    plain = plain_network(int8.network, "pairs")
    example = delivery.example_of(int8)
    program = carried_on(plain, example)
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    poolings = [place for place, target in enumerate(targets) if "max_pool" in target]
    assert poolings
    assert all("quantize_per_tensor" in targets[place + 1] for place in poolings)
    assert torch.equal(program.module()(example), plain(example))
    assert not any("stack_trace" in node.meta for node in program.graph.nodes)


@pytest.mark.parametrize("text", RECIPES[:3])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("onnx", "executorch")))
        for name in FORMS
        if name != VELA  # of another device's studies: test_vela_file.py
    ],
)
def test_a_form_holds_the_network(name: str, text: str, tmp_path: Path) -> None:
    """Forms that need an extra run where it is installed."""
    try:
        check_forms([name])
    except AtollError as error:
        pytest.skip(str(error))
    source = source_of(text)
    if name == "c_array" and "bits=4" in text:
        with pytest.raises(AtollError, match="--c-array: LiteRT Micro does not load this file: "):
            deliver([name], tmp_path, source)
        return
    (found,) = deliver([name], tmp_path, source)
    assert {path.name for path in tmp_path.iterdir()} == {found.file, *found.beside}
    assert found.bytes == (tmp_path / found.file).stat().st_size
    assert set(found.versions) == set(form_of(name).packages)
    content = (tmp_path / found.file).read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    # LiteRT Micro's kernels, where they are there, round otherwise: some steps of 0.03 in these networks
    least, largest = (0.9, 0.2) if name == "c_array" else (1.0, 0.1)
    assert found.figures.get("agreement", 1.0) >= least
    assert found.figures.get("largest_difference", 0.0) < largest
    (again,) = measure_again([found.form], tmp_path, source, trust=True)
    assert again == {"bytes": found.bytes, "figures": dict(found.figures)}


def test_a_form_that_is_named_twice_is_written_once(int8: Source, tmp_path: Path) -> None:
    assert [found.form for found in deliver(["c_array", "c_array"], tmp_path, int8)] == ["c_array"]
    assert {path.name for path in tmp_path.iterdir()} == {"model_data.h", "micro_main.cc"}


def test_a_form_of_another_network_is_refused(int8: Source, tmp_path: Path) -> None:
    deliver(["torch_export"], tmp_path, int8)
    other = source_of("prune_channels(ratio=0.5)")
    with pytest.raises(AtollError, match=r"model\.pt2: the file agrees with the network on \d+\.\d % of 20 "):
        form_of("torch_export").measure(tmp_path, other)


@pytest.mark.parametrize(("share", "is_refused"), [(0.09, False), (0.11, True)])
def test_a_form_that_is_far_off_is_refused_though_it_says_the_same(share: float, is_refused: bool) -> None:
    images = torch.tensor([[[[0]]], [[[255]]]], dtype=torch.uint8).expand(2, *SHAPE)
    layers = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    network = adopt(layers, SHAPE).eval()
    logits = predict_logits(network, images)
    assert isinstance(logits, torch.Tensor)
    offset = share * float(logits.max() - logits.min())
    source = Source("far", network, b"", images)

    def run(image: torch.Tensor) -> torch.Tensor:
        return network(image) + offset  # the labels stay

    if not is_refused:
        found = delivery.compare("form", run, source)
        assert found["agreement"] == 1 and found["largest_difference"] == pytest.approx(offset, rel=1e-4)
        return
    with pytest.raises(AtollError, match=r"form: an output .* by 11\.0 % of what that spans"):
        delivery.compare("form", run, source)


def test_an_unknown_form_is_told_with_the_known_ones() -> None:
    with pytest.raises(AtollError, match=r"unknown form 'onx'; .*onnx"):
        check_forms(["pack", "onx"])


@pytest.mark.parametrize(
    ("name", "module"),
    [("onnx", "onnxruntime"), ("onnx", "onnxscript"), ("executorch", "executorch.runtime")],
)
def test_a_missing_package_is_told_with_how_to_install_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "import_module", absent(module))
    with pytest.raises(AtollError) as caught:
        check_forms([name])
    message = str(caught.value)
    assert message.startswith(f"--also {name} needs the package {module.partition('.')[0]}, which is not ")
    assert f"pip install 'atoll[{name}]'" in message and "\n" not in message


def absent(missing: str):  # type: ignore[no-untyped-def]
    def import_module(name: str) -> object:
        if name == missing:
            raise ImportError(f"No module named {name!r}")
        return sys

    return import_module


def test_the_extras_of_the_messages_exist() -> None:
    import tomllib

    root = Path(__file__).parents[3]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["micro"] == [f"{PACKAGE}>={TRIED}"]
    for name in ("onnx", "executorch"):
        wanted = {package.split(">")[0] for package in extras[name]}
        assert set(form_of(name).packages) - {"torch"} == wanted


def test_what_is_not_installed_is_not_measured_again(
    int8: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"12345")
    monkeypatch.setattr(delivery, "import_module", absent("onnx"))
    (found,) = measure_again(["onnx"], tmp_path, int8, trust=True)
    assert (found["bytes"], found["figures"]) == (5, {})
    assert found["untried"].startswith("model.onnx: not run here (--also onnx needs the package onnx, ")


# Runtimes that fail, in place of those of the extras ----------------------------------------------------


def module(monkeypatch: pytest.MonkeyPatch, name: str, **members: object) -> None:
    found = ModuleType(name)
    for key, value in members.items():
        setattr(found, key, value)
    monkeypatch.setitem(sys.modules, name, found)


def test_a_failure_while_onnxruntime_runs_is_one_sentence(
    int8: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("non-zero status\nwhile running Conv")

    session = SimpleNamespace(run=fail)
    module(
        monkeypatch, "onnxruntime", SessionOptions=SimpleNamespace, InferenceSession=lambda *_, **__: session
    )
    with pytest.raises(
        AtollError, match=r"^--also onnx: .*RuntimeError: non-zero status while running Conv$"
    ):
        form_of("onnx").measure(tmp_path, int8)


@pytest.fixture
def executorch(int8: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that fails on delegated programs, while it runs them."""

    def load(path: Path) -> SimpleNamespace:
        def execute(inputs: list[torch.Tensor]) -> list[torch.Tensor]:
            if path.read_bytes() == b"delegated":
                raise RuntimeError("method->execute() failed with error 0x12")
            return [int8.network(inputs[0])]

        return SimpleNamespace(load_method=lambda name: SimpleNamespace(execute=execute))

    runtime = SimpleNamespace(get=lambda: SimpleNamespace(load_program=load))
    module(monkeypatch, "executorch")
    module(monkeypatch, "executorch.runtime", Runtime=runtime)
    monkeypatch.setattr(executorch_file, "_register_kernels", lambda: None)
    program = {True: b"delegated", False: b"portable"}
    monkeypatch.setattr(executorch_file, "_program", lambda source, delegate: program[delegate])


@pytest.mark.usefixtures("executorch")
def test_where_delegated_kernels_fail_portable_ones_run_all(int8: Source, tmp_path: Path) -> None:
    form = form_of("executorch")
    (tmp_path / form.file).write_bytes(b"delegated")
    with pytest.raises(AtollError, match=r"--also executorch: .*failed with error 0x12"):
        form.measure(tmp_path, int8)
    assert "portable kernels alone" in form.write(tmp_path, int8)
    assert (tmp_path / form.file).read_bytes() == b"portable"
    assert form.measure(tmp_path, int8)["agreement"] == 1.0


def test_a_form_that_disagrees_now_is_told_with_its_sentence(int8: Source, tmp_path: Path) -> None:
    (delivered,) = deliver(["torch_export"], tmp_path, int8)
    other = source_of("prune_channels(ratio=0.5)")
    (found,) = measure_again([delivered.form], tmp_path, other, trust=True)
    assert (found["bytes"], found["figures"]) == (delivered.bytes, {})
    assert "model.pt2: the file agrees with the network on" in found["failure"]


@pytest.mark.parametrize("name", FORMS)
def test_no_form_that_can_run_code_or_read_files_is_opened_unasked(
    name: str, int8: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(name)
    (tmp_path / form.file).write_bytes(b"12345")
    monkeypatch.setattr(type(form), "measure", lambda *_: {"opened": 1})
    monkeypatch.setattr(type(form), "check", lambda _: None)
    (found,) = measure_again([name], tmp_path, int8)
    if name in ("pack", "c_array", VELA):  # bytes, compared with the file's
        assert found == {"bytes": 5, "figures": {"opened": 1}}
    else:
        assert (found["bytes"], found["figures"]) == (5, {})
        assert found["untried"].startswith(f"{form.file}: not compared (its format can ")
        assert found["untried"].endswith("; --trust runs it)")
    (trusted,) = measure_again([name], tmp_path, int8, trust=True)
    assert trusted == {"bytes": 5, "figures": {"opened": 1}}


def test_a_container_that_names_another_size_is_not_unpacked(
    int8: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(["pack"], tmp_path, int8)
    content = bytearray((tmp_path / "model.tflite.packed").read_bytes())
    content[16] ^= 1
    (tmp_path / "model.tflite.packed").write_bytes(content)
    monkeypatch.setattr(packed_file, "unpack_content", lambda _: pytest.fail("it was unpacked"))
    (found,) = measure_again(["pack"], tmp_path, int8)
    assert found["failure"] == "model.tflite.packed holds another file than model.tflite"


@pytest.mark.parametrize("numbers", ["256", "1, 2, 999999999", "1" * 5000, "1 2", ""])
def test_a_header_of_other_numbers_is_one_sentence(numbers: str, int8: Source, tmp_path: Path) -> None:
    (tmp_path / "model_data.h").write_text(f"x = {{{numbers}}};")
    (found,) = measure_again(["c_array"], tmp_path, int8)
    assert found["failure"].startswith("model_data.h holds ")


def test_an_exporter_s_failure_is_one_line_and_its_chatter_is_swallowed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with (
        pytest.raises(AtollError, match="--also x: this network fails in it: KeyError: 'a b'"),
        quiet("--also x"),
    ):
        print("noise")
        raise KeyError("a\nb".replace("\n", " "))
    print("heard")
    assert capfd.readouterr().out == "heard\n"
