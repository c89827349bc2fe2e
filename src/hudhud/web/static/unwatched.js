// Jobs that the stream does not watch: asked for again when it says that something changed.
import { openJob, renewDrawer } from "./dialogs.js";
import { renewList } from "./renewal.js";
import { isJudged, showsNewest } from "./rows.js";

// One change is told by several events.
const GATHERED = 150;
const REST = 2000;
// The smallest id that the stream watches, and how many jobs there are.
let watched = { smallest: 0, total: 0 };
let renewedAt = -REST;
let isDue = false;
let isUnderWay = false;

/** Take note that something changed; `news` says which jobs the stream watches from now on. */
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
  // An older job may come to fit what is chosen, where there is room for it.
  return watched.smallest > 0 && rows.length < Number(list.dataset.limit);
}

// The first rows and the first older ones came while the page was open.
function isWithoutFoot(count) {
  if (!count) return false;
  return !document.getElementById("jobs-total") || (watched.total > count && !document.getElementById("older"));
}
