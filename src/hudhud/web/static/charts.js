// The charts of the traffic: which are on the page, and with which data.
import { load } from "./load.js";
import { columnsOf, optionsOf } from "./plot.js";

const uPlot = window.uPlot;
const RENEWED = 10000;
const drawn = new Map();
let renewedAt = Date.now();

/** Draw each chart of the page whose data has changed. */
export function drawCharts() {
  const data = document.querySelector("[data-series]")?.dataset.series;
  for (const [place, chart] of drawn) if (!place.isConnected) forget(place, chart);
  if (!data) return;
  for (const place of document.querySelectorAll("[data-chart]")) {
    const chart = drawn.get(place);
    if (!chart) draw(place, data);
    else if (chart.data !== data) refill(place, chart, data);
  }
}

/** Reload the numbers, at most every ten seconds and only while the page is visible. */
export function renewCharts() {
  const section = document.getElementById("traffic");
  if (!section || document.hidden || Date.now() - renewedAt < RENEWED) return;
  renewedAt = Date.now();
  load(`/admin/status?range=${section.dataset.range}`, section, { background: true });
}

function draw(place, data) {
  forget(place, drawn.get(place));
  const chart = { data, series: JSON.parse(data) };
  chart.plot = new uPlot(optionsOf(place, chart), columnsOf(place, chart), place);
  chart.resized = new ResizeObserver(() => {
    chart.plot.setSize({ width: place.clientWidth, height: place.clientHeight });
  });
  chart.resized.observe(place);
  drawn.set(place, chart);
}

// The chart stays, so that the values under the pointer stay.
function refill(place, chart, data) {
  chart.data = data;
  chart.series = JSON.parse(data);
  chart.plot.setData(columnsOf(place, chart));
}

function forget(place, chart) {
  chart?.resized.disconnect();
  chart?.plot.destroy();
  drawn.delete(place);
}

function redraw() {
  for (const [place, chart] of [...drawn]) draw(place, chart.data);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
