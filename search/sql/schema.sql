-- The tables of a store: what the journal says (search/store/journal.py), one row a thing. What each column
-- means stands in meanings.py; the views in views.sql are what people query. Scores are never stored: the
-- leaderboard recomputes them from these figures. Times are moments, whatever the time zone of who asks.
--
-- A change of this file or of the views raises SCHEMA_VERSION in search/store/schema.py. An older store is copied
-- into a new file, column by column of the same name; what that cannot say needs a step of its own there.

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
    ethos_u_mappable DOUBLE,
    ethos_u_flash_bytes BIGINT,
    minimum_runtime VARCHAR,
    minimum_runtime_reason VARCHAR,
    micro_status VARCHAR,
    arena_bytes BIGINT,
    arena_bytes_low BIGINT,
    arena_bytes_high BIGINT,
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
