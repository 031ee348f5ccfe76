"""A file's own integers, scales and zero points, computed in float64 with one rounding a tensor.

The simulation reads nothing but the bytes of the file. At the output the runtime is within one step of it.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TYPE_NAMES, unpack_elements
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.techniques.quantize import Quantize
from atoll.spaces.techniques.tensor_train import TensorTrain

SHAPE = (3, 16, 16)
OP = schema.BuiltinOperator


def steps(tensor: schema.TensorT) -> tuple[np.ndarray, int]:
    """Scales, spread over the axis of the channels, and the zero point."""
    scales = np.asarray(tensor.quantization.scale, np.float64)
    spread = [1] * len(tensor.shape)
    spread[tensor.quantization.quantizedDimension] = -1
    return scales.reshape(spread) if len(scales) > 1 else scales[0], int(tensor.quantization.zeroPoint[0])


def window(operator: schema.OperatorT, x: torch.Tensor, weight: np.ndarray, bias: np.ndarray) -> torch.Tensor:
    """A convolution whose 3x3 windows are padded alike on both sides."""
    depthwise = weight.shape[0] == 1
    kernel = torch.from_numpy(weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)).copy())
    groups = x.shape[-1] if depthwise else 1
    y = F.conv2d(x.permute(0, 3, 1, 2), kernel, torch.from_numpy(bias), padding="same", groups=groups)
    return (F.relu(y) if operator.builtinOptions.fusedActivationFunction == 1 else y).permute(0, 2, 3, 1)


def simulate(content: bytes, images: np.ndarray) -> np.ndarray:
    """Output integers of an int8 file for one image after the other."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    constants: dict[int, np.ndarray] = {}
    for index, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            values = unpack_elements(bytes(data), TYPE_NAMES[tensor.type], tuple(tensor.shape)).astype(
                np.float64
            )
            constants[index] = values if tensor.quantization is None else values * steps(tensor)[0]
    outputs = []
    for image in images:
        found = dict(constants)
        scale, zero_point = steps(graph.tensors[graph.inputs[0]])
        found[int(graph.inputs[0])] = (image[None].astype(np.float64) - zero_point) * scale
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].deprecatedBuiltinCode
            x, *rest = (found[int(index)] for index in operator.inputs)
            target = graph.tensors[operator.outputs[0]]
            if code in (OP.CONV_2D, OP.DEPTHWISE_CONV_2D):
                y = window(operator, torch.from_numpy(x), *rest).numpy()
            elif code == OP.FULLY_CONNECTED:
                y = x.reshape(-1, rest[0].shape[1]) @ rest[0].T + (rest[1] if len(rest) > 1 else 0.0)
            elif code == OP.MAX_POOL_2D:
                _, height, width, channels = x.shape
                y = x.reshape(1, height // 2, 2, width // 2, 2, channels).max((2, 4))
            elif code == OP.TRANSPOSE:
                y = x.transpose(rest[0].astype(int))
            else:
                assert code == OP.RESHAPE
                y = x
            scale, zero_point = steps(target)
            integers = np.clip(np.rint(y.reshape(target.shape) / scale) + zero_point, -128, 127)
            found[int(operator.outputs[0])] = (integers - zero_point) * scale
        outputs.append(integers[0])
    return np.stack(outputs)


@pytest.mark.parametrize("train", [False, True], ids=["dense", "tensor train"])
def test_runtime_is_within_one_step_of_the_integers(train: bool) -> None:
    network = adopt(build_network("compact_cnn", 7, SHAPE), SHAPE).train()
    images = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        for _ in range(20):
            network(images)

    class Context:
        generator = torch.Generator().manual_seed(0)

        def images(self, count: int) -> torch.Tensor:
            return images[:count]

    for step in [*([TensorTrain(rank=3, fit_steps=0)] if train else []), Quantize(bits=8)]:
        network = step.apply(network.eval(), Context())[0].eval()  # type: ignore[arg-type]
    content = lower(network, SHAPE)
    runner = LiteRtRunner(content)
    assert runner.input_grid is not None
    raw = runner.input_grid.quantize(images.permute(0, 2, 3, 1).numpy())
    expected = simulate(content, raw)
    assert len(np.unique(expected)) > 20
    assert np.abs(runner.run_raw(raw) - expected).max() <= 1
