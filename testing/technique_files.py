"""A `.tflite` file of every technique, for whoever runs files: of two tiny networks, trained a little."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..evaluators.litert.as_shipped import rounding_as_shipped
from ..evaluators.measuring.artifact import artifact_bytes
from ..spaces.graph.adopt import adopt
from ..spaces.recipes.recipe import Recipe
from ..spaces.techniques import TECHNIQUES
from .networks import Residual, sequential
from .worlds import World, bars

NETWORKS: dict[str, Callable[[], nn.Module]] = {"plain": sequential, "residual": Residual}
#: technique -> a recipe that shows it where its defaults alone do nothing, or take too long
_SHOWN = {
    "quantization_offset": "quantize(bits=4) -> quantization_offset",
    "distill": "distill(student=compact_cnn)",
    "tensor_train": "tensor_train(rank=4, fit_steps=0)",
    "tucker": "tucker(rank=0.5)",
}
#: a recipe of every technique
EACH = tuple(_SHOWN.get(one.name, one.name) for one in TECHNIQUES)
#: what integers are stored and computed in otherwise
WIDTHS = (
    "quantize(bits=16)",
    *(f"quantize(bits={bits}, activations={kind})" for bits in (8, 4) for kind in ("float", "dynamic")),
    "quantize(bits=4, granularity=per_tensor)",
    "quantize(bits=4)",
    "quantize(bits=2)",
    "quantize(bits=2, activations=float)",
    "binarize(activations=binary)",
    "tucker(rank=0.5) -> quantize(bits=4)",
    "tensor_train(rank=4, fit_steps=0) -> quantize(bits=8)",
    "svd(rank=8) -> quantize(bits=4, granularity=per_tensor)",
)


@dataclass(frozen=True)
class TechniqueFile:
    """A file with its network.

    Args:
        network_name: of `NETWORKS`.
        recipe: that made it.
        network: after the recipe.
        images: (N, 1, 16, 16), float, as the network takes them.
        content: the bytes of the file.
    """

    network_name: str
    recipe: str
    network: nn.Module
    images: Tensor
    content: bytes

    @torch.no_grad()
    def expected(self, count: int) -> Tensor:
        """Returns what the network gives for the first images, with the roundings of its file's kernels."""
        with rounding_as_shipped(self.network):
            return self.network(self.images[:count])


def technique_files(
    recipes: Sequence[str], networks: Sequence[str] = tuple(NETWORKS), epochs: float = 1
) -> Iterator[TechniqueFile]:
    """Gives the files of recipes; the same ones every time on a machine.

    Args:
        recipes: in their text form.
        networks: names of `NETWORKS`.
        epochs: that a network is trained before it is compressed, nothing afterwards.
    """
    images, labels = bars(128, seed=7)
    for name in networks:
        torch.manual_seed(0)
        given = adopt(NETWORKS[name](), tuple(images.shape[1:]))
        World(images, labels, None, epochs=epochs).fit(given)
        for text in recipes:
            made, world = given.eval(), World(images, labels, given, epochs=0)
            for step in Recipe.parse(text):
                made, _ = step.apply(made, world)
            made = made.eval()
            content = artifact_bytes(made, tuple(images.shape[1:]))
            yield TechniqueFile(name, text, made, images, content)
