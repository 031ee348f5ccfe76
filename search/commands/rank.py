"""`atoll rank`: the papers' ranking of the models in a CSV file."""

import math
from pathlib import Path
from typing import Annotated

import typer

from ...spaces.errors import AtollError
from ..terminal.said import say
from ..terminal.tables import Column, FormatOption, print_table

DEFAULT_PROFILE = "balanced"  # equal weights: the profile of someone who states no preference


def rank(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV file with a header, one model a row, its name first.")
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"performance, efficiency, balanced, memory or cost; {DEFAULT_PROFILE} if nothing is said.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Own weights instead, as METRIC=NUMBER,…: accuracy_pct=10,macs=6"),
    ] = None,
    scoring: Annotated[
        str,
        typer.Option(
            metavar="RULE", help="linear (eq. 12), rank (THESIS table 10) or dense (PUB-I table 5)."
        ),
    ] = "linear",
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=RULE",
            help="Another rule for one metric; linear beside a rank rule is rounded as in PUB-I.",
        ),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Rank the models of a CSV file by the papers' weighted score.

    Metrics are recognised by the column names compression_ratio, model_size_kb, model_bytes,
    inference_time_ms, latency_ms, computational_cost_mflops, macs, accuracy_pct, quality, peak_memory_kb and
    peak_memory_bytes; other columns are ignored.
    """
    from ...evaluators.ranking.model_table import column_weights, rank_table, read_model_table, role_weights
    from ...evaluators.ranking.ranking import check_scoring, check_weights, profile_weights

    if profile is not None and weights is not None:
        raise AtollError("--profile and --weights are both given: use one of them")
    check_scoring(scoring)
    rules = _pairs("--score", ",".join(score or ()))
    for rule in rules.values():
        check_scoring(rule)
    notes: list[str] = []
    own = None if weights is None else _numbers("--weights", weights)
    by_role = profile_weights(profile or DEFAULT_PROFILE)

    table = read_model_table(file)
    if own is not None:
        check_weights(own)
        given = column_weights(table, own)
    else:
        given, notes = role_weights(table, by_role)
    ranking = rank_table(table, given, scoring, rules)
    rows = [
        {"name": table.names[i], "score": ranking.scores[i], "rank": ranking.ranks[i]}
        for i in ranking.order()
    ]
    if notes:  # only now: an error has the only message
        say(f"{file}: {'; '.join(notes)}")
    columns = (Column("name"), Column("score", f"1 to {len(rows)}", spec=".4f"), Column("rank"))
    by = f"profile {profile or DEFAULT_PROFILE}" if own is None else "own weights"
    print_table(rows, columns, format, title=f"{file.name}: {by}, scoring {scoring}")


def _pairs(option: str, text: str) -> dict[str, str]:
    """Returns the NAME=VALUE pairs of a comma-separated text."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise AtollError(f"{option}: {part!r} is not METRIC=VALUE")
        if name in pairs:
            raise AtollError(f"{option}: {name!r} is given twice")
        pairs[name] = value
    return pairs


def _numbers(option: str, text: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in _pairs(option, text).items():
        try:
            numbers[name] = float(value)
        except ValueError:
            numbers[name] = math.nan
        if not math.isfinite(numbers[name]):
            raise AtollError(f"{option}: {name}={value!r} is not a number")
    if not numbers:
        raise AtollError(f"{option} is empty: expected METRIC=NUMBER,…")
    return numbers
