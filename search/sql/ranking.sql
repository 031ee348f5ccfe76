-- What leaderboard and reranked share, behind their `weights`: eqs. 11 to 17 as evaluators/ranking/ranking.py
-- computes them. All columns are qualified, since parameters have such names too.
chosen AS (
    @chosen@
), compared AS (
    SELECT
        r.study, r.trial, r.first_trial, r.recipe, r.n, r.quality AS raw_quality, r.quality_drop,
        r.quality_drop_error, r.compression_ratio, r.feasible, r.quality_higher_is_better, @ranked_figures@
    FROM recipes r
    JOIN chosen c ON r.study = c.name
    WHERE everything OR r.feasible OR r.recipe = 'baseline'
), extremes AS (
    SELECT
        CASE
            WHEN scoring IN ('linear', 'rank', 'dense') THEN CAST(count(*) AS DOUBLE)
            ELSE error('unknown scoring ' || coalesce(scoring, 'NULL') || ': known are linear, rank and dense')
        END AS compared, @extremes@
    FROM compared x
), scored AS (
    SELECT
        x.*,
        @linear_scores@
    FROM compared x
    CROSS JOIN extremes s
    WHERE scoring = 'linear'
    UNION ALL
    SELECT
        x.* EXCLUDE (@goodnesses@),
        @rank_scores@
    FROM (
        SELECT
            x.*, s.compared,
            @goodness@
        FROM compared x
        CROSS JOIN extremes s
        WHERE scoring IS DISTINCT FROM 'linear'
    ) x
), averages AS (
    SELECT x.*, @average@ AS score
    FROM scored x
    CROSS JOIN weights w
), best AS (
    -- averages that differ by less than float noise share a rank
    SELECT a.*, round(a.score * 1e9) AS height
    FROM averages a
    ORDER BY height DESC NULLS LAST, a.recipe <> 'baseline', length(a.first_trial), a.first_trial
    LIMIT first
), places AS (
    -- windows without an order take the rows as they come, so that nothing is sorted twice
    SELECT
        o.*, CASE
            WHEN o.height IS DISTINCT FROM lag(o.height) OVER () OR row_number() OVER () = 1
            THEN row_number() OVER ()
        END AS leads
    FROM best o
)
SELECT
    max(b.leads) OVER (ROWS UNBOUNDED PRECEDING) AS rank, b.score, b.study, b.trial, b.recipe, b.n,
    b.raw_quality AS quality, b.quality_drop, b.quality_drop_error, b.model_bytes, b.compression_ratio, b.macs,
    b.latency_ms, b.peak_memory_bytes, b.feasible, @score_columns@
FROM places b
