// How the search went: what was found, against the seconds of training that it took until then.

const CLOCKS = [
  ["training", "training seconds (cached steps cost nothing)"],
  ["wall", "wall time since the first trial, seconds"],
  ["number", "number of the trial"],
];

function addHistory(report, open) {
  const place = section("history", "How the search went");
  const ended = report.tables.trials
    .filter((row) => row.status === "finished")
    .sort((one, other) => (one.ended ?? 0) - (other.ended ?? 0));
  const names = ["objective", ...AXES].filter((name) => ended.some((row) => row[name] !== null && row[name] !== undefined));
  if (!names.length) {
    place.append(element("p", {}, "No trial has finished yet."));
    return;
  }
  report.figures.objective ??= { title: "objective", heading: "objective", unit: "", scale: 1, digits: 3, higher: true, ends: [] };
  const state = { clock: "training", y: names[0] };

  function times() {
    const first = ended.find((row) => row.started !== null)?.started ?? 0;
    let spent = 0;
    return ended.map((row, place) => {
      spent += trainedSeconds(report, row);
      return { training: spent, wall: row.ended === null ? null : row.ended - first, number: place + 1 }[state.clock];
    });
  }

  function points() {
    const figure = report.figures[state.y];
    const clock = times();
    const dots = ended
      .map((row, place) => ({ value: [clock[place], scaled(figure, row[state.y])], trial: row.trial, recipe: row.recipe, row }))
      .filter(({ value }) => value[0] !== null && value[1] !== null);
    const best = [];
    for (const { value, row } of dots) {
      const last = best.length ? best[best.length - 1].value[1] : null;
      const isBetter = last === null || (figure.higher ? value[1] > last : value[1] < last);
      if (row.meets && row.recipe !== "baseline" && row.origin !== "finalist" && isBetter) best.push({ value, trial: row.trial, recipe: row.recipe });
    }
    return { dots, best, end: dots.length ? dots[dots.length - 1].value[0] : 0 };
  }

  function option() {
    const figure = report.figures[state.y];
    const { dots, best, end } = points();
    const look = (name, rows, symbol, color) => ({
      type: "scatter", name, symbol, symbolSize: 7, itemStyle: { color: colour(color) }, data: rows.map(({ row, ...rest }) => rest),
    });
    const line = best.map(({ value }) => value);
    if (line.length) line.push([end, line[line.length - 1][1]]);
    return {
      legend: { top: 0, textStyle: { color: colour("ink") } },
      xAxis: axis(CLOCKS.find(([key]) => key === state.clock)[1], { min: 0 }),
      yAxis: figureAxis(figure, dots.map(({ value }) => value[1]), upwards()),
      tooltip: { ...common().tooltip, formatter: ({ data }) => data.trial ? `${data.trial}  ${brief(data.recipe)}\n${figure.title}: ${said(figure, data.value[1] / figure.scale)}` : "" },
      series: [
        look("misses a constraint", dots.filter(({ row }) => !row.meets), "emptyCircle", "quiet"),
        look("meets the constraints", dots.filter(({ row }) => row.meets), "circle", "blue"),
        { type: "line", step: "end", name: "best so far", data: line, symbol: "none", silent: true, color: colour("vermillion"), lineStyle: { width: 2 } },
      ],
    };
  }

  const redraw = addChart(place, {
    name: "Optimisation history",
    option,
    words: () => {
      const figure = report.figures[state.y];
      const { dots, best } = points();
      const trials = counted(dots.length, "trial");
      if (dots.every(({ recipe }) => recipe === "baseline")) return `${trials}, of the baseline alone.`;
      if (!best.length) return `${trials}; no recipe but the baseline meets the constraints.`;
      const [last] = best.slice(-1);
      return `${trials}; the best ${figure.title} within the constraints, ${said(figure, last.value[1] / figure.scale)}, came with ${last.trial} after ${Math.round(last.value[0]).toLocaleString("en-US")} ${state.clock === "number" ? "trials" : "seconds"}; it was improved ${counted(best.length - 1, "time")}.`;
    },
    table: () => {
      const figure = report.figures[state.y];
      return {
        heads: [{ content: "at" }, words("trial"), { content: figure.heading }, words("recipe", "recipe")],
        rows: points().best,
        cells: ({ value, trial, recipe }) => [
          Math.round(value[0]).toLocaleString("en-US"), trialButton(trial, open), written(figure, value[1] / figure.scale), recipe,
        ],
      };
    },
    click: ({ data }) => data?.trial && open(data.trial),
  });
  place.insertBefore(
    element("div", { class: "controls" },
      choice("against", CLOCKS, state.clock, (value) => { state.clock = value; redraw(); }),
      choice("what", names.map((name) => [name, report.figures[name].heading]), state.y, (value) => { state.y = value; redraw(); })),
    place.querySelector("figure"),
  );
}

/** Returns the seconds that the steps of a trial took in this study; what lay in the cache took none. */
function trainedSeconds(report, row) {
  const steps = report.stepsOf.get(row.trial) ?? [];
  const own = steps.filter((step) => !step.cached);
  return steps.length ? own.reduce((sum, step) => sum + (step.seconds ?? 0), 0) : row.seconds ?? 0;
}
