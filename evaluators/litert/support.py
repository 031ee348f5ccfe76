"""What LiteRT computes right: the weight types that may ship, per operator and activation type.

Found by running every combination against an integer simulation in float64 (LiteRT 2.3 on x86-64, with its
default XNNPACK delegate and with the plain kernels); the tests repeat what is relied on here.
"1 LSB" is one step of the output grid against clamp(round(acc * s_in * s_w / s_out) + zero point).

========================= ============ ============ =========================================================
operator                  activations  weights      result
========================= ============ ============ =========================================================
CONV, DEPTHWISE, FC       float32      float32      right (1e-6), delegated
CONV, DEPTHWISE, FC       float32      int8, f16    through DEQUANTIZE of the constant: right, fast as float
CONV, DEPTHWISE, FC       float32      int4, int2   through DEQUANTIZE: right, even for convolutions; not
                                                    delegated (a convolution takes about five times as long)
CONV, FC                  float32      int8, int4   given directly (dynamic range): activations are rounded to
                                                    8 bits at run time; right (1e-6), see below
FC                        float32      int2         the same
DEPTHWISE                 float32      int8         the same per channel; int4 does not load: not used here
CONV, DEPTHWISE, FC       float32      any integer  with zero points, through DEQUANTIZE: right
CONV                      float32      int2         given directly: NaN
CONV, DEPTHWISE, FC       int8         int8         <= 1 LSB, per channel and per tensor, delegated
CONV, DEPTHWISE           int8         int4         <= 1 LSB, not delegated (about three times int8's time)
FC                        int8         int4         <= 1 LSB, delegated for an even number of inputs
FC                        int8         int2         <= 1 LSB, delegated per channel, plain kernel per tensor
CONV, DEPTHWISE           int8         int2         does not load
TRANSPOSE_CONV            both         int8         as CONV; narrower ones are not used here
========================= ============ ============ =========================================================

- XNNPACK rounds once and agrees with the simulation but for float32 ties. The plain kernels round the product
  to whole numbers and then again after the shift: the larger s_in * s_w / s_out, the more outputs are 1 LSB
  off (0.1 % for typical int8, 1-9 % for int4 convolutions, 5-14 % for int2 with one scale). Which kernel
  takes what, and how to compute it to the bit: `kernel_rounding`.
- s_in * s_w / s_out must stay below 256 in every channel, or XNNPACK refuses the whole file.
- CONV and DEPTHWISE need a bias (two inputs do not load, nor does -1); an int32 bias needs one scale
  (s_in * s_w) per scale of the weights: without scales it is right but not delegated, with fewer the file
  does not load. What these scales are no kernel reads, so a bias of zeros, which it is on any, has those of
  the weights and needs no room for its own (default and plain kernels of tflite-runtime 2.14, TensorFlow
  2.12 and here). Biases beside int4, which is not delegated anyway, have none: the same integers to the last
  bit, here, in TensorFlow 2.12 and in tflite-runtime 2.14, with the plain kernels, and with the reference
  ones where they take int4 (here, but for depthwise; in 2.14 none does). LiteRT Micro loads them.
  FC may go without bias.
- Every scale needs its own int64 zero point in the file.
- 1x1 depthwise with weights +-127 and scale |g| / 127 is the batch normalisation g x + b to 1 LSB; with
  weights +-1 and scale |g| the bias gets coarse and a tenth of the outputs is 1 LSB off.
- MAX_POOL, PAD, TRANSPOSE, RESHAPE, CONCATENATION, RESIZE_NEAREST_NEIGHBOR keep integers exactly and need
  equal grids on both sides. So do AVERAGE_POOL, which rounds halves away from zero (of the integers, not of
  the real numbers), and RESIZE_BILINEAR, where 5 % of the values are ties: the plain kernel rounds them away
  from zero and XNNPACK up; with aligned corners it is off by up to 1.05 steps.
- PRELU and BATCH_MATMUL take any grids and are off by one step at most, the second in 0.5 % of the values.
- MEAN, ADD, SUB, MUL, RELU, RELU6, LEAKY_RELU, HARD_SWISH, ELU, GELU (both forms), QUANTIZE take any grid
  and are off by one step at most: ELU and GELU by none (tables), ADD, SUB and MUL next to none, HARD_SWISH in
  0.8 % of the values, LEAKY_RELU in 20 %, XNNPACK's QUANTIZE between grids in 7 %, the plain MEAN in 4 % of
  large maps and half of 6x6 ones. HARD_SWISH does not load where its input's step is 64 times its output's or
  more, and ADD and SUB give other numbers from 256 times on.
- LOGISTIC and SOFTMAX write to scale 1/256 and zero point -128, TANH to 1/128 and 0, and nowhere else; all
  three without an error. A hard sigmoid, relu6(x + 3) / 6, is an ADD with its RELU6 and a MUL by 1/6 from
  scale 6/255 to 1/255: one rounding, no error.
- A number beside another tensor is 127 steps of an int8 constant, exactly.
- Dynamic range: XNNPACK takes the range of one image (CONV), pixel (int8 CONV of 1x1 and stride 1) or row
  (FC), widened to hold zero, in 255 steps, and the zero point from the end where it is off by less. The
  plain kernels do the same for images and rows, with a scale per channel and, for FC,
  ``asymmetric_quantize_inputs``; otherwise, and for int4 FC of 32 inputs or more, they round on a symmetric
  grid, which is another number by 1e-2. So these files have a scale per channel, two of them different, and
  set that option.
- FC over [rows, k], with and without ``keep_num_dims``, and chains of RESHAPE, FC, TRANSPOSE are right.
"""

from typing import Literal

WeightedOperator = Literal["conv", "depthwise", "dense", "transposed"]

# Widths in bits that are right, by operator and whether its activations are int8; from the table above.
RIGHT_WIDTHS: dict[tuple[WeightedOperator, bool], tuple[int, ...]] = {
    ("conv", True): (4, 8),
    ("depthwise", True): (4, 8),
    ("dense", True): (2, 4, 8),
    # int2 behind DEQUANTIZE would be right here too; int4 is one rule for every convolution
    ("conv", False): (4, 8),
    ("depthwise", False): (4, 8),
    ("dense", False): (2, 4, 8),
    ("transposed", True): (8,),
    ("transposed", False): (8,),
}

# XNNPACK's limit on s_in * s_w / s_out (xnnpack: requantization scale must be in [2^-32, 256)).
LARGEST_RATIO = 256.0

# Where the step of an input is so many times that of the result, the integer kernel gives other numbers (ADD,
# SUB) or the file does not load (HARD_SWISH; own measurements): a result that is dead beside its input.
LARGEST_STEP_RATIOS = {"add": 128.0, "subtract": 128.0, "hard_swish": 64.0}


def weight_type(operator: WeightedOperator, bits: int, int8_activations: bool) -> str:
    """The narrowest tensor type that is computed right and holds signed integers of ``bits`` bits.

    Args:
        operator: which kernel the weights are for.
        bits: width of the integers, 1 to 8.
        int8_activations: whether the layer's activations are int8 (else float32).
    """
    return f"int{next(width for width in RIGHT_WIDTHS[operator, int8_activations] if width >= bits)}"


def reads_bias_scales(operator: WeightedOperator, dtype: str) -> bool:
    """Whether the kernel, on int8 activations, reads the scales of its bias: only XNNPACK does.

    Args:
        operator: which kernel the weights are for.
        dtype: tensor type of the weights.
    """
    return operator == "dense" or dtype != "int4"
