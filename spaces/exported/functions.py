"""The functions that calls become: nothing else is called in what is read from torch's export."""

import operator

import torch
import torch.nn.functional as F

FUNCTIONS = (
    # one value
    F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, torch.sigmoid, F.hardsigmoid, F.silu, F.hardswish,
    torch.tanh, F.hardtanh, torch.exp, torch.log, torch.sqrt, torch.rsqrt, torch.abs,
    torch.neg, torch.pow, torch.clamp, torch.erf,
    # two values
    operator.add, operator.sub, operator.mul, operator.truediv, torch.maximum, torch.minimum, torch.matmul,
    torch.gt, torch.ge, torch.lt, torch.le, torch.eq, torch.ne, torch.where,
    # windows and axes
    F.max_pool2d, F.max_pool1d, F.avg_pool2d, F.avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool1d,
    F.adaptive_max_pool2d, F.adaptive_max_pool1d, torch.mean, torch.amax, torch.amin, F.softmax,
    F.log_softmax, F.interpolate, F.pad, F.pixel_shuffle, F.pixel_unshuffle,
    # order, parts, shapes
    torch.permute, torch.flip, torch.roll, torch.narrow, torch.index_select, operator.getitem, torch.cat,
    torch.flatten, torch.unflatten,
)  # fmt: skip
