-- The store of Atoll: studies, their trials and the steps of each trial.
--
-- Tables hold what the journal says (search/store/journal.py), one row a thing; the views in views.sql are what
-- people query. Scores are never stored: the leaderboard recomputes them from these figures.
--
-- Units: *_bytes bytes, *_ms milliseconds, seconds seconds, macs multiply-accumulates a sample, quality in the
-- task's own metric, as its user knows it: quality_name, quality_unit and quality_higher_is_better say how to read
-- it (accuracy: a share, 0 to 1, more is better). Figures whose name ends in `_measured` were read off the exported file;
-- latency_ms, peak_memory_bytes and model_bytes are predicted, with `_low` and `_high` the ends of their
-- interval; packed_bytes is counted on the file written from the trained network; quality, payload_bytes, macs
-- and parameters are measured on that network.
-- Times are moments, whatever the time zone of who asks.
--
-- A change of this file raises SCHEMA_VERSION in search/store/schema.py. An older store is copied into a new file,
-- column by column of the same name; what that cannot say needs a step of its own there.

CREATE TABLE schema_version (
    version INTEGER NOT NULL                -- one row
);

-- How far the journal is folded into these tables; written in the transaction that writes the rows.
CREATE TABLE journal_state (
    fingerprint VARCHAR NOT NULL,           -- checksum of the journal's first line: another journal starts anew
    byte_offset BIGINT NOT NULL             -- behind the last folded event
);

CREATE TABLE study_rows (
    study VARCHAR PRIMARY KEY,              -- name
    digest VARCHAR,                         -- of the definition without its limits
    definition JSON,                        -- task, space, objective, constraints, device, budget, seed
    limits JSON,                            -- trials, time, workers
    baseline JSON,                          -- metrics of the baseline, to which drops and ratios refer
    baseline_model_bytes BIGINT,            -- out of `baseline`: what compression_ratio divides
    reference JSON,                         -- metrics of the reference set, which freeze the objective's scales
    created_at TIMESTAMPTZ
);

-- One recipe evaluated in a study with one seed and one budget; the same four again is the same trial.
CREATE TABLE trial_rows (
    study VARCHAR NOT NULL,
    recipe_digest VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    epochs_per_step DOUBLE NOT NULL,        -- budget
    trial VARCHAR NOT NULL,                 -- short name within the study: t0007
    recipe VARCHAR,                         -- canonical text; the uncompressed network is `baseline`
    origin VARCHAR,                         -- baseline, reference, paper, search, evaluate, or finalist: a further seed
    proposal BIGINT,                        -- n of the searcher's n-th proposal, null if it proposed none
    proposal_parameters JSON,               -- the proposal as the optimiser knows it
    status VARCHAR NOT NULL,                -- finished, failed, rejected or running
    reason VARCHAR,                         -- why it failed or was rejected; `interrupted`: it is to be run again
    interruptions BIGINT,                  -- how often its worker was lost
    objective DOUBLE,                       -- the optimiser's number on the study's frozen scales, higher is better
    violation JSON,                         -- by how much each constraint is broken
    quality DOUBLE,                         -- on the validation split
    quality_name VARCHAR,                   -- what the task calls it
    quality_unit VARCHAR,                   -- of the quality; % of a share, which is 0 to 1 here; null in old rows
    quality_higher_is_better BOOLEAN,       -- its direction; null in old rows, where more is better
    payload_bytes BIGINT,                   -- what must be stored, exactly
    model_bytes BIGINT,                     -- the artifact, predicted
    model_bytes_low BIGINT,
    model_bytes_high BIGINT,
    packed_bytes BIGINT,                    -- the artifact after zstd -19
    macs BIGINT,
    latency_ms DOUBLE,                      -- on the study's device, predicted
    latency_ms_low DOUBLE,
    latency_ms_high DOUBLE,
    latency_status VARCHAR,                 -- interpolated, extrapolated or unknown operation: ...
    peak_memory_bytes BIGINT,               -- on the study's device, predicted
    peak_memory_bytes_low BIGINT,
    peak_memory_bytes_high BIGINT,
    peak_memory_status VARCHAR,             -- as latency_status
    parameters BIGINT,
    nonzero_parameters BIGINT,
    label_loyalty DOUBLE,                   -- share of samples labelled as by the baseline, 0 to 1
    probability_loyalty DOUBLE,             -- 1 - sqrt(Jensen-Shannon divergence to the baseline), 0 to 1
    edge_tpu_mappable DOUBLE,               -- share of operators that the Edge TPU takes, by its documented rules
    minimum_runtime VARCHAR,                -- oldest release of TensorFlow Lite that loads the artifact: 2.14.0
    minimum_runtime_reason VARCHAR,         -- the operator that needs it
    train_epochs DOUBLE,
    train_seconds DOUBLE,
    metrics JSON,                           -- all metrics as reported
    seconds DOUBLE,                         -- wall time of the evaluation
    worker_pid BIGINT,
    node VARCHAR,                           -- machine of the worker
    threads INTEGER,                        -- of the worker: they decide the last bits of a result
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    weights_digest VARCHAR,                 -- SHA-256 over the final weights
    artifact VARCHAR,                       -- where the exported files lie
    model_bytes_measured BIGINT,            -- the exported file
    packed_bytes_measured BIGINT,
    peak_memory_bytes_measured BIGINT,
    latency_host_ms_measured DOUBLE,        -- the exported file on the machine that exported it, one thread
    latency_host_ms DOUBLE,                 -- the same, predicted by the device `host`
    latency_host_ms_low DOUBLE,
    latency_host_ms_high DOUBLE,
    latency_host_status VARCHAR,            -- as latency_status
    peak_memory_host_bytes_measured BIGINT, -- growth of a fresh process that loads and runs the file there
    peak_memory_host_bytes BIGINT,          -- the same, predicted by the device `host`
    peak_memory_host_bytes_low BIGINT,
    peak_memory_host_bytes_high BIGINT,
    peak_memory_host_status VARCHAR,
    agreement DOUBLE,                       -- share of samples on which file and network agree, 0 to 1
    quality_of_file DOUBLE,                 -- of the exported file on the validation split
    test_quality DOUBLE,                    -- of the exported file on the test split
    test_quality_at TIMESTAMPTZ,              -- when that was looked at
    measured JSON,                          -- all measured values as reported
    PRIMARY KEY (study, recipe_digest, seed, epochs_per_step)
);

CREATE TABLE step_rows (
    study VARCHAR NOT NULL,
    recipe_digest VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    epochs_per_step DOUBLE NOT NULL,
    position INTEGER NOT NULL,              -- 1 for the first step, 0 for the baseline
    step VARCHAR,                           -- quantize(bits=8)
    technique VARCHAR,                      -- quantize
    stage VARCHAR,                          -- structure, weights, numbers or training
    epochs DOUBLE,                          -- trained after this step
    seconds DOUBLE,
    quality DOUBLE,                         -- on the validation split, after this step
    payload_bytes BIGINT,
    model_bytes BIGINT,
    packed_bytes BIGINT,
    macs BIGINT,
    latency_ms DOUBLE,
    peak_memory_bytes BIGINT,
    parameters BIGINT,
    cached BOOLEAN,                         -- taken from the step cache; seconds and worker are its maker's
    worker_pid BIGINT,
    notes JSON,
    PRIMARY KEY (study, recipe_digest, seed, epochs_per_step, position)
);

-- Every look at the test split; more than one a trial means that it no longer tells the truth.
CREATE TABLE test_look_rows (
    digest VARCHAR PRIMARY KEY,             -- of the event
    study VARCHAR NOT NULL,
    trial VARCHAR NOT NULL,
    command VARCHAR,
    quality DOUBLE,
    looked_at TIMESTAMPTZ
);
