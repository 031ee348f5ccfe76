"""What a person writes in YAML, and what is made of it."""

import math
import time
from typing import Any

import pytest
from atoll.search.study.yaml_values import MAX_SIZE, YamlMistake, read_yaml, shortened


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-1", 0.1),
        (".5", 0.5),
        ("+.5", 0.5),
        ("1.", 1.0),
        ("1E3", 1000.0),
        ("-2.5e+1", -25.0),
        ("0", 0),
        ("-7", -7),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        # words, though YAML 1.1 makes something else of them
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("16x8x16x8", "16x8x16x8"),
        ("1.2.3", "1.2.3"),
        ("1,5", "1,5"),
        ("e1", "e1"),
        ("=", "="),
        # quotes make a text
        ("'010'", "010"),
        ('"1:30"', "1:30"),
        ("'null'", "null"),
    ],
)
def test_a_word_means_what_a_person_reads(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}\n").values["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["010", "-007", "08", "1:30", "1:30:00", "190:20:30.15", "1__0", "9" * 5000])
def test_a_number_with_two_readings_is_refused(text: str) -> None:
    with pytest.raises(YamlMistake, match="allowed is a number") as error:
        read_yaml(f"b: 1\na: {text}\n")
    assert error.value.line == 2
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: !!int x\n", 2, "the tag !!int"),
        ("a: 1\nb: !!timestamp x\n", 2, "the tag !!timestamp"),
        ("a: 1\nb: !!python/object/apply:os.getcwd []\n", 2, "the tag !!python/object/apply:os.getcwd"),
        ("a: 1\nb: !mine {c: 1}\n", 2, "the tag !mine"),
        ("a: 1\nb: !!set {c, d}\n", 2, "the tag !!set"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4, "key 'c' is given twice"),
        ("a: 1\nb: [{c: 1, c: 2}]\n", 2, "key 'c' is given twice"),
        ("a: 1\n? [b]\n: 2\n", 2, "a key is a mapping or a list"),
        ("a: 1\nb: &b {c: *b}\n", 2, "an anchor is used inside itself"),
        ("a: 1\nb: &b [1, [*b]]\n", 2, "an anchor is used inside itself"),
        ("a: 1\nb: *c\n", 2, "undefined alias 'c'"),
        ("a: 1\n---\nb: 1\n", 2, "another document"),
        ("a: 1\nb: [\n", 3, "expected"),
        ("a: 1\n\tb: 1\n", 2, "cannot start any token"),
        ("a: 1\nb: x\x07y\n", 2, r"character '\\x07' is not allowed"),
        ("a: 1\nb: " + 50_000 * "[", 2, "more than 20 levels deep"),
        ("a: 1\nb: " + 50_000 * "{", 2, "more than 20 levels deep"),
        ("#" * (MAX_SIZE + 1), None, "got 100,001 characters, allowed are 100,000"),
    ],
)
def test_what_is_no_study_is_refused_in_its_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(YamlMistake, match=message) as error:
        read_yaml(text)
    assert error.value.line == line
    assert len(str(error.value)) < 250


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'])}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text", [BOMB, f"a: &a {'z' * 50_000}\nb: [{', '.join(9000 * ['*a'])}]\n"], ids=["nested", "long"]
)
def test_an_alias_bomb_ends_at_once_in_one_line(text: str) -> None:
    started = time.process_time()
    with pytest.raises(YamlMistake, match="with its aliases written out") as error:
        read_yaml(text)
    assert time.process_time() - started < 2
    assert "\n" not in str(error.value)


def test_an_alias_stands_for_its_anchors_value_on_its_own_line() -> None:
    found = read_yaml("a: &a {x: 1}\nb: [2]\nc:\n- *a\n- *a\n")
    assert found.values == {"a": {"x": 1}, "b": [2], "c": [{"x": 1}, {"x": 1}]}
    assert (found.line(("c", 0)), found.line(("c", 1))) == (4, 5)
    assert found.line(("c", 1, "x")) == 1


def test_every_value_has_its_line() -> None:
    found = read_yaml("a:\n  b: 1\n  c:\n    - 2\n    - d: 3\ne:\n  text\n")
    wheres = [("a",), ("a", "b"), ("a", "c"), ("a", "c", 0), ("a", "c", 1, "d"), ("e",)]
    assert [found.line(where) for where in wheres] == [1, 2, 3, 4, 5, 7]
    assert found.line(("e",), of_key=True) == 6
    assert found.line(("a", "c", 1, "missing", "deeper")) == 5
    assert found.line(("missing",)) is None


def test_a_shortened_text_keeps_both_ends() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 50 + "b" * 50, 21) == "a" * 9 + " … " + "b" * 9
