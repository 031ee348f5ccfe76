// One trial: what it is, and what every step of it took away.

const WATERFALL = ["model_bytes", "macs", "latency_ms", "peak_memory_bytes", "quality"];

function addTrial(report) {
  const place = section("trial", "A trial, step by step");
  const withSteps = report.tables.trials.filter((row) => (report.stepsOf.get(row.trial) ?? []).length);
  if (!withSteps.length) {
    place.append(element("p", {}, "No trial has finished yet."));
    report.show = () => {};
    return;
  }
  const best = report.tables.recipes.find((row) => row.feasible && row.recipe !== "baseline" && report.stepsOf.has(row.trial));
  let trial = best?.trial ?? withSteps[0].trial;
  const names = WATERFALL.filter((name) => report.figures[name] && report.tables.steps.some((row) => row[name] !== null));
  const steps = () => report.stepsOf.get(trial) ?? [];
  const facts = element("p", { class: "note", role: "status" });

  function option() {
    const those = steps();
    const labels = those.map((step) => step.step ?? "");
    const panels = names.length;
    const height = 100 / panels;
    const series = names.flatMap((name, panel) => bars(report.figures[name], those.map((step) => step[name]), name === "quality", panel));
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, data: ["left", "taken away", "added"] },
      tooltip: { ...common().tooltip, trigger: "axis", formatter: (found) => tip(those[found[0].dataIndex]) },
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      grid: names.map((_, panel) => ({
        left: 70, right: 12, top: `${panel * height * 0.86 + 7}%`, height: `${height * 0.86 - 5}%`,
      })),
      xAxis: names.map((_, panel) => ({
        type: "category", gridIndex: panel, data: labels, axisTick: { show: false },
        axisLabel: { show: panel === panels - 1, color: colour("quiet"), interval: 0, rotate: 25, width: 150, overflow: "truncate" },
      })),
      yAxis: names.map((name, panel) => axis(report.figures[name].heading, {
        ...upwards(), gridIndex: panel, scale: name === "quality", nameGap: 6, splitNumber: 2,
      })),
      series,
    };
  }

  function tip(step) {
    return [step.step, ...names.map((name) => `${report.figures[name].title}: ${said(report.figures[name], step[name])}`)].join("\n");
  }

  function bars(figure, values, isLevel, panel) {
    const left = values.map((value) => scaled(figure, value));
    const axes = { xAxisIndex: panel, yAxisIndex: panel };
    if (isLevel) {
      return [{ type: "line", name: "left", data: left, symbolSize: 8, ...axes, itemStyle: { color: colour("blue") } }];
    }
    const change = left.map((value, place) => (place && value !== null && left[place - 1] !== null ? value - left[place - 1] : 0));
    const bar = (name, data, color) => ({ type: "bar", stack: `stack ${panel}`, name, data, barMaxWidth: 46, ...axes, itemStyle: { color: colour(color) } });
    return [
      bar("left", left.map((value, place) => (value === null ? null : value - Math.max(change[place], 0))), "blue"),
      bar("added", change.map((value) => Math.max(value, 0) || null), "orange"),
      bar("taken away", change.map((value) => Math.max(-value, 0) || null), "line"),
    ];
  }

  function about() {
    const row = report.trialOf.get(trial);
    const recipe = report.recipeOf.get(row.recipe);
    const words = [`${trial}: ${row.recipe}`, row.status, `seed ${row.seed}`, `${counted(row.epochs_per_step, "epoch")} a step`];
    if (row.reason) words.push(row.reason);
    if (recipe?.rank) words.push(`rank ${recipe.rank} by the study's goal`);
    if (row.test_quality !== null) words.push(`test ${said(report.figures.quality, row.test_quality)}`);
    return words.join(" · ");
  }

  const redraw = addChart(place, {
    name: "Waterfall of a trial",
    height: () => `${Math.max(24, 9 * names.length + 4)}rem`,
    option,
    words: () => {
      const those = steps();
      if (those.length < 2) return `${trial} has no step beyond the baseline.`;
      const [first, last] = [those[0], those[those.length - 1]];
      return `${counted(those.length - 1, "step")}: ` + names.map((name) => `${report.figures[name].title} from ${said(report.figures[name], first[name])} to ${said(report.figures[name], last[name])}`).join("; ") + ".";
    },
    table: () => ({
      heads: [words("step", "recipe"), ...names.map((name) => ({ content: report.figures[name].heading })), { content: "seconds" }, words("cached")],
      rows: steps(),
      cells: (step) => [
        step.step, ...names.map((name) => written(report.figures[name], step[name])), step.seconds?.toFixed(1), step.cached ? "yes" : "no",
      ],
    }),
  });
  const list = element("datalist", { id: "trials" }, ...withSteps.map((row) => element("option", { value: row.trial }, row.recipe)));
  const input = element("input", {
    list: "trials", value: trial,
    change: () => { if (report.stepsOf.has(input.value)) choose(input.value); },
  });

  function choose(name) {
    trial = input.value = name;
    facts.replaceChildren(...unbroken(report.trialOf.has(trial) ? about() : trial));
    redraw();
  }

  report.show = (name) => {
    if (!report.stepsOf.has(name)) return;
    choose(name);
    const title = document.getElementById("trial-title");
    title.scrollIntoView();
    title.focus({ preventScroll: true });
  };
  const figure = place.querySelector("figure");
  place.insertBefore(element("div", { class: "controls" }, element("label", {}, "trial", input), list), figure);
  place.insertBefore(facts, figure);
  choose(trial);
}
