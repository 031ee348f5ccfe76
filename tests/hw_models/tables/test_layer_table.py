"""The layer table against counts by hand."""

import json
import subprocess
import sys
from math import prod

import pytest
import torch
from atoll.hw_models.tables.layer_table import LayerTable, TracedValue, table_of_values
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.planned import planned
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.combine import Add
from atoll.spaces.layers.cost import OperationCost
from atoll.spaces.layers.flatten import ChannelsLastFlatten
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

SHAPE = (3, 64, 64)
RECIPES = (
    "baseline",
    "quantize(bits=8)",
    "prune_channels(ratio=0.5) -> tensor_train(rank=4) -> quantize(bits=4)",
)


def table_of(recipe, network="baseline_cnn", classes=11):
    return layer_table(planned(Recipe.parse(recipe), network, SHAPE, classes), SHAPE, network)


def tiny():
    """8 x 8 x 2 -> conv 4 -> relu -> norm -> pool -> add of a 1x1 branch -> dense 3."""

    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, padding=1)
            self.relu = nn.ReLU()
            self.norm = nn.BatchNorm2d(4)
            self.pool = nn.MaxPool2d(2)
            self.branch = nn.Conv2d(4, 4, 1)
            self.folded = nn.BatchNorm2d(4)
            self.flatten = ChannelsLastFlatten()
            self.dense = nn.Linear(64, 3)

        def forward(self, x):
            x = self.pool(self.norm(self.relu(self.conv(x))))
            return self.dense(self.flatten(x + self.folded(self.branch(x))))

    return adopt(Tiny().eval(), (2, 8, 8))


def test_baseline_counts():
    table = table_of("baseline")
    assert table.macs == 32_899_776  # published count, see spaces/networks
    weights = 864 + 18_432 + 36_864 + 1_048_576 + 704
    norms = 2 * (32 + 64 + 64)  # behind a ReLU: scale and shift stay
    # a convolution must have them, if only zeros; the dense layer has what folding its norm leaves
    biases = 32 + 64 + 64 + 64
    assert table.parameters == weights + norms + biases
    assert table.weight_bytes == 4 * table.parameters
    # second convolution: 32x32x32 in, 64 channels out, patches of 3x3x32
    assert table.arena_bytes == 4 * (32 * 32 * 32 + 32 * 32 * 64 + 32 * 32 * 9 * 32)


def test_quantized_baseline_is_a_quarter():
    table, float_table = table_of("quantize(bits=8)"), table_of("baseline")
    assert table.macs == float_table.macs
    assert table.arena_bytes * 4 == float_table.arena_bytes
    assert {row.cost.compute for row in table.rows} == {"int8"}


def test_liveness_of_a_tiny_network():
    rows = {row.name: row for row in layer_table(tiny(), (2, 8, 8)).rows}
    elements = {name: row.live_bytes // 4 for name, row in rows.items()}
    assert elements == {
        "conv": 2 * 64 + 4 * 64,
        "norm": 4 * 64 + 4 * 64,  # a depthwise convolution: not in place
        "pool": 4 * 64 + 4 * 16,
        "branch": 4 * 16 + 4 * 16,
        "add": 4 * 16 + 4 * 16,  # into the first operand
        "dense": 4 * 16 + 3,
    }
    assert rows["conv"].im2col_bytes == 4 * 64 * 2 * 9
    assert rows["branch"].cost.kind == "pointwise"
    assert rows["branch"].im2col_bytes == 0


def test_a_relu_behind_a_sum_and_the_flattening_of_one_position_cost_nothing():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.add, self.relu = nn.Conv2d(2, 2, 1), Add(), nn.ReLU()
            self.mean, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()

        def forward(self, x):
            return self.flatten(self.mean(self.relu(self.add(self.conv(x), x))))

    rows = layer_table(adopt(Block(), (2, 4, 4)), (2, 4, 4)).rows
    assert [row.name for row in rows] == ["conv", "add", "mean"]


def test_a_value_that_is_read_later_stays_alive():
    def value(name, inputs, elements, in_place=False):
        cost = OperationCost("elementwise", output_elements=elements)
        return TracedValue(name, "", inputs, (elements,), 32, (cost,) if inputs else (), in_place)

    values = [
        value("x", (), 10),
        value("a", ("x",), 20, in_place=True),  # x is read again: a buffer of its own
        value("b", ("a",), 30),
        value("c", ("b", "x"), 30, in_place=True),
    ]
    rows = table_of_values("net", (10,), values).rows
    assert [row.live_bytes // 4 for row in rows] == [10 + 20, 10 + 20 + 30, 10 + 30]


@pytest.mark.parametrize("rank", [4, 10])
def test_contraction_counts(rank):
    ins, outs = (16, 8, 16, 8), (4, 2, 4, 2)
    ranks = (1, rank, rank, rank, 1)
    layer = TTDense(ins, outs, ranks, bias=False, device=torch.device("meta"))
    network = nn.Sequential(ChannelsLastFlatten(), layer)
    rows = layer_table(network, (64, 16, 16)).rows
    # stage k: what is left of the input, times what is made of the output, times both ranks
    expected = [
        prod(ins[: k + 1]) * prod(outs[k:]) * ranks[k] * ranks[k + 1] for k in reversed(range(len(ins)))
    ]
    stages = [row for row in rows if row.cost.kind == "contraction"]
    assert [row.cost.macs for row in stages] == expected
    made = [prod(ins[:k]) * prod(outs[k:]) * ranks[k] for k in reversed(range(len(ins)))]
    moves = [row for row in rows if row.cost.operation == "TRANSPOSE"]
    assert rows == tuple(row for pair in zip(stages, moves, strict=True) for row in pair)
    assert [row.cost.moved_elements for row in moves] == made
    assert [row.cost.rank_elements for row in stages] == [
        n * r for n, r in zip(made, reversed(ranks[:-1]), strict=True)
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_json_round_trip(recipe):
    table = table_of(recipe)
    assert LayerTable.from_json(json.loads(json.dumps(table.to_json()))) == table


def test_a_stored_table_needs_no_torch():
    code = (
        "import json, sys\n"
        "from atoll.hw_models.devices.device import Device\n"
        "from atoll.hw_models.tables.layer_table import LayerTable\n"
        "table = LayerTable.from_json(json.load(sys.stdin))\n"
        "print(Device.load('coral-dev-board').predict(table)['latency_ms'].value)\n"
        "print(sorted({'torch', 'scipy'} & sys.modules.keys()))\n"
    )
    stored = json.dumps(table_of("baseline").to_json())
    run = subprocess.run([sys.executable, "-c", code], input=stored, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    value, loaded = run.stdout.splitlines()
    assert 20 < float(value) < 26
    assert loaded == "[]"


@pytest.mark.parametrize("stored", [{"format": 99}, {"format": 1, "name": "x"}])
def test_bad_json_is_named(stored):
    with pytest.raises(AtollError, match="layer table"):
        LayerTable.from_json(stored)


def test_unsupported_operation_is_named():
    network = adopt(nn.Sequential(nn.Conv2d(2, 4, 3), nn.LogSoftmax(1)).eval(), (2, 8, 8))
    with pytest.raises(AtollError, match=r"operation 'LogSoftmax' at 1: allowed are "):
        layer_table(network, (2, 8, 8))


def test_all_unsupported_operations_are_named():
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.LogSoftmax(1), nn.AvgPool2d(2), nn.LogSoftmax(2))
    named = r"^operations 'LogSoftmax' at 1, 'LogSoftmax' at 3: allowed are abs, add, "
    with pytest.raises(AtollError, match=named):
        layer_table(adopt(layers.eval(), (2, 8, 8)), (2, 8, 8))


def test_of_many_unsupported_operations_the_first_are_named():
    layers = nn.Sequential(*(nn.LogSoftmax(1) for _ in range(7)))
    with pytest.raises(AtollError, match=r"^operations 'LogSoftmax' at 0, .* at 4 and 2 more: allowed are "):
        layer_table(adopt(layers.eval(), (2, 8, 8)), (2, 8, 8))


def test_windows_in_the_axis_of_the_batch_are_named():
    class Folds(nn.Module):
        def forward(self, x):
            return x.reshape(-1, 4, 2, 4).relu().reshape(-1, 4, 4, 4)

    with pytest.raises(AtollError, match=r"^operations 'reshape into another number of images' at reshape"):
        layer_table(adopt(Folds().eval(), (4, 4, 4)), (4, 4, 4))


def test_an_option_that_no_code_reads_is_named():
    class Antialiased(nn.Module):
        def forward(self, x):
            return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", antialias=True)

    with pytest.raises(
        AtollError, match=r"1 \(Antialiased\) calls torch's _upsample_bilinear2d_aa: allowed are"
    ):
        adopt(nn.Sequential(nn.Conv2d(2, 4, 3), Antialiased()).eval(), (2, 8, 8))


class TwoHeads(nn.Module):
    """A large value that is returned and read by nothing else, then a head after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)
        self.head = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return self.conv(x), self.head(torch.relu(x))


def test_every_head_stays_alive_to_the_end():
    table = layer_table(adopt(TwoHeads(), (1, 8, 8)).eval(), (1, 8, 8))
    assert [row.live_bytes for row in table.rows] == [4 * 64 * n for n in (1 + 4, 1 + 4, 1 + 1 + 4)]


def test_a_product_with_a_factor_for_each_channel_is_elementwise_work():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 1)

        def forward(self, x):
            x = self.conv(x)
            return x * torch.sigmoid(x.mean((2, 3), keepdim=True))

    *_, pool, gate, product = layer_table(adopt(Scaled(), (1, 8, 8)).eval(), (1, 8, 8)).rows
    kinds = [
        (row.cost.kind, row.cost.input_elements, row.cost.output_elements) for row in (pool, gate, product)
    ]
    assert kinds == [("pool", 256, 4), ("elementwise", 4, 4), ("elementwise", 260, 256)]


def test_an_array_of_tiles_counts_its_empty_cells_too():
    conv = OperationCost("conv", macs=10 * 27 * 32, reduction=27, columns=32)
    assert conv.tiled_macs(64) == 10 * 64 * 64
    assert conv.tiled_macs(1) == conv.macs
    assert OperationCost("conv", macs=7).tiled_macs(64) == 7  # a table of old, which does not say


def test_weights_are_a_matrix_of_reduction_by_columns():
    rows = table_of("tensor_train(rank=4)").rows
    weighted = [row.cost for row in rows if row.cost.kind in ("conv", "contraction", "dense")]
    assert weighted and all(cost.reduction * cost.columns == cost.weight_elements for cost in weighted)
    assert [(cost.reduction, cost.columns) for cost in weighted[:2]] == [(27, 32), (288, 64)]


def test_groups_are_matrices_of_their_own():
    grouped = adopt(nn.Sequential(nn.Conv2d(8, 16, 3, groups=4, bias=False)).eval(), (8, 5, 5))
    cost = layer_table(grouped, (8, 5, 5)).rows[0].cost
    assert (cost.reduction, cost.columns) == (18, 4)
    assert cost.tiled_macs(32) == 9 * 4 * 32 * 32  # positions x groups x a tile each


class Recurrent(nn.Module):
    """Runs over the images of a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn, self.head = nn.Conv2d(2, 4, 3), nn.GRU(36, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.rnn(self.conv(x).flatten(2))[0][:, -1])


def test_what_to_change_is_said():
    said = r"'GRU' at rnn.*; a recurrent layer is written where it runs over the steps of each image: .*batch"
    with pytest.raises(AtollError, match=said):
        layer_table(adopt(Recurrent().eval(), (2, 8, 8)), (2, 8, 8))
