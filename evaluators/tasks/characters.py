"""The task `characters`: the papers' baseline CNN on 35 rendered characters (PUB-III)."""

from ..datasets.characters import CLASSES, load_characters
from ..datasets.fonts import fonts_digest
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
