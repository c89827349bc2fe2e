// Add the CSRF token and return address to htmx requests, and show their errors.
import { expectResult, tellFailure, tellRefusal } from "./notices.js";

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method === "GET") {
    dropEmpty(ctx.request.body);
    return;
  }
  expectResult(ctx.sourceElement.closest("form"));
  const token = document.querySelector('meta[name="csrf-token"]')?.content;
  if (token) ctx.request.headers["X-CSRF-Token"] = token;
  // HTML from the stream has neither value, because all viewers get the same.
  ctx.request.body.delete("_csrf");
  if (!ctx.request.body.get("back")) ctx.request.body.set("back", location.pathname + location.search);
});

// The stream announces the end of a session; a background request must not redirect to the login.
document.addEventListener("htmx:after:request", (event) => {
  const { request, response } = event.detail.ctx;
  if (request.headers["X-Background"] && response.status === 401) event.preventDefault();
});

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.hx.redirect || ctx.request.headers["X-Background"]) return;
  tellRefusal(message(ctx.text));
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  // Background requests fail silently, because no user action caused them.
  if (ctx && !ctx.request.headers["X-Background"]) tellFailure();
});

// A swap that removes the focused element must not move keyboard focus to the top of the page.
let focused = null;

document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
  const target = ctx.target instanceof Element ? ctx.target : null;
  focused = target?.contains(document.activeElement) ? target.id : null;
});

document.addEventListener("htmx:after:swap", () => {
  const place = focused && document.getElementById(focused);
  const heading = place && (place.querySelector("h2") ?? place.closest("section")?.querySelector("h2"));
  focused = null;
  if (!heading || document.activeElement !== document.body) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
});

// Keep empty fields out of the address.
function dropEmpty(fields) {
  for (const [name, value] of [...fields]) if (value === "") fields.delete(name);
}

function message(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return undefined;
  }
}
