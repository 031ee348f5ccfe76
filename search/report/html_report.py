"""Writes a study as one HTML file."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ...spaces.outside.shown import shown
from ..store.store import Store
from ..store.stored_study import StoredStudy
from .contents import contents
from .markdown import machine, ranked_by
from .page import page
from .verdict import verdict
from .written import write_files

FILE = "report.html"


def html_report(
    store: Store, study: StoredStudy, commit: str | None = None, version: str | None = None
) -> str:
    """Returns a study as one HTML file, whatever of it has finished yet.

    Args:
        store: where the study lives.
        study: what is written down.
        commit: what was run, for the reader; None leaves it out.
        version: of the store, where the page is to follow it; None where it stands by itself.

    Raises:
        AtollError: the store cannot be read, or parts of the study's definition are lost.
    """
    data = contents(store, study) | ({} if version is None else {"version": version})
    sentences = [shown(sentence) for sentence in verdict(store, study)]
    facts = {name: shown(value) for name, value in _facts(study, commit).items()}
    return page(f"Study {shown(study.name)}", sentences, facts, data)


def write_html(store: Store, study: StoredStudy, folder: Path, commit: str | None = None) -> Path:
    """Writes `report.html` into a folder, which is made if need be, as a whole or not at all; returns it.

    Raises:
        AtollError: as `html_report`, or the folder cannot be written.
    """
    [place] = write_files(folder, {FILE: html_report(store, study, commit).encode("utf-8")})
    return place


def _facts(study: StoredStudy, commit: str | None) -> Mapping[str, str]:
    """Returns where the figures come from."""
    counts = study.counts
    epochs = "epoch" if study.epochs_per_step == 1 else "epochs"
    limits = ", ".join(f"{name} {value}" for name, value in study.limits.items() if value is not None)
    return {
        "Task": study.task,
        "Device": f"{study.device}: latency and memory are predicted for it",
        "Ranked by": ranked_by(study),
        "Constraints": ", ".join(map(str, study.constraints)) or "none",
        "Budget": f"{study.epochs_per_step:g} {epochs} after every step, seed {study.seed}",
        "Limits": limits or "none",
        "Trials": f"{counts['finished']} finished, {counts['failed']} failed, {counts['rejected']} rejected, "
        f"{counts['running']} running",
        "Definition": f"SHA-256 {study.digest or 'unknown'}",
        "Begun": f"{str(study.created_at)[:16]} UTC",
        "Written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {machine()}",
        "Versions": f"atoll {version('atoll')}{f' at commit {commit}' if commit else ''}",
    }
