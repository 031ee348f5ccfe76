"""Networks through torch's export compute what they computed, in modules of torch's own and plain calls."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.exported.front_end import exported
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import heads
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.program import Program
from torch import Tensor, nn

SHAPE = (4, 8, 8)


class NormAct(nn.BatchNorm2d):
    """A subclass with more in its forward, as timm has it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.momentum if self.momentum is not None else 0.0
        x = F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, scale, self.eps
        )
        return self.act(x)


class Subclasses(nn.Module):
    """A norm with an activation inside, a convolution that pads by itself, an optional argument."""

    class Padded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.pad(x, (0, 1, 0, 1)))

    def __init__(self) -> None:
        super().__init__()
        self.conv = self.Padded(4, 6, 3, stride=2, bias=False)
        self.bn = NormAct(6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        x = self.bn(self.conv(x))
        if mask is not None:
            x = x * mask
        return self.head(x.mean((2, 3))) * scale


class Shuffled(nn.Module):
    """Channel split and shuffle, stochastic depth, sizes that decide, a module that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Conv2d(2, 2, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.scale = nn.Parameter(torch.full((4,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        x = torch.cat([left, self.branch(right)], 1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, -1, height, width)
        if height % 2:
            x = F.pad(x, (0, 1))
        if self.training and torch.rand(()) < 0.1:
            return x
        x = self.twice(F.dropout(self.twice(x), 0.5, self.training))
        return x * self.scale.view(1, -1, 1, 1)


class Overwritten(nn.Module):
    """Parts of values written over."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        y = self.conv(x).clone()
        y[:, :2] += 1
        y[:, 3] = x[:, 0]
        return {"maps": y, "more": (y[..., ::2, ::2], y.std(1), y.amax((2, 3)))}


class Attention(nn.Module):
    """A class token, torch's encoder, attention over windows, a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.full((1, 1, 4), 0.5))
        self.norm = nn.LayerNorm(4)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.recurrent = nn.LSTM(4, 5, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(x, 2).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        q, k, v = self.norm(self.encoder(x)).unflatten(-1, (2, 2)).transpose(1, 2), x, x
        q = F.scaled_dot_product_attention(q, q, q, is_causal=True).transpose(1, 2).flatten(2)
        found, (state, _) = self.recurrent(q + k - v)
        return self.head(found[:, 0]) + state[-1][:, :3]


class Everything(nn.Module):
    """Modules that stay torch's, weights that are no module's, weights that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 4, 3, stride=2, output_padding=1)
        self.group = nn.GroupNorm(2, 4)
        self.instance = nn.InstanceNorm2d(4)
        self.kernel = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.standard = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.matrix = nn.Parameter(torch.randn(4, 5))
        self.act = nn.Hardtanh(0, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.instance(self.group(self.up(x)))
        x = F.conv2d(x, self.kernel, None, 1, "same")
        spread, middle = torch.var_mean(self.standard, (1, 2, 3), keepdim=True)
        x = F.conv2d(x, (self.standard - middle) / (spread + 1e-5).sqrt(), groups=4)
        x = self.act(F.interpolate(x, scale_factor=2)) + F.selu(
            F.interpolate(x, size=(32, 32), mode="bilinear")
        )
        x = F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2).max(3)[0].transpose(1, 2)
        return F.normalize(torch.einsum("blc,cd->bld", x, self.matrix).roll(2, 1).mean(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    kind.__name__: kind for kind in (Subclasses, Shuffled, Overwritten, Attention, Everything)
}


def built(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[name]()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean)  # type: ignore[arg-type]
                nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    return network.eval()


def outputs(network: nn.Module, count: int = 3) -> tuple[Tensor, ...]:
    images = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        found: tuple[Tensor, ...] = heads(network(images))
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("adopting", [exported, adopt])
def test_outputs_are_those_of_the_network(name: str, adopting: Callable[..., nn.Module]) -> None:
    network = built(name)
    program = adopting(network, SHAPE)
    assert isinstance(program, Program)
    for count in (1, 3):  # not the batch that it was exported with
        pairs = zip(outputs(program, count), outputs(network, count), strict=True)
        for found, wanted in pairs:
            assert found.shape == wanted.shape
            torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-6 * float(wanted.abs().max()))
    mine = {tensor.data_ptr() for tensor in program.state_dict().values()}
    assert not mine & {tensor.data_ptr() for tensor in network.state_dict().values()}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_without_memory_gives_the_same_calls(name: str) -> None:
    with torch.device("meta"):
        planned = exported(NETWORKS[name](), SHAPE)
    program = exported(built(name), SHAPE)
    assert str(planned.calls) == str(program.calls)
    assert {key: tensor.shape for key, tensor in planned.state_dict().items()} == {
        key: tensor.shape for key, tensor in program.state_dict().items()
    }
    assert all(tensor.is_meta for tensor in planned.state_dict().values())


def test_modules_have_the_users_paths_and_torchs_types() -> None:
    found = {path: type(module) for path, module in exported(built("Subclasses"), SHAPE).named_modules()}
    wanted = {"conv": nn.Conv2d, "bn": nn.BatchNorm2d, "bn_act": nn.PReLU, "head": nn.Linear}
    assert {path: found[path] for path in wanted} == wanted
    adopted = adopt(built("Subclasses"), SHAPE)
    assert type(adopted.get_submodule("conv")) is Conv
    assert type(adopted.get_submodule("bn")) is Norm
    encoder = adopt(built("Attention"), SHAPE).get_submodule("encoder")
    for path in ("self_attn.queries", "self_attn.out_proj", "linear1"):
        assert type(encoder.get_submodule(path)) is Dense


def test_what_ran_twice_is_one_module_called_twice() -> None:
    program = exported(built("Shuffled"), SHAPE)
    called = [node.target for node in program.calls.nodes if node.op == "call_module"]
    assert called == ["branch", "twice", "twice"]
    assert dict(program.named_parameters()).keys() == {
        "branch.weight", "branch.bias", "twice.weight", "twice.bias", "scale",
    }  # fmt: skip


def test_calls_are_in_their_normal_form() -> None:
    program = exported(built("Shuffled"), SHAPE)
    found = [
        (getattr(node.target, "__name__", node.target), *node.args[1:])
        for node in program.calls.nodes
        if node.op == "call_function"
    ]
    assert [call for call in found if call[0] != "mul"] == [
        ("narrow", 1, 0, 2),
        ("narrow", 1, 2, 2),
        ("cat", 1),
        ("unflatten", 1, (2, -1)),
        ("permute", (0, 2, 1, 3, 4)),
        ("flatten", 1, 2),
    ]


def test_training_goes_on_in_an_adopted_program() -> None:
    program = adopt(built("Subclasses"), SHAPE).train()
    before = program.get_submodule("bn").running_mean.clone()  # type: ignore[operator]
    program(torch.rand(4, *SHAPE)).sum().backward()
    assert all(parameter.grad is not None for parameter in program.parameters())
    assert not torch.equal(program.get_submodule("bn").running_mean, before)  # type: ignore[arg-type]


class Calling(nn.Module):
    """A convolution, then a function of it and its result, in a module with a name."""

    class Part(nn.Module):
        def __init__(self, call: Callable[..., Any]) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)
            self.bn = nn.BatchNorm2d(4, track_running_stats=False)
            self.call = call

        def forward(self, x: Tensor) -> Any:
            return self.call(self, self.conv(x))

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.part = self.Part(call)

    def forward(self, x: Tensor) -> Any:
        return self.part(x)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda _, x: x if x.sum() > 0 else -x, "decides by the values that it sees: allowed are decisions"),
        (lambda _, x: x * float(x.max()), "decides by the values that it sees"),
        (lambda _, x: x.cumsum(1), "calls torch's cumsum: allowed are"),
        (lambda _, x: x[:1], "takes some images out of the batch: allowed are the same steps for each image"),
        (
            lambda _, x: x - x.mean(),
            "calls torch's mean over all images: allowed are the same steps for each",
        ),
        (lambda _, x: x / x.std((0, 2, 3), keepdim=True), "calls torch's std over all images"),
        (lambda _, x: x.half(), "makes torch.float16 of torch.float32: allowed is one type throughout"),
        (lambda _, x: x + torch.rand(4, 1, 1), "draws at random when it is evaluated: allowed is"),
        (lambda _, x: x + torch.arange(len(x)).view(-1, 1, 1, 1), "counts its images: allowed is"),
        (
            lambda _, x: torch.div(x, 2, rounding_mode="floor"),
            "divides and rounds: allowed is plain division",
        ),
        (
            lambda _, x: x * torch.linalg.vector_norm(x, 1, (2, 3), True),
            "calls a norm of order 1: allowed is 2",
        ),
        (
            lambda own, x: own.missing(x),
            "cannot be exported by torch: 'Part' object has no attribute 'missing'",
        ),
    ],
)
def test_what_cannot_be_read_names_the_module(call: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(AtollError, match=rf"^part \(Part\) {sentence}"):
        exported(Calling(call).eval(), SHAPE)


def test_a_mask_repeated_for_windows_in_the_batch_is_refused() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.mask = nn.Linear(6, 8), nn.Parameter(torch.ones(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            return (self.layer(x).reshape(-1, 2) + self.mask.repeat(len(x), 1)).reshape(-1, 8)

    with pytest.raises(AtollError, match=r"^Masked computes with the number of images, .* does the same for"):
        adopt(Masked().eval(), (6,))


def test_weights_that_other_code_reads_too_are_refused() -> None:
    network = Calling(lambda own, x: x * own.conv.weight.mean())
    with pytest.raises(AtollError, match=r"^part\.conv\.weight is read by other code than its layer's too"):
        exported(network.eval(), SHAPE)


@pytest.mark.parametrize("cross", [False, True])
def test_attention_keeps_the_images_first(cross: bool) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.register_buffer("mask", torch.ones(4, 4).triu(1).bool())

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(2)[..., :8]
            other = x.flip(1) if cross else x
            return self.attention(x, other, other, need_weights=False, attn_mask=self.mask)[0]

    torch.manual_seed(0)
    network = Attending().eval()
    program = exported(network, SHAPE)
    (found,), (wanted,) = outputs(program), outputs(network)
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-6 * float(wanted.abs().max()))
    permuted = [node.args[1] for node in program.calls.nodes if node.target is torch.permute]
    assert permuted and all(axes[0] == 0 for axes in permuted)
