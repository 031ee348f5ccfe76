"""The rooms of each floor: which may import which, no circle of rooms or of files, and what a room is."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each room with the rooms of its floor that it imports. Files that stand on the floor itself (errors,
# digests) serve every room and import none. An arrow that is not here is a decision: add it with its reason.
ROOMS = {
    "spaces": {
        "kernels": "",
        "machine": "",
        "outside": "",
        "layers": "kernels",
        "exported": "layers",
        "operations": "layers",
        "graph": "layers exported operations",
        "written": "outside layers exported operations graph",
        "networks": "layers",
        "technique": "layers",
        "quantization": "kernels layers operations graph",
        "decomposition": "kernels layers technique",
        "importance": "layers technique",
        "channels": "kernels layers operations graph technique importance",
        "techniques": "kernels layers graph networks technique quantization decomposition importance "
        "channels",
        "recipes": "layers graph networks technique techniques",
    },
    "hw_models": {
        "board": "",
        "coral_dev_board": "",
        "coral_edge_tpu": "",
        "tables": "",
        "ethos_u": "",
        "host": "",
        "litert_micro": "",
        "formulas": "tables",
        "runtimes": "tables",
        "fitting": "tables formulas",
        "devices": "tables formulas fitting runtimes",  # a device names what runs its files
    },
    "evaluators": {
        "datasets": "",
        "litert": "",
        "ranking": "",
        "training": "",
        "edge_tpu": "litert",
        "ethos_u": "litert",
        "sources": "datasets",
        "tasks": "datasets ranking training",
        "measuring": "datasets litert ranking training edge_tpu ethos_u tasks",
        "card": "edge_tpu ethos_u ranking tasks measuring delivery",  # a card lists what was delivered
        "plain_network": "",
        "delivery": "plain_network ethos_u litert training tasks measuring",
        "host": "ranking measuring",
        "runtimes": "litert measuring",
        "own": "datasets sources training tasks",
        "steps": "datasets ranking training tasks measuring",
    },
    "search": {
        "proposer": "",
        "sql": "",
        "store": "sql",  # the tables and views that a store's file has
        "study": "proposer terminal",  # what was measured of a user's data is said
        "terminal": "",
        "live": "terminal",  # a running search is shown as everything else is
        "export": "store study",
        "report": "store terminal",
        "driver": "proposer store study terminal live export",
        "api": "store study terminal live export driver",
        "first_steps": "proposer study terminal driver",
        "ablation": "store study terminal driver",
        "story": "store study",  # of which study, and which command trains it again
        "shell": "sql store terminal",  # what a statement can name, asked and shown
        "commands": "store study terminal live export report driver api first_steps ablation shell story",
    },
}
# Lists of things of one kind, a file each: they may grow.
CATALOGUES = {
    "spaces/layers",
    "spaces/networks",
    "spaces/techniques",
    "evaluators/litert",
    "search/commands",
}
# What a room holds at most: more, and a newcomer no longer sees which file is meant.
MOST_FILES = 15

Modules = dict[str, Path]


def modules(root: Path = ROOT) -> Modules:
    """Return the files of the package by their dotted names below `atoll`."""
    found = {}
    for floor in ROOMS:
        for file in sorted((root / floor).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(name: str, source: str, known: set[str], is_package: bool) -> set[str]:
    """Return the modules of ours that a module imports: at its top, in functions, for types alone."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        for alias in node.names:
            deeper = ".".join([*base, alias.name])
            found.add(deeper if deeper in known else ".".join(base))
    return (found & known) - {name}


def room_of(name: str) -> tuple[str, str]:
    """Return floor and room of a module; the room of what stands on the floor itself is empty."""
    floor, _, rest = name.partition(".")
    room = rest.split(".")[0]
    return floor, room if room in ROOMS[floor] else ""


def arrows(graph: dict[str, set[str]]) -> dict[tuple[str, str], set[str]]:
    """Return the rooms that each room imports on its own floor."""
    places = [(floor, room) for floor in ROOMS for room in ROOMS[floor]]
    found: dict[tuple[str, str], set[str]] = {place: set() for place in places}
    for name, targets in graph.items():
        floor, room = room_of(name)
        same_floor = {room_of(target)[1] for target in targets if room_of(target)[0] == floor}
        found.setdefault((floor, room), set()).update(same_floor - {room})
    return found


def import_graph() -> dict[str, set[str]]:
    known = modules()
    return {
        name: imported(name, file.read_text(), set(known), file.name == "__init__.py")
        for name, file in known.items()
    }


@pytest.mark.parametrize(("floor", "room"), [(floor, room) for floor in ROOMS for room in ROOMS[floor]])
def test_a_room_imports_what_the_plan_says(floor: str, room: str) -> None:
    assert arrows(import_graph())[floor, room] - {""} == set(ROOMS[floor][room].split())


@pytest.mark.parametrize("floor", ROOMS)
def test_what_stands_on_the_floor_serves_the_rooms(floor: str) -> None:
    assert arrows(import_graph()).get((floor, ""), set()) <= {""}


@pytest.mark.parametrize("floor", ROOMS)
def test_the_plan_has_no_circle_of_rooms(floor: str) -> None:
    TopologicalSorter({room: targets.split() for room, targets in ROOMS[floor].items()}).prepare()


def test_no_circle_of_files() -> None:
    # a package's own __init__ may list what stands in it
    graph = {name: targets for name, targets in import_graph().items()}
    packages = {name for name, file in modules().items() if file.name == "__init__.py"}
    without = {name: targets - packages for name, targets in graph.items() if name not in packages}
    TopologicalSorter(without).prepare()


def test_a_circle_of_files_is_seen() -> None:
    known = {"spaces.a", "spaces.b", "spaces.c"}
    sources = {
        "spaces.a": "from .b import x",
        "spaces.b": "def f():\n    from . import c",
        "spaces.c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..spaces.a import y",
    }
    graph = {name: imported(name, source, known, False) for name, source in sources.items()}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("floor", ROOMS)
def test_every_folder_is_in_the_plan_or_holds_data(floor: str) -> None:
    folders = {file.parent.name for file in (ROOT / floor).glob("*/*.py")}
    assert folders == set(ROOMS[floor])


@pytest.mark.parametrize("place", sorted(f"{floor}/{room}" for floor in ROOMS for room in ROOMS[floor]))
def test_a_room_is_small_and_says_what_lives_there(place: str) -> None:
    files = [file for file in (ROOT / place).glob("*.py") if file.name != "__init__.py"]
    assert len(files) <= MOST_FILES or place in CATALOGUES
    assert ast.get_docstring(ast.parse((ROOT / place / "__init__.py").read_text()))
