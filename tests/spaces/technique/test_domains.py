"""What settings may be: the edges of every domain, and the sentence for what lies outside."""

from typing import Any

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.technique.domains import (
    Choice,
    Domain,
    Float,
    Int,
    Modes,
    check_settings,
    mode_product,
    mode_sizes,
)

RATIO = Float(0.0, 1.0, (0.5,), open_ends=True)
SHARE = Float(0.0, 1.0, (0.5,), unit="share")
RANK = Int(1, 64, (4,), unit="columns")
BITS = Choice((8, 4, 2))
KIND = Choice(("none", "compact_cnn"))
MODES = Modes()


@pytest.mark.parametrize(
    ("domain", "value", "canonical"),
    [
        (RATIO, 0.5, 0.5),
        (SHARE, 0, 0.0),
        (SHARE, 1, 1.0),
        (RANK, 64, 64),
        (RANK, 8.0, 8),
        (BITS, 4, 4),
        (BITS, 4.0, 4),
        (KIND, "none", "none"),
        (MODES, "auto", "auto"),
        (MODES, "16x08x16x8", "16x8x16x8"),
    ],
)
def test_legal_values_come_back_in_their_canonical_type(domain: Domain, value: Any, canonical: Any) -> None:
    checked = domain.check("here", value)
    assert checked == canonical
    assert type(checked) is type(canonical)


@pytest.mark.parametrize(
    ("domain", "value", "allowed"),
    [
        (RATIO, 0.0, "a number between 0 and 1 (both excluded)"),
        (RATIO, 1.0, "a number between 0 and 1 (both excluded)"),
        (RATIO, float("nan"), "a number between 0 and 1"),
        (RATIO, float("inf"), "a number between 0 and 1"),
        (RATIO, 10**400, "a number between 0 and 1"),
        (RATIO, True, "a number between 0 and 1"),
        (RATIO, "half", "a number between 0 and 1"),
        (SHARE, 1.01, "a number from 0 to 1 share"),
        (RANK, 0, "a whole number from 1 to 64 columns"),
        (RANK, 65, "a whole number from 1 to 64"),
        (RANK, 2.5, "a whole number from 1 to 64"),
        (RANK, True, "a whole number from 1 to 64"),
        (BITS, 3, "one of 8, 4, 2"),
        (BITS, [8], "one of 8, 4, 2"),
        (KIND, "compact_cn", "did you mean 'compact_cnn'?"),
        (MODES, "16", "auto, or two or more sizes joined by x"),
        (MODES, "16x0", "auto, or two or more sizes joined by x"),
        (MODES, "16x-2", "auto, or two or more sizes joined by x"),
        (MODES, 16, "auto, or two or more sizes joined by x"),
    ],
)
def test_illegal_values_are_told_with_place_and_allowed_ones(
    domain: Domain, value: Any, allowed: str
) -> None:
    with pytest.raises(AtollError) as error:
        domain.check("step 3: ratio", value)
    assert str(error.value).startswith("step 3: ratio: got ")
    assert allowed in str(error.value)


def test_a_truth_value_is_no_number_of_a_choice() -> None:
    with pytest.raises(AtollError, match="got True"):
        Choice((1, 4)).check("multiple", True)


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(AtollError, match="unknown setting 'ration'; did you mean 'ratio'"):
        check_settings("prune", {"ratio": RATIO, "bits": BITS}, {"ration": 0.5})


def test_mode_sizes() -> None:
    assert mode_sizes("16x8x16x8") == (16, 8, 16, 8)
    assert mode_product("16x8x16x8") == 16384
    assert mode_sizes("auto") is None
    assert mode_product("auto") is None
