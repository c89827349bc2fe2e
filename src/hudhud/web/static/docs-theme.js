// Show Swagger UI's dark theme where the dashboard would be dark; loaded before the first paint.
"use strict";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const isDark = root.dataset.theme === "dark" || (root.dataset.theme === "system" && system.matches);
  root.classList.toggle("dark-mode", isDark);
}

apply();
system.addEventListener("change", apply);
