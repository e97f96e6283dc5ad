// Numbers, ages and instants as they are shown.

export const number = new Intl.NumberFormat("en");

/** "12 s", "4 min", "3 h", "2 days": how long ago, or how long. */
export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${number.format(Math.floor(s / 86400))} days`;
}

const formats = new Map();

function formatFor(zone) {
  if (!formats.has(zone)) {
    const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    let format;
    try {
      format = new Intl.DateTimeFormat("sv-SE", { ...parts, timeZone: zone });
    } catch {
      format = null; // a zone that this browser does not know: UTC alone must do
    }
    formats.set(zone, format);
  }
  return formats.get(zone);
}

/** An instant in UTC and, below it, by the clocks of the system's place. */
export function instant(ms, zone) {
  if (ms === null || ms === undefined) return "not given";
  const utc = formatFor("UTC").format(ms);
  const local = zone !== "UTC" && formatFor(zone)?.format(ms);
  if (!local) return `${utc} UTC`;
  const isSameDay = local.slice(0, 10) === utc.slice(0, 10);
  return `${utc} UTC\n${isSameDay ? local.slice(11) : local} ${zone}`;
}

/** A count, or a dash where the feed gives none. */
export const count = (value) => (value === null || value === undefined ? "–" : number.format(value));

/** An element with a class and children; strings become text, never markup. */
export function element(tag, className = "", ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
