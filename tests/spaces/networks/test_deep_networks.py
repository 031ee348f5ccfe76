"""Residual, inception and dense networks, and the two surrogates, against published counts.

Sources:
* TF-Slim: "Pre-computed receptive field parameters" of github.com/google-research/receptive_field, floating
  point operations up to the last maps, two a multiply-accumulate (tensorflow.profiler; poolings included).
* OpenVINO's Open Model Zoo, model pages: MParams (normalisations folded) and GFLOPs of the whole network.
* Keras: keras.io/api/applications, parameters with the running statistics of normalisations.
* torchvision: docs.pytorch.org/vision/stable/models, num_params without them.
* own: computed from the published definition, beside the figures of an Edge TPU (`coral_edge_tpu`).
"""

from functools import cache

import pytest
import torch
from atoll.hw_models.tables.flop_count import FlopCount
from atoll.hw_models.tables.layer_table import LayerTable
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import SURROGATES, build_network
from torch import nn


def planned(name: str, size: int, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_network(name, classes, (3, size, size))


@cache
def table(name: str, size: int, classes: int) -> LayerTable:
    shape = (3, size, size)
    return layer_table(adopt(planned(name, size, classes), shape), shape, as_written=True)


def statistics(network: nn.Module) -> int:
    """Running means and variances."""
    return sum(2 * m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize(
    ("name", "classes", "with_statistics", "published"),
    [
        ("resnet50_v1", 1000, False, 25_557_032),  # torchvision, whose strides lie elsewhere
        ("resnet50_v2", 1000, True, 25_613_800),  # Keras
        ("resnet152_v2", 1000, True, 60_380_648),  # Keras
        ("densenet121", 1000, True, 8_062_504),  # Keras
        ("densenet121", 1000, False, 7_978_856),  # torchvision
    ],
)
def test_parameters_as_published(name: str, classes: int, with_statistics: bool, published: int) -> None:
    network = planned(name, 64, classes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters + with_statistics * statistics(network) == published


@pytest.mark.parametrize(
    ("name", "size", "published_gflops"),
    [
        ("resnet50_v1", 224, 6.963),
        ("resnet50_v1", 321, 15.629),
        ("resnet50_v2", 224, 6.969),
        ("resnet152_v2", 321, 48.886),
        ("inception_v4", 321, 27.390),
    ],
)
def test_operations_up_to_the_last_maps_as_tf_slim(name: str, size: int, published_gflops: float) -> None:
    found = table(name, size, 1001)
    maps = found.macs - found.total(lambda cost: cost.macs, "dense")
    assert 2 * maps / 1e9 == pytest.approx(published_gflops, rel=3e-3)


@pytest.mark.parametrize(
    ("name", "size", "classes", "published_mparams", "published_gflops"),
    [
        ("inception_v1", 224, 1001, 6.619, 3.016),  # googlenet-v1-tf
        ("inception_v4", 299, 1000, 42.648, 24.584),  # googlenet-v4-tf
        ("densenet121", 224, 1000, 7.971, None),  # densenet-121; their operations count norms and poolings
    ],
)
def test_folded_parameters_and_operations_as_the_open_model_zoo(
    name: str, size: int, classes: int, published_mparams: float, published_gflops: float | None
) -> None:
    found = table(name, size, classes)
    assert round(found.parameters / 1e6, 3) == published_mparams
    if published_gflops is not None:
        assert 2 * found.macs / 1e9 == pytest.approx(published_gflops, rel=7e-3)


# Parameters with normalisations folded. DenseNet's 7,974,120 give every convolution biases, 2,752 more.
@pytest.mark.parametrize(
    ("name", "size", "classes", "macs", "parameters"),
    [
        ("resnet50_v1", 299, 1001, 6_536_213_248, 25_532_521),
        ("resnet152_v2", 299, 1001, 20_210_823_936, 60_215_017),
        ("inception_v1", 224, 1001, 1_498_377_216, 6_618_649),
        ("inception_v4", 299, 1001, 12_253_976_160, 42_649_769),
        ("densenet121", 224, 1000, 2_834_161_664, 7_974_120 - 2_752),
    ],
)
def test_counts_of_the_networks_that_were_timed_on_an_edge_tpu(
    name: str, size: int, classes: int, macs: int, parameters: int
) -> None:
    found = table(name, size, classes)
    assert (found.macs, found.parameters) == (macs, parameters)


def test_the_text_detector_has_the_printed_operations_and_size() -> None:
    """PUB-III: 15,072.5 MFLOP and a float file of 96,210 kB, of which less than 0.1 % is structure."""
    found = table("east_resnet50", 320, 2)
    assert round(2 * found.macs / 1e6, 1) == 15_072.5
    assert 0.999 * 96_210 < 4 * found.parameters / 1e3 < 96_210


def test_the_text_recogniser_has_about_the_printed_operations_and_size() -> None:
    """PUB-III: 20.2 MFLOP and 0.88 MB."""
    found = table("text_recognition_unidentified", 64, 35)
    assert round(4 * found.parameters / 1e6, 2) == 0.88
    assert FlopCount.of(found).published / 1e6 == pytest.approx(20.2, rel=0.01)


def test_surrogates_are_in_the_zoo() -> None:
    for name in SURROGATES:
        assert isinstance(planned(name, 64, 35), nn.Module)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("inception_v4", (3, 74, 299), "height and width of at least 75"),
        ("densenet121", (3, 224, 28), "height and width of at least 29"),
        ("east_resnet50", (3, 320, 330), "multiples of 32"),
        ("east_resnet50", (0, 320, 320), "channels of at least 1"),
        ("resnet50_v2", (3, 0, 224), "height and width of at least 1"),
    ],
)
def test_inputs_that_make_no_network_are_refused(
    name: str, shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(AtollError, match=message):
        build_network(name, 10, shape)


@pytest.mark.parametrize("name", ["resnet152_v2", "inception_v1", "inception_v4", "densenet121"])
def test_a_classifier_needs_two_classes(name: str) -> None:
    with pytest.raises(AtollError, match="at least 2"):
        build_network(name, 1, (3, 224, 224))


@pytest.mark.parametrize(
    ("name", "smallest"), [("resnet50_v1", 1), ("inception_v1", 1), ("inception_v4", 75), ("densenet121", 29)]
)
def test_the_smallest_input_leaves_something(name: str, smallest: int) -> None:
    with torch.device("meta"):
        network = build_network(name, 10, (1, smallest, smallest)).eval()
        assert network(torch.empty(2, 1, smallest, smallest)).shape == (2, 10)


def test_strides_lie_in_the_last_unit_of_a_block() -> None:
    network = planned("resnet50_v1", 64, 10)
    strides = [
        [unit.residual.convolve.conv.stride[0] for unit in network.get_submodule(f"block{n}").children()]
        for n in (1, 2, 3, 4)
    ]
    assert strides == [[1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 1, 1, 2], [1, 1, 1]]


def test_the_text_detector_gives_maps_at_a_quarter_between_0_and_1() -> None:
    network = build_network("east_resnet50", 2, (3, 64, 32)).eval()
    with torch.no_grad():
        score, distances, angle = network(torch.rand(2, 3, 64, 32) * 2 - 1)
    assert (score.shape, distances.shape, angle.shape) == ((2, 1, 16, 8), (2, 4, 16, 8), (2, 1, 16, 8))
    assert all(float(head.min()) > 0 and float(head.max()) < 1 for head in (score, distances, angle))
