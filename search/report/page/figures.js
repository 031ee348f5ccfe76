// How figures are called and written; what is known of each stands in the data.

/** Returns a figure in the unit in which it is read. */
function scaled(figure, value) {
  return value === null || value === undefined ? null : value * figure.scale;
}

/** Returns a figure as text, without its unit; "" where there is none. */
function written(figure, value) {
  if (value === null || value === undefined) return "";
  const number = scaled(figure, value);
  const digits = figure.significant
    ? { maximumSignificantDigits: figure.digits }
    : { minimumFractionDigits: figure.digits, maximumFractionDigits: figure.digits };
  return number.toLocaleString("en-US", { ...digits, signDisplay: figure.sign ? "always" : "auto" });
}

/** Returns a figure as text with its unit. */
function said(figure, value) {
  return value === null || value === undefined ? "unknown" : `${written(figure, value)} ${figure.unit}`.trim();
}

/** Returns the ends of a row's interval of a figure, null where it has none. */
function interval(report, name, row) {
  if (name === "quality_drop" || name === "quality") {
    const error = row.quality_drop_error;
    return error ? [row[name] - error, row[name] + error] : null;
  }
  const [low, high] = report.figures[name].ends.map((end) => row[end] ?? null);
  return low === null || low === undefined || high === null ? null : [low, high];
}

/** Returns a recipe short enough for a tooltip. */
function brief(recipe) {
  return recipe.length > 90 ? `${recipe.slice(0, 89)}…` : recipe;
}
