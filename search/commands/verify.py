"""`atoll verify`: computes an export's figures again, from its files."""

from pathlib import Path
from typing import Annotated

import typer

from ...spaces.errors import AtollError
from ..tables import Column, FormatOption, print_table


def verify(
    folder: Annotated[Path, typer.Argument(help="What `atoll export` wrote.")],
    format: FormatOption = "table",
) -> None:
    """Recompute the figures of an export from its files and say which differ."""
    from ..verification import verify_export

    rows = verify_export(folder)
    shown = rows if format == "json" else [{**r, "card": str(r["card"]), "now": str(r["now"])} for r in rows]
    columns = [Column("figure"), Column("card"), Column("now", kind="measured"), Column("same")]
    print_table(shown, columns, format, f"{folder} against its card")
    different = [row["figure"] for row in rows if not row["same"]]
    if different:
        raise AtollError(f"{folder} is not what its card says: {', '.join(different)} differ")
