// Dispatch the stream's events in this tab, and show the connection state in the header.
import { openStream } from "./stream.js";

const sign = document.getElementById("live");
const icon = sign.querySelector("use");
const [text] = sign.getElementsByTagName("span");
const html = document.documentElement;
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: html.dataset.zone });
// After a longer gap the stream no longer has every row.
const REMEMBERED = 45000;
let heardAt = Date.now();
let isLost = true;

/** Follow the stream: call `event(name, data)` for each event, `missed()` after too long a gap. */
export function follow({ event, missed }) {
  function take(message) {
    if (message.kind === "lost") showLost();
    if (message.kind === "ended") showEnded();
    if (message.kind !== "event") return;
    if (Date.now() - heardAt > REMEMBERED) missed();
    heardAt = Date.now();
    if (isLost) showLive();
    event(message.name, message.data);
  }

  if (window.SharedWorker) followWorker(take);
  else openStream(html.lang, take);
}

function followWorker(take) {
  // Tabs with the same language and time zone share a worker.
  const name = `${html.lang} ${html.dataset.zone}`;
  const worker = new SharedWorker(new URL("live-worker.js", import.meta.url), { name, type: "module" });
  worker.port.onmessage = ({ data }) => take(data);
  addEventListener("pagehide", () => worker.port.postMessage("bye"));
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
}

function showLive() {
  isLost = false;
  show("", "pulse", sign.dataset.live);
}

function showLost() {
  if (isLost && sign.classList.contains("lost")) return;
  isLost = true;
  show("lost", "refresh", sign.dataset.lost, sign.dataset.asOf.replace("%(time)s", clock.format(heardAt)));
}

function showEnded() {
  isLost = true;
  show("lost", "out", "");
  const link = document.createElement("a");
  link.href = `/admin/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = sign.dataset.ended;
  text.replaceChildren(link);
}

function show(state, symbol, word, when = "") {
  sign.className = `live ${state}`;
  icon.setAttribute("href", `#i-${symbol}`);
  const moment = document.createElement("span");
  moment.className = "when";
  moment.textContent = when;
  text.replaceChildren(word, moment);
}
