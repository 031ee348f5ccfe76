"""Parameters and multiply-accumulates of the zoo's classifiers against what was published of them."""

import pytest
import torch
from atoll.hw_models.tables.layer_table import MAC_KINDS, LayerTable
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from torch import nn

IMAGE = (3, 224, 224)
#: network, classes, trainable parameters, multiply-accumulates at 224x224, where both were published
EXACT = [
    # `summary()` of Keras' applications: 4,253,864 and 3,538,984, of which so many are trainable; 569 M and
    # 300 M multiply-adds in Howard et al. 2017, table 4, and Sandler et al. 2018, table 4
    ("mobilenet_v1", 1000, 4_231_976, 568_740_352),
    ("mobilenet_v2", 1000, 3_504_872, 300_774_272),
    # Keras and torchvision; 15.47 and 19.63 GFLOPS in torchvision's table of weights
    ("vgg16", 1000, 138_357_544, 15_470_264_320),
    ("vgg19", 1000, 143_667_240, 19_632_062_464),
]
#: network, million parameters, G multiply-accumulates, relative tolerance of the count, source
ROUNDED = [
    ("mobilenet_v1", 4.2, 0.569, 0.001),  # Howard et al. 2017, table 4
    (
        "mobilenet_v2",
        3.5,
        0.301,
        0.001,
    ),  # torchvision's table of weights; the paper rounds to 3.4 M and 300 M
    ("vgg16", 138, 15.5, 0.003),  # Simonyan & Zisserman 2015, table 2; He et al. 2016a, table 1 (VGG)
    ("vgg19", 144, 19.6, 0.003),
    # torchvision's 1,248,424 parameters; 861 M in the authors' own network, whose last convolution has a ring
    # of zeros around its 13x13 maps and whose images are of 227x227
    ("squeezenet", 1.25, 0.861, 0.015),
    # timm's `efficientnet_es`, table of inference benchmarks; it counts more than convolutions
    ("efficientnet_edgetpu_s", 5.44, 1.81, 0.015),
]
#: network, MB and MFLOP at 64x64 with 11 classes (PUB-I table 2)
PUB_I = [
    ("mobilenet_v1", 12.856_38, 94.01),
    ("mobilenet_v2", 8.935_84, 52.88),
    ("mobilenet_v3_small_full_se", 12.171_81, 15.24),
]


def on_paper(name: str, num_classes: int, shape: tuple[int, int, int] = IMAGE) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, num_classes, shape)


def table(name: str, num_classes: int, shape: tuple[int, int, int] = IMAGE) -> LayerTable:
    return layer_table(adopt(on_paper(name, num_classes, shape), shape).eval(), shape)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "classes", "count", "macs"), EXACT)
def test_to_the_last_parameter_and_multiplication(name: str, classes: int, count: int, macs: int) -> None:
    assert parameters(on_paper(name, classes)) == count
    assert table(name, classes).macs == macs


@pytest.mark.parametrize(("name", "million_parameters", "giga_macs", "tolerance"), ROUNDED)
def test_as_far_as_the_publications_round(
    name: str, million_parameters: float, giga_macs: float, tolerance: float
) -> None:
    assert parameters(on_paper(name, 1000)) / 1e6 == pytest.approx(million_parameters, rel=0.01)
    assert table(name, 1000).macs / 1e9 == pytest.approx(giga_macs, rel=tolerance)


def test_squeezenet_is_the_authors_but_for_the_size_of_the_maps() -> None:
    """Iandola et al. 2016, `SqueezeNet_v1.0`: 861,339,936, 111, 55, 27 and 13 wide, 15 in the last one."""
    widths = {"conv1": 111, "fire2": 55, "fire3": 55, "fire4": 55, "fire9": 13, "conv10": 15}
    counted = 0
    for row in table("squeezenet", 1000).rows:
        if row.cost.kind in MAC_KINDS:
            width = widths.get(row.path.split(".")[0], 27)
            counted += row.cost.macs // row.output_shape[1] ** 2 * width**2
    assert counted == 861_339_936


def test_fused_blocks_stride_where_timm_lets_them() -> None:
    """timm's `efficientnet_es`: 5,438,392 parameters; and 8.73 M outputs of convolutions and dense layers."""
    assert parameters(on_paper("efficientnet_edgetpu_s", 1000)) == 5_438_392
    rows = table("efficientnet_edgetpu_s", 1000).rows
    outputs = sum(row.cost.output_elements for row in rows if row.cost.kind in MAC_KINDS)
    assert outputs / 1e6 == pytest.approx(8.73, rel=0.005)


@pytest.mark.parametrize(("name", "megabytes", "mflop"), PUB_I)
def test_sizes_and_counts_of_pub_i(name: str, megabytes: float, mflop: float) -> None:
    """A file is its weights with the normalisation folded in, and less than a percent around them.

    PUB-I counts more operations than multiplications and additions, and does not say which.
    """
    rows = table(name, 11, (3, 64, 64))
    stored = sum(row.cost.weight_elements + row.cost.bias_elements for row in rows.rows)
    assert 0.99 < 4 * stored / 1e6 / megabytes < 1
    assert 0.915 < 2 * rows.macs / 1e6 / mflop < 1
