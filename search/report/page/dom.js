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

/** Returns a table that scrolls sideways by itself; a cell is a text, an element or null. */
function table(label, heads, rows) {
  const head = heads.map((one) => element("th", { scope: "col", class: one.class, "aria-sort": one.sort }, one.content));
  const body = rows.map(({ cells, ...attributes }) =>
    element("tr", attributes, ...cells.map((cell, place) => element("td", { class: heads[place].class }, cell ?? ""))),
  );
  return element(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

/** Returns a button that opens a trial. */
function trialButton(trial, open) {
  return element("button", { type: "button", click: () => open(trial), "aria-label": `Open trial ${trial}` }, trial);
}
