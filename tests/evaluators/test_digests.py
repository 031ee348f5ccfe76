"""Digests change with everything that decides a result, and with nothing else."""

import pytest
import torch
from atoll.evaluators.digests import derived_seed, digest_json, digest_tensors, library_versions

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2], dtype=torch.uint8)}


def test_order_of_names_and_memory_decide_nothing() -> None:
    shuffled = {
        "b": TENSORS["b"].clone(),
        "a": TENSORS["a"].t().contiguous().t(),  # the same values, transposed in memory
    }
    assert digest_tensors(shuffled) == digest_tensors(TENSORS)
    assert digest_json({"x": 1, "y": [2]}) == digest_json({"y": [2], "x": 1})


@pytest.mark.parametrize(
    "other",
    [
        {**TENSORS, "a": TENSORS["a"] + 2**-20},
        {**TENSORS, "a": TENSORS["a"].reshape(3, 2)},
        {**TENSORS, "b": TENSORS["b"].to(torch.int8)},
        {"a": TENSORS["a"]},
        {"c": TENSORS["a"], "b": TENSORS["b"]},
    ],
)
def test_values_shapes_types_and_names_decide(other: dict[str, torch.Tensor]) -> None:
    assert digest_tensors(other) != digest_tensors(TENSORS)


def test_scalars_and_negative_zero_have_digests_of_their_own() -> None:
    assert digest_tensors({"n": torch.tensor(0.0)}) != digest_tensors({"n": torch.tensor(-0.0)})


def test_the_digest_of_json_is_that_of_its_canonical_text() -> None:
    # printf '{"a":[1,null]}' | sha256sum
    assert digest_json({"a": [1, None]}) == "a290b55a84a4e851c13e570346d396a0ff58e13e3b458112237484f9ed3b8950"


def test_seeds_depend_on_every_part_and_fit_a_generator() -> None:
    seeds = {derived_seed(*parts) for parts in [(0, "a"), (1, "a"), (0, "b"), (0,), ("0a",)]}
    assert len(seeds) == 5
    assert derived_seed(0, "a") == derived_seed(0, "a")
    for seed in seeds:
        assert 0 <= seed < 2**63
        torch.Generator().manual_seed(seed)


def test_the_libraries_that_train_are_named_with_their_versions() -> None:
    versions = library_versions()
    assert versions["torch"] == torch.__version__
    assert {"torch", "tensorly", "numpy"} == set(versions)
