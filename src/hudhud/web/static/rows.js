// Update the rows of the job list in place; insert new ones at the top of the first page.
import { swap } from "./load.js";

// A new row is marked for a moment, unless more than a few came lately.
const FRESH = 1600;
const FEW = 3;
const LATELY = 3000;
const unseen = new Set();
let arrivals = [];

/** Show rows from the stream, newest first; `total` is the number of jobs. */
export function showRows(rows, total) {
  const list = document.getElementById("jobs");
  const added = [];
  for (const row of rows.toReversed()) {
    if (document.getElementById(`job-${row.id}`)) change(row);
    else if (isNew(row.id, list) && fits(row, list)) added.push(bring(row, list));
  }
  markFresh(added.filter((row) => row?.isConnected));
  tellUnseen(list);
  if (showsNewest(list)) tellTotal(list, total);
}

/** Return whether the list is the first page of all jobs. */
export function showsNewest({ dataset: { first, status, delivery, search } }) {
  return first === "true" && !status && !delivery && !search;
}

/** Return whether the script can apply the list's search itself; other searches need the server. */
export function isJudged(list) {
  const { search } = list.dataset;
  if (list.querySelector("tbody[data-exact]")) return false;
  return !search || /^\+?\d{5,}$/.test(digitsOf(search));
}

// Nothing is unseen after a navigation, or after a refresh of the first page.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const id = ctx.target?.id;
  const list = document.getElementById("jobs");
  if (id === "jobs" || (id === "jobs-list" && list.dataset.first === "true")) unseen.clear();
  else if (id === "jobs-list") tellUnseen(list);
});

// An update must not end the mark of a new row.
function change({ id, html }) {
  const { classList } = document.getElementById(`job-${id}`);
  const isFresh = classList.contains("fresh");
  swap(`job-${id}`, html);
  classList.toggle("fresh", isFresh);
}

// Return the row, unless it waits until the user asks for it.
function bring(row, list) {
  const hasFocus = list.querySelector("tbody").contains(document.activeElement);
  if (list.dataset.first === "true" && !hasFocus) return insert(row, list);
  unseen.add(row.id);
  return null;
}

function insert({ id, html }, list) {
  const body = list.querySelector("tbody");
  // The job whose number was searched stays first.
  const isFirst = (row) => row === body.rows[0] && row.dataset.id === digitsOf(list.dataset.search);
  const after = [...body.rows].find((row) => Number(row.dataset.id) < id && !isFirst(row)) ?? null;
  const limit = Number(list.dataset.limit);
  if (after === null && body.rows.length >= limit) return null;
  const row = parse(html);
  body.insertBefore(row, after);
  window.htmx.process(row);
  if (body.rows.length > limit) body.lastElementChild.remove();
  list.querySelector("table").hidden = false;
  document.getElementById("no-jobs")?.remove();
  return row;
}

function isNew(id, list) {
  const rows = list.querySelector("tbody")?.rows;
  if (!rows) return false;
  if (rows.length === 0 || id > Number(rows[0].dataset.id)) return true;
  // A job below a full first page may have changed, but belongs to another page.
  const isBelow = rows.length >= Number(list.dataset.limit) && id < Number([...rows].at(-1).dataset.id);
  return list.dataset.first === "true" && !isBelow;
}

function fits({ html }, list) {
  const { delivery, phone } = parse(html).dataset;
  const wanted = list.dataset;
  if (!wanted.states.split(" ").includes(delivery)) return false;
  if (!wanted.search) return true;
  return isJudged(list) && phone.includes(digitsOf(wanted.search));
}

function digitsOf(search) {
  return search.replace(/[\s().-]/g, "");
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function markFresh(rows) {
  const now = performance.now();
  arrivals = [...arrivals.filter((at) => at > now - LATELY), ...rows.map(() => now)];
  if (arrivals.length > FEW) return;
  for (const { classList } of rows) {
    classList.add("fresh");
    setTimeout(() => classList.remove("fresh"), FRESH);
  }
}

function tellUnseen(list) {
  const place = document.getElementById("newer-jobs");
  if (!place || !unseen.size) return;
  const texts = JSON.parse(list.dataset.newer);
  const form = new Intl.PluralRules(document.documentElement.lang).select(unseen.size);
  place.querySelector("a").textContent = texts[form].replace("%(num)d", unseen.size);
  place.hidden = false;
}

function tellTotal(list, total) {
  const place = document.getElementById("jobs-total");
  if (!place) return;
  const { exact, more, most } = place.dataset;
  const text = total > Number(most) ? more : exact;
  const count = list.querySelector("tbody").rows.length;
  place.textContent = text.replace("%(count)s", number(count)).replace("%(total)s", number(Math.min(total, most)));
}

// Same format as `format.py` in every language.
function number(value) {
  return value.toLocaleString("en");
}
