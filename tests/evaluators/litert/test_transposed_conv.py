"""Transposed convolutions: torch's own answer through LiteRT, with and without XNNPACK, and the plan."""

import json

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors, operator_names
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.decomposition.decomposed_form import chain_of
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.kernels.conv_factors import svd, train, train_ranks, tucker
from atoll.spaces.layers.conv_chain import ConvChain
from atoll.spaces.layers.structure import apply_structure, structure
from atoll.spaces.layers.transposed_conv import TransposedConv
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SHAPE = (3, 6, 5)
#: kernel, stride, padding, output padding -> whether a part of what the runtime makes is cut out
WINDOWS = [
    (2, 2, 0, 0, False),
    (4, 2, 1, 0, False),
    (3, 1, 1, 0, False),
    (3, 2, 0, 1, False),
    (2, 3, 0, 2, False),
    (3, 2, 1, 1, True),
    (5, 2, 2, 1, True),
    ((3, 2), (2, 1), (1, 0), (1, 0), True),
]
RECIPES = (
    "quantize(bits=8)",
    "quantize(bits=4)",
    "quantize(bits=8, activations=float)",
    "prune_channels(ratio=0.5) -> quantize(bits=8)",
    "prune_weights(ratio=0.5) -> cluster(clusters=8)",
    "binarize(activations=binary)",
)
#: how many transposed stages each makes
CHAINS = {
    "svd(rank=4, kinds=all, fit_steps=0)": 1,
    "tucker(rank=0.5, fit_steps=0)": 1,
    "tensor_train(rank=4, kinds=conv, fit_steps=0)": 2,
}


class Decoder(nn.Module):
    def __init__(self, *window: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.up, self.norm = nn.ConvTranspose2d(8, 16, *window), nn.BatchNorm2d(16)
        self.larger = nn.ConvTranspose2d(16, 4, 2, 2, bias=False)
        self.norm.running_mean.uniform_(-0.3, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.up(self.stem(x))))
        return self.head(F.relu6(self.larger(x)))


def read_again(network: nn.Module) -> nn.Module:
    """The same network from its structure and its tensors."""
    again = adopt(Decoder(3, 2, 1, 1).eval(), SHAPE)
    apply_structure(again, structure(network))
    again.load_state_dict(network.state_dict())
    return again.eval()


IMAGES = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("window", WINDOWS)
def test_windows_of_any_kind(window: tuple, written) -> None:
    *sizes, cut = window
    network = Decoder(*sizes).eval()
    adopted = adopt(network, SHAPE)
    assert torch.equal(adopted.eval()(IMAGES), network(IMAGES))
    assert ("SLICE" in operator_names(written(adopted, IMAGES))) == cut
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(IMAGES[:1])
    assert layer_table(adopted, SHAPE).macs == counter.get_total_flops() / 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_techniques_reach_it(recipe: str, compressed, written) -> None:
    network = compressed(Decoder(3, 2, 1, 1), IMAGES, recipe)
    # one integer on the way may be off by one, which the layers behind spread
    content = written(network, IMAGES, steps=2.01)
    layer = network.get_submodule("up")
    assert isinstance(layer, TransposedConv)
    assert layer.weight.constraints or "prune_channels" in recipe
    assert layer.outputs == (8 if "prune_channels" in recipe else 16)
    assert not float_tensors(content) or "float" in recipe or "quantize" not in recipe


@pytest.mark.parametrize("window", WINDOWS)
def test_a_chain_of_all_ranks_is_the_layer(window: tuple) -> None:
    *sizes, _ = window
    given = Decoder(*sizes).up.double()
    layer = TransposedConv.adopt(given)
    kernel = layer.output_rows()
    maps = torch.randn(2, 8, *SHAPE[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for weights in (svd(kernel, 16), tucker(kernel, (8, 16)), train(kernel, train_ranks(kernel, 512))):
        chain = chain_of(layer, weights).double()
        chain.bias = nn.Parameter(given.get_parameter("bias").detach())
        assert torch.allclose(chain(maps), given(maps), atol=1e-6)
        assert torch.allclose(chain.dense_weight(), kernel, atol=1e-6)
        spec = json.loads(json.dumps(chain.spec()))
        assert ConvChain.from_spec(spec, torch.device("cpu")).windows == chain.windows


@pytest.mark.parametrize("bits", ["", " -> quantize(bits=8)", " -> quantize(bits=4)"])
@pytest.mark.parametrize("step", CHAINS)
def test_decompositions_reach_it(step: str, bits: str, compressed, written) -> None:
    network = compressed(Decoder(3, 2, 1, 1), IMAGES, step + bits)
    assert isinstance(network.get_submodule("up"), ConvChain)
    assert torch.equal(read_again(network)(IMAGES), network(IMAGES))
    content = written(network, IMAGES, steps=3.01, share=0.25)
    assert operator_names(content).count("TRANSPOSE_CONV") == CHAINS[step] + 1
    assert bool(float_tensors(content)) != bool(bits)


def test_its_structure_is_written_and_read(compressed) -> None:
    recipe = "prune_channels(ratio=0.5) -> quantize(bits=8)"
    network = compressed(Decoder(3, 2, 1, 1), IMAGES, recipe)
    assert torch.equal(read_again(network)(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"groups": 2}, "groups 2: allowed is 1"), ({"dilation": 2}, r"dilation \(2, 2\): allowed is \(1, 1\)")],
)
def test_what_the_runtime_has_no_operator_for_is_refused(options: dict, said: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 4, 3, **options))
    with pytest.raises(AtollError, match=rf"1 \(ConvTranspose2d\) with {said}"):
        adopt(network, SHAPE)
