"""What a card says of single samples, of its file's ends and of its classes; and its pictures."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest
import torch
from atoll.evaluators.card.card import Card
from atoll.evaluators.card.model_card import card_markdown
from atoll.evaluators.card.pictures import CONFUSION, THUMBNAILS, WATERFALL, pictures
from atoll.evaluators.measuring.file_ends import FileEnd, FileInterface
from atoll.evaluators.measuring.sample_report import MOST_CLASSES, Confusion, Disagreement, SampleReport
from atoll.spaces.errors import AtollError

ENDS = [FileEnd("", [1, 8, 8, 3], "int8", 0.5, -3)], [FileEnd("", [1, 3], "float32", None, None)]
INTERFACE = FileInterface(*ENDS, {"CONV_2D": 2, "FULLY_CONNECTED": 1})
WORST = [Disagreement(7, 0.25, 0, 0, 2), Disagreement(3, 1.5, 1, 1, 1)]
SAMPLES = SampleReport(WORST, [Confusion(0, 2, 4), Confusion(1, 0, 1)], [[5, 0, 4], [1, 9, 0], [0, 0, 9]])
CLASSES = ["cat $x$", "dog|`", "<b>owl\x1b"]
IMAGES = torch.arange(8 * 3 * 64).remainder(256).to(torch.uint8).reshape(8, 3, 8, 8)


def card_of(**more: Any) -> Card:
    prices = {"macs": 9, "model_bytes": 4000, "packed_bytes": 9, "payload_bytes": 9, "parameters": 9}
    for name in ("latency_ms", "peak_memory_bytes"):
        prices |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), 2)
    metrics: dict[str, Any] = {"quality": 0.9, "quality_name": "accuracy", "label_loyalty": None, **prices}
    metrics |= {"latency_status": "interpolated", "peak_memory_status": "interpolated"}
    sizes = ("model_bytes", "packed_bytes", "structure_bytes", "peak_tensor_bytes")
    artifact: dict[str, Any] = dict.fromkeys(sizes, 100)
    artifact |= {"images": 28, "agreement": 0.96, "largest_difference": 1.5, "largest_difference_lsb": None}
    texts = ("study", "trial", "task", "network", "recipe", "device", "weights_digest", "data")
    told = {**dict.fromkeys(texts, "x"), "input_shape": [3, 8, 8], "seed": 0, "epochs_per_step": 1}
    told |= {"metrics": metrics, "baseline": metrics, "threads": 1, "predictions": [], "test_looks": []}
    row = {"position": 0, "step": "baseline", "stage": "", "epochs": 1.0, "notes": {}, "quality": 0.9}
    told |= {"waterfall": [row | prices], "artifact": {**artifact, "quality": 0.9, "latency_host_ms": 1.0}}
    empty = ("baseline_test_looks", "dropped", "remarks", "commands", "deliveries")
    told |= {
        **{name: [] for name in empty},
        "versions": {},
        "files": dict.fromkeys((CONFUSION, THUMBNAILS), ""),
    }
    new = {"samples": SAMPLES, "interface": INTERFACE, "classes": CLASSES}
    return replace(Card.from_json(told), **{**new, **more})


def test_the_worst_samples_stand_in_a_table_with_the_names_of_their_classes() -> None:
    text = card_markdown(card_of())
    assert "| 7 | `cat $x$` | `cat $x$` | `<b>owl\\x1b` | 0.25 |" in text
    assert "| 3 | `dog\\x7c\\x60` | `dog\\x7c\\x60` | `dog\\x7c\\x60` | 1.5 |" in text
    assert "the largest difference of an output was 1.5, on image 3." in text
    assert (
        "Most often it takes `cat $x$` for `<b>owl\\x1b` (4 times), `dog\\x7c\\x60` for `cat $x$` (once)."
        in text
    )
    for file in (CONFUSION, THUMBNAILS):
        [words] = re.findall(rf"!\[(.*)\]\({file}\)", text)
        assert len(words) > 30  # for those who do not see it


def test_ends_classes_and_operators_stand_in_the_card() -> None:
    text = card_markdown(card_of())
    assert "| input 0 | 1x8x8x3 | int8 | 0.5 | -3 |" in text
    assert "| output 0 | 1x3 | float32 |  |  |" in text
    assert "What goes in is height x width x channels, pixel / 127.5 - 1." in text
    assert "Classes in the order of the output: `cat $x$`, `dog\\x7c\\x60`, `<b>owl\\x1b`." in text
    assert "Operators: 2 CONV_2D, 1 FULLY_CONNECTED." in text
    assert "LiteRT Micro" not in text
    card = card_of()
    runs = {"micro_status": "runs", "arena_bytes": 4096.0}
    text = card_markdown(replace(card, metrics=card.metrics | runs, baseline=card.baseline | runs))
    code = "MicroMutableOpResolver<2> resolver;\nresolver.AddConv2D();\nresolver.AddFullyConnected();\n"
    assert f"{code}alignas(16) static uint8_t arena[4096];\n```" in text


def test_an_older_card_says_nothing_of_it() -> None:
    text = card_markdown(card_of(samples=None, interface=None, classes=None))
    assert "takes" not in text and "Operators" not in text and "was 1.5." in text
    assert list(pictures(card_of(samples=None), IMAGES)) == [WATERFALL]


NUMBERS = SampleReport([Disagreement(3, 1.5, None, None, None)], [], None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"samples": replace(SAMPLES, disagreements=[])}, "It gave exactly what the network gives on all of"),
        ({}, "Thumbnails of them were left out."),
        ({"input_shape": [5, 8, 8]}, "inputs of 8x8x5 (height x width x channels) are no pictures"),
        ({"input_shape": [12]}, "The worst samples, those with another class first, counted from 0"),
        ({"samples": NUMBERS, "numbers": True, "classes": None}, "Outputs are numbers: there are no classes"),
        ({"samples": NUMBERS, "numbers": True, "classes": None}, "| 3 | 1.5 |"),
        ({"samples": NUMBERS}, "Outputs do not choose one class a sample"),
        (
            {"samples": NUMBERS, "classes": [str(n) for n in range(MOST_CLASSES + 1)]},
            "There is no picture of 41 classes beside each other: of more than 40 none could be read.",
        ),
    ],
)
def test_where_there_is_no_picture_a_sentence_says_why(more: dict[str, Any], said: str) -> None:
    text = card_markdown(card_of(**{"files": {}, **more}))
    assert said in text and f"]({CONFUSION})" not in text


def test_the_same_card_gives_the_same_pictures_whatever_its_reader_has_set() -> None:
    first = pictures(card_of(), IMAGES)
    assert list(first) == [WATERFALL, CONFUSION, THUMBNAILS]
    with matplotlib.rc_context({"font.size": 30, "image.interpolation": "bilinear", "svg.fonttype": "none"}):
        assert pictures(card_of(), IMAGES.clone()) == first
    for name, words in ((CONFUSION, "23 are right"), (THUMBNAILS, "furthest apart: 7, 3")):
        root = ElementTree.fromstring(first[name])
        title = root.find("{*}title")
        assert title is not None and words in str(title.text)
    assert pictures(card_of(), IMAGES.flip(0))[THUMBNAILS] != first[THUMBNAILS]
    assert list(pictures(card_of(), None)) == [WATERFALL, CONFUSION]
    assert list(pictures(card_of(input_shape=[12]), IMAGES.reshape(8, -1))) == [WATERFALL, CONFUSION]


@pytest.mark.parametrize("kind", [torch.float32, torch.int16])
def test_other_numbers_than_bytes_are_spread_and_large_images_small(kind: torch.dtype) -> None:
    images = torch.zeros(8, 1, 500, 300, dtype=kind)
    images[..., :150] = 1000
    drawn = pictures(card_of(input_shape=[1, 500, 300]), images)[THUMBNAILS]
    assert drawn == pictures(card_of(input_shape=[1, 500, 300]), images * 3)[THUMBNAILS]
    assert len(drawn) < 60_000


def test_a_matrix_that_is_not_square_is_refused() -> None:
    told = card_of().to_json()
    told["samples"]["matrix"][0] = [1]
    with pytest.raises(AtollError, match="a matrix of 3 rows that is not square"):
        Card.from_json(told)
    assert Card.from_json(card_of().to_json()) == card_of()
