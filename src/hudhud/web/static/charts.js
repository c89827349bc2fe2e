// The two charts, drawn by uPlot in the colours of the stylesheet.
import { load } from "./load.js";

const uPlot = window.uPlot;
const HEIGHT = 176;
const RENEWED = 10000;
const drawn = new Map();
let renewedAt = Date.now();

/** Draw each chart of the page whose data has changed. */
export function drawCharts() {
  const data = document.querySelector("[data-series]")?.dataset.series;
  for (const [place, chart] of drawn) if (!place.isConnected) forget(place, chart);
  if (!data) return;
  for (const place of document.querySelectorAll("[data-chart]")) {
    if (drawn.get(place)?.data !== data) draw(place, data);
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
  const series = JSON.parse(data);
  const make = place.dataset.chart === "codes" ? codes : times;
  const { lines, columns } = make(series);
  const plot = new uPlot(options(place, lines), [series.starts, ...columns], place);
  const resized = new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
  resized.observe(place);
  drawn.set(place, { data, plot, resized });
}

function forget(place, chart) {
  chart?.resized.disconnect();
  chart?.plot.destroy();
  drawn.delete(place);
}

function codes(series) {
  const lines = [
    { label: "accepted", fill: faint(colour("--queued")), width: 0 },
    { label: "failed", fill: colour("--failed"), width: 0, paths: uPlot.paths.bars({ size: [0.5, 12] }) },
    { label: "sent", stroke: colour("--sent"), width: 1.5, dash: [4, 3] },
    { label: "delivered", stroke: colour("--delivered"), width: 2.25 },
  ];
  return { lines, columns: [series.accepted, series.failed, series.sent, series.delivered] };
}

function times(series) {
  const lines = [
    { label: "p95", stroke: colour("--queued"), width: 1.5, dash: [4, 3], spanGaps: true },
    { label: "median", stroke: colour("--delivered"), width: 2.25, spanGaps: true },
  ];
  return { lines, columns: [series.p95, series.median] };
}

function options(place, lines) {
  const text = { stroke: colour("--muted"), font: `12px ${getComputedStyle(place).fontFamily}` };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { time: true }, y: { range: (_plot, _least, most) => [0, Math.max(4, most * 1.1)] } },
    axes: [
      { ...text, grid: { show: false }, ticks: { show: false }, values: writeTimes, size: 24, space: 56 },
      { ...text, grid, ticks: { show: false }, values: writeNumbers, size: 40, space: 32 },
    ],
    series: [{}, ...lines.map((line) => ({ points: { show: false }, ...line }))],
    hooks: { setCursor: [(plot) => writeValues(place, plot)] },
  };
}

function clock(shape) {
  const { lang, dataset } = document.documentElement;
  return new Intl.DateTimeFormat(`${lang}-u-nu-latn`, { timeZone: dataset.zone, hourCycle: "h23", ...shape });
}

function shape() {
  const isMonth = document.getElementById("traffic").dataset.range === "month";
  return isMonth ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
}

function writeTimes(_plot, moments) {
  const format = clock(shape());
  return moments.map((moment) => format.format(moment * 1000));
}

// Digits are Latin in every language, as on the rest of the page.
function writeNumbers(_plot, values) {
  const format = new Intl.NumberFormat("en");
  return values.map((value) => format.format(value));
}

// The legend next to the heading shows the values under the pointer.
function writeValues(place, plot) {
  const figure = place.closest("figure");
  const index = plot.cursor.idx;
  plot.series.slice(1).forEach((series, number) => {
    const value = figure.querySelector(`[data-line="${series.label}"] b`);
    value.textContent = index == null ? "" : (plot.data[number + 1][index] ?? "–");
  });
  const moment = figure.querySelector("[data-moment]");
  moment.textContent = index == null ? "" : clock(shape()).format(plot.data[0][index] * 1000);
}

// A custom property holds the colours of both themes; a real property resolves to the current one.
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function faint(found) {
  return found.replace("rgb(", "rgba(").replace(")", ", 0.15)");
}

function redraw() {
  for (const [place, chart] of [...drawn]) draw(place, chart.data);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
