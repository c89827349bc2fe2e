// Parts of the page: put in their places, asked for in the background.
const htmx = window.htmx;

/** Change the element with this id into what the HTML says, keeping focus and what was typed. */
export function swap(id, html) {
  const target = document.getElementById(id);
  // htmx changes the page before it first waits.
  if (target) htmx.swap({ text: html, target, sourceElement: target, swap: "outerMorph" });
}

/** Load an address into an element; the server sends the part that belongs there. */
export function load(path, target, { style = "outerMorph", background = false } = {}) {
  const headers = { "HX-Target": nameOf(target) };
  // Not a use of the session: a forgotten page must not keep it alive.
  if (background) headers["X-Background"] = "true";
  return htmx.ajax("GET", path, { source: target, target, swap: style, headers, push: "false" });
}

/** Ask in the background for the part that belongs into an element; null where there is none. */
export async function fetchPart(path, target) {
  const headers = { "HX-Request": "true", "HX-Target": nameOf(target), "X-Background": "true", Accept: "text/html" };
  const answer = await fetch(path, { headers });
  if (!answer.ok) return null;
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return template.content;
}

function nameOf(target) {
  return `${target.tagName.toLowerCase()}#${target.id}`;
}
