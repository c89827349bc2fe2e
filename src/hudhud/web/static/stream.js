// One connection to the event stream, reopened whenever it is lost.
const NAMES = ["hello", "verdict", "senders", "trial", "numbers", "rows", "beat"];
// The server sends a keepalive every 5 s.
const SILENCE = 12000;
const LONGEST_WAIT = 30000;

/**
 * Open the stream in a language. `tell` receives {kind: "event", name, data}, {kind: "lost"} and {kind: "ended"}.
 * Return a function that reopens it if needed.
 */
export function openStream(language, tell) {
  let source = null;
  let watch;
  let retry;
  let wait = 1000;

  function connect() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(`/admin/live?lang=${language}`);
    for (const name of NAMES) source.addEventListener(name, heard);
    source.addEventListener("end", ended);
    source.addEventListener("error", lost);
    listen();
  }

  function heard({ type, data }) {
    wait = 1000;
    listen();
    tell({ kind: "event", name: type, data });
  }

  function listen() {
    clearTimeout(watch);
    watch = setTimeout(() => {
      tell({ kind: "lost" });
      connect();
    }, SILENCE);
  }

  function ended() {
    stop();
    tell({ kind: "ended" });
  }

  async function lost() {
    tell({ kind: "lost" });
    // The browser reconnects by itself unless the server answered with another status.
    if (source.readyState !== EventSource.CLOSED) return;
    stop();
    if (await isLoggedOut()) {
      tell({ kind: "ended" });
      return;
    }
    retry = setTimeout(connect, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function stop() {
    source.close();
    source = null;
    clearTimeout(watch);
  }

  connect();
  return () => {
    if (!source) connect();
  };
}

async function isLoggedOut() {
  try {
    const headers = { "X-Background": "true" };
    const answer = await fetch("/admin/api/status-and-stats", { headers });
    return answer.status === 401;
  } catch {
    return false;
  }
}
