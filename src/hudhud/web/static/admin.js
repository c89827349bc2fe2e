// Scripts of every dashboard page; all pages also work without scripts.
import "./forms.js";
import "./theme.js";
import "./menu.js";
import "./copy.js";
import "./zone.js";
