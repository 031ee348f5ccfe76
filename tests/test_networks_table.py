"""The runner of the table of networks: what is left after an interruption, how failures are told."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "networks_table", Path(__file__).with_name("networks_table.py")
)
assert _SPEC is not None and _SPEC.loader is not None
networks_table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(networks_table)


def row(network: str, check: str, outcome: str, sentence: str = "", value: float | None = None) -> dict:
    return {
        "network": network, "check": check, "outcome": outcome, "value": value, "sentence": sentence,
        "commit": "abc",
    }  # fmt: skip


def test_a_network_is_left_until_its_last_check_at_this_commit() -> None:
    rows = [
        row("resnet8", "adopted", "yes"),
        row("resnet8", "reach of cluster", "no"),
        row("ds_cnn", "adopted", "yes"),
    ]
    absent = networks_table._not_installed()
    known = [name for name in networks_table.networks() if name not in absent]
    assert networks_table.left(rows, "abc") == known[1:]
    assert networks_table.left(rows, "def") == known


def test_failures_are_gathered_by_what_is_alike_in_them() -> None:
    price = "operation 'PReLU' at 1, 'the parameter a.b' at a_b: allowed are add"
    rows = [
        row("prelu", "priced", "no", price),
        row("prelu", "multiplications", "no", price),
        row("unet", "priced", "no", "operations 'PReLU' at up.0, 'chunk' at chunk_1: allowed are add"),
        row("unet", "float file", "no", "up.0: PReLU cannot be written for LiteRT"),
        row("prelu", "int8 file", "no", "1: PReLU cannot be written for LiteRT"),
        row(
            "unet",
            "reach of svd",
            "no",
            "7% of the weights, left alone are above all a: is odd; b: has 12 weights",
        ),
        row("prelu", "cp", "yes"),
    ]
    assert networks_table.reasons(rows) == [
        ("float file: PReLU cannot be written for LiteRT", {"prelu", "unet"}),
        ("priced: operation PReLU", {"prelu", "unet"}),
        ("priced: operation a parameter in the forward", {"prelu"}),
        ("priced: operation chunk", {"unet"}),
        ("reach of svd: has N weights", {"unet"}),
        ("reach of svd: is odd", {"unet"}),
    ]


def test_the_table_shows_what_was_found() -> None:
    rows = [
        row("resnet8", "adopted", "yes"),
        row("resnet8", "svd", "nothing"),
        row("resnet8", "priced", "not tried"),
        row("resnet8", "reach of svd", "no", "7% of the weights, left alone are above all a: is odd"),
        row("resnet8", "reach of cluster", "yes", value=0.834),
        row("resnet8", "cp", "no", "cp: cannot"),
    ]
    text = networks_table.table(rows).splitlines()
    head = next(line for line in text if line.startswith("| network")).split(" | ")
    shown = dict(
        zip(head, next(line for line in text if line.startswith("| resnet8")).split(" | "), strict=True)
    )
    assert (shown["adopted"], shown["svd"], shown["priced"], shown["cp"]) == ("yes", "nothing", "-", "**no**")
    assert (shown["reach of svd"], shown["reach of cluster |"], shown["tucker"]) == ("**7%**", "83% |", "")
    assert text[-1] == "- 1 (resnet8): reach of svd: is odd"
