"""Runs a ``.tflite`` file with LiteRT: batches of images, median time, types of its inputs and outputs."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.machine.quiet_stderr import quiet_stderr
from .tensors import TensorGrid


def _grid(details: dict) -> TensorGrid | None:
    scale, zero_point = details["quantization"]
    return TensorGrid(scale, zero_point) if scale else None


class LiteRtRunner:
    """A loaded file; with one input, but for `run` and `run_heads`, with one output, but for `run_heads`.

    Several inputs are given as a network takes them: as one row, channels first (`spaces.layers.parts`).

    Args:
        model: the bytes of the file, or its path.
        threads: CPU threads, >= 1.
        delegate: whether XNNPACK may run what it can (LiteRT's default); without, the plain kernels run.

    Raises:
        AtollError: the runtime does not load the file, with the runtime's reason.
    """

    def __init__(self, model: bytes | str | Path, threads: int = 1, delegate: bool = True) -> None:
        # Imported here: the command line's help must not wait for the runtime.
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        with quiet_stderr() as self.messages:
            try:
                self.interpreter = Interpreter(
                    model_content=content, num_threads=threads, experimental_op_resolver_type=resolver
                )
                self.interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                raise AtollError(f"LiteRT does not load the model: {error}") from error
        self.inputs = self.interpreter.get_input_details()
        self.input = self.inputs[0]
        self.outputs = self.interpreter.get_output_details()
        self.output = self.outputs[0]

    @property
    def input_grid(self) -> TensorGrid | None:
        """The int8 grid of the input, None where it is float."""
        return _grid(self.input)

    @property
    def output_grid(self) -> TensorGrid | None:
        """The int8 grid of the output, None where it is float."""
        return _grid(self.output)

    @property
    def output_grids(self) -> list[TensorGrid | None]:
        """The int8 grid of each output, None where it is float."""
        return [_grid(output) for output in self.outputs]

    def run_raw(self, images: np.ndarray) -> np.ndarray:
        """Outputs as the file gives them (int8 for an int8 file), for inputs in the file's own type.

        Args:
            images: [count, *input shape without batch].

        Returns:
            [count, *output shape without batch].

        Raises:
            AtollError: the file has several outputs.
        """
        self._check_one_output()
        if len(self.inputs) != 1:
            raise AtollError(f"got a file with {len(self.inputs)} inputs, allowed is one: see run")
        rows = []
        for image in images:
            self.interpreter.set_tensor(self.input["index"], image.reshape(self.input["shape"]))
            self.interpreter.invoke()
            rows.append(self.interpreter.get_tensor(self.output["index"]))
        return np.concatenate(rows) if self.output["shape"][0] == 1 else np.stack(rows)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Real-valued outputs, float32, for real-valued images, one image at a time.

        Args:
            images: [count, *input shape without batch], float; quantized with the file's own input grid.
        """
        if len(self.inputs) > 1:
            self._check_one_output()
            return np.concatenate([self.run_heads(image)[0] for image in images])
        grid_in, grid_out = self.input_grid, self.output_grid
        images = np.asarray(images, np.float32)
        raw = self.run_raw(images if grid_in is None else grid_in.quantize(images))
        return raw if grid_out is None else grid_out.dequantize(raw)

    def run_heads(self, image: np.ndarray) -> list[np.ndarray]:
        """Real-valued outputs, float32, one for every head, for one real-valued image.

        Args:
            image: [*input shape without batch], float; quantized with the file's own input grid.
        """
        values = parts_of(np.asarray(image, np.float32), [tuple(place["shape"]) for place in self.inputs])
        for value, place in zip(values, self.inputs, strict=True):
            grid = _grid(place)
            self.interpreter.set_tensor(place["index"], value if grid is None else grid.quantize(value))
        self.interpreter.invoke()
        found = [(self.interpreter.get_tensor(head["index"]), _grid(head)) for head in self.outputs]
        return [raw if grid is None else grid.dequantize(raw) for raw, grid in found]

    def _check_one_output(self) -> None:
        if len(self.outputs) != 1:
            raise AtollError(f"got a file with {len(self.outputs)} outputs, allowed is one: see run_heads")

    def time_ms(self, runs: int = 20, warm_up: int = 3) -> float:
        """Median time of one invocation in ms, measured here, over ``runs`` runs after ``warm_up`` others."""
        seconds = []
        for place in self.inputs:
            self.interpreter.set_tensor(place["index"], np.zeros(place["shape"], place["dtype"]))
        for run in range(warm_up + runs):
            start = time.perf_counter()
            self.interpreter.invoke()
            if run >= warm_up:
                seconds.append(time.perf_counter() - start)
        return float(np.median(seconds)) * 1e3


def parts_of(image: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Returns the values of each input, channels last, with the batch.

    Args:
        image: of one input as it takes it, without the batch; of several the row that they make together.
        shapes: of the inputs, with the batch.
    """
    if len(shapes) == 1:
        return [image.reshape(shapes[0])]
    pieces = np.split(image, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    return [
        np.moveaxis(piece.reshape(shape[-1], *shape[1:-1]), 0, -1)[None]
        for piece, shape in zip(pieces, shapes, strict=True)
    ]
