"""Pictures of a card as SVG files: the same picture gives the same bytes, whatever its reader has set."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture


@contextmanager
def own_style() -> Iterator[None]:
    """Draws without a user's own settings, random ids, and markup in names."""
    # Imported here, as by whoever draws: half a second that other commands must not wait for.
    import matplotlib
    import matplotlib.style

    with (
        matplotlib.style.context("default"),
        matplotlib.rc_context({"svg.hashsalt": "atoll", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UserWarning)  # a name that its font lacks is drawn as boxes
        yield


def svg_bytes(picture: "Picture", title: str | None = None) -> bytes:
    """Returns a picture as a file, without a date.

    Args:
        picture: of `own_style`.
        title: for those who do not see it.
    """
    buffer = BytesIO()
    said = {} if title is None else {"Title": title}
    picture.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, **said})
    return buffer.getvalue()
