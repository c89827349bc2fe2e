// Times are written on the server: tell it this browser's time zone. The login form comes first, so
// that pages know it from the start.
const NAME = "hudhud_zone";
const YEAR = 365 * 24 * 3600;

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${NAME}=${zone}; Path=/admin; Max-Age=${YEAR}; SameSite=Lax${secure}`;
}
