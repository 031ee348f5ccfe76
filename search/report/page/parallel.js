// Every recipe as a line through all its figures; a range on an axis is chosen by dragging along it.

/** what the name of an axis takes */
const AXIS_REM = 6.5;
const DIMENSIONS = ["model_bytes", "macs", "latency_ms", "peak_memory_bytes", "quality_drop"];

function addParallel(report, open) {
  const place = section("parallel", "All figures of a recipe");
  const rows = report.tables.recipes.filter((row) => row.recipe !== "baseline");
  const names = DIMENSIONS.filter((name) => report.figures[name] && rows.some((row) => row[name] !== null));
  if (!rows.length) {
    place.append(element("p", {}, "No recipe has finished yet."));
    return;
  }
  const steps = (row) => row.recipe.split(" -> ").length;

  function option() {
    const columns = names.map((name) => rows.map((row) => scaled(report.figures[name], row[name])));
    const lines = (title, those, color, opacity) => ({
      type: "parallel", name: title, lineStyle: { color: colour(color), width: 1.5, opacity }, inactiveOpacity: 0.03, activeOpacity: 1,
      data: those.map((row) => ({ value: [steps(row), ...names.map((name) => scaled(report.figures[name], row[name]))], row })),
    });
    const style = { nameTextStyle: { color: colour("ink") }, axisLabel: { color: colour("ink"), textBorderColor: colour("paper"), textBorderWidth: 3 }, z: 10, axisLine: { lineStyle: { color: colour("quiet") } } };
    return {
      legend: { top: 0, textStyle: { color: colour("ink") } },
      parallel: { left: 40, right: 60, top: 70, bottom: 24 },
      parallelAxis: [
        { dim: 0, name: "steps", minInterval: 1, ...style },
        ...names.map((name, place) => ({ ...figureAxis(report.figures[name], columns[place]), dim: place + 1, nameLocation: "end", nameGap: 14, ...style })),
      ],
      tooltip: { ...common().tooltip, formatter: ({ data }) => (data?.row ? tip(data.row) : "") },
      series: [
        lines("misses a constraint", rows.filter((row) => !row.feasible), "quiet", 0.25),
        lines("meets the constraints", rows.filter((row) => row.feasible), "blue", 0.7),
      ],
    };
  }

  function tip(row) {
    return [`${row.trial}  ${brief(row.recipe)}`, ...names.map((name) => `${report.figures[name].title}: ${said(report.figures[name], row[name])}`)].join("\n");
  }

  addChart(place, {
    name: "Parallel coordinates",
    width: () => `${AXIS_REM * (names.length + 1)}rem`,
    option,
    words: () => `${rows.filter((row) => row.feasible).length} of ${counted(rows.length, "recipe")} meet the constraints. Drag along an axis to keep the lines that cross it there.`,
    table: () => ({
      heads: [words("trial"), { content: "steps" }, ...names.map((name) => ({ content: report.figures[name].heading })), words("recipe", "recipe")],
      rows,
      cells: (row) => [trialButton(row.trial, open), String(steps(row)), ...names.map((name) => written(report.figures[name], row[name])), row.recipe],
    }),
    click: ({ data }) => data?.row && open(data.row.trial),
  });
}
