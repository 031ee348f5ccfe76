// Predicted against measured: how far off the cost models were, with their intervals.

function addPredictions(report, open) {
  const place = section("predictions", "Predicted against measured");
  const byFigure = grouped(report.tables.predictions, "figure");
  if (!byFigure.size) {
    place.append(element("p", {}, "No file of this study has been measured."));
    return;
  }
  const names = [...byFigure.keys()];
  let name = names.includes("latency_host_ms") ? "latency_host_ms" : names[0];
  const rows = () => byFigure.get(name);
  const ends = (row) => [row.low ?? row.predicted, row.high ?? row.predicted];
  const off = (row) => (row.measured ? `${((100 * (row.predicted - row.measured)) / row.measured).toFixed(1)} %` : "");

  function option() {
    const figure = report.figures[name];
    const at = (row) => [scaled(figure, row.measured), scaled(figure, row.predicted)];
    const all = rows().flatMap((row) => [row.measured, ...ends(row)]).map((value) => scaled(figure, value));
    const [least, most] = [Math.min(...all), Math.max(...all)];
    const look = (title, those, symbol, color) => ({
      type: "scatter", name: title, symbol, symbolSize: 10, itemStyle: { color: colour(color) },
      data: those.map((row) => ({ value: at(row), row })),
    });
    return {
      legend: { top: 0, textStyle: { color: colour("ink") }, data: ["inside its interval", "outside"] },
      xAxis: figureAxis(figure, all, { name: `measured ${figure.heading}` }),
      yAxis: figureAxis(figure, all, { ...upwards(), name: `predicted ${figure.heading}` }),
      tooltip: { ...common().tooltip, formatter: ({ data }) => (data.row ? tip(data.row) : "") },
      series: [
        { type: "line", name: "equal", data: [[least, least], [most, most]], symbol: "none", silent: true, color: colour("quiet"), lineStyle: { type: "dotted" } },
        look("inside its interval", rows().filter((row) => row.inside), "circle", "blue"),
        look("outside", rows().filter((row) => !row.inside), "diamond", "vermillion"),
        ...intervals(rows().map((row) => {
          const [low, high] = ends(row).map((value) => scaled(figure, value));
          return [at(row)[0], low, at(row)[0], high];
        })),
      ],
    };
  }

  function tip(row) {
    const figure = report.figures[name];
    const [low, high] = ends(row).map((value) => written(figure, value));
    return `${row.trial}\nmeasured: ${said(figure, row.measured)}\npredicted: ${said(figure, row.predicted)} (${low} to ${high})`;
  }

  const redraw = addChart(place, {
    name: "Predicted against measured",
    option,
    words: () => {
      const inside = rows().filter((row) => row.inside).length;
      return `${report.figures[name].title} of ${counted(rows().length, "file")}; ${inside} ${inside === 1 ? "lies" : "lie"} inside the interval of the prediction.`;
    },
    table: () => {
      const figure = report.figures[name];
      return {
        heads: [words("trial"), { content: `measured ${figure.heading}` }, { content: "predicted" }, { content: "low" }, { content: "high" }, { content: "off" }, words("inside")],
        rows: rows(),
        cells: (row) => [
          trialButton(row.trial, open), written(figure, row.measured), written(figure, row.predicted),
          written(figure, row.low), written(figure, row.high), off(row), row.inside ? "yes" : "no",
        ],
      };
    },
    click: ({ data }) => data?.row && open(data.row.trial),
  });
  place.insertBefore(
    element("div", { class: "controls" },
      choice("figure", names.map((one) => [one, report.figures[one].heading]), name, (value) => { name = value; redraw(); })),
    place.querySelector("figure"),
  );
}
