// A page that `atoll report --watch` serves asks for news, and comes anew with what its reader had chosen.

const NEWS_MS = 2000;

/** Returns the page's controls, which stand in the same order whenever it is written. */
function controls() {
  return [...document.querySelectorAll("#views select, #views input")];
}

/** Loads the page anew as soon as the store has more than `version`. */
function watch(version) {
  setInterval(async () => {
    const found = await fetch("/version").then((answer) => answer.text(), () => version);
    if (found === version) return;
    const chosen = controls().map((one) => (one.type === "checkbox" ? one.checked : one.value));
    sessionStorage.setItem("chosen", JSON.stringify(chosen));
    location.reload();
  }, NEWS_MS);
}

/** Sets the controls as they were before the page came anew. */
function restore() {
  const chosen = JSON.parse(sessionStorage.getItem("chosen") ?? "[]");
  sessionStorage.removeItem("chosen");
  controls().forEach((one, place) => {
    const value = chosen[place];
    if (value === undefined || value === (one.type === "checkbox" ? one.checked : one.value)) return;
    if (one.type === "checkbox") one.checked = value;
    else one.value = value;
    one.dispatchEvent(new Event(one.matches("[type=range], [type=search]") ? "input" : "change"));
  });
}
