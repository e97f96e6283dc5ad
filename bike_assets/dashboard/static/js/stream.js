// The connection to the server: server-sent events, opened again whenever they fall silent.

const SILENCE_MS = 30_000; // the server says something at least every 10 s
const RETRY_MS = 2_000;

/** Calls `on.snapshot`, `on.changes`, `on.status` with their data and `on.connected` with true or false. */
export function follow(url, on) {
  let source = null;
  let heardAt = Date.now();

  const open = () => {
    source?.close();
    heardAt = Date.now();
    source = new EventSource(url);
    for (const name of ["snapshot", "changes", "status"]) {
      source.addEventListener(name, (event) => {
        heardAt = Date.now();
        on.connected(true);
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("reload", open); // we were too slow: begin anew with a snapshot
    source.addEventListener("error", () => {
      on.connected(false);
      // The browser comes back by itself unless the server answered with an error.
      if (source.readyState === EventSource.CLOSED) setTimeout(open, RETRY_MS);
    });
  };

  open();
  setInterval(() => {
    if (Date.now() - heardAt < SILENCE_MS) return;
    on.connected(false);
    open();
  }, RETRY_MS);
}
