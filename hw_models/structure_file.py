"""Published networks that the zoo does not hold yet, written by hand as configuration, as layer tables.

A file lists blocks in the order of the publication; a block is `[kind, setting, ...]`:

* `conv KERNEL CHANNELS STRIDE`, `pool KERNEL STRIDE`, `global_pool`, `dense UNITS` (-1: the classes),
* `separable CHANNELS STRIDE`: depthwise 3x3, then 1x1 (MobileNetV1),
* `inverted KERNEL EXPANDED CHANNELS STRIDE SQUEEZE`: 1x1, depthwise, squeeze-excitation of that many
  channels (0: none), 1x1, a residual where shapes allow (MobileNetV2 and V3),
* `bottleneck WIDTH STRIDE COUNT`: 1x1, 3x3, 1x1 of four times the width, with residuals (ResNet v1),
* `keep NAME`, `merge NAME CHANNELS`: upsample twofold, join the kept value, 1x1, 3x3 (EAST).

Every convolution has a bias: batch normalisation is folded. ReLUs are fused, padding is "same".
"""

import json
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from ..spaces.errors import AtollError
from ..spaces.layers.cost import OperationCost, OperationKind
from ..spaces.nearest import known_names
from .layer_table import LayerTable, Value, table_of_values


def structure_names(folder: Path) -> list[str]:
    """Returns the networks that a device's folder describes."""
    return sorted(file.stem for file in (folder / "structures").glob("*.json"))


def structure_table(
    folder: Path, name: str, input_shape: tuple[int, int, int], num_classes: int
) -> LayerTable:
    """Builds the layer table of a published network, in float.

    Args:
        folder: the device's.
        name: one of `structure_names`.
        input_shape: (channels, height, width).
        num_classes: units of a last layer that is written as -1.

    Raises:
        AtollError: for an unknown network or block.
    """
    if name not in structure_names(folder):
        raise AtollError(f"unknown structure {name!r}; {known_names(name, structure_names(folder))}")
    with open(folder / "structures" / f"{name}.json", encoding="utf-8") as stream:
        stored = json.load(stream)
    builder = _Builder(input_shape, num_classes)
    for block in stored["blocks"]:
        builder.add(name, block)
    table = table_of_values(name, input_shape, builder.values)
    return _scaled(replace(table, surrogate=stored.get("surrogate", False)), stored.get("published_macs"))


def _scaled(table: LayerTable, published_macs: int | None) -> LayerTable:
    """Scales the multiply-accumulates of a surrogate to the published count."""
    if published_macs is None:
        return table
    factor = published_macs / table.macs
    rows = tuple(
        replace(row, cost=replace(row.cost, macs=round(row.cost.macs * factor))) for row in table.rows
    )
    return replace(table, rows=rows)


class _Builder:
    """Appends values block by block; shapes are (channels, height, width) or (features,)."""

    def __init__(self, input_shape: tuple[int, int, int], num_classes: int) -> None:
        self.num_classes = num_classes
        self.values = [Value("input", "", (), input_shape, bits=32)]
        self.kept: dict[str, Value] = {}

    @property
    def last(self) -> Value:
        return self.values[-1]

    def add(self, network: str, block: list[Any]) -> None:
        """Appends one block."""
        kind, *settings = block
        known = [name.removeprefix("_add_") for name in dir(self) if name.startswith("_add_")]
        if kind not in known:
            raise AtollError(f"structure {network!r}: unknown block {kind!r}; {known_names(kind, known)}")
        getattr(self, f"_add_{kind}")(*settings)

    def _append(
        self,
        label: str,
        inputs: tuple[Value, ...],
        shape: tuple[int, ...],
        cost: OperationCost | None,
        **how: bool,
    ) -> Value:
        name = f"{label}_{len(self.values)}"
        names = tuple(value.name for value in inputs)
        costs = () if cost is None else (cost,)
        self.values.append(Value(name, "", names, shape, 32, costs, **how))
        return self.last

    def _plain(
        self, kind: OperationKind, inputs: tuple[Value, ...], shape: tuple[int, ...], **how: bool
    ) -> Value:
        read = sum(prod(value.shape) for value in inputs)
        cost = OperationCost(kind, input_elements=read, output_elements=prod(shape))
        return self._append(kind, inputs, shape, cost, **how)

    def _weighted(
        self, kind: OperationKind, source: Value, shape: tuple[int, ...], per_output: int, patch: int = 0
    ) -> Value:
        """Appends an operation with `per_output` weights for each output channel."""
        positions = prod(shape[1:])
        cost = OperationCost(
            kind,
            macs=positions * shape[0] * per_output,
            weight_elements=shape[0] * per_output,
            bias_elements=shape[0],
            input_elements=prod(source.shape),
            output_elements=prod(shape),
            patch_elements=positions * patch,
            reduction=per_output,
            columns=1 if kind == "depthwise" else shape[0],
        )
        return self._append(kind, (source,), shape, cost)

    def _add_conv(self, kernel: int, channels: int, stride: int, source: Value | None = None) -> Value:
        source = source or self.last
        inputs, height, width = source.shape
        shape = (channels, -(-height // stride), -(-width // stride))
        patch = inputs * kernel * kernel
        kind: OperationKind = "pointwise" if kernel == 1 else "conv"
        return self._weighted(kind, source, shape, patch, patch if kernel > 1 else 0)

    def _depthwise(self, kernel: int, stride: int) -> None:
        channels, height, width = self.last.shape
        shape = (channels, -(-height // stride), -(-width // stride))
        self._weighted("depthwise", self.last, shape, kernel * kernel)

    def _add_pool(self, kernel: int, stride: int) -> None:
        channels, height, width = self.last.shape
        self._plain("pool", (self.last,), (channels, -(-height // stride), -(-width // stride)))

    def _add_global_pool(self) -> None:
        self._plain("pool", (self.last,), (self.last.shape[0], 1, 1))

    def _add_dense(self, units: int) -> None:
        units = self.num_classes if units < 0 else units
        if len(self.last.shape) > 1:
            self._append("flatten", (self.last,), (prod(self.last.shape),), None, view=True)
        self._weighted("dense", self.last, (units,), self.last.shape[0])

    def _add_separable(self, channels: int, stride: int) -> None:
        self._depthwise(3, stride)
        self._add_conv(1, channels, 1)

    def _add_inverted(self, kernel: int, expanded: int, channels: int, stride: int, squeeze: int) -> None:
        before = self.last
        if expanded != before.shape[0]:
            self._add_conv(1, expanded, 1)
        self._depthwise(kernel, stride)
        if squeeze:
            features = self.last
            self._add_global_pool()
            self._add_conv(1, squeeze, 1)
            self._add_conv(1, expanded, 1)
            self._plain("elementwise", (features, self.last), features.shape, in_place=True)
        after = self._add_conv(1, channels, 1)
        if before.shape == after.shape:
            self._plain("elementwise", (after, before), after.shape, in_place=True)

    def _add_bottleneck(self, width: int, stride: int, count: int) -> None:
        for position in range(count):
            before, step = self.last, stride if position == 0 else 1
            shortcut = self._add_conv(1, 4 * width, step) if position == 0 else before
            self._add_conv(1, width, step, before)
            self._add_conv(3, width, 1)
            after = self._add_conv(1, 4 * width, 1)
            self._plain("elementwise", (after, shortcut), after.shape, in_place=True)

    def _add_keep(self, name: str) -> None:
        self.kept[name] = self.last

    def _add_merge(self, name: str, channels: int) -> None:
        kept = self.kept[name]
        up = (self.last.shape[0], *kept.shape[1:])
        upsampled = self._plain("move", (self.last,), up)
        joined = (up[0] + kept.shape[0], *kept.shape[1:])
        self._plain("move", (upsampled, kept), joined)
        self._add_conv(1, channels, 1)
        self._add_conv(3, channels, 1)
