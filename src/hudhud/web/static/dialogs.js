// Open jobs in a drawer and confirmations in a dialog; without scripts both are pages.
import { load } from "./load.js";

const drawer = document.getElementById("drawer");
const confirm = document.getElementById("confirm");
let opener = null;

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = event.target.closest("a[data-drawer], a[data-dialog]");
  if (link) {
    event.preventDefault();
    open(link.matches("[data-drawer]") ? drawer : confirm, link);
  } else if (event.target.closest("dialog [data-close]")) {
    event.preventDefault();
    event.target.closest("dialog").close();
  } else if (event.target instanceof HTMLDialogElement) {
    event.target.close(); // the backdrop
  }
});

async function open(dialog, link) {
  await load(link.href, dialog, { style: "innerHTML" });
  if (!dialog.childElementCount) {
    location.href = link.href;
    return;
  }
  opener = { link, row: link.closest("tr")?.id };
  dialog.showModal();
}

for (const dialog of [drawer, confirm]) {
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    // The stream may have replaced the link that opened the dialog.
    const row = opener?.row && document.getElementById(opener.row);
    const link = opener?.link.isConnected ? opener.link : row?.querySelector("a[data-drawer]");
    link?.focus({ preventScroll: true });
  });
}

// Close the confirmation once its form has been submitted.
confirm.addEventListener("submit", () => {
  addEventListener("htmx:finally:request", () => confirm.close(), { once: true });
});

/** Reload the open job if its id is among the changed ones. */
export function renewDrawer(ids) {
  const job = openJob();
  if (!job || !ids.includes(job)) return undefined;
  return load(`/admin/jobs/${job}`, drawer, { style: "innerMorph", background: true });
}

/** Return the id of the job in the open drawer, as text. */
export function openJob() {
  return drawer.open ? drawer.querySelector("[data-job]")?.dataset.job : undefined;
}
