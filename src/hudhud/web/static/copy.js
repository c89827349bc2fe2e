// Buttons that copy the text of another element: <button data-copy="its id" data-done="Copied">.
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
    // Without HTTPS there is no clipboard: select the text, so that one key copies it.
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
