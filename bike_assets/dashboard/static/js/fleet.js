// A system's vehicles: how many and in what state, their batteries, the best charged, and those that nobody moves.

import { duration, element, number, setText } from "/static/js/format.js";

const COUNTS = [["available", "Available"], ["reserved", "Reserved"], ["disabled", "Out of order"], ["abandoned", "Abandoned"]];
const BANDS = [["low_battery", "under 20 %"], ["medium_battery", "20 to 60 %"], ["high_battery", "60 % and more"], ["unknown", "not known"]];

/** One line that opens; hidden where the system has no vehicles. What is closed is not written. */
export class FleetView {
  root = element("details", "fleet");
  #store; #summary = element("summary"); #old = element("p", "old"); #counts = new Map(); #bands = new Map();
  #best = element("ol"); #left = element("ol"); #more = element("p", "quiet"); #sections;

  constructor(store) {
    this.#store = store;
    const count = ([name, word]) => {
      const value = element("dd");
      this.#counts.set(name, value);
      return element("div", "", element("dt", "", word), value);
    };
    const parts = [];
    const band = ([name, word]) => {
      const [part, value] = [element("i", name), element("dd")];
      parts.push(part);
      this.#bands.set(name, [part, value]);
      return element("div", "", element("dt", "", element("i", name), word), value);
    };
    const bands = element("dl", "bands", ...BANDS.map(band));
    const bar = element("div", "bar", ...parts);
    bar.setAttribute("aria-hidden", "true");
    const section = (word, ...rest) => element("section", "", element("h3", "", word), ...rest);
    this.#sections = { battery: section("Battery", bar, bands), best: section("Best charged", this.#best),
      left: section("Not moved for 24 hours or more", this.#left, this.#more) };
    this.root.hidden = true;
    this.root.append(this.#summary, this.#old, element("dl", "levels", ...COUNTS.map(count)), ...Object.values(this.#sections));
    this.root.addEventListener("toggle", () => this.render(...this.#last));
  }

  #last = [undefined, Infinity];

  render(fleet, maxGapMs) {
    this.#last = [fleet, maxGapMs];
    this.root.hidden = fleet === undefined;
    if (fleet === undefined) return;
    setText(this.#summary, [`${number.format(fleet.vehicles)} ${fleet.vehicles === 1 ? "vehicle" : "vehicles"}`,
      `${number.format(fleet.available)} available`, `${number.format(fleet.abandoned)} abandoned`].join(" · "));
    const ago = this.#store.now() - fleet.last_good_poll_at;
    this.#old.hidden = ago <= maxGapMs;
    setText(this.#old, `Last seen ${duration(ago)} ago; how it is now is not known.`);
    if (this.root.open) this.#fill(fleet);
  }

  #fill(fleet) {
    for (const [name, value] of this.#counts) setText(value, number.format(fleet[name]));
    const known = fleet.low_battery + fleet.medium_battery + fleet.high_battery;
    this.#sections.battery.hidden = known === 0;
    for (const [name, [part, value]] of this.#bands) {
      const count = name === "unknown" ? fleet.vehicles - known : fleet[name];
      part.style.flexGrow = count;
      value.parentElement.hidden = name === "unknown" && count === 0;
      setText(value, number.format(count));
    }
    this.#sections.best.hidden = fleet.best_charged.length === 0;
    fillList(this.#best, fleet.best_charged, (one) => [one.vehicle_id, `${number.format(one.battery_pct)} %`]);
    this.#sections.left.hidden = fleet.abandoned === 0;
    fillList(this.#left, fleet.longest_abandoned, (one) => [one.vehicle_id,
      `for ${duration(this.#store.now() - one.stands_since)}`, this.#place(fleet.key, one)]);
    const more = fleet.abandoned - fleet.longest_abandoned.length;
    this.#more.hidden = more === 0;
    setText(this.#more, `and ${number.format(more)} more, for less long`);
  }

  /** Where it stands: at its station, or by its coordinates. */
  #place(systemId, one) {
    if (one.station_id) return `at ${this.#store.stations.get(`${systemId}/${one.station_id}`)?.name ?? `station ${one.station_id}`}`;
    return one.lat === null ? "place not given" : `at ${one.lat.toFixed(5)}, ${one.lon.toFixed(5)}`;
  }
}

/** Items of some texts each, the first of them the name; what stays is not made anew. */
function fillList(list, items, textsOf) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  items.forEach((item, at) => {
    const texts = textsOf(item);
    const row = list.children[at] ?? list.appendChild(element("li", "", element("b"), ...texts.slice(1).map(() => element("span"))));
    texts.forEach((text, place) => setText(row.children[place], text));
  });
}
