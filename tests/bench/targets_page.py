"""The tables of `results/targets/`: what every release makes of a file of every technique."""

from typing import Any

from atoll.hw_models.runtimes.operator_releases import how_known
from atoll.hw_models.runtimes.release import release
from atoll.hw_models.runtimes.wheels import WHEELS

HEADING = """# Files and releases of the runtime, tried

Written by `make bench-targets` from `rows.jsonl`, which has agreement, largest difference, the runtime's
words, commit, machine and date of every run. Two tiny networks, trained for an epoch and compressed without
training after it; 32 images, each release in an environment of its own, with its default kernels and with the
plain ones, beside the network. A dash: refused, or the process ended. `wrong`: loaded, and something else
came out. `plain`: right with the plain kernels alone. **Bold**: not as the minimum runtime says. Minimum
runtimes that are older than all that was run are claimed by rule.
"""
_MARKS = {"agrees": "yes", "computes something else": "wrong", "refused": "-", "ended": "-"}


def page(rows: list[dict[str, Any]]) -> str:
    """Returns the page of all rows, a table a network."""
    found = {(row["network"], row["recipe"], row["runtime"], row["kernels"]): row for row in rows}
    names = [name for name in WHEELS if any(row["runtime"] == name for row in rows)]
    text = [HEADING, _packages(rows, names)]
    for network in dict.fromkeys(row["network"] for row in rows):
        text.append(f"## The {network} network\n")
        text.append("| recipe | minimum | " + " | ".join(names) + " |\n| --- | --- |" + " --- |" * len(names))
        for recipe in dict.fromkeys(row["recipe"] for row in rows if row["network"] == network):
            of = {
                (name, kernels): found[network, recipe, name, kernels]
                for name in names
                for kernels in ("default", "plain")
            }
            needed = next(iter(of.values()))["minimum_runtime"]
            known = f" {how_known(needed)}" if how_known(needed) else ""
            cells = [_cell(of[name, "default"], of[name, "plain"]) for name in names]
            text.append(f"| `{recipe}` | {needed}{known} | " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join([*text, *_reasons(rows)])


DEVICES_HEADING = """# Files on microcontrollers and accelerators, tried

Written by `make bench-targets` from `devices.jsonl`, which has machine, commit and date. The files are those
of [the releases](README.md). **LiteRT Micro**: its interpreter (64-bit, reference kernels) ran 32 images
beside the network; `yes` with the largest difference in % of the span of the outputs, `wrong` where it loads
a file that the rules refuse and computes something else, else what it does not run by the rules, **bold**
where the interpreter says otherwise. **Arena**: as the header claims it, and as a
multiple of what the interpreter's allocator recorded. **Vela**: the share of operators on the NPU and its
cycles, the compiler's own estimates, else why it does not compile the file; no NPU was there. **Edge TPU**:
the share of operators that its compiler takes by the published rules; nothing was run.
"""


def devices_page(rows: list[dict[str, Any]]) -> str:
    """Returns the page of all files on what is no release of the runtime, a row a file."""
    of = rows[0]
    vela = next((row["vela"] for row in rows if row["vela"]), "none")
    told = f"{of['interpreter']}; Vela {vela} for {of['npu']}"
    lines = [
        DEVICES_HEADING,
        f"Run with {told}; {of['machine']}, {of['date']}, {of['commit']}.\n",
        "| network | recipe | bytes | LiteRT Micro | arena, B | of the recorded | on the NPU | cycles | "
        "Edge TPU share |",
        "| --- | --- | ---: | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in rows:
        recorded = row["arena_recorded"]
        cells = (
            row["network"], f"`{row['recipe']}`", f"{row['bytes']:,}", _on_micro(row),
            f"{row['arena_claimed']:,}" if recorded else "",
            f"{row['arena_claimed'] / recorded:.3f}" if recorded else "",
            _first_words(row["vela_why"]) if row["vela_mappable"] is None else f"{row['vela_mappable']:.2f}",
            "" if row["vela_cycles"] is None else f"{row['vela_cycles']:,}",
            f"{row['edge_tpu_mappable']:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _on_micro(row: dict[str, Any]) -> str:
    runs = row["micro"] == "agrees"
    said = f"yes, {100 * row['micro_difference']:.1f} %" if runs else _first_words(row["micro_claimed"])
    if row["micro"] == "computes something else":
        said = "wrong"
    return said if runs == (row["micro_claimed"] == "runs") else f"**{said}**"


def _first_words(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:100]


def claimed_and_not_right(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the runs of default kernels that the minimum runtime promises, and that were not right."""
    of_devices = [row for row in rows if row["kernels"] == "default"]
    return [row for row in of_devices if row["claimed"] and row["outcome"] != "agrees"]


def right_below_the_minimum(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Returns network and recipe of files that the next older release, and all that have it, run as well."""
    below: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["kernels"] == "default" and not row["claimed"]:
            below.setdefault((row["network"], row["recipe"]), []).append(row)
    found = []
    for file, runs in below.items():
        newest = max(release(row["has"]) for row in runs)
        if all(row["outcome"] == "agrees" for row in runs if release(row["has"]) == newest):
            found.append(file)
    return found


def _cell(default: dict[str, Any], plain: dict[str, Any]) -> str:
    word = _MARKS[default["outcome"]]
    if default["outcome"] != "agrees" and plain["outcome"] == "agrees":
        word = "plain"
    return word if default["claimed"] == (default["outcome"] == "agrees") else f"**{word}**"


def _packages(rows: list[dict[str, Any]], names: list[str]) -> str:
    told = {row["runtime"]: row for row in rows}
    lines = [
        f"| {name} | {told[name]['package']} | {told[name]['has']} | {told[name]['date']} | "
        f"{told[name]['commit']} | {told[name]['machine']} |"
        for name in sorted(names, key=lambda name: (name.split("-")[0], release(name.split("-")[1])))
    ]
    head = "| release | run as | has TensorFlow Lite | on | commit | machine |"
    return "\n".join([head, "| --- " * 6 + "|", *lines, ""])


def _reasons(rows: list[dict[str, Any]]) -> list[str]:
    """Returns what runtimes said of files that they do not run, each once."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if row["outcome"] in ("refused", "ended"):
            said.setdefault(row["why"].split("Node number")[0].strip()[:160], []).append(row["runtime"])
    lines = [
        f"- `{why.replace('`', '')}`: {', '.join(name for name in WHEELS if name in names)}"
        for why, names in said.items()
    ]
    return ["## In the runtimes' words\n", *lines, ""]
