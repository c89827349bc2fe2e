// What every page of the dashboard does with scripts on; without them it works, too.
import "./forms.js";
import "./theme.js";
import "./menu.js";
import "./copy.js";
import "./zone.js";
