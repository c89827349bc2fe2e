// Refresh the list of jobs without disturbing the reader.
import { fetchPart, swap } from "./load.js";

/** Reload the rows and their surroundings, except the search form. */
export async function renewList() {
  const list = document.getElementById("jobs");
  const asked = new URL(location.href);
  const isPinned = staysPut(list);
  if (isPinned) {
    const first = list.querySelector("tbody")?.rows[0];
    if (!first) return;
    asked.searchParams.set("before", Number(first.dataset.id) + 1);
  }
  const here = location.href;
  const part = await fetchPart(asked.pathname + asked.search, list);
  // The admin may have moved to another page of the list during the request.
  if (!part || location.href !== here) return;
  for (const id of isPinned ? ["jobs-body"] : ["jobs-list", "retry-all"]) {
    const fresh = part.querySelector(`#${id}`);
    if (fresh) swap(id, fresh.outerHTML);
  }
}

// New rows must not move a focused row; those with an exact id lead the list whatever comes.
function staysPut(list) {
  const body = list.querySelector("tbody");
  if (!body || "exact" in body.dataset) return false;
  return list.dataset.first === "true" && body.contains(document.activeElement);
}
