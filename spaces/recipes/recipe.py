"""A recipe: an ordered sequence of steps, as text, as canonical JSON and as a digest."""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import AtollError
from ..technique.domains import LayerPattern
from ..technique.technique import Technique
from ..techniques import technique_named

ARROW = "->"
BASELINE = "baseline"
_STEP = re.compile(r"^\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*$", re.DOTALL)
_SETTING = re.compile(r"^\s*([A-Za-z_]\w*)\s*=\s*(.+?)\s*$", re.DOTALL)


@dataclass(frozen=True)
class Recipe:
    """Steps in the order in which they are carried out; none at all is the uncompressed network.

    A recipe says nothing about whether its order is legal: see `order.py`.

    >>> recipe = Recipe.parse("prune_channels(ratio=0.5) -> quantize(bits=4)")
    >>> print(recipe)
    prune_channels(ratio=0.5) -> quantize(bits=4)
    >>> [str(prefix) for prefix in recipe.prefixes()][:2]
    ['baseline', 'prune_channels(ratio=0.5)']
    >>> Recipe(recipe.steps[1:]) == Recipe.parse("quantize(bits=4)")
    True
    """

    steps: tuple[Technique, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Technique]:
        return iter(self.steps)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # a search looks thousands of recipes up for one proposal, and the hash of a step is slow
        return hash(self.steps)

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe, (self.steps,)  # hashes of text differ from process to process

    def __str__(self) -> str:
        return f" {ARROW} ".join(str(step) for step in self.steps) if self.steps else BASELINE

    def prefixes(self) -> tuple["Recipe", ...]:
        """Returns every prefix, shortest (the baseline) first, the recipe itself last."""
        return self._prefixes

    @cached_property
    def _prefixes(self) -> tuple["Recipe", ...]:
        return tuple(Recipe(self.steps[:n]) for n in range(len(self.steps) + 1))

    def to_json(self) -> list[dict[str, Any]]:
        """Returns the canonical form: every step with its version and all its settings."""
        return [step.to_json() for step in self.steps]

    @classmethod
    def from_json(cls, steps: Sequence[dict[str, Any]]) -> "Recipe":
        """Reads the canonical form.

        Raises:
            AtollError: for unknown techniques, settings out of range, or another version of a technique.
        """
        found = []
        for step in steps:
            missing = [key for key in ("technique", "version", "settings") if key not in step]
            if missing:
                raise AtollError(f"recipe: got a step without {missing[0]!r}: {step!r}")
            technique = technique_named(step["technique"])
            if step["version"] != technique.version:
                raise AtollError(
                    f"{technique.name}: got version {step['version']}, allowed is version {technique.version}"
                )
            found.append(technique.from_settings(step["settings"]))
        return cls(tuple(found))

    def identity(self) -> list[dict[str, Any]]:
        """Returns what tells this recipe from others: every step with its version and what is not default.

        A setting that a technique learns later, with a default that keeps its behaviour, therefore leaves
        digests, stores and caches as they are; another default is another version.
        """
        return [step.identity() for step in self.steps]

    @property
    def digest(self) -> str:
        """SHA-256 of the identity as JSON with sorted keys and without blanks, hexadecimal."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> "Recipe":
        """Reads the text form, `prune_channels(ratio=0.5) -> quantize(bits=8)` or `baseline`.

        Raises:
            AtollError: when the text does not parse, with the place; for unknown names and values.
        """
        if not text.strip():
            raise AtollError(
                f"recipe: got an empty text, allowed is {BASELINE!r} or steps joined by {ARROW!r}"
            )
        if text.strip() == BASELINE:
            return cls()
        return cls(tuple(_parse_step(part, n, text) for n, part in enumerate(text.split(ARROW), start=1)))


def _parse_step(part: str, number: int, text: str) -> Technique:
    where = f"recipe, step {number} of {text.strip()!r}"
    match = _STEP.match(part)
    if match is None:
        raise AtollError(f"{where}: got {part.strip()!r}, allowed is technique(setting=value, …)")
    try:
        technique = technique_named(match[1])
        settings: dict[str, Any] = {}
        for item in _split(match[2] or ""):
            setting = _SETTING.match(item)
            if setting is None:
                raise AtollError(f"got {item.strip()!r}, allowed is setting=value")
            if setting[1] in settings:
                raise AtollError(f"{technique.name}: setting {setting[1]!r} is given twice")
            # a layer's name may look like a number, and 1.10 is another one than 1.1
            is_name = isinstance(technique.domains().get(setting[1]), LayerPattern)
            value = _value(setting[2])
            settings[setting[1]] = setting[2] if is_name and not isinstance(value, str) else value
        return technique.from_settings(settings)
    except AtollError as error:
        raise AtollError(f"{where}: {error}") from error


def _split(text: str) -> list[str]:
    """Splits at commas outside quotes."""
    if not text.strip():
        return []
    return re.split(r",(?=(?:[^\"']*[\"'][^\"']*[\"'])*[^\"']*$)", text)


def _value(text: str) -> Any:
    """Reads a number, a quoted text or a bare word (`16x8x16x8`, `features.*`)."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
