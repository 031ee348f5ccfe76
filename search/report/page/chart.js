// A picture with its words: Apache ECharts draws, and beside it stands what it shows as a text and as a table.

/** Returns a colour of style.css by its name. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const drawn = [];

/**
 * Adds a picture to a section; it is drawn when it is first seen.
 *
 * `picture.option()` gives what ECharts draws, `picture.words()` the sentence that says what is to be seen,
 * `picture.table()` the same as `[heads, rows]`; `picture.click(params)` is what a click on it does.
 * Returns the function that draws it anew.
 */
function addChart(parent, picture) {
  const place = element("div", { class: "chart", role: "img", "aria-label": picture.name });
  if (picture.height) place.style.height = picture.height();
  const caption = element("figcaption");
  const holder = element("div");
  const details = element(
    "details",
    { toggle: () => details.open && fill() },
    element("summary", {}, `${picture.name} as a table`),
    holder,
  );
  parent.append(element("figure", {}, place, caption), details);
  let chart = null;
  let seen = false;

  function fill() {
    const [heads, rows] = picture.table();
    holder.replaceChildren(table(picture.name, heads, rows));
  }

  function draw() {
    const words = picture.words();
    caption.textContent = words;
    place.setAttribute("aria-label", `${picture.name}. ${words}`);
    if (details.open) fill();
    if (!seen) return;
    if (picture.height) place.style.height = picture.height();
    if (chart === null) {
      chart = echarts.init(place, null, { renderer: "canvas" });
      if (picture.click) chart.on("click", picture.click);
    }
    chart.resize();
    chart.setOption({ ...common(), ...picture.option() }, true);
  }

  new IntersectionObserver((entries, observer) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      seen = true;
      draw();
    }
  }, { rootMargin: "200px" }).observe(place);
  new ResizeObserver(() => chart && chart.resize()).observe(place);
  draw();
  drawn.push(draw);
  return draw;
}

/** Returns what all pictures share; texts of a tooltip are drawn and never markup. */
function common() {
  return {
    animation: false,
    textStyle: { color: colour("ink"), fontFamily: "system-ui, sans-serif" },
    grid: { left: 12, right: 20, top: 48, bottom: 40, containLabel: true },
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

/** Returns the axis of a figure, logarithmic where its values are above 0 and span more than a decade. */
function figureAxis(figure, values, more = {}) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const least = Math.min(...known.slice(0, 50000));
  const most = Math.max(...known.slice(0, 50000));
  const isWide = known.length > 0 && least > 0 && most / least > 10;
  return axis(figure.heading, { type: isWide ? "log" : "value", ...more });
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));
