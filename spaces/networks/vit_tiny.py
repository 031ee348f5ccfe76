"""ViT-Tiny, patches of 16x16 (Dosovitskiy et al. 2021; the tiny one of Touvron et al. 2021, table 1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.combine import Add
from .arguments import check_arguments

#: height and width of a patch, features of a token, layers, heads, and how many times wider a layer is inside
PATCH, FEATURES, LAYERS, HEADS, EXPANSION = 16, 192, 12, 3, 4
#: of the norms, and the standard deviation that tokens and positions are drawn with (timm, as the authors)
EPS, SPREAD = 1e-6, 0.02


def vit_tiny(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ViT-Tiny: 1.25 G multiply-accumulates at 224x224, 5.7 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width multiples of 16.

    Raises:
        AtollError: for fewer than two classes, or sizes that patches do not divide.
    """
    check_arguments(num_classes, input_shape, smallest=PATCH, multiple=PATCH)
    channels, height, width = input_shape
    return VisionTransformer(channels, (height // PATCH) * (width // PATCH), num_classes)


class VisionTransformer(nn.Module):
    """Patches as tokens, layers of attention, and the class that the first token has in the end.

    Args:
        channels: of the image.
        patches: how many there are.
        classes: number of logits.
    """

    def __init__(self, channels: int, patches: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, FEATURES, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, FEATURES))
        self.positions = nn.Parameter(torch.zeros(1, patches + 1, FEATURES))
        self.layers = nn.Sequential(*(TransformerLayer() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(FEATURES, EPS)
        self.classifier = nn.Linear(FEATURES, classes)

    def draw(self, generator: torch.Generator) -> None:
        """Fills the tensors that belong to no layer."""
        nn.init.normal_(self.class_token, std=SPREAD, generator=generator)
        nn.init.normal_(self.positions, std=SPREAD, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.class_token.expand(tokens.shape[0], -1, -1), tokens), 1) + self.positions
        return self.classifier(self.norm(self.layers(tokens))[:, 0])


class TransformerLayer(nn.Module):
    """Attention, then two dense layers at every token, each normalised before and beside its input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(FEATURES, EPS)
        self.attention = Attention()
        self.add1 = Add()
        self.norm2 = nn.LayerNorm(FEATURES, EPS)
        self.expand = nn.Linear(FEATURES, EXPANSION * FEATURES)
        self.gelu = nn.GELU()
        self.project = nn.Linear(EXPANSION * FEATURES, FEATURES)
        self.add2 = Add()

    def forward(self, x: Tensor) -> Tensor:
        x = self.add1(x, self.attention(self.norm1(x)))
        return self.add2(x, self.project(self.gelu(self.expand(self.norm2(x)))))


class Attention(nn.Module):
    """Every token reads all tokens (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(FEATURES, 3 * FEATURES)
        self.project = nn.Linear(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        count, tokens, features = x.shape
        parted = self.qkv(x).reshape(count, tokens, 3, HEADS, features // HEADS).permute(2, 0, 3, 1, 4)
        query, key, value = parted.unbind(0)
        read = F.scaled_dot_product_attention(query, key, value)
        return self.project(read.transpose(1, 2).reshape(count, tokens, features))
