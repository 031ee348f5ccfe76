-- Tables and views of a store as version 1 of Atoll's schema made them, without their comments.

CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS journal_state (
    fingerprint VARCHAR NOT NULL,
    byte_offset BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS study_rows (
    study VARCHAR PRIMARY KEY,
    digest VARCHAR,
    definition JSON,
    limits JSON,
    baseline JSON,
    baseline_model_bytes BIGINT,
    reference JSON,
    created_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS trial_rows (
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
    objective DOUBLE,
    violation JSON,
    quality DOUBLE,
    quality_name VARCHAR,
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
    train_epochs DOUBLE,
    train_seconds DOUBLE,
    metrics JSON,
    seconds DOUBLE,
    worker_pid BIGINT,
    node VARCHAR,
    threads INTEGER,
    started_at TIMESTAMP,
    ended_at TIMESTAMP,
    weights_digest VARCHAR,
    artifact VARCHAR,
    model_bytes_measured BIGINT,
    packed_bytes_measured BIGINT,
    peak_memory_bytes_measured BIGINT,
    latency_host_ms_measured DOUBLE,
    agreement DOUBLE,
    quality_of_file DOUBLE,
    test_quality DOUBLE,
    test_quality_at TIMESTAMP,
    measured JSON,
    PRIMARY KEY (study, recipe_digest, seed, epochs_per_step)
);

CREATE TABLE IF NOT EXISTS step_rows (
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

CREATE TABLE IF NOT EXISTS test_look_rows (
    digest VARCHAR PRIMARY KEY,
    study VARCHAR NOT NULL,
    trial VARCHAR NOT NULL,
    command VARCHAR,
    quality DOUBLE,
    looked_at TIMESTAMP
);

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
    t.train_epochs, t.train_seconds,
    t.model_bytes_low, t.model_bytes_high, t.latency_ms_low, t.latency_ms_high,
    t.peak_memory_bytes_low, t.peak_memory_bytes_high,
    t.quality_name, t.latency_status, t.peak_memory_status,
    t.model_bytes_measured, t.packed_bytes_measured, t.peak_memory_bytes_measured, t.latency_host_ms_measured,
    t.agreement, t.quality_of_file, t.test_quality, t.test_quality_at,
    t.worker_pid, t.node, t.threads, t.started_at, t.ended_at, t.artifact,
    t.recipe_digest, t.weights_digest, t.proposal, t.proposal_parameters, t.metrics, t.measured
FROM trial_rows t
LEFT JOIN baselines USING (study);

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
        max(objective) FILTER (status = 'finished') AS best_objective,
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
