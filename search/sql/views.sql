-- What people query: in the file for any DuckDB client, and made anew over the tables whenever Atoll reads, so
-- that a view that somebody else put into a store is never looked at.

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
    t.edge_tpu_mappable, t.minimum_runtime, t.minimum_runtime_reason, t.train_epochs, t.train_seconds,
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
SELECT
    t.study, t.trial, s.position, s.step, s.technique, s.stage, s.epochs, s.seconds, s.quality,
    s.payload_bytes, s.model_bytes, s.packed_bytes, s.macs, s.latency_ms, s.peak_memory_bytes, s.parameters,
    s.cached, s.worker_pid, s.notes, t.recipe, t.seed, t.epochs_per_step, t.status, s.recipe_digest
FROM step_rows s
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
