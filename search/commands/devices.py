"""`atoll devices`: what networks can be priced for."""

from ..tables import Column, FormatOption, print_table

COLUMNS = (
    Column("device"),
    Column("title"),
    Column("setups"),
    Column("quantities"),
    Column("measurements", kind="measured"),
)


def devices(format: FormatOption = "table") -> None:
    """List the devices with calibrated cost models; the first set-up is the one that predictions mean."""
    from ...hw_models.device import Device, device_names, measurements_of

    rows = []
    for name in device_names():
        device = Device.load(name)
        rows.append(
            {
                "device": name,
                "title": device.title,
                "setups": " ".join(device.setups),
                "quantities": " ".join(device.fitted),
                "measurements": len(measurements_of(name)),
            }
        )
    print_table(rows, COLUMNS, format)
