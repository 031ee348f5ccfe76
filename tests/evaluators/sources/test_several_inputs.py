"""Data whose items have several inputs: rows of all of them, their shapes, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.datasets.mapped_dataset import MappedDataset, open_decoded
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.scaling import Scaling
from torch.utils.data import TensorDataset

RANDOM = np.random.default_rng(0)
LEFT = RANDOM.integers(0, 256, (60, 3, 6, 4), np.uint8)
RIGHT = RANDOM.normal(size=(60, 5)).astype(np.float32)
Y = np.arange(60) % 3
PARTS = ((3, 6, 4), (5,))
#: every item as the row that it must become
ROWS = {
    np.concatenate([left.ravel(), right]).astype(np.float32).tobytes(): label
    for left, right, label in zip(LEFT, RIGHT, Y.tolist(), strict=True)
}


class Pairs:
    def __init__(self, odd: Any = None) -> None:
        self.odd = odd

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> Any:
        inputs = torch.from_numpy(LEFT[index]), RIGHT[index]
        return inputs if index != 7 or self.odd is None else self.odd, int(Y[index])


def opened(where: Any, folder: Path, **settings: Any) -> MappedDataset:
    return open_data(DataSource(where, **settings), folder / "cache")


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "d.npz", **arrays)
    return folder / "d.npz"


def rows_of(data: MappedDataset) -> dict[bytes, Any]:
    return {
        row.numpy().tobytes(): label
        for split in (data.train, data.validation, data.test)
        for row, label in zip(split.images, split.labels.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    "give",
    [
        lambda _: lambda: ((LEFT, RIGHT), Y),
        lambda _: lambda: ((torch.from_numpy(LEFT), torch.from_numpy(RIGHT)), torch.from_numpy(Y)),
        lambda _: Pairs,
        lambda _: lambda: {"train": Pairs()},
        lambda folder: saved(folder, x_0=LEFT, x_1=RIGHT, y=Y),
        lambda folder: saved(folder, inputs_2=RIGHT, inputs_1=LEFT, labels=Y),
        lambda folder: saved(folder, x_0=LEFT.transpose(0, 2, 3, 1), x_1=RIGHT, y=Y),
    ],
)
def test_every_item_is_the_row_of_its_inputs(give: Callable[[Path], Any], tmp_path: Path) -> None:
    data = opened(give(tmp_path), tmp_path)
    assert (data.report.parts, data.input_shape) == (PARTS, (3 * 6 * 4 + 5,))
    assert rows_of(data) == ROWS
    assert open_decoded(data.folder).report == data.report


def test_inputs_of_one_type_keep_it(tmp_path: Path) -> None:
    data = opened(lambda: ((LEFT, 255 - LEFT), Y), tmp_path)
    assert data.train.images.dtype == torch.uint8 and data.report.parts == (PARTS[0], PARTS[0])


def test_every_channel_of_every_input_is_measured(tmp_path: Path) -> None:
    train = ((LEFT, RIGHT), Y)
    data = opened(lambda: {"train": train, "validation": train, "test": train}, tmp_path)
    mean = [*LEFT.mean((0, 2, 3)), *RIGHT.mean(0)]
    std = [*LEFT.std((0, 2, 3)), *RIGHT.std(0)]
    assert data.report.scaling.mean == pytest.approx(mean, abs=1e-4)
    assert data.report.scaling.std == pytest.approx(std, abs=1e-4)
    scaled = data.report.scaling.to_network(data.train.images)
    assert scaled[:, :24].mean().item() == pytest.approx(0, abs=1e-4)
    assert scaled[:, :24].std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_other_shapes_of_the_same_numbers_are_other_data(tmp_path: Path) -> None:
    flat, turned = (
        opened(lambda right=right: ((LEFT, right), Y), tmp_path / str(right.ndim)).version
        for right in (RIGHT, RIGHT[:, :, None])
    )
    assert flat != turned


@pytest.mark.parametrize(
    ("give", "settings", "said"),
    [
        (
            lambda _: lambda: ((LEFT, RIGHT[:50]), Y),
            {},
            "of .60, 50. items, allowed are as many",
        ),
        (lambda _: lambda: ((LEFT, RIGHT), Y), {"channels": 3}, "several inputs an item, allowed without"),
        (lambda _: lambda: Pairs((LEFT[0], RIGHT[0], RIGHT[0])), {}, "item 7 of train has inputs of"),
        (lambda _: lambda: Pairs(LEFT[0]), {}, "item 7 of train has inputs of one shape"),
        (lambda _: lambda: Pairs((LEFT[0], "five")), {}, "is str, allowed are tensors"),
        (lambda _: lambda: Pairs((LEFT[0], RIGHT[0] * np.nan)), {}, "not finite"),
        (lambda folder: saved(folder, x_0=LEFT, x_2=RIGHT, y=Y), {}, "numbered otherwise"),
        (lambda folder: saved(folder, x=LEFT, x_1=RIGHT, y=Y), {}, "numbered otherwise"),
        (lambda folder: saved(folder, x_0=LEFT, y=Y), {}, "numbered otherwise"),
        (lambda folder: saved(folder, x_0=LEFT, x_1=RIGHT, y_1=Y), {}, "has an array y_1"),
    ],
)
def test_what_is_wrong_is_told(
    give: Callable[[Path], Any], settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(AtollError, match=said):
        opened(give(tmp_path), tmp_path, **settings)


@pytest.mark.parametrize(
    "give",
    [lambda: Pairs((RIGHT[0],) * 3000), lambda: ((*[RIGHT] * 3000, RIGHT[:50]), Y)],
)
def test_thousands_of_inputs_are_not_all_told(give: Callable[[], Any], tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="inputs of ") as told:
        opened(give, tmp_path)
    assert len(str(told.value)) < 400


def test_an_odd_item_can_be_left_out(tmp_path: Path) -> None:
    data = opened(lambda: Pairs(LEFT[0]), tmp_path, skip_bad=True)
    assert data.report.skipped == 1 and len(rows_of(data)) == 59


def test_one_input_says_nothing_of_parts(tmp_path: Path) -> None:
    data = opened(lambda: TensorDataset(torch.from_numpy(RIGHT), torch.from_numpy(Y)), tmp_path)
    assert data.report.parts == () and "parts" not in data.report.to_json()
    assert Scaling.from_json(data.report.scaling.to_json()).runs == ()
