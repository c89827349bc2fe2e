// The list of jobs as the server has it now, without disturbing who looks at it.
import { fetchPart, swap } from "./load.js";

/** Load the rows of the list again, with what stands around them; its form stays as it is. */
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
  // Meanwhile somebody may have gone to another page of the list.
  if (!part || location.href !== here) return;
  for (const id of isPinned ? ["jobs-body"] : ["jobs-list", "retry-all"]) {
    const fresh = part.querySelector(`#${id}`);
    if (fresh) swap(id, fresh.outerHTML);
  }
}

// Nothing new moves a row that has the focus.
function staysPut(list) {
  const hasFocus = list.querySelector("tbody")?.contains(document.activeElement);
  return list.dataset.first === "true" && hasFocus;
}
