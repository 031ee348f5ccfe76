"""Networks that are shipped to small devices: counts as published, torchvision's names, branches that merge.

Sources:
* MLPerf Tiny: Banbury et al. 2021, table 1, and `summary()` of its Keras models, less the running statistics.
* torchvision: docs.pytorch.org/vision/stable/models, num_params and GFLOPS (multiply-accumulates) of weights.
* timm: results of `benchmark-infer`, and the papers where they are named.
* own: closed forms of networks whose papers print no counts.
"""

import re

import pytest
import torch
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.networks.repvgg import merge_branches
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

#: network, outputs, input, parameters, million multiply-accumulates, relative tolerance of these
PUBLISHED = [
    ("resnet8", 10, (3, 32, 32), 78_666 - 480, 12.5, 0.001),  # MLPerf Tiny
    # Keras' MobileNet(alpha=0.25): 475,544 with 5,472 running statistics; Howard et al. 2017, table 6: 41 M
    ("mobilenet_v1_025", 1000, (3, 224, 224), 475_544 - 5_472, 41, 0.01),
    # MLPerf Tiny: 221,794 with as many statistics and 2,736 biases that do nothing
    ("mobilenet_v1_025", 2, (3, 96, 96), 221_794 - 5_472 - 2_736, 7.49, 0.001),
    ("ds_cnn", 12, (1, 49, 10), 24_908 - 1_152, 2.66, 0.002),  # MLPerf Tiny
    ("dense_autoencoder", 640, (640,), 269_992 - 2_064, 0.264, 0.001),  # MLPerf Tiny
    ("resnet18", 1000, (3, 224, 224), 11_689_512, 1_814, 0.001),  # torchvision
    ("resnet34", 1000, (3, 224, 224), 21_797_672, 3_664, 0.001),  # torchvision
    ("resnet50", 1000, (3, 224, 224), 25_557_032, 4_089, 0.001),  # torchvision
    ("vgg16_bn", 1000, (3, 224, 224), 138_365_992, 15_470, 0.001),  # torchvision
    ("torchvision_mobilenet_v2", 1000, (3, 224, 224), 3_504_872, 301, 0.001),  # torchvision
    ("mobilenet_v3_small", 1000, (3, 224, 224), 2_542_856, 57, 0.01),  # torchvision
    ("mobilenet_v3_large", 1000, (3, 224, 224), 5_483_032, 217, 0.002),  # torchvision
    ("shufflenet_v2", 1000, (3, 224, 224), 2_278_604, 145, 0.001),  # torchvision; 146 in the paper
    ("efficientnet_b0", 1000, (3, 224, 224), 5_288_548, 386, 0.001),  # torchvision
    ("efficientnet_v2_s", 1000, (3, 384, 384), 21_458_488, 8_366, 0.001),  # torchvision
    ("convnext_tiny", 1000, (3, 224, 224), 28_589_128, 4_456, 0.001),  # torchvision
    ("vit_tiny", 1000, (3, 224, 224), 5_717_416, 1_258, 0.005),  # timm, which counts norms too
    ("repvgg_a0", 1000, (3, 224, 224), 8_309_384, 1_362, 0.001),  # the authors' repository: 8.30 M, 1.4 G
    ("repvgg_a0_branches", 1000, (3, 224, 224), 9_108_968, 1_513, 0.001),  # timm: 9.11 M, 1.52 G
]


def on_paper(name: str, outputs: int, shape: tuple[int, ...]) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, outputs, shape).eval()


def macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Half of what torch counts."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() // 2


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "outputs", "shape", "count", "million_macs", "tolerance"), PUBLISHED)
def test_counts_as_published(
    name: str, outputs: int, shape: tuple[int, ...], count: int, million_macs: float, tolerance: float
) -> None:
    network = on_paper(name, outputs, shape)
    assert parameters(network) == count
    assert macs(network, shape) / 1e6 == pytest.approx(million_macs, rel=tolerance)


def test_ghostnet_as_far_as_its_paper_rounds() -> None:
    """Han et al. 2020, table 7: 5.2 M weights, 141 M FLOPs."""
    network = on_paper("ghostnet", 1000, (3, 224, 224))
    assert round(parameters(network) / 1e6, 1) == 5.2
    assert round(macs(network, (3, 224, 224)) / 1e6) == 141


def test_unet_has_the_layers_of_its_paper() -> None:
    """Ronneberger et al. 2015, section 2: 23 convolutional layers, channels from 64 to 1024 and back."""
    network = on_paper("unet", 2, (1, 256, 256))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == 23
    assert max(layer.out_channels for layer in layers) == 1024
    down = 64 * (1 + 64) + sum(c * (c // 2 + c) for c in (128, 256, 512, 1024))
    merged = sum(c * (2 * c + c) for c in (64, 128, 256, 512))
    norms = 2 * 2 * (2 * (64 + 128 + 256 + 512) + 1024)
    up = sum(4 * 2 * c * c + c for c in (64, 128, 256, 512))
    assert parameters(network) == 9 * (down + merged) + norms + up + (64 + 1) * 2
    assert network(torch.empty(1, 1, 256, 256, device="meta")).shape == (1, 2, 256, 256)


def test_networks_of_signals_have_what_follows_from_their_sizes() -> None:
    weights = 9 * 128 * 8 + 128 * 256 * 5 + 256 * 128 * 3
    convolutions = on_paper("fcn_1d", 6, (9, 128))
    assert parameters(convolutions) == weights + 3 * (128 + 256 + 128) + 129 * 6
    assert macs(convolutions, (9, 128)) == 128 * weights + 128 * 6
    recurrent = on_paper("sensor_lstm", 6, (9, 128))
    assert parameters(recurrent) == 4 * 32 * (9 + 32 + 2) + 33 * 6
    assert macs(recurrent, (9, 128)) == 128 * 4 * 32 * (9 + 32) + 32 * 6


#: networks with a price, and an input of each
PRICED = [
    ("resnet8", (3, 32, 32)),
    ("mobilenet_v1_025", (3, 96, 96)),
    ("ds_cnn", (1, 49, 10)),
    ("resnet18", (3, 64, 64)),
    ("resnet34", (3, 64, 64)),
    ("resnet50", (3, 64, 64)),
    ("vgg16_bn", (3, 224, 224)),
    ("torchvision_mobilenet_v2", (3, 64, 64)),
    ("mobilenet_v3_small", (3, 64, 64)),
    ("mobilenet_v3_large", (3, 64, 64)),
    ("efficientnet_b0", (3, 64, 64)),
    ("efficientnet_v2_s", (3, 64, 64)),
    ("repvgg_a0", (3, 64, 64)),
    ("ghostnet", (3, 64, 64)),
    ("dense_autoencoder", (640,)),
    ("shufflenet_v2", (3, 64, 64)),
    ("unet", (1, 32, 32)),
    ("fcn_1d", (9, 128)),
    pytest.param("convnext_tiny", (3, 32, 32), marks=pytest.mark.slow),
    pytest.param("vit_tiny", (3, 32, 32), marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "shape"), PRICED)
def test_priced_with_the_multiplications_that_torch_counts(name: str, shape: tuple[int, ...]) -> None:
    network = on_paper(name, 10, shape)
    assert layer_table(adopt(network, shape), shape).macs == macs(network, shape)


#: network -> a few names and shapes of torchvision's state dict, and how many entries it has
STATE_DICTS = {
    "resnet18": (
        {
            "conv1.weight": (64, 3, 7, 7),
            "bn1.running_mean": (64,),
            "layer1.0.conv1.weight": (64, 64, 3, 3),
            "layer2.0.downsample.0.weight": (128, 64, 1, 1),
            "layer2.0.downsample.1.num_batches_tracked": (),
            "layer4.1.bn2.weight": (512,),
            "fc.weight": (1000, 512),
        },
        122,
    ),
    "resnet34": ({"layer3.5.conv2.weight": (256, 256, 3, 3), "fc.bias": (1000,)}, 218),
    "resnet50": (
        {
            "layer1.0.conv3.weight": (256, 64, 1, 1),
            "layer1.0.downsample.0.weight": (256, 64, 1, 1),
            "layer4.2.conv2.weight": (512, 512, 3, 3),
            "fc.weight": (1000, 2048),
        },
        320,
    ),
    "vgg16_bn": (
        {
            "features.0.weight": (64, 3, 3, 3),
            "features.0.bias": (64,),
            "features.1.running_var": (64,),
            "features.41.weight": (512,),
            "classifier.0.weight": (4096, 25088),
            "classifier.3.weight": (4096, 4096),
            "classifier.6.bias": (1000,),
        },
        13 * 7 + 6,
    ),
    "torchvision_mobilenet_v2": (
        {
            "features.0.0.weight": (32, 3, 3, 3),
            "features.1.conv.0.0.weight": (32, 1, 3, 3),
            "features.1.conv.1.weight": (16, 32, 1, 1),
            "features.1.conv.2.running_mean": (16,),
            "features.2.conv.1.0.weight": (96, 1, 3, 3),
            "features.17.conv.3.bias": (320,),
            "features.18.0.weight": (1280, 320, 1, 1),
            "classifier.1.weight": (1000, 1280),
        },
        314,
    ),
}


@pytest.mark.parametrize("name", STATE_DICTS)
def test_weights_have_torchvision_s_names(name: str) -> None:
    entries, count = STATE_DICTS[name]
    found = {key: tuple(t.shape) for key, t in on_paper(name, 1000, (3, 224, 224)).state_dict().items()}
    assert len(found) == count
    assert {key: found.get(key) for key in entries} == entries


def test_merged_branches_give_what_the_branches_gave() -> None:
    generator = torch.Generator().manual_seed(0)
    network = build_network("repvgg_a0_branches", 5, (3, 16, 16), generator)
    images = torch.rand(4, 3, 16, 16, generator=generator) * 2 - 1
    with torch.no_grad():
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = 0.5
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.uniform_(-0.5, 0.5, generator=generator)
        network(images)
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        merged, want = merge_branches(network.eval()), network(images)
        got = merged(images)
    assert len(want.unique()) > 5
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    inference = on_paper("repvgg_a0", 5, (3, 16, 16)).state_dict()
    assert {key: t.shape for key, t in merged.state_dict().items()} == {
        key: t.shape for key, t in inference.items()
    }


@pytest.mark.parametrize("name", ["fcn_1d", "unet", "sensor_lstm", "vit_tiny", "dense_autoencoder"])
def test_initial_weights_come_from_the_generator_alone(name: str) -> None:
    shape = {"fcn_1d": (2, 8), "sensor_lstm": (2, 8), "dense_autoencoder": (8,)}.get(name, (1, 16, 16))
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(build_network(name, 5, shape).state_dict())
    assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
    other = build_network(name, 5, shape, torch.Generator().manual_seed(4)).state_dict()
    weights = [key for key, tensor in other.items() if tensor.dim() > 1]
    assert weights and not any(torch.equal(other[key], states[0][key]) for key in weights)


@pytest.mark.parametrize(
    ("name", "shape", "allowed"),
    [
        ("fcn_1d", (9, 0), "(channels, length); allowed are channels of at least 1, length of at least 1"),
        ("fcn_1d", (9, 32, 32), "(channels, length)"),
        ("sensor_lstm", (9,), "(channels, length)"),
        ("dense_autoencoder", (0,), "(features); allowed are features of at least 1"),
        ("dense_autoencoder", (1, 8, 8), "(features)"),
        ("resnet18", (9, 128), "(channels, height, width); allowed are channels of at least 1"),
        ("convnext_tiny", (3, 31, 32), "height and width of at least 32"),
        ("vgg16_bn", (3, 32, 31), "height and width of at least 32"),
        ("unet", (1, 40, 32), "height and width of at least 16, multiples of 16"),
        ("vit_tiny", (3, 0, 32), "height and width of at least 16, multiples of 16"),
    ],
)
def test_inputs_that_make_no_network_are_refused(name: str, shape: tuple[int, ...], allowed: str) -> None:
    with pytest.raises(
        AtollError, match=rf"input_shape is {re.escape(str(shape))} as .*{re.escape(allowed)}"
    ):
        build_network(name, 5, shape)
