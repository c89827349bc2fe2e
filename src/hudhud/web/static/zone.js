// Send this browser's time zone to the server, which formats the times. The login form sends it, so
// that every page has it from the start.
const NAME = "hudhud_zone";
const YEAR = 365 * 24 * 3600;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${NAME}=${zone}; Path=/admin; Max-Age=${YEAR}; SameSite=Lax${secure}`;
}
