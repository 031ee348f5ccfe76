"""`card.json`: what is read is written again to the digit, and what is no card is refused in one sentence."""

import copy
import json
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from atoll.evaluators.card.card import Card, card_digest, files_named
from atoll.evaluators.card.model_card import card_markdown
from atoll.spaces.errors import AtollError

LOOK = {"quality": 0.875, "at": "2026-11-21T10:00:00+00:00", "command": "search"}
PRICES = {
    "macs": 1000,
    "model_bytes": 4000,
    "packed_bytes": 3000,
    "payload_bytes": 3900,
    "parameters": 900,
    "latency_ms": 2.0,
    "latency_ms_low": 1.0,
    "latency_ms_high": 3.0,
    "latency_status": "interpolated",
    "peak_memory_bytes": 2048,
    "peak_memory_bytes_low": 1024.0,
    "peak_memory_bytes_high": 4096.5,
    "peak_memory_status": "extrapolated",
}
METRICS = {"quality": 0.9, "quality_name": "accuracy", **PRICES, "label_loyalty": None}
ROW = {"position": 0, "step": "baseline", "stage": "", "epochs": 1.0, "notes": {"a": [1, None]}}
#: in the order of the file
CARD: dict[str, Any] = {
    "study": "tiny-0-abcdef",
    "trial": "t0007",
    "task": "tiny",
    "network": "compact_cnn",
    "input_shape": [1, 8, 8],
    "recipe": "quantize(bits=8)",
    "seed": 0,
    "epochs_per_step": 1,
    "threads": None,
    "device": "coral-dev-board",
    "metrics": METRICS,
    "baseline": METRICS,
    "waterfall": [{**ROW, "quality": 0.9, **PRICES}],
    "predictions": [
        {
            "device": "coral-dev-board",
            "quantity": "latency_ms",
            "value": 2,
            "low": 1.5,
            "high": 3.0,
            "status": "interpolated",
            "setup": "",
        }
    ],
    "fit_digests": {"coral-dev-board": "a" * 64, "mine": None},
    "artifact": {
        "model_bytes": 1000,
        "packed_bytes": 900,
        "structure_bytes": 100,
        "peak_tensor_bytes": 2000,
        "images": 200,
        "agreement": 1.0,
        "largest_difference": 0.25,
        "largest_difference_lsb": None,
        "quality": 0.9,
        "latency_host_ms": 0.5,
    },
    "test_looks": [LOOK],
    "baseline_test_looks": [],
    "test_images": 100,
    "weights_digest": "b" * 64,
    "dropped": ["names of tensors"],
    "remarks": ["quality equals the stored trial's"],
    "versions": {"atoll": "0.1.0"},
    "data": "1",
    "commands": ["atoll export x"],
    "exported_at": "2026-11-21T10:00:00+00:00",
    "deliveries": [
        {
            "form": "pack",
            "file": "model.tflite.packed",
            "beside": ["unpack.py"],
            "bytes": 950,
            "holds": "it",
            "figures": {"content_bytes": 1000},
            "versions": {"zstandard": "0.23"},
        }
    ],
    "files": {"model.tflite": "c" * 64},
    "text_digest": "e" * 64,
    "card_digest": "d" * 64,
}
LATER = ("fit_digests", "test_images", "exported_at", "text_digest", "card_digest")


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """Returns the card with another part at a place."""
    card = copy.deepcopy(CARD)
    part: Any = card
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = to
    return card


# What is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        CARD,
        {name: one for name, one in CARD.items() if name not in LATER},  # older, not sealed
        {**CARD, "energy_mj": {"value": [1, 2.0, None]}, "more": 3},  # newer
        changed("artifact", "largest_difference_lsb", to=3.0),
        changed("waterfall", 0, "notes", to={"left_alone": ["é \U0001f40c"]}),
    ],
    ids=["whole", "older", "newer", "integers", "notes"],
)
def test_what_is_read_is_written_again_byte_for_byte(value: dict[str, Any]) -> None:
    card = Card.from_json(json.loads(json.dumps(value)))
    assert json.dumps(card.to_json(), indent=1) == json.dumps(value, indent=1)
    assert Card.from_json(card.to_json()) == card


def test_card_and_json_have_one_digest_and_one_text() -> None:
    card = Card.from_json(CARD)
    assert card_digest(card) == card_digest(CARD)
    assert card_markdown(card) == card_markdown(CARD)


@pytest.mark.parametrize("name", [name for name in CARD if name != "card_digest"])
def test_the_digest_covers_every_part_but_itself(name: str) -> None:
    other = {"trial": "t0008", "files": {}, "more": 1}
    assert card_digest({**CARD, name: other}) != card_digest(CARD)
    assert card_digest({**CARD, "card_digest": "other"}) == card_digest(CARD)


def test_a_card_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Card.from_json(CARD).trial = "t0008"  # type: ignore[misc]


# What is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CARD if name not in LATER])
def test_no_part_may_be_missing(name: str) -> None:
    with pytest.raises(AtollError, match=f"^no card: {name}: Field required$"):
        Card.from_json({key: one for key, one in CARD.items() if key != name})


@pytest.mark.parametrize("name", LATER)
def test_what_may_be_missing_is_not_null(name: str) -> None:
    with pytest.raises(AtollError, match=f"no card: {name}: got null, allowed is to leave it out"):
        Card.from_json({**CARD, name: None})


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("seed",), "0"),
        (("seed",), True),
        (("seed",), 0.5),
        (("epochs_per_step",), float("nan")),
        (("epochs_per_step",), float("inf")),
        (("input_shape",), []),
        (("input_shape",), [1, 8, 8, 8]),
        (("input_shape",), [1, 0, 8]),
        (("input_shape",), [1, 8.0, 8]),
        (("recipe",), ["quantize"]),
        (("recipe",), "x" * 100_001),
        (("recipe",), "\ud800"),
        (("metrics",), []),
        (("metrics", "quality"), "0.9"),
        (("metrics", "macs"), True),
        (("metrics", "note"), {"a": 1}),
        (("metrics",), {f"figure_{n}": n for n in range(10_001)}),
        (("baseline", "model_bytes"), [1]),
        (("baseline", "quality_name"), ["accuracy"]),
        (("waterfall",), []),
        (("waterfall",), [CARD["waterfall"][0]] * 66),
        (("waterfall", 0), 3),
        (("waterfall", 0, "latency_ms"), "2"),
        (("predictions", 0, "value"), "2"),
        (("predictions", 0, "setup"), None),
        (("predictions", 0, "other"), 1),
        (("predictions",), CARD["predictions"] * 10_001),
        (("fit_digests", "mine"), 3),
        (("artifact", "images"), 200.5),
        (("artifact", "agreement"), "1.0"),
        (("artifact", "quality"), None),
        (("artifact", "energy_mj"), 1.0),
        (("test_looks", 0), [0.875]),
        (("test_looks", 0, "quality"), None),
        (("test_looks", 0, "at"), 20261121),
        (("test_images",), "100"),
        (("versions", "atoll"), 1),
        (("deliveries", 0, "bytes"), "950"),
        (("deliveries", 0, "beside"), "unpack.py"),
        (("deliveries", 0, "form"), None),
        (("files", "model.tflite"), 7),
        (("files",), ["model.tflite"]),
        (("files",), {f"file_{n}": "" for n in range(10_001)}),
    ],
    ids=lambda value: f"{value}"[:40],
)
def test_a_wrong_type_size_or_number_is_one_sentence(path: tuple[Any, ...], to: Any) -> None:
    for read in (Card.from_json, card_markdown):
        with pytest.raises(AtollError, match=r"^no card: ") as caught:
            read(changed(*path, to=to))
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [None, 3, "card", [], [CARD]])
def test_something_else_is_no_card(value: Any) -> None:
    with pytest.raises(AtollError, match="no card: an object is needed"):
        Card.from_json(value)


def test_values_within_values_end() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    with pytest.raises(AtollError, match=r"^no card: "):
        Card.from_json(changed("waterfall", 0, "notes", to=deep))


def test_a_name_in_a_card_does_not_steer_the_terminal() -> None:
    with pytest.raises(AtollError, match=r"versions\.\\x1b\[2J\\n") as caught:
        Card.from_json(changed("versions", to={"\x1b[2J\n" + 1000 * "x": 3}))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


# Its files ------------------------------------------------------------------------------------------------


def test_files_are_read_of_as_much_of_a_card_as_names_them() -> None:
    assert files_named({"files": {"a": "0" * 64}}) == files_named({**CARD, "files": {"a": "0" * 64}})
    assert files_named(CARD) == CARD["files"]


@pytest.mark.parametrize(
    "value", [{}, [], None, {"files": None}, {"files": {"a": 1}}, {"files": ["a"]}, {"files": {"a": None}}]
)
def test_files_in_another_form_are_refused(value: Any) -> None:
    with pytest.raises(AtollError, match=r"^no card: "):
        files_named(value)
