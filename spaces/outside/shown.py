"""How text from outside is shown: what came from a file, a store or a name never steers what shows it."""

import re

#: what begins markup, HTML, a link or a cell in Markdown (CommonMark, GitHub's tables and autolinks);
#: underscores within a word do not
_MARKUP = re.compile(r"[\\`*\[\]<|&~$@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|^[#>+=-]", re.IGNORECASE)


def shown(text: object) -> str:
    """Returns a text in which every character that does not print is written as its escape, `\\x1b`.

    Those are control characters, also C1, marks that turn the direction of writing around, line and paragraph
    separators, and the halves of what was no Unicode.

    Args:
        text: anything; its `str` is shown.

    >>> print(shown("red \\x1b[31m, and back"))
    red \\x1b[31m, and back
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def shown_lines(text: object) -> str:
    """Returns a text of several lines, each as `shown` has it."""
    return "\n".join(shown(line) for line in str(text).split("\n"))


def markdown(text: object) -> str:
    """Returns a text that Markdown shows as it is: no markup, no HTML, no link, no new cell or line."""
    return _MARKUP.sub(r"\\\g<0>", shown(text))


def markdown_code(text: object) -> str:
    """Returns a text as code within a line or a cell of Markdown, where no backslash escapes.

    So what would end the code or the cell is written as its escape, like what does not print.
    """
    inside = shown(text).replace("`", "\\x60").replace("|", "\\x7c")
    return f"`{inside}`" if inside else ""


def _escape(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
