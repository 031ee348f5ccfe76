"""What general regression makes of the same rows: ridge, a Gaussian process and boosting on log features."""

from collections.abc import Callable
from math import exp, log
from statistics import mean

import numpy as np
from atoll.hw_models.fitting.calibration import Sample
from atoll.hw_models.fitting.estimate import Point
from sklearn.base import RegressorMixin
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

#: name -> a new regressor; settings are chosen on the training rows (ridge, process) or the library's
REGRESSORS: dict[str, Callable[[], RegressorMixin]] = {
    "ridge": lambda: make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13))),
    "gaussian_process": lambda: make_pipeline(
        StandardScaler(), GaussianProcessRegressor(RBF(3.0) + WhiteKernel(1e-2), normalize_y=True)
    ),
    "boosting": lambda: GradientBoostingRegressor(random_state=0),
}


def features(point: Point, setups: tuple[str, ...]) -> list[float]:
    """Returns the logarithms of a network's sizes, its dtype and its set-up: what the cost models see too."""
    table = point.table
    sizes = (
        table.macs,
        table.total(lambda cost: cost.macs, "depthwise"),
        table.total(lambda cost: cost.kernel_weight_bytes),
        table.arena_bytes,
        table.total(lambda cost: cost.moved_elements),
        table.total(lambda cost: cost.rank_elements),
        table.weight_bytes,
    )
    int8 = float(any(row.cost.compute == "int8" for row in table.rows))
    own = [float(point.measurement.setup == setup) for setup in setups]
    return [*(log(1 + size) for size in sizes), int8, *own]


def leave_one_out_errors(sample: Sample, make: Callable[[], RegressorMixin]) -> float:
    """Returns the mean |error| in per cent, each row predicted by a regressor that has not seen it."""
    setups = tuple(setup.name for setup in sample.setups)
    inputs = np.array([features(point, setups) for point in sample.points])
    targets = np.array([log(point.measured) for point in sample.points])
    errors = []
    for row in range(len(targets)):
        rest = np.arange(len(targets)) != row
        found = make().fit(inputs[rest], targets[rest]).predict(inputs[row : row + 1])
        errors.append(100 * abs(exp(float(found[0]) - targets[row]) - 1))
    return mean(errors)
