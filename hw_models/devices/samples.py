"""The samples of a device: its measurements, or a user's, sorted by quantity and formula."""

from collections.abc import Sequence
from pathlib import Path

from ...spaces.errors import AtollError
from ..fitting.calibration import Sample, priced_tables, sample
from ..fitting.measurements import Measurement, check_ids, read_measurements
from ..formulas.cost_model import QUANTITIES, cost_model
from .device_folder import About, device_folder


def measurements_path(name: str) -> Path:
    """Returns the file of a device's own measurements."""
    return device_folder(name) / "measurements.csv"


def measurements_of(name: str) -> tuple[Measurement, ...]:
    """Returns a device's own measurements, after those of the device that it builds on.

    A device of LiteRT Micro or with an NPU may have none: what it holds to is counted or estimated.
    """
    about, path = About.read(device_folder(name)), measurements_path(name)
    own = () if about.is_counted and not path.exists() else read_measurements(path)
    return (*measurements_of(about.base), *own) if about.base else own


def samples(
    name: str,
    rows: Sequence[Measurement] | None = None,
    about: About | None = None,
    excluded: tuple[str, ...] = (),
) -> list[Sample]:
    """Sorts rows, one sample a quantity and formula; quantities that no row has are left out.

    Args:
        name: of the device.
        rows: its own where None.
        about: set-ups with their formulas; the device's where None, and its default's for others.
        excluded: ids to leave out of the fits.

    Raises:
        AtollError: for unknown ids, ids that come twice, or rows that nothing can be fitted to.
    """
    rows = measurements_of(name) if rows is None else rows
    check_ids(tuple(rows), excluded)
    about = (about or About.read(device_folder(name))).with_setups([row.setup for row in rows])
    tables = priced_tables(rows)
    found = []
    for quantity, (column, _) in QUANTITIES.items():
        for formula in dict.fromkeys(setup.formulas.get(quantity) for setup in about.setups):
            if formula is None:
                continue
            setups = tuple(setup for setup in about.setups if setup.formulas.get(quantity) == formula)
            names = {setup.name for setup in setups}
            of_formula = [row for row in rows if row.setup in names]
            if any(row.measured[column] is not None for row in of_formula):
                model = cost_model(quantity, formula)
                found.append(sample(model, of_formula, tables, setups, excluded))
    if not found:
        raise AtollError(
            f"no row has a figure; needed is one of {', '.join(c for c, _ in QUANTITIES.values())}"
        )
    return found
