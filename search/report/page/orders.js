// What the order of two techniques does: means over the same beginnings, as `technique_effects` has them.

function addOrders(report) {
  const place = section("orders", "What the order of two steps does");
  const rows = report.tables.effects.filter((row) => row.grouped_by === "order");
  if (!rows.length) {
    place.append(element("p", {}, "No recipe with two steps has finished yet."));
    return;
  }
  const names = [...new Set(rows.flatMap((row) => [row.technique, row.second_technique]))].sort();
  const of = new Map(rows.map((row) => [`${row.technique} ${row.second_technique}`, row]));
  const quality = report.figures.quality;
  const costs = ["model_bytes", "macs", "latency_ms", "peak_memory_bytes"].filter((name) => rows.some((row) => row[`${name}_factor`] !== null));
  const whats = [
    ["gain", `${quality.title} gained by both`],
    ["order", `${quality.title} gained more than in the other order`],
    ...costs.map((name) => [name, `${report.figures[name].title}: divided by`]),
  ];
  let what = "gain";

  /** Returns the value of a cell, more is better, null where nothing ran. */
  function value(first, second) {
    const row = of.get(`${first} ${second}`);
    if (!row) return null;
    if (what === "gain") return scaled(quality, row.quality_gain);
    if (what === "order") {
      const other = of.get(`${second} ${first}`);
      return other && first !== second ? scaled(quality, row.quality_gain - other.quality_gain) : null;
    }
    return row[`${what}_factor`] ? 1 / row[`${what}_factor`] : null;
  }
  const isQuality = () => what === "gain" || what === "order";
  const text = (number) => (isQuality() && number > 0 ? "+" : "") + number.toFixed(2);
  const cells = () => names.flatMap((first) => names.map((second) => ({ first, second, value: value(first, second) }))).filter((cell) => cell.value !== null);

  function option() {
    const found = cells();
    const most = Math.max(1e-9, ...found.map((cell) => Math.abs(isQuality() ? cell.value : Math.log2(cell.value))));
    const strength = (cell) => (isQuality() ? cell.value : Math.log2(cell.value)) / most;
    const label = (more) => ({ type: "category", data: names, axisLabel: { color: colour("ink"), interval: 0, ...more }, splitArea: { show: false } });
    return {
      tooltip: { ...common().tooltip, formatter: ({ data }) => tip(data.cell) },
      grid: { left: 12, right: 12, top: 30, bottom: 12, containLabel: true },
      xAxis: label({ rotate: 30 }),
      yAxis: {
        ...label({}), name: "rows: first, columns: then", inverse: true, nameLocation: "start",
        nameTextStyle: { color: colour("quiet"), align: "left" },
      },
      visualMap: { show: false, min: -1, max: 1, dimension: 2, inRange: { color: [colour("vermillion"), colour("panel"), colour("blue")] } },
      series: [{
        type: "heatmap",
        data: found.map((cell) => ({
          value: [names.indexOf(cell.second), names.indexOf(cell.first), strength(cell)], cell,
          label: { show: true, formatter: text(cell.value) },
        })),
        label: { show: true, color: colour("ink"), textBorderColor: colour("paper"), textBorderWidth: 3 },
        itemStyle: { borderColor: colour("line"), borderWidth: 1 },
      }],
    };
  }

  function tip({ first, second, value: number }) {
    const row = of.get(`${first} ${second}`);
    return `${first}, then ${second}\n${whats.find(([key]) => key === what)[1]}: ${text(number)}\nover ${counted(row.n, "different beginning")}`;
  }

  const redraw = addChart(place, {
    name: "Order of two techniques",
    height: () => `${Math.max(16, 2.5 * names.length + 9)}rem`,
    option,
    words: () => {
      const found = cells().sort((one, other) => other.value - one.value);
      if (!found.length) return "No two techniques ran in both orders.";
      const [best, worst] = [found[0], found[found.length - 1]];
      return `${whats.find(([key]) => key === what)[1]}${isQuality() && quality.unit === "%" ? ", points" : ""}: most with ${best.first}, then ${best.second} (${text(best.value)}), least with ${worst.first}, then ${worst.second} (${text(worst.value)}). Blue is better, orange worse.`;
    },
    table: () => ({
      heads: [words("first"), words("then"), { content: "value" }, { content: "beginnings" }],
      rows: cells().sort((one, other) => other.value - one.value),
      cells: (cell) => [cell.first, cell.second, text(cell.value), String(of.get(`${cell.first} ${cell.second}`).n)],
    }),
  });
  place.insertBefore(
    element("div", { class: "controls" }, choice("what", whats, what, (chosen) => { what = chosen; redraw(); })),
    place.querySelector("figure"),
  );
}
