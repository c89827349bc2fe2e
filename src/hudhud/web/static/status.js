// The status page: live updates, charts, a drawer and ticking times.
import "./clock.js";
import "./dialogs.js";
import { drawCharts, renewCharts } from "./charts.js";
import { openJob, renewDrawer } from "./dialogs.js";
import { follow } from "./live.js";
import { renewList } from "./renewal.js";
import { showRows } from "./rows.js";
import { swap } from "./load.js";
import { noteChange } from "./unwatched.js";
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
    noteChange();
  },
  rows(data) {
    const { window: smallest, total, rows } = JSON.parse(data);
    showRows(rows, total);
    renewDrawer(rows.map((row) => String(row.id)));
    noteChange({ smallest, total });
  },
};

showTabs();
drawCharts();
document.addEventListener("htmx:after:swap", () => {
  showTabs();
  drawCharts();
});
follow({
  event: (name, data) => PARTS[name]?.(data),
  missed() {
    renewList();
    renewDrawer([openJob()]);
  },
});
