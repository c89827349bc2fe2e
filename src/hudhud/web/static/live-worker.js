// One stream for all tabs of a browser, which opens at most six connections to a server.
import { openStream } from "./stream.js";

const KEPT = ["verdict", "senders", "numbers"];
const ROWS_KEPT = 30000;
const ports = new Set();
const latest = new Map();
let rows = [];
let ensureOpen;

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "bye") ports.delete(port);
  };
  ports.add(port);
  if (!ensureOpen) ensureOpen = openStream(self.name.split(" ")[0], pass);
  else {
    ensureOpen();
    catchUp(port);
  }
});

function pass(message) {
  if (message.kind === "event") keep(message);
  for (const port of ports) port.postMessage(message);
}

function keep(message) {
  if (KEPT.includes(message.name)) latest.set(message.name, message);
  if (message.name === "rows") rows.push({ at: Date.now(), message });
  rows = rows.filter(({ at }) => at > Date.now() - ROWS_KEPT);
}

// Tell a new tab what it may have missed between its page and now.
function catchUp(port) {
  for (const message of latest.values()) port.postMessage(message);
  for (const { message } of rows) port.postMessage(message);
}
