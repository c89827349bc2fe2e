// Show the result of an action in a live region, which screen readers announce.
const LASTS = 15000;
const place = document.getElementById("notices");
let going;

/** Show a sentence, by default the page's text for a failed request. */
export function tell(tone, sentence = place.dataset.failed) {
  const note = document.createElement("div");
  note.className = `note ${tone}`;
  const text = document.createElement("p");
  text.textContent = sentence;
  note.append(text);
  place.replaceChildren(note);
}

// Remove a success notice after a while.
new MutationObserver(() => {
  clearTimeout(going);
  const good = place.querySelector(".note.ok");
  if (good) going = setTimeout(() => good.remove(), LASTS);
}).observe(place, { childList: true });
