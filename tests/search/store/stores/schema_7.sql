-- Tables of a store as version 7 of Atoll's schema made them, and the four views that version 6 had, without their
-- comments.

CREATE TABLE schema_version (
    version INTEGER NOT NULL
);

CREATE TABLE journal_state (
    fingerprint VARCHAR NOT NULL,
    byte_offset BIGINT NOT NULL
);

CREATE TABLE study_rows (
    study VARCHAR PRIMARY KEY,
    digest VARCHAR,
    definition JSON,
    limits JSON,
    baseline JSON,
    baseline_model_bytes BIGINT,
    reference JSON,
    created_at TIMESTAMPTZ
);

CREATE TABLE trial_rows (
    study VARCHAR NOT NULL,
    recipe_digest VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    epochs_per_step DOUBLE NOT NULL,
    trial VARCHAR NOT NULL,
    recipe VARCHAR,
    origin VARCHAR,
    proposal BIGINT,
    proposal_parameters JSON,
    status VARCHAR NOT NULL,
    reason VARCHAR,
    interruptions BIGINT,
    objective DOUBLE,
    violation JSON,
    quality DOUBLE,
    quality_name VARCHAR,
    quality_unit VARCHAR,
    quality_higher_is_better BOOLEAN,
    payload_bytes BIGINT,
    model_bytes BIGINT,
    model_bytes_low BIGINT,
    model_bytes_high BIGINT,
    packed_bytes BIGINT,
    macs BIGINT,
    latency_ms DOUBLE,
    latency_ms_low DOUBLE,
    latency_ms_high DOUBLE,
    latency_status VARCHAR,
    peak_memory_bytes BIGINT,
    peak_memory_bytes_low BIGINT,
    peak_memory_bytes_high BIGINT,
    peak_memory_status VARCHAR,
    parameters BIGINT,
    nonzero_parameters BIGINT,
    label_loyalty DOUBLE,
    probability_loyalty DOUBLE,
    edge_tpu_mappable DOUBLE,
    minimum_runtime VARCHAR,
    minimum_runtime_reason VARCHAR,
    train_epochs DOUBLE,
    train_seconds DOUBLE,
    metrics JSON,
    seconds DOUBLE,
    worker_pid BIGINT,
    node VARCHAR,
    threads INTEGER,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    weights_digest VARCHAR,
    artifact VARCHAR,
    model_bytes_measured BIGINT,
    packed_bytes_measured BIGINT,
    peak_memory_bytes_measured BIGINT,
    latency_host_ms_measured DOUBLE,
    latency_host_ms DOUBLE,
    latency_host_ms_low DOUBLE,
    latency_host_ms_high DOUBLE,
    latency_host_status VARCHAR,
    peak_memory_host_bytes_measured BIGINT,
    peak_memory_host_bytes BIGINT,
    peak_memory_host_bytes_low BIGINT,
    peak_memory_host_bytes_high BIGINT,
    peak_memory_host_status VARCHAR,
    agreement DOUBLE,
    quality_of_file DOUBLE,
    test_quality DOUBLE,
    test_quality_at TIMESTAMPTZ,
    measured JSON,
    PRIMARY KEY (study, recipe_digest, seed, epochs_per_step)
);

CREATE TABLE step_rows (
    study VARCHAR NOT NULL,
    recipe_digest VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    epochs_per_step DOUBLE NOT NULL,
    position INTEGER NOT NULL,
    step VARCHAR,
    technique VARCHAR,
    stage VARCHAR,
    epochs DOUBLE,
    seconds DOUBLE,
    quality DOUBLE,
    payload_bytes BIGINT,
    model_bytes BIGINT,
    packed_bytes BIGINT,
    macs BIGINT,
    latency_ms DOUBLE,
    peak_memory_bytes BIGINT,
    parameters BIGINT,
    cached BOOLEAN,
    worker_pid BIGINT,
    notes JSON,
    PRIMARY KEY (study, recipe_digest, seed, epochs_per_step, position)
);

CREATE TABLE test_look_rows (
    digest VARCHAR PRIMARY KEY,
    study VARCHAR NOT NULL,
    trial VARCHAR NOT NULL,
    command VARCHAR,
    quality DOUBLE,
    looked_at TIMESTAMPTZ
);

CREATE VIEW trials AS WITH baselines AS (
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
WHERE t.recipe IS NOT NULL;

CREATE VIEW steps AS WITH starts AS (
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
    TRY_CAST(TRY_CAST('{' || regexp_replace(regexp_extract(s.step, '\((.*)\)', 1), '(\w+)=([^,()]*)', '"\1":"\2"', 'g') || '}' AS JSON) AS MAP(VARCHAR, VARCHAR)) AS settings
FROM reached s
JOIN trial_rows t USING (study, recipe_digest, seed, epochs_per_step);

CREATE VIEW studies AS WITH counts AS (
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

CREATE VIEW test_looks AS SELECT study, trial, command, quality, looked_at FROM test_look_rows;
