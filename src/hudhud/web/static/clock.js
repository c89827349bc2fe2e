// Update ages and countdowns every second, in the format of `admin/ui/format.py`.
const { units, joined } = JSON.parse(document.querySelector("[data-units]").dataset.units);
const sizes = Object.keys(units).map(Number).sort((one, other) => other - one);
const DAY = sizes[0];
const SECOND = sizes.at(-1);
const plural = new Intl.PluralRules(document.documentElement.lang);

// Use the server's clock: the page holds its time at the start of the response.
const began = performance.timeOrigin + performance.getEntriesByType("navigation")[0].responseStart;
const ahead = Number(document.documentElement.dataset.now) - began;

function now() {
  return Date.now() + ahead;
}

function span(milliseconds) {
  let rest = Math.max(0, milliseconds);
  const parts = [];
  for (const size of sizes) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count || (size === SECOND && !parts.length)) {
      parts.push(units[size][plural.select(count)].replace("%(num)d", count));
    } else if (parts.length) break;
    if (parts.length === 2 || (parts.length && size === DAY)) break;
  }
  if (parts.length === 1) return parts[0];
  return joined.replace("%(first)s", parts[0]).replace("%(second)s", parts[1]);
}

function write(element, milliseconds) {
  const pattern = element.dataset.pattern ?? "%(span)s";
  const text = pattern.replace("%(span)s", span(milliseconds));
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  const moment = now();
  for (const element of document.querySelectorAll("[data-since]")) {
    write(element, moment - Number(element.dataset.since));
  }
  for (const element of document.querySelectorAll("[data-until]")) {
    const left = Number(element.dataset.until) - moment;
    if (element instanceof HTMLProgressElement) element.value = Math.max(0, left / 1000);
    else write(element, left);
  }
  for (const element of document.querySelectorAll("[data-show-from][hidden]")) {
    if (moment >= Number(element.dataset.showFrom)) element.hidden = false;
  }
}

tick();
setInterval(tick, 1000);
