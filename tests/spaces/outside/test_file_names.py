"""A name from outside becomes one component of a path, whatever it is."""

import pytest
from atoll.spaces.outside.file_names import file_name
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("name", ["digits-0-1a2b3c", "characters-0-6ab21b-t0007", "A.b_c-1", "console"])
def test_the_names_of_studies_and_trials_stay(name):
    assert file_name(name) == name


NO_NAMES = (
    *("", ".", "..", "../../x", "/etc/passwd", "a/b", "a\\b", "~", "-rf", ".hidden", "a\x00b", "a\nb", "a\n"),
    *("x\x1b[31m", "a" * 121, "CON", "nul.txt", "com1", "end.", "a b", "c:x", "\u202ex", "\udcff", "é"),
)


@pytest.mark.parametrize("name", NO_NAMES)
def test_other_names_become_digits_of_their_digest(name, tmp_path):
    made = file_name(name)
    assert made.startswith("name-")
    assert made.isascii() and len(made) == 17
    assert (tmp_path / made).resolve().parent == tmp_path.resolve()
    (tmp_path / made).mkdir()


@given(st.text(), st.text())
def test_two_names_are_never_one_file(first, second):
    assert (file_name(first) == file_name(second)) == (first == second)


@given(st.text())
def test_every_name_is_one_component(name):
    made = file_name(name)
    assert made not in ("", ".", "..")
    assert not set(made) & set("/\\\0")
