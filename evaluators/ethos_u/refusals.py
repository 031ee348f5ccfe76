"""What ends Vela 5.2.0, or is nothing for it, by rule: it is not given such a file.

Found by running it for an Ethos-U55, U65 and U85: a file of every operator that this Atoll writes, in every
type and with four to six axes, and small networks (316 files, 27 November 2026). The 33 with weights of 4
bits ended the process (SIGFPE), and the 26 others with 2 bits failed inside it, wherever such weights stand.
It refused loops (WHILE) and HARD_SWISH of float32 in words of its own: of these it is asked.
"""

from ...hw_models.tables.tflite_file import TfliteFile

#: types of weights that it does not survive
NARROW = ("INT4", "INT2")
#: types of activations that an NPU computes with
ON_NPU = ("INT8", "UINT8", "INT16")


def refused(file: TfliteFile) -> str:
    """Returns the first operator with weights that end the compiler, in words; nothing where none has."""
    for graph in file.graphs:
        for operator in graph.operators:
            for index in operator.inputs:
                dtype = graph.tensors[index].dtype
                if dtype in NARROW:
                    return f"{operator.name} has {dtype.lower()} weights, which end it; allowed are 8 bits"
    return ""


def has_work(file: TfliteFile) -> bool:
    """Whether anything is computed in integers, so that an NPU can run a part."""
    return any(
        not tensor.constant and tensor.dtype in ON_NPU for graph in file.graphs for tensor in graph.tensors
    )
