"""Counts parameters and FLOPs as the papers count them, to compare with their printed figures."""

import torch
from torch import nn

#: A BatchNorm row prints beta, mean and variance of each channel (PUB-I table 1: Keras with scale off).
BATCH_NORM_PARAMETERS = 3


def count_parameters_as_papers(model: nn.Module) -> int:
    """Counts parameters by the rows of PUB-I table 1: 1,106,176 for the baseline with 11 classes.

    Args:
        model: a network of convolutions, dense layers and BatchNorm.

    Returns:
        Weights and biases of convolutions and dense layers plus three per BatchNorm channel.
    """
    count = 0
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            count += BATCH_NORM_PARAMETERS * module.num_features
        else:
            count += sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return count


def count_flops_as_papers(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Counts FLOPs by the rule that gives the papers' 66.44 M: 66,438,603 for the baseline with 11 classes.

    Two per multiply-accumulate, one addition per output of every convolution and dense layer (the converter
    adds biases), and two per element of a BatchNorm over feature maps; one behind a dense layer folds away.

    Args:
        model: a network of convolutions, dense layers and BatchNorm; left as it was.
        input_shape: (channels, height, width).

    Returns:
        Floating-point operations for one image.
    """
    flops = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal flops
        if isinstance(module, nn.Conv2d | nn.Linear):
            flops += output.numel() * (2 * module.weight[0].numel() + 1)
        elif isinstance(module, nn.BatchNorm2d):
            flops += 2 * output.numel()

    was_training = model.training
    device = next(model.parameters()).device
    handles = [module.register_forward_hook(count) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *input_shape, device=device))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return flops
