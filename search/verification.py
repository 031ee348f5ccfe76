"""Recomputes the figures of an export from its files and says which differ."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..evaluators.artifact import artifact_bytes
from ..evaluators.artifact_report import report_artifact
from ..evaluators.bundle import load_bundle
from ..evaluators.datasets.dataset import Split
from ..evaluators.measure import nonzero_parameter_count, parameter_count, payload_bytes
from ..evaluators.model_card import card_markdown
from ..evaluators.tasks import load_task
from ..evaluators.training import evaluate_quality
from ..spaces.errors import AtollError
from ..spaces.layers.structure import input_shape_of
from .card import card_digest
from .export import ARTIFACT, CARD, CARD_JSON

#: figures of the file that are computed again; time on the host is another every time
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

Row = dict[str, Any]


def verify_export(folder: Path) -> list[Row]:
    """Returns one row a figure: `figure`, `card`, `now` and whether they are the `same`.

    Figures are computed again only where the files are those of the card: the runtime might crash on others.

    Args:
        folder: what `atoll export` wrote.

    Raises:
        AtollError: a file is missing or unreadable.
    """
    try:
        card = json.loads((folder / CARD_JSON).read_text())
        files = {
            name: (wanted, _digest((folder / name).read_bytes())) for name, wanted in card["files"].items()
        }
        rows = [_row(f"SHA-256 of {name}", *digests) for name, digests in files.items()]
        rows.append(
            _row(f"SHA-256 of the figures in {CARD_JSON}", card.get("card_digest"), card_digest(card))
        )
        text = (folder / CARD).read_bytes()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AtollError(
            f"no export in {folder}: {error}; allowed is a folder that `atoll export` wrote"
        ) from error
    if not all(row["same"] for row in rows):
        return rows
    rows.append(_row(f"SHA-256 of {CARD}", _digest(card_markdown(card).encode()), _digest(text)))
    return rows + _figures(folder, card)


def _figures(folder: Path, card: Mapping[str, Any]) -> list[Row]:
    """Computes again what network and file are worth."""
    network, about = load_bundle(folder)
    split = load_task(about["task"]).dataset().validation
    written = _digest(artifact_bytes(network, input_shape_of(network)))
    report = report_artifact((folder / ARTIFACT).read_bytes(), network, split).to_json()
    now = _figures_of_network(network, split)
    return [
        _row("SHA-256 of the weights", card["weights_digest"], about["weights_digest"]),
        _row(f"{ARTIFACT} written anew from the weights", card["files"][ARTIFACT], written),
        *(_row(f"{name} of the network", card["metrics"][name], value) for name, value in now.items()),
        *(_row(f"{name} of the file", card["artifact"][name], report[name]) for name in FIGURES),
    ]


def _figures_of_network(network: nn.Module, split: Split) -> dict[str, float]:
    return {
        "quality": evaluate_quality(network, split),
        "parameters": parameter_count(network),
        "nonzero_parameters": nonzero_parameter_count(network),
        "payload_bytes": payload_bytes(network),
    }


def _row(figure: str, card: Any, now: Any) -> Row:
    same = card == now
    if isinstance(card, float) and isinstance(now, float):
        same = abs(card - now) <= TOLERANCE * max(1.0, abs(card))
    return {"figure": figure, "card": card, "now": now, "same": same}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
