// Share one stream between all tabs: a browser opens at most six connections to a server.
import { openStream } from "./stream.js";

const KEPT = ["verdict", "senders", "trial", "numbers"];
const ROWS_KEPT = 30000;
const ports = new Set();
const latest = new Map();
let rows = [];
// The stream's last `lost` or `ended` message; null once an event arrives.
let trouble = null;
let ensureOpen;

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "bye") ports.delete(port);
  };
  ports.add(port);
  if (!ensureOpen) ensureOpen = openStream(self.name.split(" ")[0], pass);
  else {
    // A page opened after the session ended means that the admin has logged in again.
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
  // Always keep the last message: it also names the watched jobs.
  rows = rows.filter(({ at }, place) => place === rows.length - 1 || at > Date.now() - ROWS_KEPT);
}

// Earlier messages may be older than the page of a new tab.
function forget(message) {
  trouble = message;
  latest.clear();
  rows = [];
}

// Send a new tab the messages that it may have missed since its page was rendered.
function catchUp(port) {
  if (trouble) port.postMessage(trouble);
  for (const message of latest.values()) port.postMessage(message);
  for (const { message } of rows) port.postMessage(message);
}
