"""Names the closest known word to a misspelt one, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches


def known_names(got: str, known: Iterable[str]) -> str:
    """Returns what to say of an unknown name.

    >>> known_names("quantise", ["cluster", "quantize"])
    "did you mean 'quantize'? Known: cluster, quantize"
    """
    names = sorted(known)
    close = get_close_matches(got, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"
