"""The parts of the views that follow from the table of figures: means, demands, scores."""

from collections.abc import Iterable

from ...evaluators.ranking.constraints import KNOWN, NOISE
from ...evaluators.ranking.figures import FIGURE, METRICS, SAME_AS
from ...evaluators.ranking.goal import COSTS, NAMED
from ...evaluators.ranking.quality_terms import RESOLUTION_SHARE
from ...evaluators.ranking.ranking import HALF_UP_NUDGE, OUR_METRICS, PROFILES, TIE_DECIMALS

#: what a recipe has of its trials: every metric with the ends of its interval
AVERAGED = tuple(name for figure in METRICS for name in (figure.name, *figure.ends))
#: what studies demand; the examples of docs/search.md and what `atoll init` writes
# latency is not among them: a device that was never timed has none, and no demand on it either
_USUALLY_DEMANDED = ("quality_drop", "compression_ratio", "model_bytes", "peak_memory_bytes")
_OF_SEEDS = (*AVERAGED, "baseline_quality", "drop")
# A sum of doubles depends on their order, one of whole numbers does not: what is below the bound, which
# leaves room for sixteen seeds, is summed in units of 2^-80 in 127 bits, as exactly as by fmean. Figures
# that are all equal stay what they are.
_MEAN = """CASE
    WHEN min(f.value) = max(f.value) THEN min(f.value)
    WHEN max(abs(f.value)) < 8e12
    THEN CAST(sum(TRY_CAST(f.value * pow(2, 80) AS HUGEINT)) AS DOUBLE) / pow(2, 80) / count(f.value)
    ELSE avg(f.value)
END"""
# The text of settings as members of JSON: `bits=8` -> `"bits":"8"`
_MEMBERS = r"""regexp_replace({0}, '(\w+)=([^,()]*)', '"\1":"\2"', 'g')"""
# A recipe's text as JSON, every step with brackets first; by functions of texts alone, since taking it apart
# and grouping it again takes seconds for a million.
_BRACKETED = "replace(replace(r.recipe, ' -> ', '() -> ') || '()', ')()', ')')"
_OBJECTS = (
    rf"regexp_replace({_MEMBERS.format(_BRACKETED)}, '(\w+)\(([^()]*)\)', "
    r"""'{"technique":"\1","settings":{\2}}', 'g')"""
)
_ARRAY = f"CASE r.recipe WHEN 'baseline' THEN '[]' ELSE '[' || replace({_OBJECTS}, ' -> ', ',') || ']' END"
_PARSED = (
    f"TRY_CAST(TRY_CAST({_ARRAY} AS JSON) AS STRUCT(technique VARCHAR, settings MAP(VARCHAR, VARCHAR))[])"
)


def _resolutions() -> str:
    """Returns the smallest difference of a metric that means anything, by its name."""
    share = f"CASE WHEN b.quality_unit = '%' OR b.quality = 0 THEN {RESOLUTION_SHARE} "
    of_quality = f"{share} ELSE {RESOLUTION_SHARE} * abs(b.quality) END"
    return " ".join(
        f"WHEN '{name}' THEN {of_quality if FIGURE[name].of_quality else FIGURE[name].resolution}"
        for name in KNOWN
    )


def _usual_bounds(metric: str) -> str:
    """Returns the bounds on a metric that every trial has."""
    of_it = f"FILTER (l.metric = '{metric}')"
    return (
        f"coalesce(max(l.least) {of_it}, CAST('-Infinity' AS DOUBLE)) AS {metric}_least, "
        f"coalesce(min(l.most) {of_it}, CAST('Infinity' AS DOUBLE)) AS {metric}_most"
    )


def _other_bounds(metric: str) -> str:
    """Returns the bounds on one metric, null where there are none."""
    of_it = f"FILTER (l.metric = '{metric}')"
    return f"max(l.least) {of_it} AS {metric}_least, min(l.most) {of_it} AS {metric}_most"


def _met(metric: str) -> str:
    """Returns whether a row lies within the bounds on one metric, or there are none."""
    if metric == "compression_ratio":  # null for a file of no bytes
        figure = "coalesce(r.compression_ratio, CAST('Infinity' AS DOUBLE))"
    else:
        figure = f"r.{SAME_AS.get(metric, metric)}"
    if metric in _USUALLY_DEMANDED:
        return f"{figure} BETWEEN r.{metric}_least AND r.{metric}_most"
    least, most = f"o.{metric}_least", f"o.{metric}_most"
    return f"coalesce({figure} BETWEEN {least} AND {most}, {least} IS NULL)"


def _halved(cost: str) -> str:
    least = FIGURE[cost].resolution
    return (
        f"CASE WHEN list_contains(g.costs, '{cost}') "
        f"THEN log2(greatest(b.{cost}, {least}) / greatest(r.{cost}, {least})) ELSE 0 END"
    )


def _named_goals() -> str:
    return " ".join(f"WHEN '{name}' THEN {list(costs)}" for name, costs in NAMED.items() if costs)


def _scaled(metric: str) -> str:
    """Returns a row's figure between 1 and the number compared: eq. 11."""
    least, most = f"s.{metric}_least", f"s.{metric}_most"
    return f"((x.{metric} - {least}) / ({most} - {least}) * (s.compared - 1) + 1)"


def _alike(metric: str) -> str:
    """Whether all rows have the same figure: also none, where nobody measured the device."""
    return f"s.{metric}_least IS NOT DISTINCT FROM s.{metric}_most"


def _linear_score(metric: str) -> str:
    """Returns the score of a row by one metric: eq. 12."""
    scaled = _scaled(metric)
    score = _either_way(metric, scaled, f"s.compared - ({scaled} - 1)")
    return f"CASE WHEN {_alike(metric)} THEN s.compared ELSE {score} END AS {metric}_score"


def _goodness(metric: str) -> str:
    """Returns the scaled figure of a row in hundredths, more where it is better; as `metric_scores`."""
    hundredths = f"floor({_scaled(metric)} * {10**TIE_DECIMALS} + 0.5 + {HALF_UP_NUDGE})"
    goodness = _either_way(metric, hundredths, f"-{hundredths}")
    return f"CASE WHEN {_alike(metric)} THEN 0 ELSE {goodness} END AS {metric}_goodness"


def _either_way(metric: str, more_is_better: str, less_is_better: str) -> str:
    """Returns what holds for the direction of a metric; that of the quality is known by the row alone."""
    if FIGURE[metric].of_quality:
        return f"CASE WHEN x.quality_higher_is_better THEN {more_is_better} ELSE {less_is_better} END"
    return more_is_better if FIGURE[metric].higher_is_better else less_is_better


def _rank_score(metric: str) -> str:
    order = f"OVER (ORDER BY x.{metric}_goodness DESC)"
    place = f"CASE scoring WHEN 'dense' THEN dense_rank() {order} ELSE rank() {order} END"
    return f"x.compared - ({place} - 1) AS {metric}_score"


def _signed(argument: str) -> str:
    """Returns an argument of a front so that less is better; by the name of the column that it is."""
    names = [name for name, figure in FIGURE.items() if figure.higher_is_better]
    of_quality = [*(name for name in names if FIGURE[name].of_quality), "ranked_quality", "baseline_quality"]
    others = [name for name in names if not FIGURE[name].of_quality]
    return (
        f"CASE WHEN alias({argument}) IN ({_texts(of_quality)}) AND r.quality_higher_is_better "
        f"OR alias({argument}) IN ({_texts(others)}) THEN -1 ELSE 1 END * CAST({argument} AS DOUBLE)"
    )


def _texts(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _effect(cost: str) -> str:
    before = f"m.{cost}_before"
    return f"m.{cost}, m.{cost} - {before} AS {cost}_change, m.{cost} / nullif({before}, 0) AS {cost}_factor"


def _joint_effect(cost: str) -> str:
    change, factor = f"f.{cost}_change + s.{cost}_change", f"f.{cost}_factor * s.{cost}_factor"
    return f"{change} AS {cost}_change, {factor} AS {cost}_factor"


def _mean_effect(cost: str) -> str:
    """Returns the mean difference and the geometric mean of the factors, of which a spread of 1 is none."""
    logarithm = f"ln(nullif(greatest({cost}_factor, 0), 0))"
    return (
        f"avg({cost}_change) AS {cost}_change, exp(avg({logarithm})) AS {cost}_factor, "
        f"exp(stddev_samp({logarithm})) AS {cost}_factor_spread"
    )


def _change(figure: str) -> str:
    return f"s.{figure}, s.{figure} - lag(s.{figure}) OVER path AS {figure}_change"


def _average(metrics: Iterable[str]) -> str:
    """Returns the weighted average of a row's scores `x` by weights `w`: eqs. 15 and 16."""
    parts = " + ".join(f"CASE WHEN w.{m} > 0 THEN w.{m} * x.{m}_score ELSE 0 END" for m in metrics)
    return f"(0.0::DOUBLE + {parts}) / (0.0::DOUBLE + {' + '.join(f'w.{m}' for m in metrics)})"


def _study_weight(role: str, metric: str) -> str:
    """Returns a study's weight of one metric, of its own or of its profile."""
    own = f"coalesce(TRY_CAST(json_extract_string(s.definition, '$.profile.{role}') AS DOUBLE), 0)"
    is_own = "json_type(s.definition, '$.profile') = 'OBJECT'"
    return f"CASE WHEN {is_own} THEN {own} ELSE p.{metric} END AS {metric}"


_RANKED = tuple(OUR_METRICS.values())
_COSTS = tuple(metric for metric in _RANKED if metric != "quality")
_PROFILES = ",\n".join(
    f"('{name}', {', '.join(f'{weights[role]}::DOUBLE' for role in OUR_METRICS)})"
    for name, weights in PROFILES.items()
)

# The study that is asked for, else the newest; the later name of two that began at once. An argument may not
# stand where a column of its name can be seen.
_CHOSEN = """
    SELECT CASE
        WHEN count(*) = 0 AND study IS NOT NULL THEN error('no study ' || study)
        ELSE any_value(s.name ORDER BY s.created_at DESC NULLS LAST, s.name DESC)
    END AS name
    FROM (SELECT s.study AS name, s.created_at FROM study_rows s) s WHERE s.name = coalesce(study, s.name)
"""

#: what stands for a word between two @ in views.sql, ranking.sql and macros.sql
FRAGMENTS: dict[str, str] = {
    "settings": _MEMBERS.format(r"regexp_extract(s.step, '\((.*)\)', 1)"),
    "parsed": _PARSED,
    "of_the_baseline": ",\n".join(
        f"coalesce(TRY_CAST(s.baseline->>'{name}' AS DOUBLE), b.{name}) AS {name}" for name in AVERAGED
    ),
    "of_baselines": ", ".join(f"b.{name}" for name in AVERAGED),
    "of_a_trial": ", ".join(f"CAST(t.{name} AS DOUBLE) AS {name}" for name in AVERAGED),
    "averaged_names": ", ".join(f"'{name}'" for name in _OF_SEEDS),
    "averaged_values": ", ".join(f"s.{name}" for name in _OF_SEEDS),
    "averaged_means": ",\n".join(f"max(m.mean) FILTER (m.figure = '{name}') AS {name}" for name in _OF_SEEDS),
    "mean": _MEAN,
    "noise": str(NOISE),
    "resolutions": _resolutions(),
    "usually_demanded": ", ".join(f"'{name}'" for name in _USUALLY_DEMANDED),
    "usual_bounds": ",\n".join(map(_usual_bounds, _USUALLY_DEMANDED)),
    "usual_bound_names": ", ".join(f"{name}_least, {name}_most" for name in _USUALLY_DEMANDED),
    "other_bounds": ",\n".join(_other_bounds(name) for name in KNOWN if name not in _USUALLY_DEMANDED),
    "usually_met": "\nAND ".join(map(_met, _USUALLY_DEMANDED)),
    "otherwise_met": "\nAND ".join(_met(name) for name in KNOWN if name not in _USUALLY_DEMANDED),
    "named_goals": _named_goals(),
    "ranked": ", ".join(_RANKED),
    "ranked_figures": ", ".join(
        "r.ranked_quality AS quality" if name == "quality" else f"r.{name}" for name in _RANKED
    ),
    "extremes": ", ".join(f"min(x.{m}) AS {m}_least, max(x.{m}) AS {m}_most" for m in _RANKED),
    "linear_scores": ",\n".join(map(_linear_score, _RANKED)),
    "average": _average(_RANKED),
    "goodness": ",\n".join(map(_goodness, _RANKED)),
    "goodnesses": ", ".join(("compared", *(f"{metric}_goodness" for metric in _RANKED))),
    "rank_scores": ",\n".join(map(_rank_score, _RANKED)),
    "score_columns": ", ".join(f"b.{metric}_score" for metric in _RANKED),
    "chosen": _CHOSEN,
    "signed_x": _signed("x"),
    "signed_y": _signed("y"),
    "signed_z": _signed("z"),
    "point": "r.trial, r.recipe, r.feasible, r.quality_drop, "
    + ", ".join(f"r.{metric}" for metric in _RANKED),
    "changes": ",\n".join(map(_change, _RANKED)),
    "lags": ", ".join(f"lag(s.{metric}) OVER path AS {metric}_before" for metric in _RANKED),
    "firsts": ",\n".join(
        f"min_by(p.{name}, p.trial) AS {name}" for metric in _RANKED for name in (metric, f"{metric}_before")
    ),
    "effects": ",\n".join(map(_effect, _COSTS)),
    "joint_effects": ",\n".join(map(_joint_effect, _COSTS)),
    "effect_names": ", ".join(
        ("quality_gain", *(f"{cost}_{what}" for cost in _COSTS for what in ("change", "factor")))
    ),
    "mean_effects": ",\n".join(map(_mean_effect, _COSTS)),
    "profiles": _PROFILES,
    "study_weights": ",\n".join(_study_weight(role, metric) for role, metric in OUR_METRICS.items()),
    "halvings": "\n+ ".join(map(_halved, COSTS)),
}
