// Buttons that copy another element's text: <button data-copy="its id" data-done="Copied">.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  if (await copied(source)) say(button);
});

async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    return true;
  } catch {
    // The clipboard API needs HTTPS; without it, select the text for Ctrl+C.
    getSelection().selectAllChildren(source);
    return false;
  }
}

function say(button) {
  const label = button.querySelector("span");
  const before = label.textContent;
  label.textContent = button.dataset.done;
  setTimeout(() => (label.textContent = before), 2000);
}
