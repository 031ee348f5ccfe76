"""A network is adopted with its function kept, or refused in a sentence that names what would be lost."""

import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from torch import Tensor, nn

SHAPE = (3, 8, 8)
X = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(3))


class Wrapped(nn.Module):
    """A convolution, a BatchNorm and a ReLU, a function between them."""

    def __init__(self, function: Callable[["Wrapped", Tensor], Tensor] = lambda _, x: x) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.function(self, self.norm(self.conv(x))))


class Clamped(nn.ReLU):
    """A ReLU by name, another function by nature."""

    def forward(self, input: Tensor) -> Tensor:
        return input.clamp(0, 0.1)


class Doubled(nn.Conv2d):
    """A convolution that does more."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class CallsTwice(nn.Module):
    """What runs is not its forward."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(self.forward(x))

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


class KeepsNorm(Wrapped):
    """Its norm never trains: forward does not say so, `train` does."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(x))

    def train(self, mode: bool = True) -> "KeepsNorm":
        super().train(mode)
        self.norm.eval()
        return self


def outputs(network: nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = network.eval()(X)
    return found


KEPT: dict[str, Callable[[], nn.Module]] = {
    "a subclass of an activation": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), Clamped()),
    "a subclass of a layer": lambda: nn.Sequential(Doubled(3, 4, 3), nn.ReLU()),
    "weights by parametrization": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.Conv2d(4, 4, 3)
    ),
    "a constant": lambda: Wrapped(lambda _, x: torch.sigmoid(x * torch.tensor(2.0))),
    "a marker": lambda: marked(Wrapped()),
    "what is written over": lambda: Wrapped(lambda _, x: (x.add_(1), x * 2)[1]),
    "a train of its own": KeepsNorm,
}


def marked(network: Wrapped) -> nn.Module:
    network.conv.flops = 3  # type: ignore[assignment]  # nothing reads it
    return network


@pytest.mark.parametrize("name", KEPT)
def test_the_function_is_kept(name: str) -> None:
    torch.manual_seed(0)
    network = KEPT[name]()
    wanted = outputs(network)
    assert torch.allclose(outputs(adopt(network, SHAPE)), wanted, atol=1e-6)


def test_a_norm_that_never_trains_does_not_train_when_adopted() -> None:
    adopted = adopt(KeepsNorm(), SHAPE).train()
    assert not adopted.get_submodule("norm").training
    assert adopted.get_submodule("conv").training


# What would be lost ----------------------------------------------------------------------------------


def changed(change: Callable[[Wrapped], object]) -> nn.Module:
    network = Wrapped()
    change(network)
    return network


def bind(network: Wrapped, module: str, method: str) -> None:
    setattr(network.get_submodule(module) if module else network, method, lambda *inputs: inputs[0])


LOST: dict[str, tuple[Callable[[Wrapped], object], str]] = {
    "hook on a layer": (
        lambda n: n.conv.register_forward_hook(lambda m, i, o: o * 2),
        r"^conv \(Conv2d\) has forward hooks \(.*lambda.*\): allowed are networks without hooks",
    ),
    "hook on an activation": (
        lambda n: n.relu.register_forward_hook(lambda m, i, o: o * 2),
        r"^relu \(ReLU\) has forward hooks",
    ),
    "pre-hook on the network": (
        lambda n: n.register_forward_pre_hook(lambda m, i: (i[0] / 2,)),
        r"^the network \(Wrapped\) has forward pre hooks",
    ),
    "backward hook": (
        lambda n: n.conv.register_full_backward_hook(lambda m, i, o: i),
        r"^conv \(Conv2d\) has backward hooks",
    ),
    "hook on a gradient": (
        lambda n: n.conv.weight.register_hook(lambda g: g * 2),
        r"^conv \(Conv2d\): weight has a hook on its gradient",
    ),
    "spectral norm by hook": (
        lambda n: nn.utils.spectral_norm(n.conv),
        r"^conv \(Conv2d\) has forward pre hooks \(SpectralNorm\)",
    ),
    "forward on the instance": (lambda n: bind(n, "relu", "forward"), r"^relu \(ReLU\) has a forward of"),
    "forward on the network": (lambda n: bind(n, "", "forward"), r"^the network \(Wrapped\) has a forward"),
    "a torch method": (lambda n: bind(n, "conv", "_conv_forward"), r"^conv .* has a _conv_forward of"),
    "a call of its own": (lambda n: setattr(n, "relu", CallsTwice()), r"^relu \(CallsTwice\) has a __call__"),
    "a loose tensor": (
        lambda n: setattr(n, "scale", torch.ones(4, 1, 1)),
        r"^the network \(Wrapped\) has a tensor scale that is neither parameter nor buffer",
    ),
    "statistics": (
        lambda n: setattr(n, "norm", nn.BatchNorm2d(4, track_running_stats=False)),
        r"^norm \(BatchNorm2d\) with track_running_stats False: allowed is True$",
    ),
    "another tensor in a layer": (
        lambda n: n.conv.register_buffer("scale", torch.ones(1)),
        r"^conv \(Conv2d\) has the tensors scale: allowed are $",
    ),
    "a module in a layer": (
        lambda n: n.conv.add_module("after", nn.ReLU()),
        r"^conv \(Conv2d\) holds after: allowed are no modules inside",
    ),
    "another size than it says": (
        lambda n: setattr(n.conv, "weight", nn.Parameter(torch.ones(4, 3, 5, 5))),
        r"^conv \(Conv2d\): weight is torch.float32 \(4, 3, 5, 5\): allowed is torch.float32 \(4, 3, 3, 3\)",
    ),
    "another type": (lambda n: n.double(), r"^conv \(Conv2d\): weight is torch.float64 .*: allowed is"),
    "frozen": (lambda n: n.conv.weight.requires_grad_(False), r"^conv \(Conv2d\): weight is frozen: allowed"),
    "chance": (
        lambda n: setattr(n, "function", lambda _, x: F.dropout(x, 0.5)),
        r"^Wrapped gives other outputs .* draws nothing at random",
    ),
    "a weight taken away": (
        lambda n: setattr(n.conv, "weight", None),
        r"weight is missing, against its options$",
    ),
    "what cannot be copied": (
        lambda n: setattr(n, "lock", threading.Lock()),
        r"^Wrapped cannot be copied: cannot pickle '_thread.lock' object$",
    ),
    "weights read by others": (
        lambda n: setattr(n, "function", lambda own, x: x * own.conv.weight.mean()),
        r"^conv.weight is read by other code than its layer's too: allowed are trained ",
    ),
    "a wrong forward": (
        lambda n: setattr(n, "function", lambda _, x: {3: x}[x.dim()]),
        r"^Wrapped does not run on images of 8x8x3 \(height x width x channels\): 4$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_what_would_be_lost_is_refused(name: str) -> None:
    change, sentence = LOST[name]
    with pytest.raises(AtollError, match=sentence):
        adopt(changed(change), SHAPE)


def test_a_hook_on_all_modules_is_refused() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: None)
    try:
        with pytest.raises(
            AtollError, match=r"got a hook on all modules .* in torch's _global_forward_hooks"
        ):
            adopt(Wrapped(), SHAPE)
    finally:
        handle.remove()
    assert adopt(Wrapped(), SHAPE) is not None


def test_a_method_changed_in_torch_itself_shows_in_the_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: self._conv_forward(x, self.weight, None) * 3)
    with pytest.raises(AtollError, match=r"gives other outputs as soon as its layers are replaced"):
        adopt(Wrapped(), SHAPE)


def test_storage_that_two_layers_share_is_one_tensor() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
    network[1].weight.data = network[0].weight.data
    with pytest.raises(AtollError, match=r"0\.weight and 1\.weight are one tensor"):
        adopt(network, SHAPE)
