// Apply a theme at once; the server stores it.
const form = document.getElementById("theme");

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = event.submitter.value;
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  // Ignore the redirect: the page stays. A page that is left at once still stores the choice.
  fetch(form.action, { method: "POST", body: fields, redirect: "manual", keepalive: true });
});
