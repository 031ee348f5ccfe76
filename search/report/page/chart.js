// A picture with its words: Apache ECharts draws, and beside it stands what it shows as a text and as a table.

/** Returns a colour of style.css by its name. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** All pictures of the page: the view in which each stands, what it shows, and how it is drawn anew. */
const pictures = [];

/**
 * Adds a picture to a section; it is drawn when it is first seen, or printed.
 *
 * `picture.height()` and `picture.width()`, if given, say how large it must be at least.
 * `picture.option()` gives what ECharts draws, `picture.words()` the sentence that says what is to be seen,
 * `picture.table()` the same as arguments of `table`; `picture.click(params)` is what a click on it does.
 * Returns the function that draws it anew.
 */
function addChart(parent, picture) {
  const place = element("div", { class: "chart", role: "img", "aria-label": picture.name });
  if (picture.height) place.style.height = picture.height();
  if (picture.width) place.style.minWidth = picture.width();
  const caption = element("figcaption");
  const holder = element("div");
  const details = element(
    "details",
    { toggle: () => details.open && fill() },
    element("summary", {}, `${picture.name} as a table`),
    holder,
  );
  const window = picture.width
    ? element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${picture.name}, to be scrolled` }, place)
    : place;
  parent.append(element("figure", {}, window, caption), details);
  let chart = null;
  let seen = false;

  function fill() {
    const { heads, rows, cells } = picture.table();
    holder.replaceChildren(table(picture.name, heads, rows, cells));
  }

  function draw() {
    const words = picture.words();
    caption.replaceChildren(...unbroken(words));
    place.setAttribute("aria-label", `${picture.name}. ${words}`);
    if (details.open) fill();
    if (!seen) return;
    if (picture.height) place.style.height = picture.height();
    if (chart === null) {
      chart = echarts.init(place, null, { renderer: "canvas" });
      if (picture.click) chart.on("click", picture.click);
    }
    chart.resize();
    chart.setOption(whole(picture), true);
  }

  function see() {
    watcher.disconnect();
    seen = true;
    draw();
  }
  const watcher = new IntersectionObserver(
    (entries) => entries.some((entry) => entry.isIntersecting) && see(),
    { rootMargin: "200px" },
  );
  watcher.observe(place);
  addEventListener("beforeprint", () => seen || see());
  new ResizeObserver(() => chart && chart.resize()).observe(place);
  draw();
  pictures.push({ view: parent.id, picture, draw });
  return draw;
}

/** Returns all that ECharts draws of a picture, every point at once: in parts, a file would have the first part. */
function whole(picture) {
  const option = { ...common(), ...picture.option() };
  return { ...option, series: option.series.map((one) => ({ progressive: 0, ...one })) };
}

/** Returns what all pictures share; texts of a tooltip are drawn and never markup. */
function common() {
  // on a phone the legend takes two lines
  const top = matchMedia("(max-width: 40rem)").matches ? 84 : 56;
  return {
    animation: false,
    textStyle: { color: colour("ink"), fontFamily: "system-ui, sans-serif" },
    grid: { left: 12, right: 20, top, bottom: 40, containLabel: true },
    tooltip: { renderMode: "richText", confine: true, backgroundColor: colour("panel"), textStyle: { color: colour("ink") } },
  };
}

/** Returns an axis of numbers with its name in the middle. */
function axis(name, more = {}) {
  return {
    type: "value",
    name,
    nameLocation: "middle",
    nameGap: 28,
    scale: true,
    axisLine: { show: true, lineStyle: { color: colour("quiet") } },
    axisLabel: { color: colour("quiet"), hideOverlap: true },
    nameTextStyle: { color: colour("ink") },
    splitLine: { lineStyle: { color: colour("line") } },
    ...more,
  };
}

/** Returns what an axis upwards has besides: its name stands above it. */
function upwards() {
  return { nameLocation: "end", nameGap: 10, nameTextStyle: { color: colour("ink"), align: "left" } };
}

/** Returns the axis of a figure, logarithmic where its values are above 0 and span more than a decade. */
function figureAxis(figure, values, more = {}) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const least = known.reduce((found, value) => Math.min(found, value), Infinity);
  const most = known.reduce((found, value) => Math.max(found, value), -Infinity);
  const isWide = known.length > 0 && least > 0 && most / least > 10;
  return axis(figure.heading, { type: isWide ? "log" : "value", ...more });
}

/** Returns the series of bars from `[x1, y1]` to `[x2, y2]`, intervals around points; none of no bars. */
function intervals(bars) {
  return bars.length ? [{
    type: "custom",
    name: "interval",
    silent: true,
    z: 1,
    data: bars,
    renderItem: (_, api) => {
      const [x1, y1] = api.coord([api.value(0), api.value(1)]);
      const [x2, y2] = api.coord([api.value(2), api.value(3)]);
      return { type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: colour("quiet"), lineWidth: 1.5 } };
    },
    // both ends of a bar count for the extent of its axes
    encode: { x: [0, 2], y: [1, 3] },
  }] : [];
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => pictures.forEach(({ draw }) => draw()));
