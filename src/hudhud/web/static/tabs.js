// Show one of the two ways of linking a phone.
const chosen = new Map();
const asked = new URLSearchParams(location.search).get("pair");
// The width of `admin.css` up to which the code for the phone comes first.
const isPhone = matchMedia("(width < 48rem)");

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

isPhone.addEventListener("change", showTabs);

/** Show the chosen tab after a page update; on a phone, by default the code to type. */
export function showTabs() {
  for (const sender of document.querySelectorAll(".sender")) {
    const which = chosen.get(sender.id) ?? asked ?? (isPhone.matches ? "phone" : null);
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
