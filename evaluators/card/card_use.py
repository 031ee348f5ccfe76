"""Inputs, outputs and use of a card's file: what they are, and a few lines of code that load and run it."""

from collections.abc import Sequence

from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.shape import axes_said, is_image
from ...spaces.outside.shown import markdown, markdown_code, shown
from ..measuring.file_ends import FileEnd
from .card import Card

#: channels whose scaling a line of code says
_SAID_CHANNELS = 4
#: a few lines for a board, where the runtime's small package is enough
_LOAD = """```python
import numpy as np; from ai_edge_litert.interpreter import Interpreter
{name} = {example}  # yours: {axes}, {scaled}
model = Interpreter("model.tflite"); model.allocate_tensors(); x = model.get_input_details()[0]
model.set_tensor(x["index"], {fed}); model.invoke()
{shown}
```"""
#: the same for several inputs
_LOAD_SEVERAL = """```python
import numpy as np; from ai_edge_litert.interpreter import Interpreter
model = Interpreter("model.tflite"); model.allocate_tensors()
for x, values in zip(model.get_input_details(), ({zeros})):  # yours
    scale, zero = x["quantization"]
    fed = np.round(values / scale + zero).clip(-128, 127).astype(np.int8) if scale else values
    model.set_tensor(x["index"], fed)
model.invoke()
{shown}
```"""
#: what an int8 input is fed
_FED_TO_GRID = (
    'np.round({name} / x["quantization"][0] + x["quantization"][1]).clip(-128, 127).astype(np.int8)'
)
_LABEL = 'print(model.get_tensor(model.get_output_details()[0]["index"]).argmax())'
_NUMBERS = 'print(model.get_tensor(model.get_output_details()[0]["index"]))'
#: numbers of a file whose outputs are on a grid, in the unit of the targets
_NUMBERS_OF_GRID = """y = model.get_output_details()[0]; scale, zero = y["quantization"]
print((model.get_tensor(y["index"]) - np.float32(zero)) * np.float32(scale))"""
#: every output of a file that has several
_EVERY_OUTPUT = """for y in model.get_output_details():
    (scale, zero), found = y["quantization"], model.get_tensor(y["index"])
    print((found - np.float32(zero)) * np.float32(scale) if scale else found)"""


def chosen(card: Card) -> str:
    """Returns which trial of which study a file is; of a network that was exported alone, that none is.

    Args:
        card: of the file.
    """
    if not card.study:
        return "No study chose it, and nothing was trained."
    return f"Trial {markdown_code(card.trial)} of study {markdown_code(card.study)}, seed {card.seed}."


def outputs(card: Card) -> str:
    """Returns a table of the file's outputs where there are several, else nothing.

    Args:
        card: of the file.
    """
    rows = [
        (
            markdown(one.name),
            "x".join(map(str, one.shape)),
            markdown(one.type),
            "" if one.scale is None else f"{one.scale:.6g}",
            "" if one.zero_point is None else str(one.zero_point),
        )
        for one in card.outputs or []
    ]
    return table(("output", "shape", "type", "scale", "zero point"), rows) if rows else ""


def use(card: Card) -> str:
    """Returns the code that runs the file on zeros, below a table of its inputs where there are several.

    Args:
        card: of the file.
    """
    if card.inputs:
        return _use_of_several(card, card.inputs)
    first, *others = card.input_shape
    name = "image" if is_image(card.input_shape) else "values"
    fed = name
    if card.artifact.largest_difference_lsb is not None:
        fed = _FED_TO_GRID.format(name=name)
    elif card.outputs:  # some may be float behind an input on a grid
        fed = f'{_FED_TO_GRID.format(name=name)} if x["quantization"][0] else {name}'
    return _LOAD.format(
        name=name,
        example=f"np.zeros({(1, *others, first)}, np.float32)",
        axes=axes_said(card.input_shape),
        scaled=scaled(card),
        fed=fed,
        shown=_shown(card),
    )


def _shown(card: Card) -> str:
    """Returns the code that prints what the file gave."""
    if card.outputs:
        return _EVERY_OUTPUT
    if not card.numbers:
        return _LABEL
    return _NUMBERS if card.artifact.largest_difference_lsb is None else _NUMBERS_OF_GRID


def _use_of_several(card: Card, inputs: Sequence[FileEnd]) -> str:
    names = ("input", "name", "shape, channels last", "type", "scale", "zero point", "of what is stored")
    rows = []
    for number, (one, said) in enumerate(zip(inputs, _scaled_each(card, inputs), strict=True)):
        size = "x".join(map(str, one.shape[1:]))
        grid = ["" if part is None else str(part) for part in (one.scale, one.zero_point)]
        rows.append([str(number), markdown_code(one.name), size, markdown(one.type), *grid, said])
    zeros = ", ".join(f"np.zeros({tuple(one.shape)}, np.float32)" for one in inputs)
    return f"{table(names, rows)}\n\n{_LOAD_SEVERAL.format(zeros=zeros, shown=_shown(card))}"


def _scaled_each(card: Card, inputs: Sequence[FileEnd]) -> list[str]:
    """Returns what a stored value of each input is made before the file takes it."""
    scaling = PIXELS if card.scaling is None else Scaling.from_json(card.scaling)
    if scaling.channels is None:
        return [scaled(card)] * len(inputs)
    found, start = [], 0
    for one in inputs:
        end = start + one.shape[-1]
        mean, std = (_numbers(two[start:end]) for two in (scaling.mean, scaling.std))
        found.append(f"(value - mean) / std of every channel, mean {mean}, std {std}")
        start = end
    return found


def _numbers(values: Sequence[float]) -> str:
    told = ", ".join(f"{one:.6g}" for one in values[:_SAID_CHANNELS])
    more = f", … ({len(values)}, as `scaling` in recipe.json says)" if len(values) > _SAID_CHANNELS else ""
    return told + more


def scaled(card: Card) -> str:
    """Returns what a stored input is made before the file takes it, in words.

    Args:
        card: of the file.
    """
    scaling = PIXELS if card.scaling is None else Scaling.from_json(card.scaling)
    value = "pixel" if is_image(card.input_shape) else "value"
    if len(scaling.mean) > _SAID_CHANNELS:
        return f"({value} - mean) / std of every channel, as `scaling` in recipe.json says"
    if scaling.channels is not None:
        mean, std = (", ".join(f"{one:.6g}" for one in two) for two in (scaling.mean, scaling.std))
        return f"({value} - mean) / std of every channel, mean {mean}, std {std}"
    (mean_,), (std_,) = scaling.mean, scaling.std
    if mean_ == std_:
        return f"{value} / {std_:.6g} - 1"
    return f"({value} - {mean_:.6g}) / {std_:.6g}"


def inputs_said(card: Card) -> str:
    """Returns what a card calls the inputs of its file.

    Args:
        card: of the file.
    """
    return "images" if is_image(card.input_shape) else "samples"


def classes_said(names: Sequence[str], most: int, all_in: str) -> str:
    """Returns a sentence that names classes in their order; nothing where there are none.

    Args:
        names: of the classes.
        most: names that are said.
        all_in: where the others stand.
    """
    if not names:
        return ""
    said = ", ".join(markdown_code(name) for name in names[:most])
    more = f", … ({len(names):,}, all in {all_in})" if len(names) > most else ""
    return f"Classes in the order of the output: {said}{more}."


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown.

    Args:
        names: of its columns.
        rows: cells, which must be Markdown already.
    """
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def line_of_code(line: str) -> str:
    """Returns a line of a block of code, which it cannot end."""
    return shown(line).replace("`", "\\x60")
