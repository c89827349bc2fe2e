// Results of actions: a wrong field shows its own; others are in a live region that stays in sight.
import { clearProblem, fieldOf, showProblem } from "./field-problem.js";

const LASTS = 10000;
const place = document.getElementById("notices");
const blank = document.getElementById("blank-notice");
let field = null;
let focused = null;

/** Expect the result of a form's request. */
export function expectResult(form) {
  clearProblem();
  field = fieldOf(form);
}

/** Show why a request was refused. */
export function tellRefusal(sentence) {
  const note = blank.content.firstElementChild.cloneNode(true);
  note.querySelector("p").textContent = sentence ?? place.dataset.failed;
  place.replaceChildren(note);
}

/** Show that a request got no answer. */
export function tellFailure() {
  field = null;
  tellRefusal();
}

function receive() {
  const note = place.querySelector(".note");
  if (!note) return;
  const hasSucceeded = note.matches(".ok, .info");
  if (!hasSucceeded && showProblem(field, note.textContent.trim())) {
    note.remove();
    return;
  }
  // The page behind a modal dialog is neither reachable nor read aloud.
  document.querySelector("dialog[open] .notices")?.replaceChildren(note);
  focused = document.activeElement;
  if (hasSucceeded) leaveLater(note);
}

// A pointer or the keyboard focus on a notice keeps it.
function leaveLater(note) {
  let going;
  function start() {
    clearTimeout(going);
    going = setTimeout(() => note.remove(), LASTS);
  }
  for (const name of ["pointerenter", "focusin"]) note.addEventListener(name, () => clearTimeout(going));
  for (const name of ["pointerleave", "focusout"]) note.addEventListener(name, start);
  start();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest(".note [data-dismiss]");
  if (!button) return;
  button.closest(".note").remove();
  if (focused?.isConnected) focused.focus({ preventScroll: true });
});

new MutationObserver(receive).observe(place, { childList: true });
receive();
