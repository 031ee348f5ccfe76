"""The table of figures: whatever prints, stores, ranks or bounds a figure reads it here.

A metric is a row of `FIGURES`, a field of `Metrics`, a column of the store, and what measures it.
"""

from .figure import Figure, Form

_COUNT, _BYTES, _KB, _MIB = Form("", 0), Form("B", 0), Form("kB", 1), Form("MiB", 2)
_MACS, _MILLION_MACS = Form("MAC", 0), Form("M MAC", 2)
_MS, _SHORT_MS = Form("ms", 3), Form("ms", 2)
_SECONDS, _EPOCHS = Form("s", 1), Form("epochs", 1)
_QUALITY, _SHARE, _TIMES = Form("", 4), Form("share", 4), Form("x", 2)

FIGURES: tuple[Figure, ...] = (
    Figure(
        "quality", "quality", "measured", _QUALITY, higher_is_better=True, needs_training=True,
        of_quality=True,
    ),
    Figure(
        "macs", "work", "counted", _MACS, _MILLION_MACS, across="sum", resolution=1, whole=True,
        long_title="multiply-accumulates",
    ),
    Figure("latency_ms", "latency", "predicted", _MS, _SHORT_MS, across="sum", of_device=True),
    # Networks of a task run one after the other: the largest decides.
    Figure(
        "peak_memory_bytes", "memory", "predicted", _BYTES, _MIB, across="max", resolution=1, of_device=True,
        long_title="peak memory",
    ),
    Figure("parameters", "parameters", "counted", _COUNT, across="sum", resolution=1, whole=True),
    Figure("nonzero_parameters", "non-zero", "measured", _COUNT, across="sum", resolution=1, whole=True),
    Figure("payload_bytes", "payload", "measured", _BYTES, _KB, across="sum", resolution=1, whole=True),
    Figure("model_bytes", "file", "predicted", _BYTES, _KB, across="sum", resolution=1, whole=True),
    Figure(
        "packed_bytes", "packed", "measured", _BYTES, _KB, across="sum", resolution=1, whole=True,
        needs_training=True, long_title="file after zstd-19",
    ),
    Figure(
        "label_loyalty", "label loyalty", "measured", _SHARE, higher_is_better=True, needs_training=True,
        long_title="label loyalty to the baseline",
    ),
    Figure(
        "probability_loyalty", "probability loyalty", "measured", _SHARE, higher_is_better=True,
        needs_training=True,
    ),
    # Documented rules alone decide; the weakest network of a task counts.
    Figure("edge_tpu_mappable", "on Edge TPU", "counted", _SHARE, higher_is_better=True),
    # As its compiler maps the planned file; networks of a task lie side by side in flash.
    Figure("ethos_u_mappable", "on Ethos-U", "counted", _SHARE, higher_is_better=True),
    Figure(
        "ethos_u_flash_bytes", "Ethos-U flash", "estimated", _BYTES, _KB, across="sum", resolution=1,
        whole=True, long_title="flash of the file compiled for Ethos-U",
    ),
    # LiteRT Micro's memory, counted on the planned file; networks of a task run one after the other
    Figure(
        "arena_bytes", "arena", "predicted", _BYTES, _KB, across="max", resolution=1, whole=True,
        long_title="tensor arena of LiteRT Micro",
    ),
    Figure("train_epochs", "epochs", "measured", _EPOCHS, across="sum", needs_training=True),
    Figure("train_seconds", "training", "measured", _SECONDS, across="sum", needs_training=True),
    Figure("seconds", "evaluation", "measured", _SECONDS, source="trial"),
    # What refers to the baseline or to other seeds.
    Figure(
        "quality_drop", "drop", "measured", Form("", 4, "+"), needs_training=True, source="derived",
        of_quality=True,
    ),
    Figure(
        "compression_ratio", "smaller", "predicted", _TIMES, Form("x", 1), higher_is_better=True,
        resolution=0.01, source="derived",
    ),
    # The model array of a microcontroller's program: the file itself, without interpreter and kernels.
    Figure(
        "flash_bytes", "flash", "predicted", _BYTES, _KB, across="sum", resolution=1, whole=True,
        source="derived", long_title="flash, the model array alone",
    ),
    # standard error of the mean over seeds
    Figure(
        "quality_drop_error", "+-", "measured", _QUALITY, needs_training=True, source="derived",
        of_quality=True,
    ),
    Figure(
        "quality_std", "+-", "measured", _QUALITY, needs_training=True, source="derived", of_quality=True
    ),
    # of the files, beside the baseline's; the gap is how much larger that is than the drop on validation
    Figure(
        "test_drop", "test drop", "measured", Form("", 4, "+"), needs_training=True, source="derived",
        of_quality=True,
    ),
    Figure(
        "test_drop_error", "+-", "measured", _QUALITY, needs_training=True, source="derived", of_quality=True
    ),
    Figure(
        "test_gap", "gap", "measured", Form("", 4, "+"), needs_training=True, source="derived",
        of_quality=True,
    ),
    # What is read off the file of a trial once it is written, and predicted for where it was read.
    Figure("model_bytes_measured", "file", "measured", _BYTES, _KB, whole=True, source="file"),
    Figure("packed_bytes_measured", "packed", "measured", _BYTES, _KB, whole=True, source="file"),
    Figure(
        "peak_memory_bytes_measured", "tensors", "measured", _BYTES, _MIB, whole=True, source="file",
        long_title="tensors alive at once",
    ),
    Figure(
        "latency_host_ms_measured", "on host", "measured", _MS, source="file", long_title="latency",
    ),
    Figure("latency_host_ms", "on host", "predicted", _MS, source="file", of_device=True),
    Figure(
        "peak_memory_host_bytes_measured", "memory on host", "measured", _BYTES, whole=True, source="file"
    ),
    Figure("peak_memory_host_bytes", "memory on host", "predicted", _BYTES, source="file", of_device=True),
    Figure("agreement", "agreement", "measured", _SHARE, higher_is_better=True, source="file"),
    Figure(
        "quality_of_file", "file's quality", "measured", _QUALITY, higher_is_better=True, source="file",
        of_quality=True,
    ),
    Figure(
        "test_quality", "test", "measured", _QUALITY, higher_is_better=True, source="file", of_quality=True
    ),
)  # fmt: skip
FIGURE: dict[str, Figure] = {figure.name: figure for figure in FIGURES}
#: the figures of `Metrics`
METRICS: tuple[Figure, ...] = tuple(figure for figure in FIGURES if figure.source == "metric")
#: said beside `packed_bytes`
PACKED_ALONE = (
    "packed bytes are those of a download: no runtime here decompresses anything, so zeros and shared "
    "weights make neither the file on the device nor its memory smaller"
)
#: what follows from metrics, and can be bounded like one; the first two refer to the baseline
BOUNDED_BESIDE = (FIGURE["quality_drop"], FIGURE["compression_ratio"], FIGURE["flash_bytes"])
#: what is another metric under the name by which people bound it
SAME_AS = {"flash_bytes": "model_bytes"}
