"""A calibration as a user asks for it: which rows, which set-ups, and where the fit is kept."""

import csv
import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from typing import Self

from ...spaces.errors import AtollError
from ...spaces.outside.csv_table import read_csv
from ..fitting.calibration import Sample
from ..fitting.estimate import log_error
from ..fitting.fitted import Fitted
from ..fitting.measurements import Measurement, check_ids, read_measurements
from .device import DIGEST, FITTED, digest_line, fitted_text
from .device_folder import (
    DEFAULT_DEVICE,
    About,
    device_folder,
    device_names,
    new_device_folder,
    own_devices_dir,
)
from .samples import measurements_of, samples

#: with fewer rows the ranks of a 90 % interval fall outside of what was measured (jackknife+)
LEAST_ROWS = 9
#: error of a fit on a set-up's only row above which it is said
MISSED = 0.1
#: folder of a device's measured files
ARTIFACTS = "artifacts"


@dataclass(frozen=True)
class Calibration:
    """Rows to fit and the device that they are for.

    Args:
        name: of the device to write; None where nothing is written.
        like: the device whose formulas and set-ups are taken.
        about: title and set-ups.
        rows: to fit: the file's, after those of the device that it builds on.
        file: of the user's measurements; None for a device's own.
    """

    name: str | None
    like: str
    about: About
    rows: tuple[Measurement, ...]
    file: Path | None

    @classmethod
    def of(cls, file: Path | None, device: str | None, base: str | None) -> Self:
        """Puts together what `atoll calibrate [FILE] [--device NAME] [--base NAME]` means.

        Raises:
            AtollError: for unknown devices, a base of a device that is there, or ids that come twice.
        """
        known = file is None or device is None or device in device_names()
        if base is not None and (known or file is None):
            raise AtollError("--base NAME goes with FILE and a new device's name")
        like = (device if known else base) or DEFAULT_DEVICE
        about = About.read(device_folder(like))
        if about.has_npu:
            raise AtollError(
                f"{like}: its figures are a compiler's estimates, there is nothing to fit; allowed is a "
                "device that formulas price"
            )
        if file is None:
            return cls(device, like, about, measurements_of(like), None)
        rows = read_measurements(file)
        about = replace(about, processor="")  # a file says nothing of it; who measures here does
        if not known:
            about = about.with_setups([row.setup for row in rows])
            # what a new device's predictions refer to is its own first set-up
            setups = tuple(sorted(about.setups, key=lambda setup: setup.name != rows[0].setup))
            about = About(str(device), setups, base=like, runtime=about.runtime if about.is_micro else "")
            rows = (*measurements_of(like), *rows)
        elif about.base:
            rows = (*measurements_of(about.base), *rows)
        else:
            own = {row.setup for row in rows}  # the file alone is fitted: no other set-up has a figure
            about = replace(about, setups=tuple(s for s in about.setups if s.name in own) or about.setups)
        _check_unique(rows, file)
        return cls(device, like, about.with_setups([row.setup for row in rows]), rows, file)

    def samples(self, excluded: tuple[str, ...]) -> list[Sample]:
        """Returns the rows by quantity and formula.

        Raises:
            AtollError: for unknown ids, or rows that nothing can be fitted to.
        """
        check_ids(self.rows, excluded)
        return samples(self.like, self.rows, self.about, excluded)

    def notes(self, found: Sequence[Sample], fits: Sequence[Fitted]) -> list[str]:
        """Returns, in words, what so few rows cannot support, and anchors that the formula cannot meet."""
        notes = []
        for sample, fitted in zip(found, fits, strict=True):
            quantity, rows = sample.model.column, len(sample.points)
            few = rows < LEAST_ROWS
            if few:
                notes.append(
                    f"{quantity}: {rows} row{'s' * (rows > 1)}; with fewer than {LEAST_ROWS} no honest 90 % "
                    "interval exists, the widest that the rows give is shown"
                )
            for setup in sample.setups:
                points = [point for point in sample.points if point.measurement.setup == setup.name]
                if len(points) == 1:
                    error = exp(log_error(sample.model, points[0], fitted.estimate.coefficients)) - 1
                    if abs(error) > MISSED:
                        notes.append(
                            f"{quantity}: the one row of set-up {setup.name} is missed by "
                            f"{100 * error:+.0f} %: the formula allows no set-up so far off"
                        )
                if len(points) == 1 and not few:
                    notes.append(
                        f"{quantity}: set-up {setup.name} rests on one anchor row: it shifts the set-up, its "
                        "spread comes from the other set-ups"
                    )
        return notes

    def write(self, fits: Sequence[Fitted]) -> Path:
        """Writes the fit into the device's folder, with what it rests on, and returns the folder.

        Raises:
            AtollError: for a name that cannot be a folder's, or files that cannot be written.
        """
        name, fitted = self.name or "", fitted_text(fits)
        texts = {FITTED: fitted}
        if self.file is None:
            folder = device_folder(name)
            known = {setup for fitted in fits for setup in fitted.setups}
            named = [setup.name for setup in self.about.setups if setup.formulas]
            lost = [setup for setup in named if setup not in known]
            if lost:
                raise AtollError(
                    f"{folder}: no row of the set-ups {', '.join(lost)} can be used any more, so that the "
                    "fit would lose them; `atoll calibrate` without --write says why"
                )
        else:
            if not self.about.base and max(len(fitted.left_out) for fitted in fits) < LEAST_ROWS:
                raise AtollError(
                    f"{name} is there already, and fewer than {LEAST_ROWS} rows cannot take its place: give "
                    f"--device with a new name, which builds on what is known (--base {name})"
                )
            folder = new_device_folder(name)
            content = self._kept(folder)
            texts = {"device.toml": self.about.to_toml(), "measurements.csv": content, **texts}
        if folder.parent == own_devices_dir():
            texts[DIGEST] = digest_line(fitted.encode())
        for file, text in texts.items():
            try:
                (folder / file).write_text(text, encoding="utf-8")
            except OSError as error:
                raise AtollError(f"cannot write {folder / file}: {error.strerror}") from error
        return folder

    def _kept(self, folder: Path) -> str:
        """Returns the user's measurements as text; files that rows are priced by are copied beside them."""
        if self.file is None:
            raise ValueError("a device's own measurements are kept already")
        table = read_csv(self.file)
        rows = [dict(row.cells) for row in table.rows]
        for row in rows:
            source = self.file.parent / row["artifact"] if row.get("artifact") else None
            if source is not None and source.is_file():
                target = folder / ARTIFACTS / f"{row['id']}{source.suffix}"
                target.parent.mkdir(exist_ok=True)
                if target.resolve() != source.resolve():
                    shutil.copyfile(source, target)
                row["artifact"] = f"{ARTIFACTS}/{target.name}"
        kept = io.StringIO()
        writer = csv.DictWriter(kept, table.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return kept.getvalue()


def _check_unique(rows: Sequence[Measurement], file: Path) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise AtollError(f"{file}: the id {row.id!r} comes twice or is one of the device it builds on")
        seen.add(row.id)
