"""Prices: what a recipe, a file or a stored trial would cost on a device, without training."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from ...evaluators.ethos_u.estimate import Estimate, estimate
from ...evaluators.ranking.demands import demands, unloadable
from ...hw_models.devices.device import Device
from ...hw_models.devices.device_folder import runtime_of
from ...hw_models.formulas.cost_model import QUANTITIES
from ...hw_models.formulas.prediction import ESTIMATED, Prediction
from ...hw_models.runtimes.micro_arena import arena_of
from ...hw_models.runtimes.need import Need
from ...hw_models.tables.flop_count import FlopCount
from ...spaces.errors import AtollError
from ...spaces.layers.shape import InputShape
from ...spaces.recipes.recipe import Recipe
from ..store.selection import choose_study
from ..study.study import DEFAULT_DEVICE
from .cost_inputs import CostInputs, inputs_of_file, inputs_of_recipe, inputs_of_trial, inputs_on_task
from .default_store import Place, store_at
from .searches import study_named

#: the papers' network and images, with the classes of PUB-III
NETWORK, INPUT_SHAPE, CLASSES = "baseline_cnn", (3, 64, 64), 35
_FILE_ENDING = ".tflite"
#: pixels; torch counts the bytes of a feature map in 63 bits
_LONGEST = 100_000
#: that a study's own task decodes, as `atoll check` does: the price needs its network alone
_LOOKED_AT = 500


@dataclass(frozen=True)
class Predicted:
    """What something would cost on a device, each figure with its nominal 90 % interval.

    Args:
        title: what was priced.
        device: whose figures they are.
        setup: the measurement set-up that they refer to, in words.
        latency_ms: of one image, in milliseconds; None where the device was never timed.
        peak_memory_bytes: most that is in memory at a time; None where that was never measured.
        model_bytes: size of the LiteRT file: exact, unless its status says otherwise; a lower bound has no
            upper end (infinity).
        need: the oldest runtime that loads the file, with what needs it.
        arena_bytes: the tensor arena that LiteRT Micro claims for it; None where it does not run it, or the
            device has another runtime.
        ethos_u_mappable, ethos_u_flash_bytes: share of its operators that an Ethos-U runs, and the file that
            its compiler writes; None on other devices.
        macs: multiply-accumulates of one image.
        flops: operations of one image.
        notes: what a reader of the figures should know, a sentence each.
    """

    title: str
    device: str
    setup: str
    latency_ms: Prediction | None
    peak_memory_bytes: Prediction | None
    model_bytes: Prediction
    need: Need
    arena_bytes: int | None
    ethos_u_mappable: float | None
    ethos_u_flash_bytes: int | None
    macs: int
    flops: FlopCount
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Returns value, low, high (None where there is no end), status and set-up of each figure.

        The minimum runtime has no ends, and its status is the operator that needs it, and `by rule` for a
        release in which nothing was run.
        """
        figures = {name: getattr(self, name) for name in (*QUANTITIES, "model_bytes")}
        found = {name: figure.to_json() for name, figure in figures.items() if figure is not None}
        for figure in found.values():
            figure["high"] = None if figure["high"] == inf else figure["high"]
        runtime = {"value": self.need.release or None, "low": None, "high": None}
        found["minimum_runtime"] = {**runtime, "status": self.need.told, "setup": ""}
        counted = {"low": None, "high": None, "setup": ""}
        if self.arena_bytes is not None:
            found["arena_bytes"] = {**counted, "value": self.arena_bytes, "status": self.model_bytes.status}
        for name in ("ethos_u_mappable", "ethos_u_flash_bytes"):
            if getattr(self, name) is not None:
                found[name] = {**counted, "value": getattr(self, name), "status": ESTIMATED}
        return found


def predict(
    what: Recipe | Path | str,
    *,
    network: str | None = None,
    input_shape: InputShape | None = None,
    classes: int | None = None,
    study: Path | str | None = None,
    store: Place = None,
    device: Device | str | None = None,
    setup: str | None = None,
) -> Predicted:
    """Predicts latency, peak memory and file size on a device; nothing is trained.

    Where a step's structure depends on data, the figures are a lower bound, and a note says so.

    Args:
        what: a recipe, its text, or a `.tflite` file.
        network: of the zoo; `baseline_cnn` when None. A file has its own, as the next two.
        input_shape: (channels, height, width) of one image, (channels, length) or (features,); (3, 64, 64)
            when None.
        classes: 35 when None.
        study: a study file, or the name of a study in the store: the network is then that of its task.
        store: where studies have names; `ATOLL_STORE`, else `./atoll.duckdb`, when None.
        device: NAME or NAME:SETUP; the study's when None, and without a study coral-dev-board.
        setup: one of the device's measurement set-ups. Where none is chosen the value is the first one's and
            the interval holds those of all.

    Returns:
        the three figures with their intervals.

    Raises:
        AtollError: an illegal recipe, an unknown network, device or set-up, a shape that does not fit the
            network, or a file that cannot be read.

    >>> found = predict("quantize(bits=8)", device="coral-dev-board:pub1")
    >>> found.latency_ms.low < found.latency_ms.value < found.latency_ms.high
    True
    >>> f"{found.model_bytes.value:,} B, {found.model_bytes.status}"
    '1,115,024 B, interpolated'
    """
    own = (network, input_shape, classes) != (None, None, None)
    if isinstance(what, Path) or (isinstance(what, str) and what.endswith(_FILE_ENDING)):
        if own or study is not None:
            raise AtollError(
                "predict: network, input_shape, classes and study go with a recipe; a file has its own"
            )
        return _predicted(inputs_of_file(Path(what)), _board(device or DEFAULT_DEVICE), setup)
    recipe = Recipe.parse(what) if isinstance(what, str) else what
    if study is not None:
        if own:
            raise AtollError("predict: a study has its own network, input_shape and classes: leave them out")
        chosen = study_named(study, store_at(store), images=_LOOKED_AT)
        board = _board(device or chosen.device)
        inputs = inputs_on_task(recipe, chosen.task, chosen.study_name, board.about.has_npu)
        return _predicted(inputs, board, setup)
    shape = INPUT_SHAPE if input_shape is None else input_shape
    if not 1 <= len(shape) <= 3 or not all(isinstance(n, int) and 0 < n < _LONGEST for n in shape):
        raise AtollError(
            f"predict: input_shape: got {shape}, allowed is (channels, height, width), (channels, length) or "
            "(features,)"
        )
    board, count = _board(device or DEFAULT_DEVICE), CLASSES if classes is None else classes
    inputs = inputs_of_recipe(recipe, network or NETWORK, shape, count, board.about.has_npu)
    return _predicted(inputs, board, setup)


def predict_trial(
    trial: str = "best",
    store: Place = None,
    *,
    study: str | None = None,
    device: Device | str | None = None,
    setup: str | None = None,
) -> Predicted:
    """Predicts the same for a stored trial, on the network of its task.

    Args:
        trial: its name, its recipe, or `best`.
        store: where it is.
        study: which; the newest when None.
        device, setup: as for `predict`; the device is the study's when None.

    Raises:
        AtollError: there is no such trial, or as for `predict`.
    """
    place = store_at(store)
    stored = choose_study(place, study)
    board = _board(device or stored.device)
    return _predicted(inputs_of_trial(place, stored, trial, board.about.has_npu), board, setup)


def _board(device: Device | str) -> Device:
    return device if isinstance(device, Device) else Device.load(device)


def _predicted(inputs: CostInputs, board: Device, setup: str | None) -> Predicted:
    if setup is not None and board.setup not in (None, setup):
        raise AtollError(f"predict: got the set-ups {board.setup} and {setup}, allowed is one of them")
    on_npu = _on_npu(inputs, board, setup)
    found = on_npu.predictions if on_npu else board.predict(inputs.table, setup, inputs.model_bytes)
    chosen = board.about.setup(setup or board.setup).name
    lacking = (f"{name} was never measured in set-up {chosen}" for name in board.lacking(setup))
    is_spread = (setup or board.setup) is None and len(board.about.comparable("latency_ms")) > 1
    runs_on = runtime_of(board.name)
    on_micro = runs_on is not None and runs_on.is_micro and runs_on.loads(inputs.need.micro or "")
    unloaded = unloadable(demands([], runs_on), inputs.need.to_metrics())
    # the file is lowered from the structure byte by byte: no interval; a lower bound has no upper end
    high = inputs.model_bytes if inputs.size_status == "interpolated" else inf
    return Predicted(
        title=inputs.title,
        device=board.name,
        setup=f"{chosen}, intervals with the spread between set-ups" if is_spread else chosen,
        latency_ms=found.get("latency_ms"),
        peak_memory_bytes=found.get("peak_memory_bytes"),
        model_bytes=Prediction(inputs.model_bytes, inputs.model_bytes, high, inputs.size_status),
        need=inputs.need,
        arena_bytes=arena_of(inputs.file).bytes if on_micro and inputs.file is not None else None,
        ethos_u_mappable=None if on_npu is None else on_npu.mappable,
        ethos_u_flash_bytes=None if on_npu is None else on_npu.flash_bytes,
        macs=inputs.table.macs,
        flops=inputs.flops,
        notes=(*lacking, *board.gaps(inputs.table, setup), *unloaded, *inputs.notes),
    )


def _on_npu(inputs: CostInputs, board: Device, setup: str | None) -> Estimate | None:
    """Returns what the compiler of an NPU estimates; None for other devices.

    Raises:
        AtollError: the compiler is not installed or cannot compile the file; or no file can be written.
    """
    chosen = board.npu_setup(setup)
    if chosen is None:
        return None
    if inputs.file is None:
        raise AtollError(f"{inputs.title}: no LiteRT file can be written, which {board.name} needs")
    found = estimate(inputs.file, chosen)
    if found.refusal:
        raise AtollError(f"{inputs.title} on {board.name}: {found.refusal}")
    return found
