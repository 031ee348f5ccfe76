// The papers' weighted ranking (THESIS eqs. 11 to 17) in the browser: the same sums in the same order as
// search/sql/ranking.sql and evaluators/ranking/ranking.py, so that scores are equal to the last digit.

const HALF_UP_NUDGE = 1e-9;
const HUNDREDTHS = 100;
const SCORE_DECIMALS = 1e9;

/** Returns what rows score by one metric: `c` for the best of `c` rows. */
function metricScores(values, higher, scoring) {
  const known = values.filter((value) => value !== null);
  const c = values.length;
  let least = Infinity;
  let most = -Infinity;
  for (const value of known) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (!known.length || least === most) return values.map(() => c);
  const scaledValues = values.map((value) => (value === null ? null : ((value - least) / (most - least)) * (c - 1) + 1));
  if (scoring === "linear") {
    return scaledValues.map((value) => (value === null ? null : higher ? value : c - (value - 1)));
  }
  const goodness = scaledValues.map((value) => {
    const hundredths = Math.floor(value * HUNDREDTHS + 0.5 + HALF_UP_NUDGE);
    return higher ? hundredths : -hundredths;
  });
  const sorted = [...goodness].sort((one, other) => other - one);
  const place = new Map();
  let distinct = 0;
  sorted.forEach((value, index) => {
    if (!place.has(value)) place.set(value, scoring === "dense" ? distinct++ : index);
  });
  return goodness.map((value) => c - place.get(value));
}

/**
 * Returns rows with their `rank`, `score` and `scores` by metric, best first.
 *
 * `metrics` says of each metric its name, direction and weight, in the order in which they are summed.
 */
function rankedBy(rows, metrics, scoring) {
  const columns = metrics.map(({ metric, higher }) =>
    metricScores(rows.map((row) => rankedFigure(row, metric)), higher, scoring),
  );
  const total = metrics.reduce((sum, { weight }) => sum + weight, 0);
  const scored = rows.map((row, place) => {
    let sum = 0;
    metrics.forEach(({ weight }, which) => {
      if (weight > 0) sum += columns[which][place] === null ? NaN : weight * columns[which][place];
    });
    const scores = Object.fromEntries(metrics.map(({ metric }, which) => [metric, columns[which][place]]));
    return { ...row, score: sum / total, scores };
  });
  const height = (row) => (Number.isNaN(row.score) ? -Infinity : Math.round(row.score * SCORE_DECIMALS));
  // a stable sort: rows that are level keep the order in which the trials were proposed
  scored.sort((one, other) => {
    const [a, b] = [height(other), height(one)];
    return a === b ? 0 : a - b;
  });
  scored.forEach((row, place) => {
    const before = scored[place - 1];
    row.rank = place && height(before) === height(row) ? before.rank : place + 1;
  });
  return scored;
}

/** Returns rows with how often the costs of the goal were halved as their `score`, best first. */
function rankedByGoal(rows, report) {
  const baseline = report.recipeOf.get("baseline") ?? {};
  const halved = (row, cost) => {
    const [before, after] = [baseline, row].map((one) => Math.max(one[cost], report.figures[cost].least));
    return Math.log2(before / after);
  };
  // what meets the constraints has its score from the store
  const score = (row) => row.score ?? report.goal.minimized.reduce((sum, cost) => sum + halved(row, cost), 0);
  const found = rows.map((row) => ({ ...row, score: score(row) })).sort((one, other) => other.score - one.score);
  found.forEach((row, place) => {
    const before = found[place - 1];
    row.rank = place && before.score === row.score ? before.rank : place + 1;
  });
  return found;
}

/** Returns a figure as it is ranked: a quality shifted as the baseline of its seeds is. */
function rankedFigure(row, metric) {
  return (metric === "quality" ? row.ranked_quality : row[metric]) ?? null;
}

/** Returns the rows of a Pareto front over two figures, as the macro `pareto` of the store has it. */
function frontOf(rows, x, y, higherX, higherY) {
  const points = rows
    .filter((row) => row[x] !== null && row[y] !== null)
    .map((row) => ({ row, a: higherX ? -row[x] : row[x], b: higherY ? -row[y] : row[y] }))
    .sort((one, other) => one.a - other.a || one.b - other.b);
  const front = [];
  let least = Infinity;
  let at = null;
  for (const point of points) {
    if (point.b < least) {
      least = point.b;
      at = point.a;
      front.push(point.row);
    } else if (point.b === least && point.a === at) {
      front.push(point.row);
    }
  }
  return front;
}
