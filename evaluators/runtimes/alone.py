"""A program by itself: runs a file with numpy and a runtime from a folder of packages, and with nothing else.

`python -I -S alone.py PACKAGES MODULE FOLDER KERNELS`: the folder has the file and its inputs in the file's
own types, and takes what comes out. Nothing of Atoll can be imported here.
"""

import importlib
import json
import sys
from pathlib import Path


def main(packages: str, module: str, place: str, kernels: str) -> None:
    """Runs the file and writes outputs and answer; says before each part what it is about to do."""
    sys.path.append(packages)
    folder, stage = Path(place), Path(place, "stage")
    stage.write_text("starting")
    import numpy as np

    runtime = importlib.import_module(module)
    options: dict[str, object] = {}
    if kernels == "plain":
        kind = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        options = {"experimental_op_resolver_type": kind}
    stage.write_text("loading")
    try:
        model = runtime.Interpreter(model_path=str(folder / "model.tflite"), num_threads=1, **options)
        model.allocate_tensors()
        inputs = model.get_input_details()
        values = [np.load(folder / f"input-{number}.npy", mmap_mode="r") for number in range(len(inputs))]
        stage.write_text("running")
        rows = []
        for sample in zip(*values, strict=True):
            for one, value in zip(inputs, sample, strict=True):
                model.set_tensor(one["index"], value[None])
            model.invoke()
            rows.append([model.get_tensor(one["index"]) for one in model.get_output_details()])
    except (ValueError, RuntimeError) as error:
        (folder / "answer.json").write_text(json.dumps({"error": str(error)}))
        return
    for number, found in enumerate(zip(*rows, strict=True)):
        np.save(folder / f"output-{number}.npy", np.stack(found))
    (folder / "answer.json").write_text("{}")


if __name__ == "__main__":
    main(*sys.argv[1:])
