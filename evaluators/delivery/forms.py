"""The forms by name; nothing heavy is imported before one is asked for."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.outside.foreign_file import inside

if TYPE_CHECKING:
    from .delivery import Delivery, Form, Source

#: the header for microcontrollers, which is not made of every file
C_ARRAY = "c_array"
#: the file for the NPU of the study's device, which not every device has
VELA = "vela"
#: name -> the module whose `FORM` it is, in the order in which they are written
FORMS = {
    "pack": "packed_file",
    C_ARRAY: "c_array",
    VELA: "vela_file",
    "torch_export": "torch_program",
    "onnx": "onnx_file",
    "executorch": "executorch_file",
}


def form_of(name: str) -> "Form":
    """Returns a form.

    Raises:
        AtollError: there is none of that name; the message lists the known ones.
    """
    if name not in FORMS:
        raise AtollError(f"unknown form {name!r}; {known_names(name, FORMS)}")
    return import_module(f".{FORMS[name]}", __package__).FORM


def check_forms(names: Sequence[str]) -> None:
    """Looks whether every named form is known and can be made here.

    Raises:
        AtollError: it is not; the message says how to install what is missing.
    """
    for name in names:
        form_of(name).check()


def deliver(names: Sequence[str], folder: Path, source: "Source") -> "list[Delivery]":
    """Writes the named forms into a folder, each once.

    Raises:
        AtollError: one cannot be made, or does not compute what the network does.
    """
    from .delivery import Delivery

    check_forms(names)
    return [Delivery.of(form_of(name), folder, source) for name in FORMS if name in names]


def measure_again(
    names: Sequence[str], folder: Path, source: "Source", trust: bool = False
) -> list[dict[str, Any]]:
    """Returns `bytes` and `figures` of forms that lie in a folder.

    One that fails or disagrees with the network has no figures, and under `failure` the sentence; one that is
    not opened, or whose packages are missing, under `untried`.

    Args:
        names: of the forms that its card names.
        folder: by somebody else.
        source: what the forms are compared with.
        trust: whether forms are opened whose files can run code.

    Raises:
        AtollError: a form is unknown, or its file no regular one of the folder.
    """
    found = []
    for name in names:
        form = form_of(name)
        of_form: dict[str, Any] = {"bytes": inside(folder, form.file).stat().st_size, "figures": {}}
        found.append(of_form)
        if form.risk and not trust:
            of_form["untried"] = f"{form.file}: not compared ({form.risk}; --trust runs it)"
            continue
        try:
            form.check()
        except AtollError as error:
            of_form["untried"] = f"{form.file}: not run here ({error})"
            continue
        try:
            of_form["figures"] = form.measure(folder, source)
        except AtollError as error:
            of_form["failure"] = str(error)
    return found
