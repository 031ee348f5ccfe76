"""The tasks of 35 rendered characters: the papers' baseline CNN on them (PUB-III), and a small one."""

from ..datasets.characters import CLASSES, load_characters
from ..datasets.fonts import fonts_digest
from ..datasets.small_characters import load_small_characters
from ..training.settings import Training
from .task import Task

CHARACTERS = Task(
    name="characters",
    load_dataset=load_characters,
    network="baseline_cnn",
    input_shape=(3, 64, 64),
    num_classes=len(CLASSES),
    # half of the rate that the given network was trained with (train_given.py)
    training=Training(learning_rate=1e-3, batch_size=64),
    epochs_per_step=1.0,  # one pass over 5,950 images, 15 s on two threads
    check_data=fonts_digest,
)

#: a narrow network on a part of them at 32x32, for benchmarks of the search
SMALL_CHARACTERS = Task(
    name="small_characters",
    load_dataset=load_small_characters,
    network="compact_cnn",
    input_shape=(3, 32, 32),
    num_classes=len(CLASSES),
    # half of the rate that the given network was trained with (train_given.py)
    training=Training(learning_rate=1e-3, batch_size=64),
    epochs_per_step=2.0,  # two passes over 2,450 images, about two seconds
    check_data=fonts_digest,
)
