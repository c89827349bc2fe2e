// The place for what came of an action, which screen readers announce.
const LASTS = 15000;
const place = document.getElementById("notices");
let going;

/** Show a sentence; without one the page's own for a request that failed. */
export function tell(tone, sentence = place.dataset.failed) {
  const note = document.createElement("div");
  note.className = `note ${tone}`;
  const text = document.createElement("p");
  text.textContent = sentence;
  note.append(text);
  place.replaceChildren(note);
}

// Good news goes by itself.
new MutationObserver(() => {
  clearTimeout(going);
  const good = place.querySelector(".note.ok");
  if (good) going = setTimeout(() => good.remove(), LASTS);
}).observe(place, { childList: true });
