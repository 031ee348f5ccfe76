-- Questions with arguments, over one study: `study` is its name, the newest if none. Arguments have names of
-- columns, so every column here is qualified, and has another name where the argument is used. A word between two @ stands for what fragments.py says.

CREATE OR REPLACE MACRO leaderboard(
    profile := 'balanced', scoring := 'linear', study := NULL, first := NULL, everything := FALSE
) AS TABLE
WITH weights AS (
    SELECT
        CASE
            WHEN count(*) = 0
            THEN error('unknown profile ' || coalesce(profile, 'NULL') || ': FROM profiles lists them')
            ELSE any_value(p.model_bytes)
        END AS model_bytes,
        any_value(p.latency_ms) AS latency_ms, any_value(p.macs) AS macs, any_value(p.quality) AS quality,
        any_value(p.peak_memory_bytes) AS peak_memory_bytes
    FROM (SELECT p.profile AS name, p.* EXCLUDE (profile) FROM profiles p) p WHERE p.name = profile
), @ranking@;

CREATE OR REPLACE MACRO reranked(
    model_bytes := 3, latency_ms := 3, macs := 3, quality := 3, peak_memory_bytes := 3, scoring := 'linear',
    study := NULL, first := NULL, everything := FALSE
) AS TABLE
WITH weights AS (
    SELECT
        CASE
            WHEN least(model_bytes, latency_ms, macs, quality, peak_memory_bytes) >= 0
                AND model_bytes + latency_ms + macs + quality + peak_memory_bytes > 0
                AND model_bytes + latency_ms + macs + quality + peak_memory_bytes < CAST('Infinity' AS DOUBLE)
            THEN CAST(model_bytes AS DOUBLE)
            ELSE error('weights must be numbers >= 0, and one above 0')  -- also of a null
        END AS model_bytes,
        CAST(latency_ms AS DOUBLE) AS latency_ms, CAST(macs AS DOUBLE) AS macs,
        CAST(quality AS DOUBLE) AS quality, CAST(peak_memory_bytes AS DOUBLE) AS peak_memory_bytes
), @ranking@;

-- A row is on the front if nothing before it in x is as good in y, and nothing with its y is better in x.
CREATE OR REPLACE MACRO pareto(x, y, study := NULL, everything := FALSE) AS TABLE
WITH chosen AS (
    @chosen@
), points AS (
    SELECT
        x AS x, y AS y, @signed_x@ AS a, @signed_y@ AS b, @point@
    FROM recipes r
    JOIN chosen n ON r.study = n.name
    WHERE (everything OR r.feasible)
        AND x IS NOT NULL AND y IS NOT NULL
), reached AS (
    SELECT p.*
    FROM points p
    QUALIFY p.b = min(p.b) OVER (ORDER BY p.a, p.b ROWS UNBOUNDED PRECEDING)
)
SELECT f.* EXCLUDE (a, b)
FROM reached f
QUALIFY f.a = min(f.a) OVER (PARTITION BY f.b)
ORDER BY f.a, length(f.trial), f.trial;

-- Almost all rows have a better one in a cell that is lower in x and in y; what is left is compared pair by pair.
CREATE OR REPLACE MACRO pareto3(x, y, z, study := NULL, everything := FALSE) AS TABLE
WITH chosen AS (
    @chosen@
), points AS (
    SELECT
        x AS x, y AS y, z AS z, @signed_x@ AS a, @signed_y@ AS b, @signed_z@ AS c, @point@
    FROM recipes r
    JOIN chosen n ON r.study = n.name
    WHERE (everything OR r.feasible)
        AND x IS NOT NULL AND y IS NOT NULL AND z IS NOT NULL
), placed AS (
    SELECT p.*, ntile(256) OVER (ORDER BY p.a) AS i, ntile(256) OVER (ORDER BY p.b) AS j
    FROM points p
), cells AS (
    SELECT q.i, q.j, min(q.c) AS least FROM placed q GROUP BY q.i, q.j
), corners AS (
    SELECT n.i, m.j FROM (SELECT DISTINCT q.i FROM cells q) n CROSS JOIN (SELECT DISTINCT q.j FROM cells q) m
), columns_below AS (
    SELECT
        k.i, k.j, min(q.least) OVER (
            PARTITION BY k.j ORDER BY k.i ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS least
    FROM corners k
    LEFT JOIN cells q ON q.i = k.i AND q.j = k.j
), below AS (
    SELECT
        k.i, k.j, min(k.least) OVER (
            PARTITION BY k.i ORDER BY k.j ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS least
    FROM columns_below k
), kept AS MATERIALIZED (
    SELECT q.*
    FROM placed q
    JOIN below l ON l.i = q.i AND l.j = q.j
    WHERE l.least IS NULL OR q.c <= l.least
)
SELECT f.* EXCLUDE (a, b, c, i, j)
FROM kept f
WHERE NOT EXISTS (
    SELECT 1 FROM kept o
    WHERE o.a <= f.a AND o.b <= f.b AND o.c <= f.c AND (o.a < f.a OR o.b < f.b OR o.c < f.c)
)
ORDER BY f.a, f.b, length(f.trial), f.trial;

CREATE OR REPLACE MACRO waterfall(trial, study := NULL) AS TABLE
WITH chosen AS (
    @chosen@
), those AS (
    SELECT s.*
    FROM (SELECT s.* RENAME (trial AS name, study AS of) FROM steps s) s
    JOIN chosen n ON s.of = n.name
    WHERE s.name = trial
)
SELECT
    s.position, s.step, s.technique, s.settings,
    @changes@,
    s.epochs, s.seconds, s.cached
FROM those s
WINDOW path AS (ORDER BY s.position)
ORDER BY s.position;
