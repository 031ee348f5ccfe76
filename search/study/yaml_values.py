"""YAML as a study needs it: plain values, each with its line; nothing is built, expanded or guessed.

Numbers are read as a person reads them, not as YAML 1.1 does (`1e-1` a text, `010` eight, `1:30` ninety).
"""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from ...spaces.errors import AtollError

#: Characters of a file, and values and characters that it may stand for once its aliases are written out:
#: a hundred times the longest study that comes with Atoll.
MAX_SIZE = 100_000
#: A study nests four deep; Python's own stack ends near a thousand.
MAX_DEPTH = 20
#: Characters of an error message: a screen of 80 columns holds twelve such lines beside the prompt.
MAX_MESSAGE = 960

Where = tuple[str | int, ...]

_PLAIN, _QUOTED = "plain", "quoted"
_TOO_DEEP = f"values lie more than {MAX_DEPTH} levels deep"
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# int() itself refuses what has two readings: 010 is eight to some and ten to others
_WHOLE = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*)")
_DECIMAL = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9]*)?")


class YamlMistake(AtollError):
    """What is wrong, and the line in which it stands (None where no line can be told)."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class YamlValues:
    """What a YAML text says.

    Args:
        values: mappings, lists, texts, numbers, booleans and None.
        lines: the line of every value by the way to it, counted from 1; of a mapping or list below a key,
            the key's.
        key_lines: the line of every key by the way to it.
    """

    values: Any
    lines: dict[Where, int] = field(default_factory=dict)
    key_lines: dict[Where, int] = field(default_factory=dict)

    def line(self, where: Sequence[str | int], of_key: bool = False) -> int | None:
        """Returns the line of a value, or of the deepest part of the way to it that the text has."""
        lines = {**self.lines, **self.key_lines} if of_key else self.lines
        return next((lines[w] for n in range(len(where), 0, -1) if (w := tuple(where[:n])) in lines), None)


def read_yaml(text: str) -> YamlValues:
    """Reads one YAML document.

    Raises:
        YamlMistake: no YAML, more or deeper than a study can be, a tag, a key that is given twice or is no
            text, an anchor inside itself, or a number with two readings.
    """
    if len(text) > MAX_SIZE:
        raise YamlMistake(f"got {len(text):,} characters, allowed are {MAX_SIZE:,}", None)
    try:
        root = yaml.compose(text, Loader=_Composer)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlMistake(f"the character {chr(error.character)!r} is not allowed in YAML", line) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ": ".join(filter(None, (error.context, error.problem)))
        raise YamlMistake(shortened(words or "no YAML"), mark.line + 1 if mark else None) from error
    found = YamlValues(None)
    return YamlValues(_Reading(found).value(root, (), ()), found.lines, found.key_lines)


def shortened(text: str, most: int = MAX_MESSAGE) -> str:
    """Returns the text, without its middle where it is longer than `most` characters."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


class _Composer(yaml.SafeLoader):
    """PyYAML's nodes; a scalar's tag says whether it was quoted, an alias stands on its own line."""

    _depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return str(super().resolve(kind, value, implicit))

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if (
            node is not None and alias is not None
        ):  # what it holds is shared, so that an anchor inside itself is still known
            node = copy.copy(node)
            node.start_mark = alias.start_mark
        return node


class _Reading:
    """One pass over the nodes, with what may still be read."""

    def __init__(self, found: YamlValues) -> None:
        self._found = found
        self._left = MAX_SIZE

    def value(self, node: yaml.Node | None, where: Where, above: tuple[int, ...]) -> Any:
        """Returns the value of a node; `above` are the contents of the nodes that it lies in."""
        if node is None:
            return None
        line = node.start_mark.line + 1
        scalar = isinstance(node, yaml.ScalarNode)
        self._found.lines[where] = line if scalar else self._found.key_lines.get(where, line)
        self._left -= 1 + (len(node.value) if scalar else 0)
        if self._left < 0:
            raise YamlMistake(f"with its aliases written out it has more than {MAX_SIZE:,} characters", line)
        if id(node.value) in above:
            raise YamlMistake("an anchor is used inside itself", line)
        inside = (*above, id(node.value))
        if isinstance(node, yaml.MappingNode):
            _check_tag(node, "tag:yaml.org,2002:map")
            return {key: self.value(child, (*where, key), inside) for key, child in self._keys(node, where)}
        if isinstance(node, yaml.SequenceNode):
            _check_tag(node, "tag:yaml.org,2002:seq")
            return [self.value(child, (*where, i), inside) for i, child in enumerate(node.value)]
        _check_tag(node, _PLAIN, _QUOTED)
        return node.value if node.tag == _QUOTED else _plain(node.value, line)

    def _keys(self, node: yaml.MappingNode, where: Where) -> Iterator[tuple[str, yaml.Node]]:
        """YAML takes the last of two equal keys silently; a user meant one of them."""
        seen: set[str] = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlMistake("a key is a mapping or a list, allowed are words", line)
            _check_tag(key, _PLAIN, _QUOTED)
            if key.value in seen:
                raise YamlMistake(f"key {shortened(key.value, 80)!r} is given twice", line)
            seen.add(key.value)
            self._left -= len(key.value)
            self._found.key_lines[*where, key.value] = line
            yield key.value, child


def _check_tag(node: yaml.Node, *allowed: str) -> None:
    if node.tag not in allowed:
        tag = shortened(node.tag.replace("tag:yaml.org,2002:", "!!"), 80)
        raise YamlMistake(f"got the tag {tag}, allowed are values without a tag", node.start_mark.line + 1)


def _plain(text: str, line: int) -> Any:
    """Reads what stands there without quotes: nothing, a truth value, a number or a text."""
    if text in _WORDS:
        return _WORDS[text]
    if _NO_NUMBER.fullmatch(text):
        return float(text.replace(".", "", 1))
    shown = shortened(text, 80)
    try:
        if _WHOLE.fullmatch(text):
            return int(text, 0)
        if _DECIMAL.fullmatch(text):
            return float(text)
    except ValueError:
        hint = "without zeros before it and at most 4,000 digits; a text in quotes"
        raise YamlMistake(f"got {shown}, allowed is a number {hint}", line) from None
    if _SEXAGESIMAL.fullmatch(text):
        raise YamlMistake(f"got {shown}, allowed is a number such as 1.5, or a text in quotes", line)
    return text
