// The tree of prefixes: which beginnings the recipes share, how often they were reused, and what came of them.

const MOST_PREFIXES = 120;

function addTree(report, open) {
  const place = section("tree", "Beginnings that recipes share");
  const prefixes = prefixesOf(report);
  if (!prefixes.length) {
    place.append(element("p", {}, "No recipe with a step has finished yet."));
    return;
  }
  const quality = report.figures.quality;
  const baseline = report.recipeOf.get("baseline")?.quality ?? null;
  const shown = prefixes.slice(0, MOST_PREFIXES);
  const depth = Math.max(...shown.map(({ prefix }) => prefix.split(" -> ").length));
  const leaves = shown.filter((one) => !shown.some((other) => other.parent === one.prefix)).length;

  function node(one) {
    const children = shown.filter((other) => other.parent === one.prefix).map(node);
    const drop = baseline === null || one.quality === null ? 0 : Math.abs(one.quality - baseline);
    const isWorse = one.quality !== null && baseline !== null && (quality.higher ? one.quality < baseline : one.quality > baseline);
    const limit = report.constraints.find(({ metric }) => metric === "quality_drop")?.bound ?? Infinity;
    return {
      name: one.step,
      value: one.trials,
      one,
      children,
      symbolSize: 6 + 3 * Math.log2(1 + one.trials),
      symbol: isWorse && drop > limit ? "emptyCircle" : "circle",
      itemStyle: { color: colour(isWorse && drop > limit ? "vermillion" : "blue"), borderColor: colour("ink") },
    };
  }

  addChart(place, {
    name: "Tree of prefixes",
    width: () => `${10 * depth + 15}rem`,
    height: () => `${Math.max(20, 1.6 * leaves + 4)}rem`,
    option: () => ({
      tooltip: { ...common().tooltip, formatter: ({ data }) => (data.one ? tip(data.one) : "") },
      series: [{
        type: "tree",
        data: [{ name: "baseline", children: shown.filter((one) => one.parent === "").map(node) }],
        left: 70, right: 170, top: 10, bottom: 10,
        initialTreeDepth: -1, expandAndCollapse: false, roam: false,
        lineStyle: { color: colour("line") },
        label: { position: "right", color: colour("ink"), fontSize: 11, width: 150, overflow: "truncate", backgroundColor: colour("paper"), padding: [1, 3] },
      }],
    }),
    words: () => {
      const reused = prefixes.reduce((sum, one) => sum + one.reused, 0);
      const saved = prefixes.reduce((sum, one) => sum + one.saved, 0);
      const rest = prefixes.length > shown.length ? ` The ${shown.length} most shared of ${prefixes.length} prefixes are drawn.` : "";
      return `Steps taken from the cache ${counted(reused, "time")} saved ${Math.round(saved).toLocaleString("en-US")} seconds. Filled blue: within the bound on quality; hollow: beyond it; larger: in more trials.${rest}`;
    },
    table: () => ({
      heads: [words("prefix", "recipe"), { content: "trials" }, { content: "reused" }, { content: quality.heading }, { content: "seconds" }],
      rows: prefixes,
      cells: (one) => [one.prefix, String(one.trials), String(one.reused), written(quality, one.quality), one.seconds?.toFixed(1)],
    }),
    click: ({ data }) => data?.one && open(data.one.trial),
  });

  function tip(one) {
    return [brief(one.prefix), `${quality.title}: ${said(quality, one.quality)}`, `in ${counted(one.trials, "trial")}, ${counted(one.reused, "time")} from the cache`].join("\n");
  }
}

/** Returns every prefix of a recipe that ran, those of most trials first. */
function prefixesOf(report) {
  const found = new Map();
  for (const [trial, steps] of report.stepsOf) {
    let parent = "";
    for (const step of steps) {
      if (step.position === 0) continue;
      const prefix = parent ? `${parent} -> ${step.step}` : step.step;
      if (!found.has(prefix)) {
        found.set(prefix, { prefix, parent, step: step.step, trial, quality: step.quality, seconds: step.seconds, trials: 0, reused: 0, saved: 0 });
      }
      const one = found.get(prefix);
      one.trials += 1;
      if (step.cached) {
        one.reused += 1;
        one.saved += step.seconds ?? 0;
      }
      parent = prefix;
    }
  }
  const depth = (one) => one.prefix.split(" -> ").length;
  return [...found.values()].sort((one, other) => other.trials - one.trials || depth(one) - depth(other));
}
