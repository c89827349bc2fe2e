// Arrange the page anew when the first steps advance: the stream only renews the parts that it has.
import { load } from "./load.js";

let wanted;

/** Load the page's content if the newest verdict belongs to another arrangement. */
export async function keepLayout() {
  const content = document.getElementById("status");
  const { layout } = document.getElementById("verdict").dataset;
  if (layout === content.dataset.layout || layout === wanted) return;
  wanted = layout;
  try {
    await load(location.pathname + location.search, content, { background: true });
  } finally {
    wanted = undefined;
  }
}
