// Mark the next setup step of a fresh install; hide the steps once a code was sent.
export function showFirstStep() {
  const steps = document.getElementById("first-steps");
  if (!steps) return;
  const next = Number(document.getElementById("verdict").dataset.firstStep);
  steps.hidden = !next; // a sender may be briefly disconnected between steps
  steps.querySelectorAll("li").forEach((step, index) => {
    if (index + 1 === next) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
}
