// Refetch jobs that the stream does not watch when it reports a change.
import { openJob, renewDrawer } from "./dialogs.js";
import { renewList } from "./renewal.js";
import { isJudged, showsNewest } from "./rows.js";

// One change causes several events.
const GATHERED = 150;
const REST = 2000;
// The smallest watched id, and the number of jobs.
let watched = { smallest: 0, total: 0 };
let renewedAt = -REST;
let isDue = false;
let isUnderWay = false;

/** Handle a change; `news` says which jobs the stream watches from now on. */
export function noteChange(news) {
  watched = news ?? watched;
  isDue = true;
  plan();
}

document.addEventListener("visibilitychange", plan);

function plan() {
  if (!isDue || isUnderWay || document.hidden) return;
  isUnderWay = true;
  setTimeout(renew, Math.max(GATHERED, renewedAt + REST - performance.now()));
}

async function renew() {
  if (!document.hidden) {
    isDue = false;
    const job = openJob();
    const isList = isListUnwatched();
    const isJob = job !== undefined && Number(job) < watched.smallest;
    if (isList || isJob) renewedAt = performance.now();
    await Promise.allSettled([isList && renewList(), isJob && renewDrawer([job])]);
  }
  isUnderWay = false;
  plan();
}

function isListUnwatched() {
  const list = document.getElementById("jobs");
  const rows = list.querySelector("tbody")?.rows;
  if (!rows) return false;
  if (showsNewest(list) && isWithoutFoot(rows.length)) return true;
  if (!isJudged(list)) return true;
  const last = rows.length ? Number(rows[rows.length - 1].dataset.id) : Infinity;
  if (last < watched.smallest) return true;
  // A changed older job may now match the filter, if the page has room for it.
  return watched.smallest > 0 && rows.length < Number(list.dataset.limit);
}

// The list was empty, or had a single page, when the page was opened.
function isWithoutFoot(count) {
  if (!count) return false;
  return !document.getElementById("jobs-total") || (watched.total > count && !document.getElementById("older"));
}
