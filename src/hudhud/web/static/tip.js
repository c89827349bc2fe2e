// The values under the pointer, beside it.
const AWAY = 12;

/** Return a uPlot plugin that shows the time and the values of a figure's lines at the cursor. */
export function tip(place, chart) {
  const box = document.createElement("div");
  box.className = "tip";
  box.dir = document.documentElement.dir;
  box.hidden = true;
  const time = box.appendChild(document.createElement("p"));
  const lines = box.appendChild(document.createElement("ul"));
  lines.className = "key";
  for (const line of place.closest("figure").querySelectorAll("[data-line]")) {
    lines.append(line.cloneNode(true));
  }
  // Same formats as `number` and `seconds` of `format.py` in every language.
  const digits = place.dataset.chart === "times" ? 1 : 0;
  const format = new Intl.NumberFormat("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });

  function show({ cursor: { idx, left, top }, over }) {
    box.hidden = idx == null || left < 0;
    if (box.hidden) return;
    time.textContent = chart.series.labels[idx];
    for (const line of lines.children) {
      const value = chart.series[line.dataset.line][idx];
      line.querySelector("b").textContent = value === null ? "–" : format.format(digits ? Math.max(value, 0.1) : value);
    }
    const x = left > over.clientWidth / 2 ? left - AWAY - box.offsetWidth : left + AWAY;
    const y = Math.min(top + AWAY, over.clientHeight - box.offsetHeight);
    box.style.translate = `${Math.round(x)}px ${Math.round(Math.max(0, y))}px`;
  }

  return { hooks: { init: [({ over }) => over.append(box)], setCursor: [show] } };
}
