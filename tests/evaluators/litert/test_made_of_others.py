"""What the runtime has no operator for and is written as several others: torch's own answer, and the plan."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import operator_names
from atoll.spaces.graph.adopt import adopt
from torch import Tensor, nn

SHAPE = (3, 11, 9)
IMAGES = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


class Calls(nn.Module):
    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


def padded(mode: str) -> nn.Module:
    return Calls(partial(F.pad, pad=(2, 1, 0, 3), mode=mode))


CASES: dict[str, Callable[[], nn.Module]] = {
    "softplus": nn.Softplus,
    "softplus, steeper": lambda: nn.Softplus(beta=2.0),
    "mish": nn.Mish,
    "averages of uneven windows": lambda: nn.AdaptiveAvgPool2d((4, 5)),
    "more averages than values": lambda: nn.AdaptiveAvgPool2d((13, 9)),
    "largest of uneven windows": lambda: nn.AdaptiveMaxPool2d((13, 5)),
    "windows with holes": lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0), dilation=(2, 3)),
    "and a part of one": lambda: nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True),
    "averages of what is inside": lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "and of parts of windows": lambda: nn.AvgPool2d(3, (2, 3), 1, ceil_mode=True),
    "sums": lambda: nn.AvgPool2d(2, divisor_override=1),
    "elu": lambda: nn.ELU(0.5),
    "celu": lambda: nn.CELU(0.5),
    "selu": nn.SELU,
    "mirrored": lambda: nn.ReflectionPad2d((1, 2, 3, 0)),
    "mirrored by a function": lambda: padded("reflect"),
    "edges": lambda: padded("replicate"),
    "edges in a module": lambda: nn.ReplicationPad2d(2),
    "round": lambda: padded("circular"),
    "a convolution of mirrored maps": lambda: nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
    "of round ones": lambda: nn.Conv2d(
        8, 8, (5, 3), padding="same", padding_mode="circular", dilation=(1, 2)
    ),
    "channel by channel": lambda: nn.Conv2d(8, 8, 3, 2, (1, 0), groups=8, padding_mode="replicate"),
}


def network(case: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), CASES[case](), nn.Conv2d(8, 6, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_torch_gives(case: str, compressed, written) -> None:
    given = network(case)
    adopted = adopt(given, SHAPE).eval()
    torch.testing.assert_close(adopted(IMAGES), given(IMAGES), rtol=0, atol=1e-6)
    written(adopted, IMAGES)
    written(compressed(given, IMAGES, "quantize(bits=8)"), IMAGES, steps=3.01, share=0.6)


@pytest.mark.parametrize("value", [-300.0, -5.0, 0.0, 5.0, 300.0])
def test_a_softplus_neither_overflows_nor_vanishes(value: float) -> None:
    class Bent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(F.softplus(x) + F.mish(x))

    adopted, given = adopt(Bent(), (2,)).eval(), torch.full((1, 2), value)
    adopted.dense.weight.set(torch.eye(2))
    adopted.dense.bias.data.zero_()
    torch.testing.assert_close(adopted(given), F.softplus(given) + F.mish(given))


def test_mirrored_maps_are_one_operator_and_others_need_no_new_grid(compressed, written) -> None:
    for case, operator in (("mirrored", "MIRROR_PAD"), ("edges", "CONCATENATION")):
        names = operator_names(
            written(compressed(network(case), IMAGES, "quantize(bits=8)"), IMAGES, 3.01, 0.6)
        )
        assert operator in names
        assert "QUANTIZE" not in names
