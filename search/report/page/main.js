// Reads the data and adds the views, each by itself: one that fails says so and leaves the others be.

const VIEWS = [addLeaderboard, addPareto, addHistory, addTrial];

readData()
  .then((data) => {
    const report = readReport(data);
    document.getElementById("problem").remove();
    const open = (trial) => report.show(trial);
    for (const add of VIEWS) add(report, open);
    // what tests and curious people may call from the console
    globalThis.atoll = { report, rankedBy, frontOf };
    document.documentElement.dataset.ready = "";
  })
  .catch((error) => {
    document.getElementById("problem").textContent = error.message;
    throw error;
  });
