// The list of jobs: rows change in their places; new ones come in at the top of the first page.
import { load, swap } from "./load.js";

const FRESH = 1600;
const unseen = new Set();

/** Show rows that the stream brings, the newest first. */
export function showRows(rows) {
  const list = document.getElementById("jobs");
  for (const row of rows.toReversed()) {
    if (document.getElementById(`job-${row.id}`)) change(row);
    else if (isNew(row.id, list) && fits(row, list)) bring(row, list);
  }
  tellUnseen(list);
}

/** Load the list again: the stream was away for longer than it remembers. */
export function renewList() {
  load(location.pathname + location.search, document.getElementById("jobs"), { background: true });
}

// The list that a link or a form brings has seen everything.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.target?.id === "jobs") unseen.clear();
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
  // Whether a code, a text or an error fits, only the server knows.
  const digits = wanted.search.replace(/[\s().-]/g, "");
  return /^\+?\d{5,}$/.test(digits) && phone.includes(digits);
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
