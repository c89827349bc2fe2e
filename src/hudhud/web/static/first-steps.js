// The steps of a fresh install: the one that is next, and none once a code was sent.
export function showFirstStep() {
  const steps = document.getElementById("first-steps");
  if (!steps) return;
  const next = Number(document.getElementById("verdict").dataset.firstStep);
  steps.hidden = !next; // between the steps a sender may be without a connection for a moment
  steps.querySelectorAll("li").forEach((step, index) => {
    if (index + 1 === next) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  });
}
