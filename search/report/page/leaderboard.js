// The leaderboard: by the study's goal or by weights that the reader moves, sorted and filtered.

const BOARD_FIGURES = [
  "quality", "quality_drop", "model_bytes", "compression_ratio", "macs", "latency_ms", "peak_memory_bytes",
  "test_drop",
];

function addLeaderboard(report, open) {
  const place = section("leaderboard", "Leaderboard");
  const recipes = report.tables.recipes;
  const byGoal = report.goal.minimized.length > 0;
  const state = {
    by: byGoal ? "goal" : "weights",
    weights: { ...report.profiles["of the study"] },
    scoring: "linear",
    everything: !recipes.some((row) => row.feasible && row.recipe !== "baseline"),
    filter: "",
    sort: "rank",
    descending: false,
  };
  const sliders = new Map();
  const holder = element("div");
  const note = element("p", { class: "note", role: "status" });

  function rows() {
    const compared = recipes.filter((row) => state.everything || row.feasible || row.recipe === "baseline");
    if (state.by === "goal") return rankedByGoal(inOrder(compared), report);
    const metrics = report.ranking.map((one) => ({ ...one, weight: state.weights[one.role] }));
    return metrics.some(({ weight }) => weight > 0)
      ? rankedBy(inOrder(compared), metrics, state.scoring)
      : compared.map((row) => ({ ...row, rank: null, score: null }));
  }

  function sorted(found) {
    if (state.sort === "rank" && !state.descending) return found;
    const way = state.descending ? -1 : 1;
    const key = (row) => row[state.sort] ?? null;
    return found.slice().sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return way * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    });
  }

  function head(name, content, kind) {
    const isSorted = state.sort === name;
    const sort = isSorted ? (state.descending ? "descending" : "ascending") : "none";
    const sign = isSorted ? (state.descending ? " ▼" : " ▲") : "";
    const click = () => {
      state.descending = isSorted ? !state.descending : Boolean(report.figures[name]?.higher);
      state.sort = name;
      draw();
      holder.querySelector(`[data-column="${name}"]`).focus();
    };
    return { class: kind, sort, content: element("button", { type: "button", click, "data-column": name }, content + sign) };
  }

  function draw() {
    const ranked = rows();
    const found = sorted(ranked).filter(matches(state.filter, report));
    report.board = found;
    const figures = BOARD_FIGURES.filter((name) => report.figures[name] && ranked.some((row) => row[name] !== null));
    const heads = [
      head("rank", "rank"),
      head("score", state.by === "goal" ? "halvings" : "score"),
      head("trial", "trial", "text"),
      head("n", "seeds"),
      ...figures.map((name) => head(name, report.figures[name].heading)),
      head("recipe", "recipe", "recipe"),
    ];
    holder.replaceChildren(table("Leaderboard", heads, found, (row) => [
      row.rank === null ? "–" : String(row.rank),
      row.score === null || Number.isNaN(row.score) ? "" : row.score.toFixed(2),
      row.trial ? trialButton(row.trial, open) : "",
      String(row.n),
      ...figures.map((name) => withNoise(report, name, row)),
      row.recipe,
    ]));
    note.replaceChildren(...unbroken(summary(found.length, ranked, state, report)));
    for (const [role, { input, output }] of sliders) {
      input.value = state.weights[role];
      output.textContent = state.weights[role];
    }
  }

  const chosen = (name) => (value) => { state[name] = value; draw(); };
  const profiles = element("select", {
    change: () => { Object.assign(state.weights, report.profiles[profiles.value] ?? {}); byWeights(); draw(); },
  }, ...[...Object.keys(report.profiles), "own"].map((name) => element("option", { value: name }, name)));
  profiles.value = "of the study";
  const ways = element("select", { change: () => { state.by = ways.value; draw(); } },
    ...(byGoal ? [element("option", { value: "goal" }, `the study's goal, ${report.goal.name}`)] : []),
    element("option", { value: "weights" }, "weights (the papers' score)"));
  function byWeights() {
    state.by = ways.value = "weights";
  }
  const scales = report.ranking.map(({ metric, role }) => {
    const output = element("output");
    const input = element("input", {
      type: "range", min: "0", max: "10", step: "0.5", "data-role": role,
      input: () => { state.weights[role] = Number(input.value); profiles.value = "own"; byWeights(); draw(); },
    });
    sliders.set(role, { input, output });
    return element("label", {}, element("span", {}, `${report.figures[metric]?.title ?? metric} `, output), input);
  });
  const everything = element("input", { type: "checkbox", checked: state.everything, change: () => chosen("everything")(everything.checked) });
  const filter = element("input", { type: "search", input: () => chosen("filter")(filter.value), placeholder: "quantize model_bytes<20000" });
  place.append(
    element("div", { class: "controls" },
      element("label", {}, "ranked by", ways),
      element("label", {}, "filter: words of the recipe, or a figure and a bound", filter),
      element("label", { class: "check" }, everything, "also what misses the constraints"),
    ),
    element("fieldset", { class: "controls" },
      element("legend", {}, "Weights of the papers' score"),
      element("label", {}, "profile", profiles),
      ...scales,
      choice("scoring", [["linear", "linear"], ["rank", "rank"], ["dense", "dense"]], "linear", (value) => { state.scoring = value; byWeights(); draw(); }),
    ),
    note,
    holder,
  );
  draw();
}

/** Returns recipes with the baseline first, then as they were proposed: the order in which level ones stand. */
function inOrder(rows) {
  const place = (row) => (row.recipe === "baseline" ? "" : row.first_trial ?? "");
  return rows.slice().sort((one, other) => {
    const [a, b] = [place(one), place(other)];
    return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
  });
}

/** Returns a cell with a figure and its noise over the seeds. */
function withNoise(report, name, row) {
  const figure = report.figures[name];
  const error = name === "quality_drop" ? row.quality_drop_error : null;
  const text = written(figure, row[name]);
  return error === null || error === undefined ? text : `${text} ± ${written({ ...figure, sign: false }, error)}`;
}

/** Returns whether a row has all words of a filter; `model_bytes<20000` bounds a figure in its stored unit. */
function matches(text, report) {
  const tests = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const bound = /^(\w+)(<=|>=|<|>)(-?[\d.]+(?:e-?\d+)?)$/i.exec(word);
    if (bound && report.figures[bound[1]]) {
      const [, name, comparison, number] = bound;
      const limit = Number(number);
      return (row) => row[name] !== null && {
        "<": row[name] < limit, ">": row[name] > limit, "<=": row[name] <= limit, ">=": row[name] >= limit,
      }[comparison];
    }
    const wanted = word.toLowerCase();
    return (row) => `${row.recipe} ${row.trial}`.toLowerCase().includes(wanted);
  });
  return (row) => tests.every((test) => test(row));
}

/** Returns what stands above the table. */
function summary(count, ranked, state, report) {
  if (!ranked.length) return "Nothing is ranked before the baseline has finished.";
  if (state.by === "weights" && !Object.values(state.weights).some((weight) => weight > 0)) {
    return "One weight must be above 0.";
  }
  const recipes = report.tables.recipes.filter((row) => row.recipe !== "baseline");
  const meeting = recipes.filter((row) => row.feasible).length;
  const first = ranked.find((row) => row.recipe !== "baseline");
  const best = first ? ` First: ${first.trial}, ${first.recipe}.` : "";
  if (!recipes.length) return "No recipe has finished yet: this is the baseline alone.";
  return `${counted(count, "row")}; ${meeting} of ${counted(recipes.length, "recipe")} ${meeting === 1 ? "meets" : "meet"} the constraints.${best}`;
}
