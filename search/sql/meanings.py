"""What every table, view and column of a store means, once for its comments and for docs/sql.md."""

from .meaning import OF_QUALITY, Meaning, of_figures

#: of every table and view, in the order of docs/sql.md
RELATIONS: dict[str, str] = {
    "studies": "a study: its definition, limits, baseline, reference set, counts of trials and "
    "looks at the test "
    "split",
    "trials": "a trial: one recipe with one seed and one budget, whether it finished, failed, was "
    "rejected or runs",
    "steps": "a trial after one of its steps; every trial begins at position 0, which is the baseline",
    "test_looks": "one look at the test split; more than one a trial means that it no longer tells the truth",
    "profiles": "a weight profile of the papers: how much each metric counts",
    "recipes": "a recipe of a study: the means over its seeds at its largest budget, and what "
    "refers to the baseline",
    "ranked_trials": "a recipe of a study with its place by the study's own goal, as `atoll "
    "leaderboard` prints it",
    "cache_savings": "a technique of a study: how often its steps were made or taken from the "
    "cache, and what that saved",
    "predicted_against_measured": "a figure of a trial that was predicted and then read off the "
    "exported file",
    "step_effects": "a step behind a prefix, with what it changed against the prefix without it; "
    "once, however many "
    "trials share it",
    "technique_effects": "what a technique does on average against the same prefix without it: in "
    "all, by a setting, by "
    "position, and of two techniques one right after the other (`grouped_by` technique, setting, "
    "position, order)",
    "events": "something that happened to a study or a trial, at a moment",
    "rejections": "a constraint that a recipe breaks, for which it was never trained",
    "schema_version": "the version of these tables, in one row",
    "journal_state": "how far the journal is folded into these tables, in one row",
    "study_rows": "a study as the journal says it",
    "trial_rows": "a trial as the journal says it; the same study, recipe, seed and budget again is "
    "the same trial",
    "step_rows": "a trial after one of its steps, as the journal says it",
    "test_look_rows": "one look at the test split, as the journal says it",
}

#: of every macro: what its rows are
MACROS: dict[str, str] = {
    "leaderboard": "a recipe of a study that meets its constraints, or the baseline, ranked as `atoll "
    "leaderboard` does: by a profile of `profiles` and scoring linear (eq. 12), rank (THESIS tables 7-10) or "
    "dense (PUB-I tables 3-5); the `first` of them, all if null",
    "reranked": "the same with a weight of each metric instead of a profile",
    "pareto": "a recipe that no other beats in both of two columns of `recipes`, or expressions; less is "
    "better, but for a quality, share or ratio of which more is",
    "pareto3": "the same for three",
    "waterfall": "a trial after a step, from the baseline on, with what the step changed",
}

_FIGURES = of_figures(
    {
        "quality": "the task's own metric on the validation split, as its user knows it; a share "
        "lies in 0 to 1",
        "macs": "work of the network",
        "latency_ms": "time for one sample on the study's device",
        "peak_memory_bytes": "peak memory on the study's device",
        "parameters": "parameters of every layer, whatever their type",
        "nonzero_parameters": "parameters that are not zero",
        "payload_bytes": "exactly what must be stored: weights at their bits, scales, biases",
        "model_bytes": "size of the file that ships",
        "packed_bytes": "size of the file after zstd -19",
        "label_loyalty": "share of samples on which it says the same as the baseline",
        "probability_loyalty": "1 - sqrt(Jensen-Shannon divergence to the baseline)",
        "edge_tpu_mappable": "share of the file's operators that the Edge TPU takes, by its documented rules",
        "ethos_u_mappable": "share of operators that the device's Ethos-U runs, by its compiler's report",
        "ethos_u_flash_bytes": "the file as the compiler of the device's Ethos-U writes it, by its estimate",
        "arena_bytes": "tensor arena that LiteRT Micro claims for the file",
        "flash_bytes": "model_bytes as a microcontroller's budget: the model array alone",
        "train_epochs": "passes over the training split that it took",
        "train_seconds": "training time that it took",
        "seconds": "wall time of the evaluation",
        "quality_drop": "how much worse the quality is than the baseline's of the same seeds, with "
        "the study's seed alone than the mean of its baselines; below 0 it is better",
        "compression_ratio": "how many times smaller model_bytes is than the baseline's",
        "quality_drop_error": "standard error of quality_drop over the seeds; null with one seed",
        "quality_std": "standard deviation of the quality over the seeds; null with one seed",
        "test_drop": "how much worse the file is on the test split than the baseline's of the same "
        "seed and budget",
        "test_drop_error": "standard error of test_drop over the seeds; null with one seed",
        "test_gap": "how much larger test_drop is than the drop on the validation split",
        "model_bytes_measured": "size of the exported file",
        "packed_bytes_measured": "size of the exported file after zstd -19",
        "peak_memory_bytes_measured": "tensors of the exported file that are alive at once",
        "latency_host_ms_measured": "time of the exported file for one sample on the machine that "
        "exported it, one "
        "thread",
        "latency_host_ms": "time of the exported file for one sample there, by the device `host`",
        "peak_memory_host_bytes_measured": "growth of a fresh process that loads and runs the "
        "exported file there",
        "peak_memory_host_bytes": "the same growth, by the device `host`",
        "agreement": "share of samples on which file and network agree",
        "quality_of_file": "quality of the exported file on the validation split",
        "test_quality": "quality of the exported file on the test split",
    }
)

COLUMNS: dict[str, Meaning] = {
    **_FIGURES,
    "artifact": Meaning("folder of the exported files"),
    "baseline": Meaning("metrics of the baseline, to which drops and ratios refer, by name"),
    "baseline_model_bytes": Meaning("model_bytes of the baseline", "bytes", "predicted"),
    "best_objective": Meaning(
        "the largest objective of a finished trial that is no finalist", "", "measured"
    ),
    "byte_offset": Meaning("end of the last folded event in the journal", "bytes"),
    "cached": Meaning("whether it was taken from the step cache; seconds and worker are then its maker's"),
    "command": Meaning("the command that looked"),
    "created_at": Meaning("when the study began", "moment"),
    "definition": Meaning("task, space, objective, constraints, device, budget and seed, by name"),
    "digest": Meaning("of the definition without its limits"),
    "ended_at": Meaning("when it ended", "moment"),
    "epochs": Meaning("passes over the training split after this step", "epochs", "measured"),
    "epochs_per_step": Meaning("the budget: passes over the training split after every step", "epochs"),
    "failed": Meaning("how many trials failed", "trials", "counted"),
    "fingerprint": Meaning("checksum of the journal's first line: another journal starts anew"),
    "finished": Meaning("how many trials finished", "trials", "counted"),
    "interruptions": Meaning("how often its worker was lost", "times", "counted"),
    "limits": Meaning("trials, time and workers that the study may take, by name"),
    "looked_at": Meaning("when somebody looked", "moment"),
    "measured": Meaning("everything that was read off the exported file, by name"),
    "metrics": Meaning("all metrics as reported, by name"),
    "micro_status": Meaning("`runs` in LiteRT Micro, or the first operator that does not", "", "counted"),
    "minimum_runtime": Meaning(
        "the oldest release of TensorFlow Lite that loads the file: 2.14.0", "", "counted"
    ),
    "minimum_runtime_reason": Meaning("the operator that needs that release, and newer ones that fail"),
    "node": Meaning("machine of the worker"),
    "notes": Meaning("what the technique wants its reader to know"),
    "objective": Meaning(
        "the optimiser's number on the study's frozen scales, more is better", "", "measured"
    ),
    "origin": Meaning(
        "why it ran: baseline, reference, paper, search, evaluate, or finalist for a further seed"
    ),
    "position": Meaning("1 for the first step, 0 for the baseline"),
    "proposal": Meaning("n of the searcher's n-th proposal; null if it proposed none"),
    "proposal_parameters": Meaning("the proposal as the optimiser knows it"),
    "quality_higher_is_better": Meaning("whether more quality is better; null in old rows, where it is"),
    "quality_name": Meaning("what the task calls its quality"),
    "quality_unit": Meaning("of the quality: % of a share, which is 0 to 1 here; null in old rows"),
    "reason": Meaning("why it failed or was rejected; `interrupted`: it is to be run again"),
    "recipe": Meaning("the steps as text; the network as it was given is `baseline`"),
    "recipe_digest": Meaning("SHA-256 of the recipe with the versions of its techniques"),
    "reference": Meaning("metrics of the reference set and the scales that they froze, by name"),
    "rejected": Meaning("how many trials were rejected before training", "trials", "counted"),
    "running": Meaning("how many trials run", "trials", "counted"),
    "seed": Meaning("of everything random"),
    "stage": Meaning("what the technique changes: structure, weights, numbers or training"),
    "started_at": Meaning("when a worker began", "moment"),
    "status": Meaning("finished, failed, rejected or running"),
    "step": Meaning("a technique with its settings: quantize(bits=8)"),
    "step_count": Meaning("how many steps the recipe has", "steps", "counted"),
    "study": Meaning("name of the study"),
    "technique": Meaning("name of the technique"),
    "test_looks": Meaning("how often somebody looked at the test split", "times", "counted"),
    "test_quality_at": Meaning("when test_quality was looked at", "moment"),
    "threads": Meaning("of the worker: they decide the last bits of a result", "threads"),
    "trial": Meaning("short name within the study: t0007"),
    "trials": Meaning("how many trials there are", "trials", "counted"),
    "version": Meaning("of the tables"),
    "violation": Meaning(
        "by how much each constraint is broken, relative to its bound; 0 or less where it is met"
    ),
    "weights_digest": Meaning("SHA-256 of the final weights"),
    "worker_pid": Meaning("process of the worker"),
    "baseline_quality": Meaning(
        "quality of the baseline, mean over the seeds of the recipe; of the study's alone over all of them",
        OF_QUALITY,
        "measured",
    ),
    "broken": Meaning("the constraint that is broken; null where nobody said which"),
    "detail": Meaning("why it ran, failed or was rejected; the command that looked at the test split"),
    "error_share": Meaning(
        "how much the prediction is above what was measured, as a share of that", "share", "measured"
    ),
    "event": Meaning("study, started, finished, failed, rejected or test_look"),
    "feasible": Meaning(
        "whether it meets the constraints of the study and its runtime loads the file; not without "
        "quality, model_bytes or peak_memory_bytes"
    ),
    "figure": Meaning("name of the figure, with its unit"),
    "first_trial": Meaning("the first trial of the recipe"),
    "high": Meaning(
        "upper end of the interval; null where the prediction is exact", "the figure's", "predicted"
    ),
    "inside": Meaning(
        "whether what was measured lies in the interval, or is the prediction where there is none"
    ),
    "low": Meaning(
        "lower end of the interval; null where the prediction is exact", "the figure's", "predicted"
    ),
    "made": Meaning("how many were made", "steps", "counted"),
    "moment": Meaning("when it happened", "moment"),
    "n": Meaning("how many seeds the means are over", "seeds", "counted"),
    "predicted": Meaning("what a cost model said", "the figure's", "predicted"),
    "profile": Meaning("name of the profile"),
    "rank": Meaning("1 is best; equal ones share a rank; null where it is not ranked", "", "counted"),
    "ranked_quality": Meaning(
        "quality as it is ranked: shifted as the baseline of its seeds is from that of the study",
        OF_QUALITY,
        "measured",
    ),
    "reused": Meaning("how many were taken from the step cache", "steps", "counted"),
    "saved_share": Meaning("share of the time that the cache saved", "share", "measured"),
    "score": Meaning(
        "by the goal: the papers' weighted score, from 1 to the number compared, or halvings of the costs",
        "",
        "counted",
    ),
    "seconds_saved": Meaning("what the reused ones took when they were made", "seconds", "measured"),
    "seconds_spent": Meaning("what the ones that were made took", "seconds", "measured"),
    "settings": Meaning("settings of the step by name, as text; the others are the technique's defaults"),
    "steps": Meaning("every step: its technique, and the settings of its text by name"),
    "times": Meaning("how many steps of it there were", "steps", "counted"),
    "grouped_by": Meaning("what the row is an average over: technique, setting, position or order"),
    "prefix": Meaning("the steps before it, as text; `baseline` if none"),
    "quality_gain": Meaning(
        "how much better the quality is after it than before, whichever way is better", OF_QUALITY, "measured"
    ),
    "quality_gain_std": Meaning("standard deviation of quality_gain; null of one", OF_QUALITY, "measured"),
    "second_technique": Meaning(
        "the technique right after it, where grouped by order; changes are those of both"
    ),
    "technique_before": Meaning("technique of the step before it; null for the first"),
    "value": Meaning("of the setting, as text"),
}

#: where a column means something else than elsewhere: by relation and column
HERE: dict[tuple[str, str], Meaning] = {
    ("steps", "seconds"): Meaning(
        "wall time of the step, of its maker where it was cached", "seconds", "measured"
    ),
    ("studies", "seconds"): Meaning("wall time of all evaluations", "seconds", "measured"),
    ("test_looks", "quality"): Meaning("quality on the test split that was seen", OF_QUALITY, "measured"),
    **{
        (relation, "quality"): Meaning(
            "quality on the validation split after this step", OF_QUALITY, "measured"
        )
        for relation in ("steps", "step_rows")
    },
}
HERE[("step_rows", "seconds")] = HERE["steps", "seconds"]
HERE[("test_look_rows", "quality")] = HERE["test_looks", "quality"]
HERE[("test_look_rows", "digest")] = Meaning("of the event, so that a look counts once")
HERE |= {
    (relation, f"{cost}_{what}"): Meaning(text.format(cost), unit, _FIGURES[cost].kind)
    for cost in ("model_bytes", "macs", "latency_ms", "peak_memory_bytes")
    for relation in ("step_effects", "technique_effects")
    for what, text, unit in (
        ("change", "{} after it, less that before", _FIGURES[cost].unit),
        ("factor", "{} after it, divided by that before", "times"),
        ("factor_spread", "geometric standard deviation of the factor; 1 is none", "times"),
    )
    if (relation, what) != ("step_effects", "factor_spread")
}
HERE[("step_effects", "recipe")] = Meaning("the prefix with the step, as text")
HERE[("technique_effects", "n")] = Meaning("over how many different steps the means go", "steps", "counted")
HERE[("technique_effects", "setting")] = Meaning("name of the setting, where grouped by it")
HERE[("technique_effects", "position")] = Meaning("position of the step, where grouped by it")
HERE |= {
    ("profiles", metric): Meaning(f"weight of {metric}", "weight")
    for metric in ("model_bytes", "latency_ms", "macs", "quality", "peak_memory_bytes")
}
HERE[("predicted_against_measured", "measured")] = Meaning(
    "what was read off the file", "the figure's", "measured"
)
HERE[("predicted_against_measured", "status")] = Meaning("how well measurements cover the prediction")
HERE[("rejections", "violation")] = Meaning("by how much, relative to the bound", "share", "predicted")


def meaning(relation: str, column: str) -> Meaning:
    """Returns what a column means.

    Args:
        relation: table or view.
        column: of it.

    Raises:
        KeyError: nobody said what it means.
    """
    return HERE.get((relation, column)) or COLUMNS[column]
