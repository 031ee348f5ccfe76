// Reads the data and adds the views, each by itself: one that fails says so and leaves the others be.

const VIEWS = [
  addLeaderboard, addPareto, addHistory, addTrial, addPredictions, addFailures, addTree, addOrders, addParallel,
];

/** Adds a view; what fails in it is said in its place and told to the console. */
function tryToAdd(add, report) {
  try {
    add(report, (trial) => report.show(trial));
  } catch (error) {
    document.getElementById("views").append(element("p", { role: "alert" }, `A view failed: ${error.message}`));
    reportError(error);
  }
}

const problem = document.getElementById("problem");
readData().then(
  (data) => {
    const report = readReport(data);
    problem.remove();
    for (const add of VIEWS) tryToAdd(add, report);
    if (data.version) {
      restore();
      watch(data.version);
    }
    // what curious people, and tests, may call from the console
    globalThis.atoll = { report, rankedBy, frontOf };
    if (data.pictures) document.body.replaceChildren(element("pre", {}, JSON.stringify(picturesAs(data.pictures))));
    document.documentElement.dataset.ready = "";
  },
  (error) => {
    problem.textContent = error.message;
    reportError(error);
  },
);
