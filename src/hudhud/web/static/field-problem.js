// One sentence about a wrong field, below it until it is changed or sent again.
let problem = null;

/** Return the id of a form's first field, if it has one. */
export function fieldOf(form) {
  return form?.querySelector(".field :is(input, select)")?.id;
}

/** Show a sentence at the field with this id and focus it; return whether the page has it. */
export function showProblem(id, sentence) {
  if (!id || !document.getElementById(id)) return false;
  problem = { id, sentence };
  write();
  document.getElementById(id).focus();
  return true;
}

/** Remove the sentence. */
export function clearProblem() {
  const field = problem && document.getElementById(problem.id);
  problem = null;
  if (!field) return;
  const text = document.getElementById(`${field.id}-wrong`);
  field.removeAttribute("aria-invalid");
  field.setAttribute("aria-describedby", describers(field).filter((id) => id !== text?.id).join(" "));
  text?.remove();
}

function write() {
  const field = problem && document.getElementById(problem.id);
  if (!field) return;
  const id = `${field.id}-wrong`;
  const text = document.getElementById(id) ?? document.createElement("span");
  Object.assign(text, { id, className: "wrong", textContent: problem.sentence });
  field.closest(".field").append(text);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", [...new Set([...describers(field), id])].join(" "));
}

function describers(field) {
  return field.getAttribute("aria-describedby")?.split(" ") ?? [];
}

document.addEventListener("input", ({ target }) => {
  if (target.id === problem?.id) clearProblem();
});
// An update of the page restores the field as the server knows it.
document.addEventListener("htmx:after:swap", write);
