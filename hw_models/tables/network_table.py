"""The layer table of a network: traced once, its values laid out."""

from torch import nn

from ...spaces.graph.graph import Graph
from ...spaces.graph.reading import trace
from .layer_table import LayerTable, table_of_values
from .traced_values import traced_values


def layer_table(
    network: nn.Module, input_shape: tuple[int, ...], name: str = "network", as_written: bool = False
) -> LayerTable:
    """Traces a network once and returns its table.

    Args:
        network: adopted or compressed, on any device; on the meta device it takes milliseconds.
        input_shape: (channels, height, width), (channels, length) or (features,).
        name: for messages.
        as_written: see `traced_values.traced_values`.

    Raises:
        AtollError: where the network cannot be traced, or holds an operation that is not supported.
    """
    return table_of_graph(trace(network, input_shape), input_shape, name, as_written)


def table_of_graph(
    graph: Graph, input_shape: tuple[int, ...], name: str = "network", as_written: bool = False
) -> LayerTable:
    """Returns the table of a network that was traced; else as `layer_table`."""
    return table_of_values(name, input_shape, traced_values(graph, as_written))
