// The status page: kept up to date by the stream, with charts, a drawer and ticking times.
import "./clock.js";
import "./dialogs.js";
import { drawCharts, renewCharts } from "./charts.js";
import { renewDrawer } from "./dialogs.js";
import { follow } from "./live.js";
import { renewList, showRows } from "./rows.js";
import { swap } from "./load.js";
import { showTabs } from "./tabs.js";
import { showFirstStep } from "./first-steps.js";

const PARTS = {
  verdict(html) {
    swap("verdict", html);
    document.title = `${document.getElementById("verdict").dataset.title} · Hudhud`;
    showFirstStep();
  },
  senders(html) {
    swap("senders", html);
    showTabs();
  },
  numbers(html) {
    swap("numbers", html);
    renewCharts();
  },
  rows(data) {
    const { rows } = JSON.parse(data);
    showRows(rows);
    renewDrawer(rows.map((row) => String(row.id)));
  },
};

showTabs();
drawCharts();
document.addEventListener("htmx:after:swap", () => {
  showTabs();
  drawCharts();
});
follow({ event: (name, data) => PARTS[name]?.(data), missed: renewList });
