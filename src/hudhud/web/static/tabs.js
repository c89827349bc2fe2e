// Show one of the two ways of linking a phone.
const chosen = new Map();
const asked = new URLSearchParams(location.search).get("pair");

document.addEventListener("click", (event) => {
  const tab = event.target.closest("[data-tab]");
  const sender = tab?.closest(".sender");
  if (!sender) return;
  event.preventDefault();
  chosen.set(sender.id, tab.dataset.tab);
  const address = new URL(location.href);
  address.searchParams.set("pair", tab.dataset.tab);
  history.replaceState(history.state, "", address);
  showTabs();
});

/** Show the chosen tab after a page update, by default the server's choice. */
export function showTabs() {
  for (const sender of document.querySelectorAll(".sender")) {
    const which = chosen.get(sender.id) ?? asked;
    if (!which) continue;
    for (const panel of sender.querySelectorAll("[data-panel]")) {
      panel.hidden = panel.dataset.panel !== which;
    }
    for (const tab of sender.querySelectorAll("nav [data-tab]")) {
      if (tab.dataset.tab === which) tab.setAttribute("aria-current", "true");
      else tab.removeAttribute("aria-current");
    }
  }
}
