// Forms and links that htmx sends: their token, their way back, and what went wrong.
import { tell } from "./notices.js";

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method === "GET") return;
  const token = document.querySelector('meta[name="csrf-token"]')?.content;
  if (token) ctx.request.headers["X-CSRF-Token"] = token;
  // Parts that came by the stream know neither: they are the same for all who watch.
  ctx.request.body.delete("_csrf");
  if (!ctx.request.body.get("back")) ctx.request.body.set("back", location.pathname + location.search);
});

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.hx.redirect) return;
  tell("bad", message(ctx.text));
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  // Nobody asked for what the page loads by itself.
  if (ctx && !ctx.request.headers["X-Background"]) tell("bad");
});

// A swap that takes the focused element away must not send the keyboard back to the page's top.
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (document.activeElement !== document.body) return;
  const target = ctx.target?.id && document.getElementById(ctx.target.id);
  const heading = target && target.querySelector("h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
});

function message(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return undefined;
  }
}
