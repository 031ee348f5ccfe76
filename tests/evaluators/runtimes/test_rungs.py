"""A file of every technique in the oldest release that boards have and in the newest, beside its network."""

import sys
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert.file_run import FileRun
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import channels_last
from atoll.evaluators.runtimes.packages import FOLDER
from atoll.evaluators.runtimes.run import Refusal, run_in
from atoll.hw_models.runtimes.need import Need
from atoll.hw_models.runtimes.runtime import LITERT, Runtime
from atoll.hw_models.runtimes.wheels import wheel_of
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.testing.technique_files import EACH, TechniqueFile, technique_files

IMAGES = 8
#: float kernels sum in another order; a dynamic or 8-bit file is off by steps of its output
FAR = 1e-4


@pytest.fixture(scope="module")
def files() -> dict[str, TechniqueFile]:
    return {one.recipe: one for one in technique_files(EACH, ("plain",), epochs=0)}


@pytest.fixture(scope="module")
def oldest() -> Path:
    place = Path(sys.prefix) / FOLDER / wheel_of("tflite-2.14").folder
    if not place.is_dir():
        pytest.skip(f"{place} is not there: `make install` puts tflite-runtime 2.14.0 into it")
    return place


def far(found: FileRun, file: TechniqueFile) -> float:
    """Returns the largest difference to the network, in steps of the output's grid or as it is."""
    expected = file.expected(IMAGES).numpy()
    return float(np.abs(found.outputs[0] - expected).max()) / (found.steps[0] or 1.0)


def images(file: TechniqueFile) -> np.ndarray:
    return channels_last(file.images[:IMAGES]).numpy()


def allowed(found: FileRun) -> float:
    return 1.01 if found.steps[0] else FAR


@pytest.mark.parametrize("recipe", EACH)
def test_the_oldest_runs_what_the_table_says(
    recipe: str, files: dict[str, TechniqueFile], oldest: Path
) -> None:
    file, runtime = files[recipe], Runtime.named("tflite-2.14")
    given = (oldest, wheel_of(runtime.name), "default", file.content, IMAGES, [images(file)])
    if runtime.loads(Need.of(TfliteFile.parse(file.content)).release):
        found = run_in(*given)  # type: ignore[arg-type]
        assert far(found, file) <= allowed(found)
    else:
        with pytest.raises(Refusal, match=r"failed to prepare|Didn't find op"):
            run_in(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", EACH)
def test_the_newest_runs_them_all(recipe: str, files: dict[str, TechniqueFile]) -> None:
    """The installed one, which constraints.txt pins."""
    assert Runtime.named("installed").release == Runtime.named(f"litert-{list(LITERT)[-1]}").release
    file = files[recipe]
    runner = LiteRtRunner(file.content)
    grid = runner.output_grid
    found = FileRun((runner.run(images(file)),), (None if grid is None else grid.scale,), None)
    assert far(found, file) <= allowed(found)
