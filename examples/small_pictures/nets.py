"""MobileNetV2 (Sandler et al. 2018, table 2) in plain PyTorch, with a first stride of 1 for 32x32."""

from torch import Tensor, nn

#: times as wide in the middle, channels, blocks, stride of the first of them
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


class ConvNormActivation(nn.Sequential):
    """A convolution, normalised and cut off at 6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Widened, convolved channel by channel, and narrowed, beside a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, wider: int, stride: int) -> None:
        super().__init__()
        middle = wider * inputs
        self.is_residual = stride == 1 and inputs == outputs
        layers: list[nn.Module] = [] if wider == 1 else [ConvNormActivation(inputs, middle, 1)]
        layers += [ConvNormActivation(middle, middle, 3, stride, groups=middle)]
        layers += [nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.is_residual else self.layers(x)


class MobileNetV2(nn.Module):
    """Seventeen inverted residuals between a 3x3 and a 1x1 convolution, then mean, dropout and classes."""

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()

        def scaled(channels: int) -> int:
            return max(8, round(channels * width / 8) * 8)

        channels = scaled(32)
        features: list[nn.Module] = [ConvNormActivation(3, channels, 3)]
        for wider, outputs, count, stride in STAGES:
            for position in range(count):
                step = stride if position == 0 else 1
                features.append(InvertedResidual(channels, scaled(outputs), wider, step))
                channels = scaled(outputs)
        last = scaled(1280)
        self.features = nn.Sequential(*features, ConvNormActivation(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean([2, 3]))


def build(classes: int = 10, width: float = 0.5) -> nn.Module:
    """The function that the study file names."""
    return MobileNetV2(classes, width)
