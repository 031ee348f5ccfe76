import numpy as np
import pytest
from atoll.evaluators.litert.tensors import TensorGrid, pack_elements, unpack_elements
from atoll.spaces.errors import AtollError
from hypothesis import given
from hypothesis import strategies as st


@given(st.sampled_from(["int8", "int4", "int2"]), st.data())
def test_packing_round_trips_and_is_dense(dtype: str, data: st.DataObject) -> None:
    bits = int(dtype[3:])
    values = np.array(
        data.draw(st.lists(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1), min_size=1, max_size=23))
    )
    packed = pack_elements(values, dtype)
    assert len(packed) == -(-len(values) * bits // 8)
    assert np.array_equal(unpack_elements(packed, dtype, values.shape), values)


def test_first_element_is_in_the_low_bits() -> None:
    assert pack_elements(np.array([1, -8, 7]), "int4") == bytes([0x81, 0x07])
    assert pack_elements(np.array([1, -2, -1, 0, 1]), "int2") == bytes([0b00111001, 0b01])


@pytest.mark.parametrize(("value", "dtype"), [(8, "int4"), (2, "int2"), (128, "int8"), (0.5, "int8")])
def test_values_that_do_not_fit_are_refused(value: float, dtype: str) -> None:
    with pytest.raises(AtollError, match=f"do not fit {dtype}: allowed are integers from"):
        pack_elements(np.array([value]), dtype)


def test_unknown_type_names_the_nearest() -> None:
    with pytest.raises(AtollError, match=r"'int3'; did you mean 'int\d+'"):
        pack_elements(np.array([0]), "int3")


@given(st.floats(0.0009765625, 10, width=32), st.integers(-128, 127))
def test_a_grid_keeps_its_own_points(scale: float, zero_point: int) -> None:
    grid = TensorGrid(scale, zero_point)
    integers = np.arange(-128, 128, dtype=np.int8)
    assert np.array_equal(grid.quantize(grid.dequantize(integers)), integers)
