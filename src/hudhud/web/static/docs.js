"use strict";

const docs = document.getElementById("docs");

// Swagger UI draws parts of the page again and again, so each drawing is completed.
function complete() {
  for (const tag of docs.querySelectorAll(".opblock-tag, .model-title, .models > h4")) tag.setAttribute("aria-level", "2");
  for (const heading of docs.querySelectorAll(".opblock-section-header h4, .responses-inner h4, .responses-inner h5, .opblock-title")) heading.setAttribute("aria-level", "3");
  for (const field of docs.querySelectorAll("select:not([aria-label]), textarea:not([aria-label]), input:not([aria-label])")) {
    field.setAttribute("aria-label", labelOf(field));
  }
  // A table keeps its own role; the page's introduction is the landmark that was missing.
  for (const table of docs.querySelectorAll("table[role=region]")) table.removeAttribute("role");
  const about = docs.querySelector(".information-container");
  about?.setAttribute("role", "region");
  about?.setAttribute("aria-label", "About this API");
  for (const box of docs.querySelectorAll("pre:not([tabindex]), .model-box:not([tabindex])")) box.tabIndex = 0;
}

function labelOf(field) {
  if (field.matches(".examples-select-element")) return "Example";
  if (field.matches(".content-type, .content-type-wrapper select")) return "Media type";
  const row = field.closest("tr[data-param-name]");
  if (row) return row.dataset.paramName;
  return field.matches("textarea") ? "Request body" : field.placeholder || "Value";
}

new MutationObserver(complete).observe(docs, { childList: true, subtree: true });

SwaggerUIBundle({
  domNode: docs,
  url: docs.dataset.document,
  defaultModelsExpandDepth: -1,
  tryItOutEnabled: true,
  persistAuthorization: false,
  syntaxHighlight: { activated: false }, // its colours are too faint
  validatorUrl: null,
});
