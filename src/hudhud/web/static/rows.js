// Update the rows of the job list in place; insert new ones at the top of the first page.
import { swap } from "./load.js";

const FRESH = 1600;
const unseen = new Set();

/** Show rows from the stream, newest first; `total` is the number of jobs. */
export function showRows(rows, total) {
  const list = document.getElementById("jobs");
  for (const row of rows.toReversed()) {
    if (document.getElementById(`job-${row.id}`)) change(row);
    else if (isNew(row.id, list) && fits(row, list)) bring(row, list);
  }
  tellUnseen(list);
  if (showsNewest(list)) tellTotal(list, total);
}

/** Return whether the list is the first page of all jobs. */
export function showsNewest({ dataset: { first, status, delivery, search } }) {
  return first === "true" && !status && !delivery && !search;
}

/** Return whether the script can apply the list's search itself; other searches need the server. */
export function isJudged({ dataset: { search } }) {
  return !search || /^\+?\d{5,}$/.test(digitsOf(search));
}

// Nothing is unseen after a navigation, or after a refresh of the first page.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  const id = ctx.target?.id;
  const list = document.getElementById("jobs");
  if (id === "jobs" || (id === "jobs-list" && list.dataset.first === "true")) unseen.clear();
  else if (id === "jobs-list") tellUnseen(list);
});

function change({ id, html }) {
  swap(`job-${id}`, html);
  markFresh(document.getElementById(`job-${id}`));
}

function bring(row, list) {
  const hasFocus = list.querySelector("tbody").contains(document.activeElement);
  if (list.dataset.first === "true" && !hasFocus) insert(row, list);
  else unseen.add(row.id);
}

function insert({ id, html }, list) {
  const body = list.querySelector("tbody");
  const after = [...body.rows].find((row) => Number(row.dataset.id) < id) ?? null;
  const limit = Number(list.dataset.limit);
  if (after === null && body.rows.length >= limit) return;
  const row = parse(html);
  body.insertBefore(row, after);
  window.htmx.process(row);
  markFresh(row);
  if (body.rows.length > limit) body.lastElementChild.remove();
  list.querySelector("table").hidden = false;
  document.getElementById("no-jobs")?.remove();
}

function isNew(id, list) {
  const rows = list.querySelector("tbody")?.rows;
  return rows && (rows.length === 0 || id > Number(rows[0].dataset.id) || list.dataset.first === "true");
}

function fits({ html }, list) {
  const { status, delivery, phone } = parse(html).dataset;
  const wanted = list.dataset;
  if (wanted.status && wanted.status !== status) return false;
  if (wanted.delivery && wanted.delivery !== delivery) return false;
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

function markFresh(row) {
  row.classList.add("fresh");
  setTimeout(() => row.classList.remove("fresh"), FRESH);
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
