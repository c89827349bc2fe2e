// One stream for all tabs of a browser, which opens at most six connections to a server.
import { openStream } from "./stream.js";

const KEPT = ["verdict", "senders", "numbers"];
const ROWS_KEPT = 30000;
const ports = new Set();
const latest = new Map();
let rows = [];
// What became of the stream since it last told something.
let trouble = null;
let ensureOpen;

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "bye") ports.delete(port);
  };
  ports.add(port);
  if (!ensureOpen) ensureOpen = openStream(self.name.split(" ")[0], pass);
  else {
    // Whoever opens a page after the end has logged in again.
    if (trouble?.kind === "ended") trouble = null;
    ensureOpen();
    catchUp(port);
  }
});

function pass(message) {
  if (message.kind === "event") keep(message);
  else forget(message);
  for (const port of ports) port.postMessage(message);
}

function keep(message) {
  trouble = null;
  if (KEPT.includes(message.name)) latest.set(message.name, message);
  if (message.name === "rows") rows.push({ at: Date.now(), message });
  // The last one also says which jobs are watched.
  rows = rows.filter(({ at }, place) => place === rows.length - 1 || at > Date.now() - ROWS_KEPT);
}

// What was told before may be older by now than the page of a new tab.
function forget(message) {
  trouble = message;
  latest.clear();
  rows = [];
}

// Tell a new tab what it may have missed between its page and now.
function catchUp(port) {
  if (trouble) port.postMessage(trouble);
  for (const message of latest.values()) port.postMessage(message);
  for (const { message } of rows) port.postMessage(message);
}
