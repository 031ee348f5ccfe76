"""The task `digits`: the papers' baseline CNN on scanned digits, for quick runs and the demo."""

from ..datasets.digits import SIDE, load_digits
from ..training.settings import Training
from .task import Task

DIGITS = Task(
    name="digits",
    load_dataset=load_digits,
    network="baseline_cnn",
    input_shape=(1, SIDE, SIDE),
    num_classes=10,
    # half of the rate that the given network was trained with (train_given.py)
    training=Training(learning_rate=1e-3, batch_size=32),
    epochs_per_step=2.0,  # two passes over 947 images, about a second
)
