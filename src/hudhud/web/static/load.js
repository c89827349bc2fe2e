// Load and replace parts of the page.
const htmx = window.htmx;

/** Morph the element with this id into the HTML, keeping focus and input. */
export function swap(id, html) {
  const target = document.getElementById(id);
  // htmx changes the page before its first await.
  if (target) htmx.swap({ text: html, target, sourceElement: target, swap: "outerMorph" });
}

/** Load an address into an element; the server sends only that part of the page. */
export function load(path, target, { style = "outerMorph", background = false } = {}) {
  const headers = { "HX-Target": nameOf(target) };
  // Background requests do not extend the session, so that an unattended page cannot keep it alive.
  if (background) headers["X-Background"] = "true";
  return htmx.ajax("GET", path, { source: target, target, swap: style, headers, push: "false" });
}

/** Fetch an element's part of the page in the background; return null on failure. */
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
