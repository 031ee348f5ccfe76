// What a figure costs in another: every recipe as a point, the front, and what the study demands.

const AXES = [
  "model_bytes", "compression_ratio", "macs", "latency_ms", "peak_memory_bytes", "quality", "quality_drop",
  "parameters", "payload_bytes", "packed_bytes", "arena_bytes", "train_seconds",
];
const MOST_WHISKERS = 40;

function addPareto(report, open) {
  const place = section("pareto", "What a figure costs in another");
  const recipes = report.tables.recipes;
  const known = AXES.filter((name) => report.figures[name] && recipes.some((row) => row[name] !== null));
  if (!known.length) {
    place.append(element("p", {}, "No recipe has finished yet."));
    return;
  }
  const state = { x: known.includes("model_bytes") ? "model_bytes" : known[0], y: known.includes("quality") ? "quality" : known[0] };
  const paper = new Set(report.tables.trials.filter((row) => row.origin === "paper").map((row) => row.recipe));

  function groups() {
    const { x, y } = state;
    const those = recipes.filter((row) => row[x] !== null && row[y] !== null);
    const front = new Set(frontOf(those.filter((row) => row.feasible), x, y, report.figures[x].higher, report.figures[y].higher));
    const others = (row) => row.recipe !== "baseline" && !paper.has(row.recipe);
    return {
      front: those.filter((row) => front.has(row)),
      meets: those.filter((row) => row.feasible && !front.has(row) && others(row)),
      misses: those.filter((row) => !row.feasible && others(row)),
      baseline: those.filter((row) => row.recipe === "baseline"),
      paper: those.filter((row) => paper.has(row.recipe)),
    };
  }

  const looks = () => ({
    misses: { name: "misses a constraint", symbol: "emptyCircle", symbolSize: 6, color: colour("quiet") },
    meets: { name: "meets the constraints", symbol: "circle", symbolSize: 7, color: colour("sky") },
    front: { name: "front", symbol: "diamond", symbolSize: 12, color: colour("vermillion") },
    paper: { name: "papers' ensemble", symbol: "triangle", symbolSize: 13, color: colour("purple") },
    baseline: { name: "baseline", symbol: "rect", symbolSize: 11, color: colour("ink") },
  });

  function option() {
    const [x, y] = [report.figures[state.x], report.figures[state.y]];
    const found = groups();
    const at = (row) => [scaled(x, row[state.x]), scaled(y, row[state.y])];
    const series = Object.entries(looks()).filter(([key]) => found[key].length).map(([key, look]) => ({
      type: "scatter",
      name: look.name,
      symbol: look.symbol,
      symbolSize: look.symbolSize,
      itemStyle: { color: look.color },
      data: found[key].map((row) => ({ value: at(row), trial: row.trial, recipe: row.recipe })),
    }));
    const steps = found.front.map(at).sort((a, b) => a[0] - b[0]);
    series.push({ type: "line", name: "front", data: steps, symbol: "none", silent: true, color: colour("vermillion"), lineStyle: { width: 1 } });
    const lines = [["x", state.x, x], ["y", state.y, y]].flatMap(([way, name, figure]) =>
      boundsOn(report, name).map((one) => ({
        [`${way}Axis`]: scaled(figure, one.value), label: { formatter: one.text, color: colour("ink"), position: way === "x" ? "insideEndTop" : "insideMiddleTop" },
      })));
    if (series.length) {
      series[0].markLine = { silent: true, symbol: "none", data: lines, lineStyle: { color: colour("orange"), type: "dashed", width: 2 } };
    }
    series.push(...whiskers([...found.front, ...found.baseline, ...found.paper].slice(0, MOST_WHISKERS), x, y));
    const values = (name) => recipes.map((row) => scaled(report.figures[name], row[name]));
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, data: Object.values(looks()).map((look) => look.name) },
      xAxis: figureAxis(x, values(state.x)),
      yAxis: figureAxis(y, values(state.y), upwards()),
      tooltip: { ...common().tooltip, formatter: ({ data }) => data.trial === undefined ? "" : tip(data) },
      series,
    };
  }

  function tip(data) {
    const row = report.recipeOf.get(data.recipe);
    const lines = [state.x, state.y].map((name) => {
      const figure = report.figures[name];
      const ends = interval(report, name, row);
      const range = ends ? ` (${written(figure, ends[0])} to ${written(figure, ends[1])})` : "";
      return `${figure.title}: ${said(figure, row[name])}${range}`;
    });
    return [`${data.trial}  ${brief(data.recipe)}`, ...lines].join("\n");
  }

  /** Returns bars over the intervals of rows, along both axes. */
  function whiskers(rows, x, y) {
    const bars = rows.flatMap((row) => {
      const [a, b] = [scaled(x, row[state.x]), scaled(y, row[state.y])];
      const along = interval(report, state.x, row)?.map((end) => scaled(x, end));
      const up = interval(report, state.y, row)?.map((end) => scaled(y, end));
      return [...(along ? [[along[0], b, along[1], b]] : []), ...(up ? [[a, up[0], a, up[1]]] : [])];
    });
    return intervals(bars);
  }

  const redraw = addChart(place, {
    name: "Pareto front",
    option,
    words: () => {
      const [x, y] = [report.figures[state.x], report.figures[state.y]];
      const found = groups();
      const count = new Set(Object.values(found).flat().map((row) => row.recipe)).size - found.baseline.length;
      const compared = [...(count ? [counted(count, "recipe")] : []), ...(found.baseline.length ? ["the baseline"] : [])].join(" and ");
      const best = inDirection(found.front, state.x, x.higher).slice(0, 1)
        .map((row) => ` Best in ${x.title}: ${row.trial} with ${said(x, row[state.x])} at ${y.title} ${said(y, row[state.y])}.`);
      return `${y.title} against ${x.title} of ${compared || "no recipe"}; ${found.front.length} ${found.front.length === 1 ? "is" : "are"} on the front.${best.join("")}`;
    },
    table: () => {
      const [x, y] = [report.figures[state.x], report.figures[state.y]];
      return {
        heads: [words("trial"), { content: x.heading }, { content: y.heading }, words("recipe", "recipe")],
        rows: inDirection(groups().front, state.x, x.higher),
        cells: (row) => [row.trial ? trialButton(row.trial, open) : "", written(x, row[state.x]), written(y, row[state.y]), row.recipe],
      };
    },
    click: ({ data }) => data?.trial && open(data.trial),
  });
  const names = known.map((name) => [name, report.figures[name].heading]);
  place.insertBefore(
    element("div", { class: "controls" },
      choice("across", names, state.x, (value) => { state.x = value; redraw(); }),
      choice("up", names, state.y, (value) => { state.y = value; redraw(); })),
    place.querySelector("figure"),
  );
}

/** Returns the bounds on a figure, also those of constraints that hold it against the baseline. */
function boundsOn(report, name) {
  const baseline = report.recipeOf.get("baseline");
  const worse = report.figures.quality.higher ? -1 : 1;
  const value = ({ metric, bound }) => {
    if (metric === name) return bound;
    if (!baseline) return null;
    if (metric === "quality_drop" && name === "quality") return baseline.quality + worse * bound;
    if (metric === "compression_ratio" && name === "model_bytes") return baseline.model_bytes / bound;
    return null;
  };
  return report.constraints.map((one) => ({ text: one.text, value: value(one) })).filter((one) => one.value !== null);
}

/** Returns rows with the best in a figure first. */
function inDirection(rows, name, higher) {
  return rows.slice().sort((one, other) => (higher ? other[name] - one[name] : one[name] - other[name]));
}
