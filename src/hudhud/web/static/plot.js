// One chart for uPlot: its lines, axes and cursor, in the colours of the stylesheet.
import { tip } from "./tip.js";

const uPlot = window.uPlot;
const AXIS = 46;
const TITLE = 20;
const BETWEEN_TICKS = 56;
const LINES = {
  codes: [
    { name: "accepted", tone: "--queued", width: 0, isFilled: true },
    { name: "sent", tone: "--sent", width: 1.5, dash: [4, 3] },
    { name: "delivered", tone: "--delivered", width: 2.25 },
  ],
  failures: [{ name: "failed", tone: "--failed", isBars: true }],
  times: [
    { name: "p95", tone: "--queued", width: 1.5, dash: [4, 3] },
    { name: "median", tone: "--delivered", width: 2.25 },
  ],
};

/** Return uPlot's columns: the places of the periods, then each line in two parts. */
export function columnsOf({ dataset }, { series }) {
  const columns = LINES[dataset.chart].flatMap(({ name, isBars }) => {
    return isBars ? [series[name]] : parts(series[name]);
  });
  return [[...series.labels.keys()], ...columns];
}

/** Return uPlot's options; `chart.series` may change later. */
export function optionsOf(place, chart) {
  const isStrip = place.dataset.chart === "failures";
  const last = chart.series.labels.length - 1;
  const lines = LINES[place.dataset.chart].flatMap((line) => {
    return line.isBars ? [bars(line)] : looks(line, last);
  });
  return {
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [8, 16, isStrip ? 4 : 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: false },
      move: (plot, left, top) => [left < 0 ? left : plot.valToPos(plot.posToIdx(left), "x"), top],
      sync: { key: "traffic", setSeries: false },
    },
    scales: {
      x: { time: false, range: [-0.5, last + 0.5] },
      y: { range: (_plot, _least, most) => [0, isStrip ? Math.max(2, most) : Math.max(4, most * 1.1)] },
    },
    axes: axes(place, chart, isStrip),
    series: [{}, ...lines],
    hooks: { drawClear: [(plot) => hatch(plot, last, faint(colour("--muted"), 0.3))] },
    plugins: isStrip ? [] : [tip(place, chart)],
  };
}

// The current period is not over: a full line to it would look like a fall.
function parts(values) {
  const last = values.length - 1;
  return [
    values.map((value, at) => (at < last ? value : null)),
    values.map((value, at) => (at < last - 1 ? null : value)),
  ];
}

function looks({ tone, width, dash, isFilled }, last) {
  const stroke = colour(tone);
  const fill = isFilled ? faint(stroke, 0.15) : undefined;
  const point = { show: true, size: 6, stroke };
  return [
    { stroke, fill, width, dash, points: { ...point, fill: stroke, filter: isolated } },
    {
      stroke,
      width: 1,
      dash: [1, 3],
      points: { ...point, fill: colour("--surface"), filter: () => [last] },
    },
  ];
}

function bars({ tone }) {
  const paths = uPlot.paths.bars({ size: [0.6, 12] });
  return { fill: colour(tone), width: 0, points: { show: false }, paths };
}

// No line leads to a value between two gaps.
function isolated({ data }, number) {
  const values = data[number];
  return [...values.keys()].filter(
    (at) => values[at] != null && values[at - 1] == null && values[at + 1] == null,
  );
}

function axes(place, chart, isStrip) {
  const font = `12px ${getComputedStyle(place).fontFamily}`;
  const text = { stroke: colour("--muted"), font, ticks: { show: false } };
  const y = { ...text, grid: { stroke: colour("--line"), width: 1 }, values: writeNumbers };
  if (isStrip) {
    return [{ show: false }, { ...y, size: AXIS + TITLE, splits: ({ scales }) => [0, scales.y.max] }];
  }
  const x = {
    ...text,
    grid: { show: false },
    size: 24,
    splits: (plot) => ticks(plot, chart).map(([at]) => at),
    values: (plot) => ticks(plot, chart).map(([, word]) => word),
  };
  const title = { label: place.dataset.unit, labelFont: font, labelSize: TITLE, labelGap: 0 };
  return [x, { ...y, ...title, size: AXIS, space: 32 }];
}

function ticks({ width }, { series }) {
  let kept = series.ticks;
  while (kept.length > 2 && kept.length * BETWEEN_TICKS > width - AXIS - TITLE) {
    kept = kept.filter((_, number) => number % 2 === 0);
  }
  return kept;
}

// Digits are Latin in every language, as on the rest of the page.
function writeNumbers(_plot, values) {
  return values.map((value) => value.toLocaleString("en"));
}

function hatch(plot, last, stroke) {
  const { ctx, bbox } = plot;
  const [left, right] = [last - 0.5, last + 0.5].map((at) => plot.valToPos(at, "x", true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += 5 * devicePixelRatio) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
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

function faint(found, share) {
  return found.replace("rgb(", "rgba(").replace(")", `, ${share})`);
}
