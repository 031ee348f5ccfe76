"""Parquet and Arrow: pictures as hubs publish them, and numbers of any shape; one file or many parts."""

import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from atoll.evaluators.datasets.mapped_dataset import MappedDataset
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.evaluators.sources.reader import Unreadable
from atoll.evaluators.sources.table_reader import tensor_rows
from atoll.spaces.errors import AtollError
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), np.uint8)
LABELS = (np.arange(60) % 3).tolist()


def png(pixels: np.ndarray) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def hub_table(rows: slice = slice(None), names: Any = ("ant", "bee", "cat"), **more: Any) -> pa.Table:
    """Gives what hubs publish: a struct of bytes and path, names in the schema's metadata."""
    images = [{"bytes": png(pixels), "path": f"{number}.png"} for number, pixels in enumerate(PIXELS)][rows]
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, image), "label": LABELS[rows], **more})
    features: dict[str, Any] = {"image": {"_type": "Image"}, "label": {"dtype": "int64", "_type": "Value"}}
    if names is not None:
        features["label"] = {"names": list(names), "_type": "ClassLabel"}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def opened(where: Path, **settings: Any) -> MappedDataset:
    return open_data(DataSource(where, **settings), where.parent / "cache")


def rows_of(*splits: Any) -> dict[bytes, int]:
    return {
        image.numpy().tobytes(): label
        for split in splits
        for image, label in zip(split.images, split.labels.tolist(), strict=True)
    }


def expected(rows: slice = slice(None)) -> dict[bytes, int]:
    return {
        p.transpose(2, 0, 1).tobytes(): label for p, label in zip(PIXELS[rows], LABELS[rows], strict=True)
    }


def test_pictures_of_a_hub(tmp_path: Path) -> None:
    pq.write_table(hub_table(), tmp_path / "d.parquet", row_group_size=7)
    data = opened(tmp_path / "d.parquet")
    assert rows_of(data.train, data.validation, data.test) == expected()
    assert data.class_names == ("ant", "bee", "cat")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [42, 9, 9]


@pytest.mark.parametrize("below", ["", "data"])
def test_parts_by_their_names(below: str, tmp_path: Path) -> None:
    place = tmp_path / "d" / below
    place.mkdir(parents=True)
    for name, rows in (
        ("train-00000-of-00002", slice(0, 20)),
        ("train-00001-of-00002", slice(20, 40)),
        ("validation-00000-of-00001", slice(40, 50)),
        ("test-00000-of-00001", slice(50, 60)),
    ):
        pq.write_table(hub_table(rows), place / f"{name}.parquet")
    data = opened(tmp_path / "d")
    assert rows_of(data.train) == expected(slice(0, 40))
    assert rows_of(data.validation) == expected(slice(40, 50))
    assert rows_of(data.test) == expected(slice(50, 60))
    (place / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(AtollError, match="has 1 of the 2 parts of train; 00001 is missing"):
        opened(tmp_path / "d")


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_files(form: str, tmp_path: Path) -> None:
    table = hub_table()
    new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    with new(tmp_path / "d.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=11)
    data = opened(tmp_path / "d.arrow")
    assert rows_of(data.train, data.validation, data.test) == expected()


def test_columns_of_splits_and_groups(tmp_path: Path) -> None:
    groups = [f"patient {number // 4}" for number in range(60)]
    splits = ["train"] * 50 + ["test"] * 10
    pq.write_table(hub_table(split=splits, group=groups), tmp_path / "d.parquet")
    data = opened(tmp_path / "d.parquet")
    assert rows_of(data.test) == expected(slice(50, 60))
    known = dict(zip(expected(), groups, strict=True))
    held = [{known[row] for row in rows_of(split)} for split in (data.train, data.validation)]
    assert not held[0] & held[1] and held[0] | held[1] == set(groups[:50])


def test_names_of_columns_may_be_told(tmp_path: Path) -> None:
    table = hub_table(names=None, kind=["x", "y"] * 30, owner=[n // 6 for n in range(60)])
    pq.write_table(table, tmp_path / "d.parquet")
    data = opened(tmp_path / "d.parquet", label="kind", group="owner")
    assert data.class_names == ("x", "y")
    assert any("no group in two splits" in remark for remark in data.report.remarks)
    assert opened(tmp_path / "d.parquet").class_names == ("0", "1", "2")
    with pytest.raises(
        AtollError, match="has the columns image, label, kind, owner, allowed as `label` is one of"
    ):
        opened(tmp_path / "d.parquet", label="colour")


NUMBERS = np.random.default_rng(1).normal(size=(60, 4, 9)).astype(np.float32)


def tensors(kind: str, values: np.ndarray = NUMBERS) -> pa.Array:
    if kind == "tensor":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    inner = pa.from_numpy_dtype(values.dtype)
    made = {
        "lists": lambda inner, _: pa.list_(inner),
        "large": lambda inner, _: pa.large_list(inner),
        "fixed": lambda inner, size: pa.list_(inner, size),
    }[kind]
    for size in reversed(values.shape[1:]):
        inner = made(inner, size)
    return pa.array(values.tolist(), inner)


@pytest.mark.parametrize("kind", ["lists", "large", "fixed", "tensor"])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_numbers_of_any_shape(kind: str, dtype: Any, ending: str, tmp_path: Path) -> None:
    values = (NUMBERS * 100).astype(dtype)
    table = pa.table({"sensor": tensors(kind, values), "label": LABELS})
    path = tmp_path / f"d.{ending}"
    if ending == "parquet":
        pq.write_table(table, path, row_group_size=13)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=13)
    data = opened(path)
    assert data.input_shape == (4, 9) and data.train.images.numpy().dtype == dtype
    found = rows_of(data.train, data.validation, data.test)
    assert found == {row.tobytes(): label for row, label in zip(values, LABELS, strict=True)}


def test_spectrograms_with_a_channel(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": tensors("fixed"), "y": LABELS}), tmp_path / "d.parquet")
    data = opened(tmp_path / "d.parquet", size=(4, 9), channels=1)
    assert data.input_shape == (1, 4, 9)
    assert set(rows_of(data.test)) <= {row.tobytes() for row in NUMBERS}


def test_targets_of_a_regression(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": tensors("lists"), "target": NUMBERS[:, 0, 0]}), tmp_path / "d.parquet")
    data = opened(tmp_path / "d.parquet")
    assert np.array_equal(data.train.labels.numpy(), data.train.images.numpy()[:, 0, 0])


def test_rows_of_uneven_lists_are_told_apart() -> None:
    column = pa.array([[[1.0, 2.0], [3.0, 4.0]], None, [[1.0], [2.0, 3.0]], [[5.0, None]], [[6.0, 7.0]]])
    found = list(tensor_rows(column))
    assert [isinstance(row, Unreadable) for row in found] == [False, True, True, True, False]
    assert found[0].tolist() == [[1, 2], [3, 4]] and found[4].tolist() == [[6, 7]]
    assert [row.tolist() for row in tensor_rows(pa.array([[1], [2], [3]]).slice(1))] == [[2], [3]]


def test_a_bad_row_is_named_or_skipped_and_counted(tmp_path: Path) -> None:
    table = hub_table().to_pydict()
    table["image"][7]["bytes"] = b"no picture"
    table["image"][9]["bytes"] = None
    table["label"][11] = None
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    with pytest.raises(
        AtollError, match=r"d\.parquet, row 7 is no picture .*; mend it, or leave such ones out with"
    ):
        opened(tmp_path / "d.parquet")
    data = opened(tmp_path / "d.parquet", skip_bad=True)
    assert data.report.skipped == 3 and sum(data.report.images.values()) == 57
    assert [why for _, why in data.report.skipped_names] == [
        "is no picture in a format that is read",
        "holds no bytes of a picture, at most the name of a file elsewhere",
        "has no label",
    ]


def test_labels_that_the_hub_keeps_secret_are_refused(tmp_path: Path) -> None:
    table = hub_table()
    table = table.set_column(1, "label", pa.array([-1] * 60))
    pq.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(AtollError, match=r"row 0 has the label -1, allowed are classes from 0"):
        opened(tmp_path / "d.parquet")


def test_labels_beyond_the_names_are_refused(tmp_path: Path) -> None:
    pq.write_table(hub_table(names=("ant", "bee")), tmp_path / "d.parquet")
    with pytest.raises(AtollError, match="has the label 2, allowed are 0 to 1, one a class"):
        opened(tmp_path / "d.parquet")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"image": [b"a"], "text": ["b"]}, "has the columns image, text, allowed is one called label"),
        ({"text": ["a"], "label": [1]}, "allowed is one with pictures"),
        ({"a": [[1.0]], "b": [[1.0]], "label": [1]}, "allowed is one with pictures"),
    ],
)
def test_tables_without_inputs_or_labels_are_refused(
    table: dict[str, Any], said: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    with pytest.raises(AtollError, match=said):
        opened(tmp_path / "d.parquet")


def test_one_class_is_refused(tmp_path: Path) -> None:
    for number, labels in enumerate((["ant"] * 60, [0] * 60)):
        table = hub_table(names=None).set_column(1, "label", pa.array(labels))
        pq.write_table(table, tmp_path / f"{number}.parquet")
        with pytest.raises(AtollError, match=r"has one class, (ant|0), allowed are two or more"):
            opened(tmp_path / f"{number}.parquet")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    pq.write_table(hub_table(), tmp_path / "d.parquet")
    content = (tmp_path / "d.parquet").read_bytes()
    for damaged in (
        content[:-9],
        content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :],
        b"",
    ):
        (tmp_path / "d.parquet").write_bytes(damaged)
        with pytest.raises(AtollError, match=r"d\.parquet"):
            opened(tmp_path / "d.parquet")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_flipped_bytes_are_data_or_a_sentence(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"train.{ending}"
    if ending == "parquet":
        pq.write_table(hub_table(), path, row_group_size=20)
    else:
        with pa.ipc.new_file(path, hub_table().schema) as writer:
            writer.write_table(hub_table())
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    for trial in range(60):
        damaged = whole.copy()
        # most of what Arrow reads first stands at the end
        places = len(whole) - 1 - generator.integers(0, (len(whole), 900)[trial % 2], 3)
        damaged[places] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            opened(path, skip_bad=True)
        except AtollError as error:
            assert "\n" not in str(error) and ("train" in str(error) or "items" in str(error))


def test_lists_that_lead_out_of_an_arrow_file_are_refused(tmp_path: Path) -> None:
    table = pa.table({"x": [[1.0, 2.0], [3.0, 4.0]], "label": [0, 1]})
    with pa.ipc.new_file(tmp_path / "d.arrow", table.schema) as writer:
        writer.write_table(table)
    content = (tmp_path / "d.arrow").read_bytes()
    right, wrong = struct.pack("<3i", 0, 2, 4), struct.pack("<3i", 0, 10**9, 4)
    assert content.count(right) == 1
    (tmp_path / "d.arrow").write_bytes(content.replace(right, wrong))
    with pytest.raises(AtollError, match=r"d\.arrow is damaged"):
        opened(tmp_path / "d.arrow")


def test_few_rows_of_many(tmp_path: Path) -> None:
    pq.write_table(hub_table(), tmp_path / "d.parquet", row_group_size=4)
    data = opened(tmp_path / "d.parquet", at_most=30)
    found = rows_of(data.train, data.validation, data.test)
    assert len(found) == 30 and found.items() <= expected().items()


def test_few_rows_of_many_hold_classes_that_take_turns(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (117, 1, 4, 4), np.uint8)
    np.savez(tmp_path / "d.npz", x=pixels, y=np.arange(117) % 4)
    data = opened(tmp_path / "d.npz", at_most=30)  # every fourth row, which would be of one class
    assert set(data.train.labels.tolist()) == {0, 1, 2, 3}
