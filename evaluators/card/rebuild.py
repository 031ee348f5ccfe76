"""The network and the artifact again, from an export's safetensors, recipe and decisions alone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes, read_json
from ..measuring.artifact import artifact_bytes
from ..measuring.measure import nonzero_parameter_count, parameter_count
from .bundle import RECIPE, load_bundle
from .card import files_named

ARTIFACT, CARD = "model.tflite", "card.json"


@dataclass(frozen=True)
class Rebuilt:
    """What came out of a bundle.

    Args:
        network: in evaluation mode, its weights those that were saved, by their digest.
        recipe: how it came about.
        weights_digest: SHA-256 over names, types, shapes and bytes of its tensors.
        artifact: bytes of the `.tflite` file written from it.
        expected_digest: SHA-256 of the file by the folder's card, or else of the file that lies there; None
            where there is neither.
        difference: how the file that lies there differs, in words; None where it does not, or is missing.
    """

    network: nn.Module
    recipe: str
    weights_digest: str
    artifact: bytes
    expected_digest: str | None
    difference: str | None

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact."""
        return hashlib.sha256(self.artifact).hexdigest()

    @property
    def identical(self) -> bool | None:
        """Whether the artifact is the expected one; None where none is known."""
        return None if self.expected_digest is None else self.digest == self.expected_digest

    @property
    def parameters(self) -> int:
        """Weights, biases and normalisation."""
        return parameter_count(self.network)

    @property
    def nonzero_parameters(self) -> int:
        """Those that are not zero."""
        return nonzero_parameter_count(self.network)


def rebuild(folder: Path) -> Rebuilt:
    """Builds the network of an export's bundle and writes its artifact anew, in memory.

    Args:
        folder: with `model.safetensors` and `recipe.json`; `model.tflite` and `card.json` are compared with
            where they are there.

    Raises:
        AtollError: there is no bundle, or one of another version or other weights than it names, or its
            recipe is not the card's.
    """
    named_files = _named_files(folder)
    recipe = _read(folder, RECIPE)
    wanted = named_files.get(RECIPE)
    if recipe is not None and wanted is not None and hashlib.sha256(recipe).hexdigest() != wanted:
        raise AtollError(f"{folder / RECIPE} is another file than {CARD} names: it was changed since")
    network, about = load_bundle(folder)
    with damage_told(f"{folder / RECIPE} holds no network"):
        artifact = artifact_bytes(network, input_shape_of(network))
    shipped = _read(folder, ARTIFACT)
    named = named_files.get(ARTIFACT)
    if named is None and shipped is not None:
        named = hashlib.sha256(shipped).hexdigest()
    difference = None if shipped is None else _difference(shipped, artifact)
    return Rebuilt(network, str(about["recipe"]), about["weights_digest"], artifact, named, difference)


def _read(folder: Path, name: str) -> bytes | None:
    try:
        return read_bytes(inside(folder, name))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AtollError(f"cannot read {folder / name}: {error.strerror}") from error


def _named_files(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file that a card names; nothing where there is no card."""
    if _read(folder, CARD) is None:
        return {}
    with damage_told(f"{folder / CARD} is no card of `atoll export`"):
        content = read_json(folder / CARD)
    try:
        files = files_named(content)
    except AtollError as error:
        raise AtollError(f"{folder / CARD} is no card of `atoll export`: {error}") from error
    if ARTIFACT not in files:
        raise AtollError(f"{folder / CARD} is no card of `atoll export`: it names no {ARTIFACT}")
    return files


def _difference(shipped: bytes, rebuilt: bytes) -> str | None:
    """Says in words which bytes of two files differ."""
    if shipped == rebuilt:
        return None
    if len(shipped) != len(rebuilt):
        return f"{ARTIFACT} has {len(shipped):,} bytes, the rebuilt one {len(rebuilt):,}"
    places = np.flatnonzero(np.frombuffer(shipped, np.uint8) != np.frombuffer(rebuilt, np.uint8))
    return (
        f"{len(places):,} of {len(shipped):,} bytes differ, from offset {places[0]:,} to {places[-1]:,} of "
        f"{ARTIFACT}"
    )
