"""What a `.tflite` file answers to inputs of any shape, in the shapes that its network answers in."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..evaluators.litert.runtime import LiteRtRunner
from ..spaces.errors import AtollError


def file_answers(content: bytes, given: tuple[Tensor, ...], like: list[Tensor]) -> list[Tensor]:
    """Runs a file example by example; its maps may have their channels last."""
    runner = LiteRtRunner(content).interpreter
    into, out = runner.get_input_details(), runner.get_output_details()
    if (len(into), len(out)) != (len(given), len(like)):
        raise AtollError(
            f"the file has {len(into)} inputs and {len(out)} outputs, not {len(given)} and {len(like)}"
        )
    found: list[list[np.ndarray]] = [[] for _ in out]
    for example in zip(*given, strict=True):
        for detail, value in zip(into, example, strict=True):
            runner.set_tensor(detail["index"], _as_file(value.numpy()[None], detail))
        runner.invoke()
        for place, detail in zip(found, out, strict=True):
            scale, zero_point = detail["quantization"]
            value = runner.get_tensor(detail["index"]).astype(np.float32)
            place.append((value - zero_point) * scale if scale else value)
    return [_as_torch(np.concatenate(value), wanted) for value, wanted in zip(found, like, strict=True)]


def _as_file(value: np.ndarray, detail: Any) -> np.ndarray:
    shape = tuple(detail["shape"])
    last = np.moveaxis(value, 1, -1)
    moved = last if last.size == np.prod(shape) and last.shape[-1] == shape[-1] else value
    moved = moved.reshape(shape)
    scale, zero_point = detail["quantization"]
    if not scale:
        return moved.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(moved / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def _as_torch(value: np.ndarray, wanted: Tensor) -> Tensor:
    found = torch.from_numpy(value)
    if found.shape != wanted.shape and found.dim() > 2:
        found = found.movedim(-1, 1)
    if found.numel() != wanted.numel():
        raise AtollError(f"the file gives {tuple(value.shape)}, the network {tuple(wanted.shape)}")
    return found.reshape(wanted.shape)
