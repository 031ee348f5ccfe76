"""What a card says of the noise that integers make, layer by layer: which ones to keep wider."""

from torch import Tensor, nn

from ...spaces.layers.structure import scaling_of
from ...spaces.outside.shown import markdown_code
from ...spaces.quantization.noise import OUTPUTS, layer_noise
from ...spaces.technique.domains import LEFT_OUT
from .card import Card
from .card_use import table

#: images that it is measured on: enough to tell layers apart, and two passes over them cost seconds at most
IMAGES = 64
#: how many layers a card names
WORST = 5
#: below it a layer loses more than a tenth of its signal's size (own choice: what is worth a hint)
LOW_DB = 20.0
#: decimals of a figure in `card.json`
DIGITS = 3


def noise_of(network: nn.Module, images: Tensor) -> dict[str, float] | None:
    """Returns each layer's signal-to-noise ratio on its grids, dB, and under `OUTPUTS` the network's.

    Args:
        network: what is exported.
        images: of the validation split, as they are stored; the first of them count.

    Returns:
        by layer, in the order of execution; None where nothing is rounded.
    """
    found = layer_noise(network, scaling_of(network).to_network(images[:IMAGES]))
    return {name: round(ratio, DIGITS) for name, ratio in found.items()} or None


def in_noise(card: Card) -> list[str]:
    """Returns the layers that lose most on integers; nothing of a network that rounds nothing."""
    if not card.noise:
        return []
    layers = {name: ratio for name, ratio in card.noise.items() if name != OUTPUTS}
    worst = sorted(layers, key=layers.__getitem__)[:WORST]
    said = (
        f"Signal-to-noise ratio on the grids, measured on up to {IMAGES} validation inputs: each layer by "
        "itself, its weights and what it reads rounded, beside the same in float"
    )
    if OUTPUTS in card.noise:
        said += f"; of the network's outputs it is {card.noise[OUTPUTS]:.1f} dB"
    parts = ["## Noise of integers", f"{said}. The lowest of {len(layers):,} layers:"]
    parts.append(table(("layer", "dB"), [(markdown_code(name), f"{layers[name]:.1f}") for name in worst]))
    if worst and layers[worst[0]] < LOW_DB:
        left_out, wide = (
            markdown_code(text)
            for text in (f"layers={LEFT_OUT}{worst[0]}", "mixed_precision(bits=8, wide=2)")
        )
        parts.append(
            f"Below {LOW_DB:.0f} dB a layer is worth keeping wider: {left_out} in a step leaves it in float. "
            f"What it reads stays on a grid unless what makes it is left out too; {wide} finds both."
        )
    return parts if worst else []
