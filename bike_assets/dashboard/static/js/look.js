// How a station looks: colours from the style sheet, so that legend, lists and map are one.

const NAMES = ["few", "many", "empty", "full", "closed", "unknown", "ground", "water", "border", "grid", "text", "quiet", "halo", "accent"];
export const colours = {};

/** Reads the colours of the theme in force. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) {
    const hex = style.getPropertyValue(`--${name}`).trim();
    colours[name] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  }
}

export const alpha = (colour, a) => [...colour, a];
export const mix = (from, to, share) => from.map((value, at) => Math.round(value + (to[at] - value) * share));

/** Bikes of bikes and docks, 0 to 1; by the capacity where docks are not given; null where nothing says. */
export function fillShare(record) {
  const places = record.docks_available === null ? record.capacity : record.bikes_available + record.docks_available;
  return places ? Math.min(1, record.bikes_available / places) : null;
}

export function fillColour(record, state) {
  if (state === "available") return alpha(mix(colours.few, colours.many, fillShare(record) ?? 0.5), 255);
  // Rings: nothing to take, nothing known.
  if (state === "empty") return alpha(colours.halo, 190);
  if (state === "unknown") return alpha(colours.halo, 110);
  return alpha(colours[state], 255);
}

export function lineColour(state) {
  return alpha(state === "empty" || state === "unknown" ? colours[state] : colours.halo, 255);
}

export const lineWidth = (state) => (state === "empty" ? 3 : state === "unknown" ? 1.6 : 1);

/** Radius in pixels in a city's view. */
export function radius(record, state) {
  const capacity = record.capacity ?? record.bikes_available + (record.docks_available ?? 10);
  const full = Math.min(16, 3 + 1.25 * Math.sqrt(Math.max(4, capacity)));
  return state === "closed" ? full * 0.7 : full;
}
