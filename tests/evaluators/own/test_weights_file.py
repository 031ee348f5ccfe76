"""Weights in the forms that people keep them in; the oracle is torch's own `load_state_dict`."""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.own.weights_file import fill, read_weights
from atoll.spaces.errors import AtollError
from safetensors.torch import save_file
from torch import Tensor, nn


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


State = dict[str, Tensor]


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        prefixed("module."),
        prefixed("_orig_mod.module."),
        lambda state: {"epoch": 3, "optimizer": {"state": {}}, "state_dict": state},
        lambda state: {"model": prefixed("module.")(state), "args": {"lr": 0.1}},
        lambda state: {"model_state_dict": state, "loss": torch.tensor(1.0)},
        lambda state: {"ema": {"module": state, "decay": 0.9}, "model": {k: v + 1 for k, v in state.items()}},
        lambda state: {k: v for k, v in state.items() if "num_batches" not in k},
    ],
    ids=["plain", "parallel", "compiled", "lightning", "model", "tutorial", "ema", "without counters"],
)
def test_a_checkpoint_fills_the_network(wrap: Callable[[State], Any], tmp_path: Path) -> None:
    given, found = network(1), network(2)
    torch.save(wrap(given.state_dict()), tmp_path / "w.pth")
    fill(found, read_weights(tmp_path / "w.pth"), "w.pth")
    for name, tensor in given.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def test_a_wrapper_around_the_network_itself_is_understood() -> None:
    given, found = network(1), nn.Sequential()
    found.add_module("model", network(2))
    fill(found, given.state_dict(), "w")
    assert torch.equal(found.state_dict()["model.3.weight"], given[3].weight)


def test_safetensors_fill_it_in_its_own_type(tmp_path: Path) -> None:
    given, found = network(1), network(2)
    save_file(
        {k: v.half() for k, v in given.state_dict().items() if v.is_floating_point()},
        tmp_path / "w.safetensors",
    )
    fill(found, read_weights(tmp_path / "w.safetensors"), "w")
    assert found[0].weight.dtype == torch.float32
    assert torch.equal(found[0].weight, given[0].weight.half().float())


def test_weights_that_do_not_fit_are_listed_and_nothing_is_changed() -> None:
    given, found = network(1), network(2)
    state = given.state_dict()
    state["3.weight"] = torch.zeros(5, 8)
    state |= {f"head.{n}": torch.zeros(n + 1) for n in range(6)}
    del state["0.bias"]
    before = {k: v.clone() for k, v in found.state_dict().items()}
    with pytest.raises(AtollError) as told:
        fill(found, state, "weights w.pt")
    assert str(told.value) == (
        "weights w.pt does not fit the network, 8 differences: 3.weight has shape [5, 8], needed is [3, 8]; "
        "0.bias [2] is missing; head.0 [1] is unknown to the network; head.1 [2] is unknown to the network; "
        "head.2 [3] is unknown to the network; and 3 more"
    )
    assert all(torch.equal(found.state_dict()[k], v) for k, v in before.items())
    with pytest.raises(AtollError, match=r"tensor '3.bias' is not finite"):
        fill(found, given.state_dict() | {"3.bias": torch.full((3,), torch.nan)}, "w")


class Runs:
    """Pickled, it would run code when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was run",))


def test_a_pickled_model_is_refused_with_the_line_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(network(), path)
    with pytest.raises(AtollError, match=r"got a pickled object .* convert it: python -c") as told:
        read_weights(path)
    line = str(told.value).partition('python -c "')[2].rstrip('"')
    subprocess.run([sys.executable, "-c", line], cwd=tmp_path, check=True)
    assert read_weights(tmp_path / "whole_weights.pt").keys() == network().state_dict().keys()
    path.write_bytes(pickle.dumps(Runs()))
    with pytest.raises(AtollError):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "cannot read the weights .*w.pt: the file is empty"),
        (b"no zip at all", "w.pt: got another kind of file, allowed is"),
        (b"task:\n  network: nets.py:build\n", "w.pt: got another kind of file, allowed is"),
        ({"epoch": 3}, "got a mapping with the keys epoch, allowed is a state dict"),
        ([torch.zeros(2)], "got a list, allowed is a state dict"),
    ],
)
def test_what_holds_no_weights_is_named(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(AtollError, match=message):
        read_weights(path)
    if content is not None:
        (tmp_path / "w.safetensors").write_bytes(b"\xff" * 20)
        with pytest.raises(AtollError, match="cannot read the weights"):
            read_weights(tmp_path / "w.safetensors")


def test_other_archives_are_told_apart(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    np.savez(tmp_path / "w.pt", weight=np.zeros(3))
    (tmp_path / "w.pt.npz").rename(tmp_path / "w.pt")
    with pytest.raises(AtollError, match=r"w.pt: got another kind of file, allowed is .safetensors or"):
        read_weights(tmp_path / "w.pt")
    torch.save(network().state_dict(), tmp_path / "w.pt")
    (tmp_path / "w.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:600])
    with pytest.raises(AtollError, match=r"cannot read the weights .*w.pt: "):
        read_weights(tmp_path / "w.pt")
    assert not recwarn.list


def test_a_program_of_torchscript_is_refused_with_the_line_that_converts_it(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    given = network().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(given, torch.zeros(1, 1, 4, 4)), tmp_path / "w.pt")
    recwarn.clear()
    with pytest.raises(AtollError, match="got a program of TorchScript, allowed is a state dict") as told:
        read_weights(tmp_path / "w.pt")
    assert not recwarn.list
    line = str(told.value).partition('python -c "')[2].rstrip('"')
    subprocess.run([sys.executable, "-W", "ignore", "-c", line], cwd=tmp_path, check=True)
    found = read_weights(tmp_path / "w_weights.pt")
    assert all(torch.equal(tensor, found[name]) for name, tensor in given.state_dict().items())


def test_weights_of_another_last_layer_alone_name_the_new_head() -> None:
    given = network()
    given[3] = nn.Linear(given[3].in_features, 9)
    with pytest.raises(AtollError, match=r"2 differences: .*; if that is the last layer, `head: new` trains"):
        fill(network(), given.state_dict(), "w")
    given[0] = nn.Conv2d(1, 5, 1)
    with pytest.raises(AtollError) as told:
        fill(network(), given.state_dict(), "w")
    assert "head: new" not in str(told.value)
