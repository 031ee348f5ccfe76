"""What an HTML report holds: columns out of the views of the store, and what their figures mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...evaluators.ranking.constraints import Constraint
from ...evaluators.ranking.figure import Figure
from ...evaluators.ranking.figures import FIGURE, FIGURES
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.ranking.ranking import OUR_METRICS, PROFILES, profile_weights
from ...spaces.outside.shown import shown
from ..store.store import Store
from ..store.stored_study import StoredStudy

#: whether a trial of one seed meets everything: its own figures decide, as when it ended
_MEETS = "coalesce(list_max(map_values(TRY_CAST(violation AS MAP(VARCHAR, DOUBLE)))) <= 0, TRUE)"
#: a table of the report is one SELECT over one view, of one study
TABLES: Mapping[str, str] = {
    "recipes": """
        SELECT * EXCLUDE (
            study, steps, step_count, objective, minimum_runtime, micro_status, origin, seed,
            epochs_per_step, quality_name, quality_unit, quality_higher_is_better
        )
        FROM ranked_trials WHERE study = ? ORDER BY rank NULLS LAST, length(trial), trial
    """,
    "trials": f"""
        SELECT
            trial, recipe, status, origin, reason, seed, epochs_per_step, objective, quality, model_bytes,
            compression_ratio, macs, latency_ms, peak_memory_bytes, test_quality, test_drop, agreement,
            seconds,
            {_MEETS} AS meets, epoch(started_at) AS started, epoch(ended_at) AS ended
        FROM trials WHERE study = ? ORDER BY length(trial), trial
    """,
    "steps": """
        SELECT
            trial, position, step, quality, model_bytes, macs, latency_ms, peak_memory_bytes, seconds, cached
        FROM steps WHERE study = ? ORDER BY length(trial), trial, position
    """,
    "predictions": """
        SELECT trial, figure, predicted, low, high, measured, inside
        FROM predicted_against_measured WHERE study = ? ORDER BY figure, length(trial), trial
    """,
    "rejections": """
        SELECT trial, broken, violation FROM rejections WHERE study = ? ORDER BY length(trial), trial, broken
    """,
    "effects": """
        SELECT * EXCLUDE (study) FROM technique_effects
        WHERE study = ? AND grouped_by IN ('technique', 'order')
        ORDER BY grouped_by, technique, second_technique
    """,
}


def contents(store: Store, study: StoredStudy) -> dict[str, Any]:
    """Returns all that the page's scripts know, as JSON without NaN and without what does not print.

    Args:
        store: where the study lives.
        study: what is written down; without a finished baseline it has no recipes.

    Raises:
        AtollError: the store cannot be read.
    """
    terms = QualityTerms.of(study.baseline)
    weights = profile_weights(study.profile)
    return {
        "figures": {figure.name: _figure(figure, terms) for figure in FIGURES},
        "ranking": [
            {"metric": metric, "role": role, "higher": terms.figure(FIGURE[metric]).higher_is_better}
            for role, metric in OUR_METRICS.items()
        ],
        "profiles": {**PROFILES, "of the study": weights},
        "goal": {"name": shown(study.goal), "minimized": list(study.goal.minimized)},
        "constraints": [
            {"metric": one.metric, "comparison": one.comparison, "bound": one.bound, "text": str(one)}
            for one in study.constraints
            if isinstance(one, Constraint)
        ],
        "tables": {name: _columns(store, sql, study.name) for name, sql in TABLES.items()},
    }


def _columns(store: Store, sql: str, study: str) -> dict[str, list[Any]]:
    table = store.query(sql, [study])
    return {name: _values(table.column(name).to_pylist()) for name in table.column_names}


def _values(column: Sequence[Any]) -> list[Any]:
    return [_value(value) for value in column]


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _figure(figure: Figure, terms: QualityTerms) -> dict[str, Any]:
    """Returns how a figure is called and written, as `Figure` and its form have it."""
    form = terms.form if figure.of_quality else figure.brief
    unit = terms.unit_of(figure)
    is_quality = figure.name == "quality"
    return {
        "title": shown(terms.name if is_quality else figure.long_title or figure.title),
        "unit": shown(unit),
        "heading": shown(terms.heading if is_quality else figure.heading(replace(form, unit=unit))),
        "scale": form.scaled(1.0),
        "digits": form.digits,
        "significant": form.significant,
        "sign": bool(figure.exact.sign),
        "higher": terms.figure(figure).higher_is_better,
        "ends": list(figure.ends),
        "least": figure.resolution,
    }
