"""The HTML report: one file with everything in it, which asks no network and runs no script but ours."""

import base64
import functools
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
ECHARTS = _HERE / "echarts" / "echarts.min.js"
_PAGE = _HERE / "page"
#: the page's scripts in the order in which they stand in it: a view a file, behind what all of them use
SCRIPTS = (
    "data.js",
    "dom.js",
    "figures.js",
    "ranking.js",
    "chart.js",
    "pictures.js",
    "leaderboard.js",
    "pareto.js",
    "history.js",
    "trial.js",
    "predictions.js",
    "failures.js",
    "tree.js",
    "orders.js",
    "parallel.js",
    "watch.js",
    "main.js",
)
#: Data up to here stand in the page as they are, so that browsers before 2023, without DecompressionStream,
#: show most studies (a hundred trials). Compressed they take a seventh.
PLAIN_BYTES = 250_000
_WORD = re.compile(r"@(\w+)@")


def page(
    title: str, verdict: list[str], facts: Mapping[str, str], data: Mapping[str, Any], plain: bool = False
) -> str:
    """Returns the whole file.

    Args:
        title: of the page, names from outside as all other texts.
        verdict: sentences that stand first.
        facts: how it came about, by name.
        data: JSON that the scripts read, see `contents`; with a `version` it is a page that is watched.
        plain: never compress them.
    """
    script, style = _script(), _text("style.css")
    echarts = ECHARTS.read_text(encoding="utf-8")
    words = {
        "policy": _policy([echarts, script], style, "version" in data),
        "title": html.escape(title),
        "verdict": "\n".join(f"<p>{_unbroken(sentence)}</p>" for sentence in verdict),
        "facts": "\n".join(
            f"<dt>{html.escape(name)}</dt><dd>{_unbroken(value)}</dd>" for name, value in facts.items()
        ),
        "data": _data(data, plain),
        "style": style,
        "echarts": echarts,
        "script": script,
    }
    # in one pass, so that no word within what is put in is one of ours
    return _WORD.sub(lambda found: words.get(found[1], found[0]), _text("page.html"))


def _unbroken(text: str) -> str:
    """Returns a text as HTML in which no line ends within an arrow of a recipe, as `unbroken` of dom.js."""
    return html.escape(text).replace("-&gt;", '<span class="arrow">-&gt;</span>')


def _data(data: Mapping[str, Any], plain: bool) -> str:
    """Returns the element with the data, in which nothing can end it or begin another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if plain or len(text) <= PLAIN_BYTES:
        escaped = text.replace("<", r"\u003c")
        return f'<script type="application/json" id="data">{escaped}</script>'
    packed = base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)).decode("ascii")
    return f'<script type="application/gzip" id="data">{packed}</script>'


def _policy(scripts: list[str], style: str, is_watched: bool) -> str:
    """Returns the Content-Security-Policy: these scripts and this style, by their digests, nothing else.

    A page that is watched may ask the server that it came from.
    """
    allowed = " ".join(f"'{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'" + "; connect-src 'self'" * is_watched
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@functools.cache
def _text(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _script() -> str:
    """Returns our scripts as one, whose names nobody else sees."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_text, SCRIPTS)) + "\n})();\n"
