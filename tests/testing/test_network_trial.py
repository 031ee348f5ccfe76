"""Networks as users write them are adopted, counted, priced and written; a check that fails says so."""

from itertools import islice

import pytest
import torch
from atoll.testing.network_trial import BASIC, Failed, NotTried, Trial, checks, off_by, rows
from atoll.testing.various_networks import SHAPE, VARIOUS
from torch import nn


@pytest.mark.parametrize(
    "name",
    [
        "two_inputs", "two_outputs", "shared_module", "branches_on_shapes", "asymmetric_padding",
        "means_over_axes", "prelu", "group_norm", "layer_scale", "norm_subclass", "channel_shuffle",
        "pool_ceil_mode", "transposed_convolution",
    ],
)  # fmt: skip
def test_what_users_write_is_adopted_priced_and_written(name: str) -> None:
    trial = Trial(*VARIOUS[name])
    for _, check in islice(checks(trial), len(BASIC)):
        check()
    assert trial.technique("quantize") > 0
    assert trial.reach("quantize") == 1


class Stubborn(nn.Module):
    """Looks into its data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) if x.sum() > 0 else self.conv(-x)


def test_every_check_is_a_row_and_what_fails_has_a_sentence() -> None:
    found = {row["check"]: row for row in rows("stubborn", Stubborn, (SHAPE,))}
    assert found["adopted"]["outcome"] == "no"
    assert len(found["adopted"]["sentence"]) > 20
    assert {row["outcome"] for check, row in found.items() if check != "adopted"} == {"not tried"}


def test_a_network_that_is_not_adopted_is_not_tried_further() -> None:
    with pytest.raises(NotTried, match="not adopted"):
        Trial(*VARIOUS["relu6"]).price()


def test_what_answers_everything_alike_cannot_be_compared() -> None:
    same = [torch.ones(3, 2)]
    with pytest.raises(Failed, match="everything alike"):
        off_by(same, same)
    assert off_by([torch.tensor([[0.0, 4.5]])], [torch.tensor([[0.0, 5.0]])]) == pytest.approx(0.1)
