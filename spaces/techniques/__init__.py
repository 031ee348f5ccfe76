"""The techniques: one file each, one line in the tuple below."""

from ..errors import AtollError
from ..nearest import known_names
from ..technique.technique import Technique
from .binarize import Binarize
from .cluster import Cluster
from .cp import CP
from .distill import Distill
from .mixed_precision import MixedPrecision
from .prune_channels import PruneChannels
from .prune_weights import PruneWeights
from .quantization_offset import QuantizationOffset
from .quantize import Quantize
from .svd import SVD
from .tensor_train import TensorTrain
from .ternarize import Ternarize
from .tucker import Tucker

TECHNIQUES: tuple[type[Technique], ...] = (
    PruneChannels,
    PruneWeights,
    TensorTrain,
    Tucker,
    CP,
    SVD,
    Cluster,
    Quantize,
    MixedPrecision,
    Ternarize,
    Binarize,
    Distill,
    QuantizationOffset,
)


def technique_named(name: str) -> type[Technique]:
    """Returns the technique of that name; unknown names raise with the nearest known one."""
    for technique in TECHNIQUES:
        if technique.name == name:
            return technique
    raise AtollError(f"unknown technique {name!r}; {known_names(name, [t.name for t in TECHNIQUES])}")
