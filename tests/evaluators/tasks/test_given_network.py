"""The given weights: they load, reach their accuracy, and misfits are named."""

from pathlib import Path

import pytest
import torch
from atoll.evaluators.tasks import TASKS, load_task
from atoll.evaluators.tasks.given_network import given_network, load_weights, save_given, weights_path
from atoll.evaluators.tasks.train_given import main
from atoll.spaces.errors import AtollError
from atoll.spaces.networks import build_network
from safetensors.torch import load_file, save_file

DIGITS = load_task("digits")


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_given_weights_fit_and_are_float32_in_eval_mode(task) -> None:
    model = given_network(task)
    assert not model.training
    assert all(tensor.dtype == torch.float32 for tensor in model.parameters())


def test_given_weights_ship_in_less_than_5_mb() -> None:
    assert sum(weights_path(task).stat().st_size for task in TASKS) < 5_000_000


def test_given_digits_network_is_accurate() -> None:
    assert DIGITS.quality(given_network(DIGITS), DIGITS.dataset().validation) >= 0.97


@pytest.mark.slow
def test_given_characters_network_ends_between_80_and_95_percent() -> None:
    task = load_task("characters")
    for split in (task.dataset().validation, task.dataset().test):
        assert 0.80 <= task.quality(given_network(task), split) <= 0.95


def test_weights_come_back_rounded_to_float16(tmp_path: Path) -> None:
    model = build_network("compact_cnn", 4, (1, 8, 8))
    save_given(model, tmp_path / "w.safetensors")
    other = build_network("compact_cnn", 4, (1, 8, 8), torch.Generator().manual_seed(9))
    load_weights(other, tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor.half().to(tensor.dtype)), name


def test_a_tensor_of_another_shape_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_given(build_network("compact_cnn", 5, (1, 8, 8)), path)
    model = build_network("compact_cnn", 4, (1, 8, 8), torch.Generator().manual_seed(9))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        AtollError,
        match=r"w\.safetensors: tensor 'classifier\.dense2\.weight' has shape \[5, 32\].*\[4, 32\]",
    ):
        load_weights(model, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("features.bn1.bias"), r"lacks the tensor 'features\.bn1\.bias'"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), r"holds the tensor 'extra'"),
    ],
)
def test_missing_and_surplus_tensors_are_named(tmp_path: Path, change, message: str) -> None:
    model, path = build_network("compact_cnn", 4, (1, 8, 8)), tmp_path / "w.safetensors"
    save_given(model, path)
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(AtollError, match=message):
        load_weights(model, path)


@pytest.mark.parametrize("content", [None, b"no safetensors"])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AtollError, match=r"cannot read the weights .*w\.safetensors"):
        given_network(DIGITS, path)


def test_the_command_refuses_unknown_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digit"]) == 2
    assert "unknown task 'digit'" in capsys.readouterr().err
    assert main([]) == 2
    assert "characters, digits, small_characters" in capsys.readouterr().err
