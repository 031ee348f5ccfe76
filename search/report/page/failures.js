// What failed or was rejected before training, and why.

function addFailures(report) {
  const place = section("failures", "Failed and rejected");
  const broken = grouped(report.tables.rejections, "trial");
  const rows = report.tables.trials.filter((row) => row.status === "failed" || row.status === "rejected").map((row) => ({
    ...row,
    why: row.status === "failed" ? "failed" : (broken.get(row.trial) ?? []).map((one) => one.broken).filter(Boolean).join(", ") || "rejected",
  }));
  if (!rows.length) {
    place.append(element("p", {}, "No trial failed or was rejected."));
    return;
  }
  const counts = [...grouped(rows, "why")].map(([why, those]) => [why, those.length]).sort((one, other) => one[1] - other[1]);
  addChart(place, {
    name: "Failures and rejections by reason",
    height: () => `${Math.max(8, 2 * counts.length + 5)}rem`,
    option: () => ({
      xAxis: axis("trials", { scale: false, minInterval: 1 }),
      yAxis: { type: "category", data: counts.map(([why]) => why), axisLabel: { color: colour("ink"), width: 220, overflow: "truncate" } },
      series: [{
        type: "bar", barMaxWidth: 24, itemStyle: { color: colour("vermillion") },
        data: counts.map(([, count]) => count), label: { show: true, position: "right", color: colour("ink") },
      }],
    }),
    words: () => {
      const failed = rows.filter((row) => row.status === "failed").length;
      const [why, count] = counts[counts.length - 1];
      return `${failed} failed and ${rows.length - failed} were rejected before training; most often (${count}): ${why}.`;
    },
    table: () => ({
      heads: [words("trial"), words("status"), words("broken"), words("reason", "recipe"), words("recipe", "recipe")],
      rows,
      cells: (row) => [row.trial, row.status, row.why, row.reason, row.recipe],
    }),
  });
}
