"""Recomputes the figures of an export from its files and says which differ."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..evaluators.artifact import artifact_bytes
from ..evaluators.artifact_report import report_artifact
from ..evaluators.bundle import load_bundle
from ..evaluators.tasks import load_task
from ..spaces.errors import AtollError
from ..spaces.layers.structure import input_shape_of
from .export import ARTIFACT, CARD_JSON

#: figures of the card that are computed again; time on the host is another every time
FIGURES = (
    "model_bytes",
    "packed_bytes",
    "peak_tensor_bytes",
    "images",
    "agreement",
    "largest_difference",
    "quality",
)
#: another machine's float kernels may round the last bits otherwise
TOLERANCE = 1e-4


def verify_export(folder: Path) -> list[dict[str, Any]]:
    """Returns one row a figure: `figure`, `card`, `now` and whether they are the `same`.

    Args:
        folder: what `atoll export` wrote.

    Raises:
        AtollError: a file is missing or unreadable.
    """
    try:
        card = json.loads((folder / CARD_JSON).read_text())
        content = (folder / ARTIFACT).read_bytes()
        digests = {name: _digest(folder / name) for name in card["files"]}
    except (OSError, ValueError, KeyError) as error:
        raise AtollError(
            f"no export in {folder}: {error}; allowed is a folder that `atoll export` wrote"
        ) from error
    network, about = load_bundle(folder)
    dataset = load_task(about["task"]).dataset()
    report = report_artifact(content, network, dataset.validation).to_json()
    rows = [_row(f"SHA-256 of {name}", card["files"][name], digests[name]) for name in digests]
    rows.append(_row("SHA-256 of the weights", card["weights_digest"], about["weights_digest"]))
    written = hashlib.sha256(artifact_bytes(network, input_shape_of(network))).hexdigest()
    rows.append(_row(f"{ARTIFACT} written anew from the bundle", digests[ARTIFACT], written))
    return rows + [_row(name, card["artifact"][name], report[name]) for name in FIGURES]


def _row(figure: str, card: Any, now: Any) -> dict[str, Any]:
    numbers = isinstance(card, int | float) and isinstance(now, int | float)
    same = abs(card - now) <= TOLERANCE * max(1.0, abs(card)) if numbers else card == now
    return {"figure": figure, "card": card, "now": now, "same": same}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
