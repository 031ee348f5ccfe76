"""The networks that `host` is calibrated with, and others that its predictions are checked on."""

from typing import NamedTuple

INT8 = "quantize(bits=8)"


class HostNetwork(NamedTuple):
    """One network to time: name in the zoo, recipe, HEIGHTxWIDTHxCHANNELS."""

    network: str
    recipe: str
    input_shape: str

    @property
    def num_classes(self) -> int:
        """The papers' 35 characters, 100 for the others: their last layers then stay small."""
        return 35 if self.network in ("baseline_cnn", "compact_cnn") else 100

    @property
    def id(self) -> str:
        """All of it."""
        return f"{self.network} {self.input_shape} {self.recipe}"


#: Chosen so that every kernel runs at several sizes, narrow and wide, in float and int8: 3x3, 1x1 and
#: depthwise convolutions, dense layers, tensor trains, narrow weights in plain kernels; 0.6 to 640 million
#: multiply-accumulates, weights within the near cache, the far one, and beyond both.
CALIBRATION = (
    HostNetwork("baseline_cnn", "baseline", "64x64x3"),
    HostNetwork("baseline_cnn", INT8, "64x64x3"),
    HostNetwork("baseline_cnn", "baseline", "32x32x1"),
    HostNetwork("baseline_cnn", INT8, "16x16x3"),
    HostNetwork("baseline_cnn", "tensor_train(rank=4)", "64x64x3"),
    HostNetwork("baseline_cnn", f"tensor_train(rank=8) -> {INT8}", "64x64x3"),
    HostNetwork("baseline_cnn", "tucker(rank=0.25)", "64x64x3"),
    HostNetwork("baseline_cnn", f"tucker(rank=0.5) -> {INT8}", "64x64x3"),
    HostNetwork("baseline_cnn", "prune_channels(ratio=0.75)", "64x64x3"),
    HostNetwork("baseline_cnn", "prune_channels(ratio=0.3, multiple=1)", "64x64x3"),
    HostNetwork("baseline_cnn", f"prune_channels(ratio=0.6, multiple=1) -> {INT8}", "64x64x3"),
    HostNetwork("baseline_cnn", "quantize(bits=4)", "64x64x3"),
    HostNetwork("baseline_cnn", "quantize(bits=8, activations=float)", "64x64x3"),
    HostNetwork("baseline_cnn", "quantize(bits=4, activations=float)", "64x64x3"),
    HostNetwork("compact_cnn", "baseline", "96x96x3"),
    HostNetwork("compact_cnn", INT8, "96x96x3"),
    HostNetwork("compact_cnn", "baseline", "16x16x3"),
    HostNetwork("mobilenet_v1", "baseline", "128x128x3"),
    HostNetwork("mobilenet_v1", INT8, "128x128x3"),
    HostNetwork("mobilenet_v1", "prune_channels(ratio=0.5)", "96x96x3"),
    HostNetwork("mobilenet_v1", "quantize(bits=4)", "96x96x3"),
    HostNetwork("mobilenet_v2", "baseline", "96x96x3"),
    HostNetwork("mobilenet_v2", INT8, "160x160x3"),
    HostNetwork("mobilenet_v2", f"prune_channels(ratio=0.5) -> {INT8}", "96x96x3"),
    HostNetwork("mobilenet_v3_small_full_se", "baseline", "96x96x3"),
    HostNetwork("mobilenet_v3_small_full_se", INT8, "160x160x3"),
    HostNetwork("squeezenet", "baseline", "128x128x3"),
    HostNetwork("squeezenet", INT8, "128x128x3"),
    HostNetwork("squeezenet", f"prune_channels(ratio=0.5) -> {INT8}", "96x96x3"),
    HostNetwork("inception_v1", "baseline", "64x64x3"),
    HostNetwork("inception_v1", INT8, "112x112x3"),
    HostNetwork("densenet121", "baseline", "64x64x3"),
    HostNetwork("densenet121", INT8, "96x96x3"),
    HostNetwork("efficientnet_edgetpu_s", "baseline", "96x96x3"),
    HostNetwork("efficientnet_edgetpu_s", INT8, "128x128x3"),
    HostNetwork("resnet50_v1", "baseline", "64x64x3"),
    HostNetwork("resnet50_v1", INT8, "96x96x3"),
    HostNetwork("resnet50_v1", "prune_channels(ratio=0.5)", "96x96x3"),
    HostNetwork("vgg16", "baseline", "32x32x3"),
    HostNetwork("vgg16", INT8, "64x64x3"),
)

#: Other networks, sizes and recipes than those above; no coefficient has seen them.
HELD_OUT = (
    HostNetwork("baseline_cnn", "baseline", "96x96x3"),
    HostNetwork("baseline_cnn", INT8, "96x96x3"),
    HostNetwork("baseline_cnn", INT8, "32x32x1"),
    HostNetwork("baseline_cnn", "tensor_train(rank=16)", "64x64x3"),
    HostNetwork("baseline_cnn", "svd(rank=8)", "64x64x3"),
    HostNetwork("baseline_cnn", "binarize", "64x64x3"),
    HostNetwork("baseline_cnn", "prune_channels(ratio=0.5)", "64x64x3"),
    HostNetwork("baseline_cnn", f"prune_channels(ratio=0.5) -> {INT8}", "64x64x3"),
    HostNetwork("baseline_cnn", f"prune_channels(ratio=0.5) -> tensor_train(rank=4) -> {INT8}", "64x64x3"),
    HostNetwork("compact_cnn", "baseline", "64x64x3"),
    HostNetwork("compact_cnn", INT8, "64x64x3"),
    HostNetwork("mobilenet_v1", "baseline", "224x224x3"),
    HostNetwork("mobilenet_v1", INT8, "96x96x3"),
    HostNetwork("mobilenet_v1", f"prune_channels(ratio=0.5) -> {INT8}", "128x128x3"),
    HostNetwork("mobilenet_v2", "baseline", "224x224x3"),
    HostNetwork("mobilenet_v2", INT8, "128x128x3"),
    HostNetwork("mobilenet_v2", "prune_channels(ratio=0.5)", "128x128x3"),
    HostNetwork("mobilenet_v2", "quantize(bits=4)", "96x96x3"),
    HostNetwork("mobilenet_v3_small_full_se", "baseline", "224x224x3"),
    HostNetwork("squeezenet", "baseline", "224x224x3"),
    HostNetwork("squeezenet", INT8, "96x96x3"),
    HostNetwork("inception_v1", "baseline", "112x112x3"),
    HostNetwork("densenet121", "baseline", "96x96x3"),
    HostNetwork("efficientnet_edgetpu_s", INT8, "64x64x3"),
    HostNetwork("resnet50_v1", f"prune_channels(ratio=0.5) -> {INT8}", "128x128x3"),
    HostNetwork("resnet50_v2", "baseline", "96x96x3"),
    HostNetwork("resnet50_v2", INT8, "64x64x3"),
    HostNetwork("inception_v4", INT8, "96x96x3"),
    HostNetwork("text_recognition_unidentified", "baseline", "64x64x3"),
    HostNetwork("text_recognition_unidentified", INT8, "64x64x3"),
)
