"""`atoll devices`: what networks can be priced for."""

from typing import Any

from ...spaces.errors import AtollError
from ..terminal.tables import Column, FormatOption, print_table

COLUMNS = (
    Column("device"),
    Column("title"),
    Column("setups"),
    Column("quantities"),
    Column("runtime"),
    Column("measurements", kind="measured"),
    Column("folder"),
)


def devices(format: FormatOption = "table") -> None:
    """List the devices with calibrated cost models; the first set-up is the one that predictions mean.

    Yours are below the folder ATOLL_DEVICES (~/.config/atoll/devices if not set) and come before built-in
    ones of the same name; `atoll calibrate FILE --device NAME` makes one.
    """
    from ...hw_models.devices.device import Device
    from ...hw_models.devices.device_folder import device_folder, device_names
    from ...hw_models.devices.samples import measurements_of

    rows: list[dict[str, Any]] = []
    for name in device_names():
        try:
            device, count = Device.load(name), len(measurements_of(name))
        except AtollError as error:  # one damaged device must not hide the others
            rows.append({"device": name, "title": str(error), "folder": str(device_folder(name))})
            continue
        rows.append(
            {
                "device": name,
                "title": "; ".join(filter(None, (device.about.title, device.remark))),
                "setups": " ".join(setup.name for setup in device.about.setups),
                "quantities": " ".join(dict.fromkeys(fitted.model.quantity for fitted in device.fits)),
                "runtime": device.about.runtime or None,
                "measurements": count,
                "folder": str(device_folder(name)),
            }
        )
    print_table(rows, COLUMNS, format)
