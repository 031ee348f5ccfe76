"""A small program beside the header of a microcontroller: it runs one image and prints what the file says."""

from collections.abc import Sequence
from math import prod

from ...spaces.layers.scaling import Scaling
from .micro_use import MicroUse

_TEMPLATE = """\
// Runs {name} in LiteRT Micro once and prints what it says; written by `atoll export --c-array`.
// Build it with tflite-micro, its folder and this one among the include paths. Include the header here alone.
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "{header}"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{

alignas({alignment}) uint8_t arena[{upper}_ARENA_BYTES];
{classes}
// What goes in is (stored - mean) / std, of every channel or of all alike.
const float mean[] = {{{mean}}};
const float deviation[] = {{{deviation}}};
const int scalings = sizeof mean / sizeof mean[0];

{inputs}

void Fill(TfLiteTensor* input, const {stored}* values, int count, int channels, int first) {{
  for (int i = 0; i < count; ++i) {{
    const int channel = scalings == 1 ? 0 : first + i % channels;
    const float real = (static_cast<float>(values[i]) - mean[channel]) / deviation[channel];
    if (input->type == kTfLiteFloat32) {{
      input->data.f[i] = real;
      continue;
    }}
    const float step = std::round(real / input->params.scale) + static_cast<float>(input->params.zero_point);
    input->data.int8[i] = static_cast<int8_t>(std::fmin(std::fmax(step, -128.0f), 127.0f));
  }}
}}

float Read(const TfLiteTensor* output, int i) {{
  if (output->type == kTfLiteFloat32) return output->data.f[i];
  return static_cast<float>(output->data.int8[i] - output->params.zero_point) * output->params.scale;
}}

}}  // namespace

int main() {{
  tflite::MicroMutableOpResolver<{upper}_OPERATORS> resolver;
  if (!{upper}_ADD_OPERATORS(resolver)) return 1;
  tflite::MicroInterpreter interpreter(tflite::GetModel({array}), resolver, arena, sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
  std::printf("arena: %u of %u bytes used\\n", static_cast<unsigned>(interpreter.arena_used_bytes()),
              static_cast<unsigned>(sizeof arena));
{fills}
  if (interpreter.Invoke() != kTfLiteOk) return 1;
{prints}
  return 0;
}}
"""
_CLASS = """\
  int best = 0;
  for (int i = 1; i < {count}; ++i)
    if (Read(interpreter.output(0), i) > Read(interpreter.output(0), best)) best = i;
  std::printf({said});"""
_NUMBERS = """\
  for (int i = 0; i < {count}; ++i)
    std::printf("output {number}, %d: %g\\n", i, double(Read(interpreter.output({number}), i)));"""


def micro_program(
    array: str,
    header: str,
    alignment: int,
    use: MicroUse,
    scaling: Scaling,
    classes: Sequence[str],
    stored: str,
) -> str:
    """Returns a program in C++17.

    Args:
        array: identifier of the model's bytes in the header.
        header: its file.
        alignment: of the arena, in bytes.
        use: what the file needs.
        scaling: what makes of stored values what the file takes.
        classes: whose names are in the header; an output that is no number for each is printed whole.
        stored: type of what is stored in C.
    """
    upper = array.upper()
    inputs, fills, first = [], [], 0
    for number, end in enumerate(use.inputs):
        count, channels, size = prod(end.shape), end.shape[-1], "x".join(map(str, end.shape[1:]))
        inputs.append(f"// yours: {size}, channels last\nconst {stored} values_{number}[{count}] = {{}};")
        fills.append(f"  Fill(interpreter.input({number}), values_{number}, {count}, {channels}, {first});")
        first += channels
    names, said = "", '"class %d\\n", best'
    if classes and len(use.outputs) == 1 and prod(use.outputs[0].shape) == len(classes):
        names = f"const char* const classes[{upper}_CLASSES] = {upper}_CLASS_NAMES;\n"
        said = '"class %d: %s\\n", best, classes[best]'
        prints = [_CLASS.format(count=prod(use.outputs[0].shape), said=said)]
    else:
        prints = [
            _NUMBERS.format(number=number, count=prod(end.shape)) for number, end in enumerate(use.outputs)
        ]
    return _TEMPLATE.format(
        name=array,
        header=header,
        alignment=alignment,
        upper=upper,
        array=array,
        classes=names,
        mean=_floats(scaling.mean, scaling.runs),
        deviation=_floats(scaling.std, scaling.runs),
        inputs="\n".join(inputs),
        stored=stored,
        fills="\n".join(fills),
        prints="\n".join(prints),
    )


def _floats(numbers: Sequence[float], runs: Sequence[int]) -> str:
    """Returns numbers of C, each for as many channels as its run is long."""
    spread = [one for one, run in zip(numbers, runs or [1] * len(numbers), strict=True) for _ in range(run)]
    return ", ".join(f"{float(one)!r}f" for one in spread)
