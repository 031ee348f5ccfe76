"""An exported file held again against a study's demands, by what the compiler of its Ethos-U makes of it."""

from collections.abc import Iterable

from ...evaluators.ethos_u.estimate import estimate
from ...evaluators.ranking.constraints import Constraint
from ...evaluators.ranking.demands import Demand
from ...hw_models.devices.device import Device
from ...hw_models.tables.tflite_file import TfliteFile


def as_compiled(content: bytes, device: str, demanded: Iterable[Demand]) -> list[str]:
    """Returns in a sentence what the compiler makes of a trained file, and which demands that breaks.

    Trials are priced with drawn weights, which the compiler packs a little tighter or looser than trained
    ones: what just met a bound then may break it now.

    Args:
        content: of the file.
        device: of the study; another than an Ethos-U has no compiler.
        demanded: of the study.

    Raises:
        AtollError: the compiler is not installed.
    """
    setup = Device.load(device).npu_setup()
    if setup is None:
        return []
    found = estimate(TfliteFile.parse(content), setup)
    figures: dict[str, float] = {
        "ethos_u_mappable": found.mappable,
        "ethos_u_flash_bytes": found.flash_bytes,
        **{name: prediction.value for name, prediction in found.predictions.items()},
    }
    held = (one for one in demanded if isinstance(one, Constraint) and one.metric in figures)
    broken = [one.explain(figures, figures) for one in held if one.violation(figures, figures) > 0]
    said = (
        f"compiled for {device} with its trained weights the file takes {found.flash_bytes:,} bytes of flash"
    )
    return [f"{said}, which BREAKS the study's constraints: {'; '.join(broken)}" if broken else said]
