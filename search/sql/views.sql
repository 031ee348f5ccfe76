-- What people query: in the file for any DuckDB client, and made anew over the tables whenever Atoll reads, so
-- that a view that somebody else put into a store is never looked at. A word between two @ stands for what
-- fragments.py says. No lambdas: DuckDB 2 stores them in words that DuckDB 1.2 cannot read.
-- What macros look at qualifies every column: an argument of the same name would hide it.

CREATE OR REPLACE VIEW trials AS
WITH baselines AS (
    SELECT
        s.study,
        coalesce(s.baseline_model_bytes, b.model_bytes) AS model_bytes
    FROM study_rows s
    LEFT JOIN (
        SELECT study, max(model_bytes) AS model_bytes FROM trial_rows WHERE origin = 'baseline' GROUP BY study
    ) b USING (study)
)
SELECT
    t.study, t.trial, t.recipe, t.seed, t.status, t.reason, t.objective, t.quality,
    t.model_bytes, t.payload_bytes,
    baselines.model_bytes / t.model_bytes AS compression_ratio,
    t.macs, t.latency_ms, t.peak_memory_bytes, t.seconds,
    t.origin,
    CASE WHEN t.recipe = 'baseline' THEN 0 ELSE len(string_split(t.recipe, ' -> ')) END AS step_count,
    t.epochs_per_step, t.violation,
    t.packed_bytes, t.parameters, t.nonzero_parameters, t.label_loyalty, t.probability_loyalty,
    t.edge_tpu_mappable, t.ethos_u_mappable, t.ethos_u_flash_bytes, t.minimum_runtime, t.minimum_runtime_reason, t.train_epochs, t.train_seconds,
    t.micro_status, t.arena_bytes, t.arena_bytes_low, t.arena_bytes_high, t.model_bytes AS flash_bytes,
    t.model_bytes_low, t.model_bytes_high, t.latency_ms_low, t.latency_ms_high,
    t.peak_memory_bytes_low, t.peak_memory_bytes_high,
    t.quality_name, t.quality_unit, t.quality_higher_is_better, t.latency_status, t.peak_memory_status,
    t.model_bytes_measured, t.packed_bytes_measured, t.peak_memory_bytes_measured, t.latency_host_ms_measured,
    t.latency_host_ms, t.latency_host_ms_low, t.latency_host_ms_high, t.latency_host_status,
    t.peak_memory_host_bytes_measured, t.peak_memory_host_bytes, t.peak_memory_host_bytes_low,
    t.peak_memory_host_bytes_high, t.peak_memory_host_status,
    t.agreement, t.quality_of_file, t.test_quality, t.test_quality_at,
    -- how much worse the file is on the test split than that of the baseline with the same seed and budget
    CASE
        WHEN coalesce(t.quality_higher_is_better, TRUE) THEN beside.test_quality - t.test_quality
        ELSE t.test_quality - beside.test_quality
    END AS test_drop,
    t.interruptions, t.worker_pid, t.node, t.threads, t.started_at, t.ended_at, t.artifact,
    t.recipe_digest, t.weights_digest, t.proposal, t.proposal_parameters, t.metrics, t.measured
FROM trial_rows t
LEFT JOIN baselines USING (study)
LEFT JOIN trial_rows beside ON beside.recipe = 'baseline' AND beside.study = t.study
    AND beside.seed = t.seed AND beside.epochs_per_step = t.epochs_per_step
WHERE t.recipe IS NOT NULL;  -- a fold removes such rows; a store that nobody folds any more may have some

CREATE OR REPLACE VIEW steps AS
WITH starts AS (
    SELECT s.study, s.seed, s.epochs_per_step, t.origin, s AS baseline
    FROM step_rows s
    JOIN trial_rows t USING (study, recipe_digest, seed, epochs_per_step)
    WHERE s.position = 0 AND t.recipe = 'baseline'
), own_starts AS (
    SELECT s.study, any_value(s.baseline ORDER BY s.seed, s.epochs_per_step) AS baseline
    FROM starts s WHERE s.origin = 'baseline' GROUP BY s.study
), reached AS (
    SELECT * FROM step_rows
    UNION ALL BY NAME
    -- every trial begins at the baseline: that of its seed and budget, else that of its study
    SELECT
        k.study, k.recipe_digest, k.seed, k.epochs_per_step, TRUE AS cached, b.position, b.step, b.technique,
        b.stage, b.epochs, b.seconds, b.quality, b.payload_bytes, b.model_bytes, b.packed_bytes, b.macs,
        b.latency_ms, b.peak_memory_bytes, b.parameters, b.worker_pid, b.notes
    FROM (
        SELECT s.*, coalesce(same.baseline, own.baseline) AS b
        FROM step_rows s
        LEFT JOIN starts same USING (study, seed, epochs_per_step)
        LEFT JOIN own_starts own USING (study)
        WHERE s.position = 1
    ) k
    WHERE b IS NOT NULL
)
SELECT
    t.study, t.trial, s.position, s.step, s.technique, s.stage, s.epochs, s.seconds, s.quality,
    s.payload_bytes, s.model_bytes, s.packed_bytes, s.macs, s.latency_ms, s.peak_memory_bytes, s.parameters,
    s.cached, s.worker_pid, s.notes, t.recipe, t.seed, t.epochs_per_step, t.status, s.recipe_digest,
    TRY_CAST(TRY_CAST('{' || @settings@ || '}' AS JSON) AS MAP(VARCHAR, VARCHAR)) AS settings
FROM reached s
JOIN trial_rows t USING (study, recipe_digest, seed, epochs_per_step);

CREATE OR REPLACE VIEW studies AS
WITH counts AS (
    SELECT
        study,
        count(*) AS trials,
        count(*) FILTER (status = 'finished') AS finished,
        count(*) FILTER (status = 'failed') AS failed,
        count(*) FILTER (status = 'rejected') AS rejected,
        count(*) FILTER (status = 'running') AS running,
        max(objective) FILTER (status = 'finished' AND origin IS DISTINCT FROM 'finalist') AS best_objective,
        sum(seconds) AS seconds
    FROM trial_rows GROUP BY study
), looks AS (
    SELECT study, count(*) AS test_looks FROM test_look_rows GROUP BY study
)
SELECT
    s.study, s.digest, s.created_at,
    coalesce(trials, 0) AS trials, coalesce(finished, 0) AS finished, coalesce(failed, 0) AS failed,
    coalesce(rejected, 0) AS rejected, coalesce(running, 0) AS running, best_objective, seconds,
    coalesce(test_looks, 0) AS test_looks,
    s.definition, s.limits, s.baseline, s.baseline_model_bytes, s.reference
FROM study_rows s
LEFT JOIN counts USING (study)
LEFT JOIN looks USING (study);

CREATE OR REPLACE VIEW test_looks AS
SELECT study, trial, command, quality, looked_at FROM test_look_rows;

CREATE OR REPLACE VIEW profiles AS
SELECT * FROM (VALUES
    @profiles@
) AS weights(profile, @ranked@);

-- One row a recipe: the mean over its seeds at its largest budget, as evaluators/ranking/leaderboard.py merges
-- them. Almost all recipes ran once, with the seed and budget of the study; only the others are grouped.
CREATE OR REPLACE VIEW recipes AS
WITH firsts AS (
    SELECT t.* FROM trial_rows t WHERE t.origin = 'baseline' AND t.status = 'finished'
    QUALIFY row_number() OVER (PARTITION BY t.study ORDER BY length(t.trial), t.trial) = 1
), baselines AS (
    SELECT
        s.study, b.trial, b.origin, b.seed, b.epochs_per_step, b.objective,
        coalesce(s.baseline->>'quality_name', b.quality_name) AS quality_name,
        coalesce(s.baseline->>'quality_unit', b.quality_unit, '%') AS quality_unit,
        coalesce(
            TRY_CAST(s.baseline->>'quality_higher_is_better' AS BOOLEAN), b.quality_higher_is_better, TRUE
        ) AS quality_higher_is_better,
        coalesce(s.baseline->>'minimum_runtime', b.minimum_runtime) AS minimum_runtime,
        nullif(regexp_extract(CAST(b.violation AS VARCHAR), 'minimum_runtime <= ([0-9.]+)', 1), '') AS runtime,
        nullif(
            regexp_extract(CAST(b.violation AS VARCHAR), 'minimum_runtime <= [0-9.]+ in ([a-z]+-[0-9.]+)', 1), ''
        ) AS faulty,
        coalesce(s.baseline->>'micro_status', b.micro_status) AS micro_status,
        contains(CAST(b.violation AS VARCHAR), 'micro_status = runs') AS on_micro,
        TRY_CAST(s.definition->>'seed' AS BIGINT) AS usual_seed,
        TRY_CAST(s.definition->>'epochs_per_step' AS DOUBLE) AS usual_epochs_per_step,
        @of_the_baseline@
    FROM study_rows s
    LEFT JOIN firsts b USING (study)
    WHERE s.baseline IS NOT NULL OR b.study IS NOT NULL
), beside AS (
    SELECT t.study, t.seed, t.epochs_per_step, max(t.quality) AS quality
    FROM trial_rows t
    WHERE t.recipe = 'baseline' AND t.status = 'finished'
    GROUP BY t.study, t.seed, t.epochs_per_step
), of_others AS (
    -- a recipe that has the baseline's own seed alone is held against what the study was: the mean of several
    SELECT o.* FROM beside o JOIN baselines b ON o.study = b.study AND o.seed IS DISTINCT FROM b.seed
), again AS (
    -- a list, so that no text is read of the trials with the seed and budget of the study
    SELECT DISTINCT t.study, t.recipe
    FROM (
        SELECT unnest(list(t.rowid)) AS place
        FROM trial_rows t
        JOIN baselines b USING (study)
        WHERE (t.seed = b.usual_seed AND t.epochs_per_step = b.usual_epochs_per_step) IS NOT TRUE
    ) u
    JOIN trial_rows t ON t.rowid = u.place
    WHERE t.status = 'finished' AND t.recipe <> 'baseline'
), repeated AS (
    SELECT unnest(list(t.rowid)) AS place FROM trial_rows t SEMI JOIN again USING (study, recipe)
), not_alone AS (
    SELECT place FROM repeated
    UNION ALL
    SELECT unnest(list(t.rowid)) AS place FROM trial_rows t WHERE t.recipe = 'baseline'
), largest AS (
    SELECT t.*
    FROM repeated
    JOIN trial_rows t ON t.rowid = repeated.place
    WHERE t.status = 'finished'
    QUALIFY t.epochs_per_step = max(t.epochs_per_step) OVER (PARTITION BY t.study, t.recipe)
), paired AS (
    SELECT
        t.*, coalesce(
            CASE WHEN count(*) OVER (PARTITION BY t.study, t.recipe) > 1 THEN beside.quality END,
            of_others.quality, b.quality
        ) AS baseline_quality
    FROM largest t
    JOIN baselines b USING (study)
    LEFT JOIN beside ON beside.study = t.study AND beside.seed = t.seed
        AND beside.epochs_per_step = t.epochs_per_step
    LEFT JOIN of_others ON of_others.study = t.study AND of_others.seed = t.seed
        AND of_others.epochs_per_step = t.epochs_per_step
), seeds AS (
    SELECT
        t.study, t.trial, t.recipe, t.origin, t.seed, t.epochs_per_step, t.objective, t.minimum_runtime,
        t.micro_status,
        first_value(t.trial) OVER (PARTITION BY t.study, t.recipe ORDER BY length(t.trial), t.trial) AS first_trial,
        t.baseline_quality,
        CASE WHEN b.quality_higher_is_better THEN 1 ELSE -1 END * (t.baseline_quality - t.quality) AS drop,
        @of_a_trial@
    FROM paired t
    JOIN baselines b USING (study)
), figures AS (
    SELECT s.study, s.recipe, unnest([@averaged_names@]) AS figure, unnest([@averaged_values@]) AS value
    FROM seeds s
), means AS (
    SELECT f.study, f.recipe, f.figure, @mean@ AS mean
    FROM figures f
    GROUP BY f.study, f.recipe, f.figure
), merged AS (
    SELECT m.study, m.recipe, @averaged_means@
    FROM means m
    GROUP BY m.study, m.recipe
), pooled AS NOT MATERIALIZED (
    SELECT
        t.study, t.trial, t.trial AS first_trial, t.recipe, t.origin, t.seed, t.epochs_per_step, t.objective,
        t.minimum_runtime, t.micro_status, 1 AS n, NULL::DOUBLE AS quality_std, NULL::DOUBLE AS quality_drop_error,
        of_others.quality AS baseline_quality,
        @of_a_trial@
    FROM trial_rows t
    ANTI JOIN not_alone ON not_alone.place = t.rowid
    LEFT JOIN of_others ON of_others.study = t.study AND of_others.seed = t.seed
        AND of_others.epochs_per_step = t.epochs_per_step
    WHERE t.status = 'finished' AND t.recipe IS NOT NULL
    UNION ALL BY NAME
    -- of two seeds both are equally far from their mean, but for their last bits
    SELECT
        s.study, s.trial, s.first_trial, s.recipe, s.origin, s.seed, s.epochs_per_step, s.objective,
        s.minimum_runtime, s.micro_status, m.* EXCLUDE (study, recipe, drop), count(*) OVER same AS n,
        stddev_samp(s.quality) OVER same AS quality_std,
        stddev_samp(s.drop) OVER same / sqrt(count(*) OVER same) AS quality_drop_error
    FROM seeds s
    JOIN merged m USING (study, recipe)
    WINDOW same AS (PARTITION BY s.study, s.recipe)
    QUALIFY row_number() OVER (
        PARTITION BY s.study, s.recipe ORDER BY round(abs(s.drop - m.drop), 12), length(s.trial), s.trial
    ) = 1
    UNION ALL BY NAME
    SELECT
        b.study, b.trial, b.trial AS first_trial, 'baseline' AS recipe, b.origin, b.seed, b.epochs_per_step,
        b.objective, b.minimum_runtime, b.micro_status, 1 AS n, b.quality AS baseline_quality, @of_baselines@
    FROM baselines b
), bounds AS (
    SELECT
        s.study, regexp_extract(
            unnest(TRY_CAST(s.definition->'constraints' AS VARCHAR[])),
            '([A-Za-z_]\w*)\s*(<=|>=|=)\s*(\S+)', ['metric', 'comparison', 'bound']
        ) AS said
    FROM study_rows s
), named AS (
    SELECT
        o.study, CASE o.said.metric WHEN 'ratio' THEN 'compression_ratio' ELSE o.said.metric END AS metric,
        o.said.comparison AS comparison, TRY_CAST(o.said.bound AS DOUBLE) AS bound,
        -- what less than this is off is no violation, as for `Constraint`
        @noise@ * greatest(abs(bound), CASE metric @resolutions@ END) AS reach
    FROM bounds o
    JOIN baselines b USING (study)
), limits AS MATERIALIZED (
    -- materialized, or DuckDB writes all this out for every metric below
    SELECT
        n.study, n.metric,
        CASE n.comparison WHEN '<=' THEN CAST('-Infinity' AS DOUBLE) ELSE n.bound - n.reach END AS least,
        CASE n.comparison WHEN '>=' THEN CAST('Infinity' AS DOUBLE) ELSE n.bound + n.reach END AS most
    FROM named n
), demands AS (
    SELECT
        b.study, b.quality, b.quality_name, b.quality_unit, b.quality_higher_is_better, b.model_bytes, b.on_micro,
        @usual_bounds@
    FROM baselines b
    LEFT JOIN limits l USING (study)
    GROUP BY ALL
), others AS (
    -- by themselves: almost always there are none, and no row is held against them
    SELECT
        l.study,
        @other_bounds@
    FROM limits l
    WHERE NOT list_contains([@usually_demanded@], l.metric)  -- DuckDB 1.4 fails on NOT IN here
    GROUP BY l.study
), demanded AS (
    SELECT b.study, TRY_CAST(string_split(b.runtime, '.') AS INTEGER[]) AS release
    FROM baselines b WHERE b.runtime IS NOT NULL
), too_new AS (
    -- also by themselves, and no trial is looked at where no study demands a runtime
    SELECT v.study, v.minimum_runtime
    FROM (
        SELECT s.study, s.baseline->>'minimum_runtime' AS minimum_runtime FROM study_rows s
        UNION
        SELECT t.study, t.minimum_runtime FROM trial_rows t SEMI JOIN demanded USING (study)
    ) v
    JOIN demanded d ON d.study = v.study
        AND TRY_CAST(string_split(v.minimum_runtime, '.') AS INTEGER[]) > d.release
), wrong_there AS (
    -- what loads in the study's runtime and is known to be computed wrong there; its reason says so
    SELECT t.study, t.trial
    FROM trial_rows t
    JOIN baselines b ON b.study = t.study AND b.faulty IS NOT NULL
        AND contains(t.minimum_runtime_reason, b.faulty)
), related AS NOT MATERIALIZED (
    SELECT
        p.* REPLACE (coalesce(p.baseline_quality, d.quality) AS baseline_quality),
        p.quality + (d.quality - coalesce(p.baseline_quality, d.quality)) AS ranked_quality,
        CASE WHEN d.quality_higher_is_better THEN 1 ELSE -1 END
            * (coalesce(p.baseline_quality, d.quality) - p.quality) AS quality_drop,
        CASE WHEN p.model_bytes > 0 THEN d.model_bytes / p.model_bytes END AS compression_ratio,
        d.* EXCLUDE (study, quality, model_bytes)
    FROM pooled p
    JOIN demands d USING (study)
), judged AS NOT MATERIALIZED (
    -- one reader of `related`: a stored view forgets NOT MATERIALIZED, and for two all columns would be written out
    SELECT r.*, @usually_met@ AND CASE WHEN o.study IS NULL THEN TRUE ELSE @otherwise_met@ END AS meets
    FROM related r LEFT JOIN others o USING (study)
)
SELECT
    r.study, r.trial, r.recipe, r.n, r.quality, r.quality_std, r.quality_drop, r.quality_drop_error,
    r.compression_ratio,
    coalesce(
        r.meets
        AND v.study IS NULL
        AND w.study IS NULL
        AND (r.on_micro AND r.micro_status <> 'runs') IS NOT TRUE, FALSE
    ) AS feasible,
    r.* EXCLUDE (
        study, trial, recipe, n, quality, quality_std, quality_drop, quality_drop_error, compression_ratio,
        on_micro, meets, @usual_bound_names@
    )
FROM judged r
LEFT JOIN too_new v USING (study, minimum_runtime)
LEFT JOIN wrong_there w USING (study, trial);

-- The leaderboard of every study by its own goal, as `atoll leaderboard` without options prints it.
CREATE OR REPLACE VIEW ranked_trials AS
WITH those AS MATERIALIZED (
    FROM recipes
), compared AS (
    SELECT r.study, r.recipe, r.quality_higher_is_better, @ranked_figures@
    FROM those r WHERE r.feasible OR r.recipe = 'baseline'
), extremes AS (
    SELECT x.study, CAST(count(*) AS DOUBLE) AS compared, @extremes@ FROM compared x GROUP BY x.study
), scored AS (
    SELECT
        x.study, x.recipe,
        @linear_scores@
    FROM compared x
    JOIN extremes s USING (study)
), weights AS (
    SELECT
        s.study,
        @study_weights@
    FROM study_rows s
    LEFT JOIN profiles p ON p.profile = coalesce(s.definition->>'profile', 'balanced')
), goals AS (
    SELECT
        study, CASE
            WHEN json_type(definition, '$.goal') = 'OBJECT'
            THEN string_split(replace(json_extract_string(definition, '$.goal.minimize'), ' ', ''), '*')
            ELSE CASE definition->>'goal' @named_goals@ END
        END AS costs
    FROM study_rows
), averages AS (
    SELECT
        r.*, CASE
            WHEN x.recipe IS NULL THEN NULL
            WHEN g.costs IS NULL THEN @average@
            ELSE @halvings@
        END AS score,
        g.costs IS NULL AS is_average
    FROM those r
    LEFT JOIN scored x USING (study, recipe)
    LEFT JOIN weights w USING (study)
    LEFT JOIN goals g USING (study)
    LEFT JOIN those b ON b.study = r.study AND b.recipe = 'baseline'
)
SELECT
    r.study,
    CASE WHEN r.score IS NOT NULL THEN rank() OVER (
        PARTITION BY r.study
        ORDER BY CASE WHEN r.is_average THEN round(r.score * 1e9) ELSE r.score END DESC NULLS LAST
    ) END AS rank,
    r.score, r.feasible, r.objective, r.trial, r.recipe,
    @parsed@ AS steps,
    CASE r.recipe WHEN 'baseline' THEN 0 ELSE len(string_split(r.recipe, ' -> ')) END AS step_count,
    r.* EXCLUDE (study, score, is_average, feasible, objective, trial, recipe)
FROM averages r;

CREATE OR REPLACE VIEW cache_savings AS
SELECT
    study, technique, count(*) AS times, count(*) FILTER (NOT cached) AS made,
    count(*) FILTER (cached) AS reused,
    coalesce(sum(seconds) FILTER (NOT cached), 0) AS seconds_spent,
    coalesce(sum(seconds) FILTER (cached), 0) AS seconds_saved,
    seconds_saved / nullif(seconds_spent + seconds_saved, 0) AS saved_share
FROM steps WHERE position > 0
GROUP BY study, technique;

CREATE OR REPLACE VIEW predicted_against_measured AS
SELECT
    study, trial, recipe, figure, predicted, low, high, measured,
    measured BETWEEN coalesce(low, predicted) AND coalesce(high, predicted) AS inside,
    (predicted - measured) / nullif(measured, 0) AS error_share, status
FROM (
    SELECT
        study, trial, recipe, 'model_bytes' AS figure, model_bytes::DOUBLE AS predicted, model_bytes_low AS low,
        model_bytes_high AS high, model_bytes_measured AS measured, NULL AS status
    FROM trial_rows
    UNION ALL
    SELECT
        study, trial, recipe, 'latency_host_ms', latency_host_ms, latency_host_ms_low, latency_host_ms_high,
        latency_host_ms_measured, latency_host_status
    FROM trial_rows
    UNION ALL
    SELECT
        study, trial, recipe, 'peak_memory_host_bytes', peak_memory_host_bytes, peak_memory_host_bytes_low,
        peak_memory_host_bytes_high, peak_memory_host_bytes_measured, peak_memory_host_status
    FROM trial_rows
)
WHERE predicted IS NOT NULL AND measured IS NOT NULL;

CREATE OR REPLACE VIEW events AS
SELECT created_at AS moment, 'study' AS event, study, NULL AS trial, NULL AS recipe, NULL AS detail
FROM study_rows WHERE created_at IS NOT NULL
UNION ALL
SELECT started_at, 'started', study, trial, recipe, origin FROM trial_rows WHERE started_at IS NOT NULL
UNION ALL
SELECT ended_at, status, study, trial, recipe, reason FROM trial_rows WHERE ended_at IS NOT NULL
UNION ALL
SELECT l.looked_at, 'test_look', l.study, l.trial, t.recipe, l.command
FROM test_look_rows l
LEFT JOIN trial_rows t USING (study, trial);

-- One row a broken constraint; a rejection of which nobody said what broke has one row too.
CREATE OR REPLACE VIEW rejections AS
WITH broken AS (
    SELECT
        study, trial, unnest(map_entries(TRY_CAST(violation AS MAP(VARCHAR, DOUBLE)))) AS entry
    FROM trial_rows WHERE status = 'rejected'
)
SELECT
    t.study, t.trial, t.recipe, t.reason, b.entry.key AS broken, b.entry.value AS violation, t.proposal, t.ended_at
FROM trial_rows t
LEFT JOIN broken b ON b.study = t.study AND b.trial = t.trial AND b.entry.value > 0
WHERE t.status = 'rejected';

CREATE OR REPLACE VIEW step_effects AS
WITH directions AS (
    SELECT study, CASE WHEN bool_and(coalesce(quality_higher_is_better, TRUE)) THEN 1 ELSE -1 END AS sign
    FROM trial_rows GROUP BY study
), paths AS (
    SELECT
        s.*, string_split(s.recipe, ' -> ') AS listed, lag(s.position) OVER path AS position_before,
        lag(s.technique) OVER path AS technique_before, @lags@
    FROM steps s
    WINDOW path AS (PARTITION BY s.study, s.trial ORDER BY s.position)
), made AS (
    SELECT
        p.study, array_to_string(p.listed[1:p.position - 1], ' -> ') AS prefix, p.step, p.position, p.technique,
        min_by(p.settings, p.trial) AS settings, min_by(p.technique_before, p.trial) AS technique_before,
        p.seed, p.epochs_per_step, count(*) AS trials, @firsts@
    FROM paths p
    WHERE p.position > 0 AND p.position = p.position_before + 1
    GROUP BY p.study, prefix, p.step, p.position, p.technique, p.seed, p.epochs_per_step
)
SELECT
    m.study, CASE m.position WHEN 1 THEN 'baseline' ELSE m.prefix END AS prefix, m.step,
    CASE m.position WHEN 1 THEN m.step ELSE m.prefix || ' -> ' || m.step END AS recipe,
    m.position, m.technique, m.settings, CASE WHEN m.position > 1 THEN m.technique_before END AS technique_before,
    m.seed, m.epochs_per_step, m.trials, m.quality, d.sign * (m.quality - m.quality_before) AS quality_gain,
    @effects@
FROM made m
JOIN directions d USING (study);

CREATE OR REPLACE VIEW technique_effects AS
WITH pairs AS (
    SELECT
        f.study, f.technique, s.technique AS second_technique,
        f.quality_gain + s.quality_gain AS quality_gain, @joint_effects@
    FROM step_effects f
    JOIN step_effects s ON s.study = f.study AND s.prefix = f.recipe AND s.seed = f.seed
        AND s.epochs_per_step = f.epochs_per_step
), settings AS (
    SELECT e.* EXCLUDE (settings), unnest(map_entries(e.settings)) AS setting FROM step_effects e
), grouped AS (
    SELECT 'technique' AS grouped_by, study, technique, @effect_names@ FROM step_effects
    UNION ALL BY NAME
    SELECT 'position' AS grouped_by, study, technique, position, @effect_names@ FROM step_effects
    UNION ALL BY NAME
    SELECT
        'setting' AS grouped_by, study, technique, setting.key AS setting, setting.value AS value, @effect_names@
    FROM settings
    UNION ALL BY NAME
    SELECT 'order' AS grouped_by, study, technique, second_technique, @effect_names@ FROM pairs
)
SELECT
    study, grouped_by, technique, setting, value, position, second_technique, count(*) AS n,
    avg(quality_gain) AS quality_gain, stddev_samp(quality_gain) AS quality_gain_std,
    @mean_effects@
FROM grouped
GROUP BY study, grouped_by, technique, setting, value, position, second_technique;
