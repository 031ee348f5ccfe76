"""Gives the same files of every technique to what microcontrollers and accelerators run, or says why not.

LiteRT Micro's interpreter runs them beside their networks and records its arena; Vela compiles them for an
Ethos-U; which operators the Edge TPU takes is claimed by its rules. Rows go to
`results/targets/devices.jsonl`, one a file, a table of them to `devices.md` beside it.
"""

import datetime
import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from atoll.evaluators.edge_tpu.check import check_file
from atoll.evaluators.ethos_u.compiler import NotCompiled, compile_for_ethos_u
from atoll.evaluators.litert.micro_run import run_in_micro
from atoll.evaluators.measuring.artifact import channels_last
from atoll.hw_models.devices.device import Device
from atoll.hw_models.runtimes.micro import PACKAGE, RUNS, refused
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.testing.technique_files import EACH, WIDTHS, TechniqueFile, technique_files
from figures import report
from recorded import machine
from targets import FAR, IMAGES, RESULTS, _commit
from targets_page import devices_page

#: what Vela compiles for (own choice: the device in the middle of the five)
NPU = "ethos-u55-128"
Row = dict[str, Any]


def main() -> int:
    """Runs all files, writes rows and page, prints the figures."""
    about = {"commit": _commit(), "machine": machine(), "date": datetime.date.today().isoformat()}
    about |= {"interpreter": f"{PACKAGE} {version(PACKAGE)}"}
    rows = []
    for file in technique_files(list(dict.fromkeys((*EACH, *WIDTHS)))):
        print(f"== {file.network_name} {file.recipe}", file=sys.stderr, flush=True)
        parsed = TfliteFile.parse(file.content)
        row: Row = {"network": file.network_name, "recipe": file.recipe, "bytes": len(file.content)}
        row |= {"edge_tpu_mappable": check_file(parsed).mappable, "npu": NPU}
        rows.append(row | _micro(file, parsed) | _vela(file.content) | about)
    (RESULTS / "devices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (RESULTS / "devices.md").write_text(devices_page(rows), encoding="utf-8")
    wrong = [row for row in rows if (row["micro_claimed"] == RUNS) != (row["micro"] == "agrees")]
    report("targets/micro_not_as_claimed", len(wrong), "files", 0, "lower")
    arenas = [row["arena_claimed"] / row["arena_recorded"] for row in rows if row["arena_recorded"]]
    report("targets/arena_claimed_least", min(arenas), "of the recorded", 1.0, "higher")
    report("targets/arena_claimed_most", max(arenas), "of the recorded", 1.05, "lower")
    return 0


def _micro(file: TechniqueFile, parsed: TfliteFile) -> Row:
    """Returns what LiteRT Micro's interpreter made of a file, and what was claimed of it."""
    found = run_in_micro(file.content, channels_last(file.images[:IMAGES]).numpy())
    row: Row = {"micro_claimed": refused(parsed) or RUNS, "micro_why": found.refusal}
    row |= {"arena_claimed": found.claimed_bytes, "arena_recorded": found.recorded_bytes}
    if found.refusal:
        return row | {"micro": "refused", "micro_agreement": None, "micro_difference": None}
    expected = file.expected(IMAGES).numpy()
    [given] = found.outputs
    difference = float(np.abs(given - expected).max() / np.ptp(expected))
    told = round(difference, 4) if np.isfinite(difference) else None
    return row | {
        "micro": "agrees" if difference <= FAR else "computes something else",
        "micro_agreement": float((given.argmax(1) == expected.argmax(1)).mean()),
        "micro_difference": told,
    }


def _vela(content: bytes) -> Row:
    """Returns what the compiler made of a file."""
    setup = Device.load(NPU).npu_setup()
    assert setup is not None and setup.npu is not None
    try:
        found = compile_for_ethos_u(content, setup.npu)
    except NotCompiled as error:
        return {"vela": "", "vela_mappable": None, "vela_cycles": None, "vela_why": str(error)}
    told = {"vela": found.version, "vela_mappable": found.report.mappable}
    why = "; ".join(found.report.refusals)
    return told | {"vela_cycles": found.report.cycles, "vela_why": why}


if __name__ == "__main__":
    sys.exit(main())
