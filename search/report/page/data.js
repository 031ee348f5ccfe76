// The data of the page: tables of columns, as contents.py writes them.

/** Returns what stands in the element `data`, unpacked where it is packed. */
async function readData() {
  const block = document.getElementById("data");
  if (block.type === "application/json") return JSON.parse(block.textContent);
  if (typeof DecompressionStream === "undefined") {
    throw new Error("This browser cannot unpack the data; any browser of 2023 or later can.");
  }
  const packed = Uint8Array.from(atob(block.textContent), (sign) => sign.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(unpacked).text());
}

/** Returns the rows of a table of columns. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  const length = names.length ? columns[names[0]].length : 0;
  return Array.from({ length }, (_, place) => {
    const row = {};
    for (const name of names) row[name] = columns[name][place];
    return row;
  });
}

/** Returns rows by what they have in a column, in lists. */
function grouped(rows, name) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row[name])) found.set(row[name], []);
    found.get(row[name]).push(row);
  }
  return found;
}

/** Gives every recipe its mean drop on the test split, over those of its seeds that were looked at. */
function addTests(recipes, trialsOf) {
  for (const row of recipes) {
    const finished = (trialsOf.get(row.recipe) ?? []).filter(({ status }) => status === "finished");
    const largest = Math.max(...finished.map((trial) => trial.epochs_per_step));
    const drops = finished
      .filter((trial) => trial.epochs_per_step === largest && trial.test_drop !== null)
      .map((trial) => trial.test_drop);
    row.test_drop = drops.length ? drops.reduce((sum, drop) => sum + drop, 0) / drops.length : null;
  }
}

/** Returns everything that the views look at. */
function readReport(data) {
  const tables = {};
  for (const [name, columns] of Object.entries(data.tables)) tables[name] = rowsOf(columns);
  addTests(tables.recipes, grouped(tables.trials, "recipe"));
  return {
    ...data,
    tables,
    trialOf: new Map(tables.trials.map((row) => [row.trial, row])),
    recipeOf: new Map(tables.recipes.map((row) => [row.recipe, row])),
    stepsOf: grouped(tables.steps, "trial"),
  };
}
