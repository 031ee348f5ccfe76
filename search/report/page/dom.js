// Elements of the page. Texts are set as text alone, so that no name of the data is ever markup.

/** Returns a new element; attributes that are functions listen, those that are undefined are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Returns a count with what is counted. */
function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** Returns a text as nodes in which no line ends within an arrow of a recipe. */
function unbroken(text) {
  return text.split("->").flatMap((part, place) => (place ? [element("span", { class: "arrow" }, "->"), part] : [part]));
}

/** Adds a view to the page and its contents; returns its section. */
function section(id, title) {
  const made = element(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title`, tabindex: "-1" }, title),
  );
  document.getElementById("views").append(made);
  document.getElementById("contents").append(element("li", {}, element("a", { href: `#${id}` }, title)));
  return made;
}

/** Returns a labelled choice of `[value, text]` pairs. */
function choice(label, options, chosen, change) {
  const select = element(
    "select",
    { change: () => change(select.value) },
    ...options.map(([value, text]) => element("option", { value, selected: value === chosen }, text)),
  );
  return element("label", {}, label, select);
}

const PAGE_ROWS = 25;

/**
 * Returns a table that scrolls sideways by itself; where it has many rows, a button shows more of them.
 *
 * A head is `{ content, class, sort }`; `cells(row)` gives texts, elements or null.
 */
function table(label, heads, rows, cells) {
  const head = heads.map((one) => element("th", { scope: "col", class: one.class, "aria-sort": one.sort }, one.content));
  const body = element("tbody");
  let shown = 0;
  const more = element("button", { type: "button", click: () => add(10 * PAGE_ROWS) });

  function add(count) {
    const those = rows.slice(shown, shown + count);
    body.append(...those.map((row) => element(
      "tr",
      { class: row.recipe === "baseline" ? "baseline" : undefined },
      ...cells(row).map((cell, place) => element(
        "td",
        { class: heads[place].class },
        ...(typeof cell === "string" ? unbroken(cell) : [cell]),
      )),
    )));
    shown += those.length;
    more.hidden = shown >= rows.length;
    more.textContent = `Show more of the ${counted(rows.length, "row")}`;
  }

  add(PAGE_ROWS);
  const whole = element("table", {}, element("thead", {}, element("tr", {}, ...head)), body);
  return element("div", {}, element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${label}, table` }, whole), more);
}

/** Returns the head of a column of words. */
function words(content, kind = "text") {
  return { content, class: kind };
}

/** Returns a button that opens a trial. */
function trialButton(trial, open) {
  return element("button", { type: "button", click: () => open(trial), "aria-label": `Open trial ${trial}` }, trial);
}
