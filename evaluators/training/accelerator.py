"""Where training runs: the GPU that this process was given, or the CPU."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from ...spaces.layers.activation_grid import ActivationGrid

CPU = torch.device("cpu")
_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def training_device() -> torch.device:
    """Returns the first GPU that this process sees, the CPU where it sees none.

    What a worker sees is what Ray gave it (`CUDA_VISIBLE_DEVICES`).
    """
    return torch.device("cuda", 0) if torch.cuda.is_available() else CPU


def accelerator_name() -> str | None:
    """Returns what the device is called, None for the CPU: results differ in their last bits by it."""
    device = training_device()
    return None if device.type == "cpu" else torch.cuda.get_device_name(device)


@contextmanager
def placed(networks: Sequence[nn.Module], device: torch.device) -> Iterator[None]:
    """Has networks on a device for as long as the block lasts; they come back to where they were.

    Parameters stay the same objects, buffers do not.

    Args:
        networks: each wholly on one device.
        device: where to.
    """
    homes = [next((tensor.device for tensor in _tensors(network)), device) for network in networks]
    try:
        for network in networks:
            network.to(device)
        yield
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


def _tensors(network: nn.Module) -> Iterator[torch.Tensor]:
    yield from network.parameters()
    yield from network.buffers()


def arithmetic(model: nn.Module, precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which a training step's forward runs.

    Args:
        model: to be trained.
        precision: one of `settings.PRECISIONS`; without effect on the CPU, where bfloat16 made training no
            faster (own measurement, 2026).
        device: where it runs.
    """
    kind = _type(model, precision, device)
    return whole_float32(device) if kind is None else torch.autocast(device.type, dtype=kind)


def whole_float32(device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which float32 has all its digits: convolutions of GPUs drop half of them."""
    if device.type == "cpu":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def loss_scaler(model: nn.Module, precision: str, device: torch.device) -> torch.amp.GradScaler:
    """Returns what keeps float16 gradients from vanishing (Micikevicius et al. 2018), idle for others."""
    used = _type(model, precision, device) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=used)


def _type(model: nn.Module, precision: str, device: torch.device) -> torch.dtype | None:
    if device.type == "cpu" or precision == "float32":
        return None
    if precision != "auto":
        return _TYPES[precision]
    if any(isinstance(module, ActivationGrid) for module in model.modules()):
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
