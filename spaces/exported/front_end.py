"""A user's network, exported by torch and written down again: few modules, and calls with one spelling each.

`torch.export` runs the network once on stand-ins for tensors, so that subclasses, optional arguments,
conditions on sizes, stochastic depth and Python of any kind are gone; what is left is a list of ATen calls.
Here each becomes one of these:

**Modules** (`call_module`), at the user's dotted path, of torch's own plain type whatever class it was, with
the user's own parameters. A module that ran twice is one module that is called twice. Where weights are no
module's own (`F.conv2d(x, self.kernel)`), the path is that of the parameter.

- `nn.Conv1d`, `nn.Conv2d`, `nn.ConvTranspose1d`, `nn.ConvTranspose2d`, `nn.Linear`, `nn.BatchNorm1d`,
  `nn.BatchNorm2d`: adoption puts layers of ours in their place, where it has some.
- `nn.LayerNorm`, `nn.GroupNorm`, `nn.InstanceNorm1d`, `nn.InstanceNorm2d`, `nn.PReLU`, `nn.LSTM`, `nn.GRU`,
  `nn.RNN`: likewise, and with `affine=False` too. Recurrent ones give a tuple, read by `operator.getitem`.

**Everything else** is a `call_function` with its options as positional arguments, in the order of the
function, all of them up to the last one that is not at its default:

- one value: `F.relu`, `F.relu6`, `F.leaky_relu(x, slope)`, `F.elu(x, alpha)`, `F.gelu(x)` with
  `approximate=` as keyword, `torch.sigmoid`, `F.hardsigmoid`, `F.silu`, `F.hardswish`, `torch.tanh`,
  `F.hardtanh(x, low, high)` (0 and 6 are `F.relu6`), `F.softplus`, `F.mish`, `F.selu`, `torch.exp`,
  `torch.log`, `torch.sqrt`, `torch.rsqrt`, `torch.abs`, `torch.neg`, `torch.pow(x, n)`,
  `torch.clamp(x, low, high)`, `torch.erf`
- two values, or a value and a number: `operator.add`, `operator.sub`, `operator.mul`, `operator.truediv`,
  `torch.maximum`, `torch.minimum`; `torch.matmul` for products of two values without weights
- windows: `F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)`, `F.avg_pool2d(x, kernel, stride,
  padding, ceil_mode, count_include_pad, divisor_override)`, `F.adaptive_avg_pool2d(x, (height, width))`,
  `F.adaptive_max_pool2d` (the same), and their `1d` kin; sizes are pairs
- over axes: `torch.mean(x, dims, keepdim)`, `torch.sum`, `torch.amax`, `torch.amin` (the same),
  `F.softmax(x, dim)`, `F.log_softmax(x, dim)`
- sizes: `F.interpolate(x, size, mode=, align_corners=)`, with `scale_factor=` in place of the size only
  where sizes do not say the same; `F.pad(x, pads)`, with mode and value where they are not constant and 0;
  `F.pixel_shuffle(x, n)`, `F.pixel_unshuffle(x, n)`
- order: `torch.permute(x, dims)` for every transposition; `torch.flip(x, dims)`, `torch.roll(x, shifts,
  dims)`
- parts: `torch.narrow(x, dim, start, length)` for every slice, chunk, split, unbind and select;
  `operator.getitem(x, (slice, ...))`, a slice an axis, where steps are not 1
- together: `torch.cat(values, dim)`, `torch.stack` is `torch.unflatten` and `torch.cat`
- shape: `torch.flatten(x, start, end)` joins neighbouring axes, `torch.unflatten(x, dim, sizes)` splits one;
  every view, reshape, squeeze, unsqueeze is made of these two. No size of the batch stands in them, and one
  of the `sizes` is -1: that of the batch, else the largest, which is where channels are
- `expand` is left out where the reader spreads the value itself; else it is the method
  `x.expand(batch, -1, ...)`, where batch is the method `image.size(0)`

Dimensions are counted from 0, the batch first. Dropout, stochastic depth, `contiguous`, `clone` and casts to
the same type are left out; nothing is written over; what is computed from parameters alone is computed once
and is a parameter itself; `get_attr` gives parameters and buffers. Attention is `torch.matmul`,
`F.softmax`, `torch.matmul`.
"""
