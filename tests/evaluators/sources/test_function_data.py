"""Functions of a user: what they may give, and what is said where they fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.datasets.dataset import Split
from atoll.evaluators.datasets.mapped_dataset import MappedDataset
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.spaces.errors import AtollError
from torch.utils.data import TensorDataset

X = torch.arange(60 * 18, dtype=torch.float32).reshape(60, 2, 9)
Y = torch.arange(60) % 3


class Items:
    """A map-style data set that is asked one item at a time."""

    def __init__(self, length: int = 60, grows: bool = False, bad: Any = None, noisy: bool = False) -> None:
        self.length, self.grows, self.bad, self.noisy = length, grows, bad, noisy
        self.asked = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        print("reading", index)
        self.asked += 1
        if self.grows and self.asked > 60:
            self.length = 61
        if index == 7 and self.bad is not None:
            if isinstance(self.bad, Exception):
                raise self.bad
            return self.bad
        return X[index] + (torch.rand(()) if self.noisy else 0), int(Y[index])


def opened(function: Callable[[], Any], folder: Path, **settings: Any) -> MappedDataset:
    return open_data(DataSource(function, **settings), folder)


def rows_of(data: MappedDataset) -> dict[bytes, Any]:
    return {
        image.numpy().tobytes(): label
        for split in (data.train, data.validation, data.test)
        for image, label in zip(split.images, split.labels.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    "give",
    [
        lambda: (X, Y),
        lambda: (X.numpy(), Y.numpy()),
        lambda: Items(),
        lambda: TensorDataset(X, Y),
        lambda: Split(X, Y),
        lambda: {
            "train": TensorDataset(X[:40], Y[:40]),
            "val": (X[40:50], Y[40:50]),
            "test": (X[50:], Y[50:]),
        },
        lambda: {"train": (X[:40], Y[:40]), "val": (X[40:50], Y[40:50]), "test": (X[50:], Y[50:])},
    ],
)
def test_what_functions_may_give(give: Callable[[], Any], tmp_path: Path) -> None:
    given = give()
    data = opened(lambda: given, tmp_path)
    assert rows_of(data) == {row.numpy().tobytes(): int(label) for row, label in zip(X, Y, strict=True)}
    if isinstance(given, dict):
        assert [len(split) for split in (data.train, data.validation, data.test)] == [40, 10, 10]


def test_what_it_prints_does_not_go_to_standard_output(tmp_path: Path, capsys: Any) -> None:
    opened(lambda: print("hello") or Items(), tmp_path)
    captured = capsys.readouterr()
    assert captured.out == "" and "hello" in captured.err and "reading 59" in captured.err


def test_a_regression_and_names(tmp_path: Path) -> None:
    data = opened(lambda: (X, X.mean((1, 2))), tmp_path)
    assert data.class_names == () and data.train.labels.dtype == torch.float32
    assert opened(lambda: (X, Y), tmp_path, classes=("u", "v", "w")).class_names == ("u", "v", "w")


def fails() -> Any:
    raise RuntimeError("no\nfile")


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (fails, r"test_function_data:fails raised RuntimeError: no file$"),
        (lambda: 3, r"gave int for train, allowed are \(inputs, targets\)"),
        (lambda: (X,), "gave tuple for train, allowed are"),
        (lambda: {"all": (X, Y)}, "gave the keys all, allowed are"),
        (lambda: {}, "gave the keys"),
        (lambda: (X, Y[:4]), r"has 60 inputs and targets of the shape \(4,\)"),
        (lambda: Items(bad=ValueError("broken")), "item 7 of train raised ValueError: broken; mend it"),
        (lambda: Items(bad=3), r"item 7 of train is int, allowed is \(input, target\)"),
        (lambda: Items(bad=(X[0], 1, 2)), r"item 7 of train is tuple of 3, allowed is \(input, target\)"),
        (lambda: Items(bad=("text", 1)), "item 7 of train is str, allowed are tensors, arrays and pictures"),
        (lambda: Items(bad=(X[0], -1)), "item 7 of train has the label -1"),
        (
            lambda: Items(bad=(X[0, :1], 1)),
            r"item 7 of train has float32 \(1, 9\), the first one float32 \(2, 9\)",
        ),
        (lambda: Items(bad=(X[0], 0.5)), r"item 7 of train has a label float32 \(\), the first one int64"),
        (lambda: Items(bad=(X[0] * float("nan"), 1)), "item 7 of train holds numbers that are not finite"),
        (
            lambda: Items(grows=True),
            "had 60 items and has 61 now: its length must not change while it is read",
        ),
        (lambda: Items(noisy=True), "item 0 of train is another one each time; allowed are data that stay"),
    ],
)
def test_what_fails_is_one_sentence(give: Callable[[], Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=said) as raised:
        opened(give, tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("data/*.partial"))


def test_a_shrinking_data_set_is_said(tmp_path: Path) -> None:
    class Shrinks(Items):
        def __len__(self) -> int:
            return 60 if self.asked < 100 else 50

    with pytest.raises(AtollError, match="had 60 items and has 50 now"):
        opened(Shrinks, tmp_path)


def test_bad_items_are_left_out_and_counted(tmp_path: Path) -> None:
    data = opened(lambda: Items(bad=ValueError("broken")), tmp_path, skip_bad=True)
    assert data.report.skipped == 1 and sum(data.report.images.values()) == 59


def test_other_items_and_another_version_are_decoded_anew(tmp_path: Path) -> None:
    calls: list[int] = []

    def give() -> Any:
        calls.append(0)
        return X + shift, Y

    shift = 0
    first = opened(give, tmp_path)
    assert opened(give, tmp_path).folder == first.folder and len(calls) == 2
    again = opened(give, tmp_path, version="2")
    assert again.folder != first.folder and again.version == first.version
    shift = 1
    other = opened(give, tmp_path)
    assert other.folder != first.folder and other.version != first.version


def test_pictures_of_pillow(tmp_path: Path) -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), np.uint8)
    data = opened(lambda: [(Image.fromarray(one), n % 2) for n, one in enumerate(pixels)], tmp_path)
    assert set(rows_of(data)) == {one.transpose(2, 0, 1).tobytes() for one in pixels}
