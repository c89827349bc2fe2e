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
import { keepLayout } from "./layout.js";

const PARTS = {
  verdict(html) {
    swap("verdict", html);
    document.title = `${document.getElementById("verdict").dataset.title} · Hudhud`;
    keepLayout();
  },
  senders(html) {
    swap("senders", html);
    showTabs();
  },
  trial(html) {
    swap("trial", html);
  },
  numbers(html) {
    swap("numbers", html);
    renewCharts();
    if (document.getElementById("jobs")) noteChange();
  },
  rows(data) {
    const { window: smallest, total, rows } = JSON.parse(data);
    if (!document.getElementById("jobs")) return; // the page of a fresh installation
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
    if (document.getElementById("jobs")) renewList();
    renewDrawer([openJob()]);
  },
});
