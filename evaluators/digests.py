"""Digests of what decides a result: tensors, JSON values, versions of libraries."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

#: libraries whose versions change what training gives
LIBRARIES = ("torch", "tensorly", "numpy")


def digest_json(value: Any) -> str:
    """Returns the SHA-256 of a JSON value in canonical form, hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 over names, types, shapes and bytes of tensors, hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Returns the versions that belong into the key of a trained step."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # machines that only train have no more than torch
            found[name] = version(name)
    return found


def derived_seed(*parts: Any) -> int:
    """Returns a seed in [0, 2^63) that depends on all parts."""
    return int(digest_json([str(part) for part in parts])[:16], 16) >> 1
