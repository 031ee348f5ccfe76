"""What to change in a network where a module has no operators, for messages."""

from torch import nn

_RECURRENT = (
    "a recurrent layer is written where it runs over the steps of each image: allowed are nn.LSTM, nn.GRU "
    "and nn.RNN on (images, steps, features) with batch_first=True, on (steps, images, features) without"
)
_WHOLE = (
    "attention is written from its parts: nn.Linear for queries, keys and values, torch.matmul, softmax over "
    "the last axis, torch.matmul, nn.Linear"
)
_ADVICE: dict[type[nn.Module], str] = {
    **dict.fromkeys((nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell), _RECURRENT),
    **dict.fromkeys((nn.MultiheadAttention, nn.TransformerDecoderLayer, nn.Transformer), _WHOLE),
}


def advice(modules: "list[nn.Module | None]") -> str:
    """Returns what to change, after a semicolon, of modules without operators; empty where none is known."""
    found = dict.fromkeys(_ADVICE[type(one)] for one in modules if one is not None and type(one) in _ADVICE)
    return "".join(f"; {sentence}" for sentence in found)
