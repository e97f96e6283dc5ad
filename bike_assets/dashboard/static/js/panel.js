// The panel of one station. It is built once a station, then only its texts move on.

import { count, duration, element, instant, setText } from "/static/js/format.js";
import { fillShare } from "/static/js/look.js";
import { stateWord } from "/static/js/lists.js";

const FACTS = ["Address", "In this state since", "Last reported", "Last change", "Last good poll", "Absent since",
  "Last seen", "Capacity", "Out of order", "Flags", "Payment terminal", "Place", "Station id", "System id"];

export class StationPanel {
  #host; #store; #onClose; #key = null; #parts = null; #cameFrom = null;

  constructor(host, store, onClose) {
    [this.#host, this.#store, this.#onClose] = [host, store, onClose];
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !host.hidden && !event.target.closest(".search")) this.close();
    });
  }

  open(key) {
    this.#cameFrom = document.activeElement;
    this.#key = key;
    this.#build();
    this.#host.hidden = false;
    this.render();
    this.#host.scrollTop = 0;
    this.#host.focus({ preventScroll: true });
  }

  close() {
    this.#key = null;
    this.#host.hidden = true;
    this.#onClose();
    this.#cameFrom?.focus?.();
  }

  render() {
    if (this.#key === null) return;
    const record = this.#store.stations.get(this.#key);
    if (!record) return this.close();
    const system = this.#store.system(record.system_id);
    const state = this.#store.shown.get(record.key);
    const parts = this.#parts;
    setText(parts.name, record.name ?? `Station ${record.station_id}`);
    setText(parts.system, system.name ?? record.system_id);
    parts.mark.className = `mark ${state}`;
    setText(parts.state, stateWord(state));
    setText(parts.since, sentence(record, state, this.#store.now()));
    setText(parts.bikes, count(record.bikes_available));
    setText(parts.ebikes, count(record.ebikes_available));
    setText(parts.docks, count(record.docks_available));
    const share = fillShare(record) ?? 0;
    parts.taken.style.flexGrow = share;
    parts.left.style.flexGrow = 1 - share;
    this.#fillFacts(record, system);
    return undefined;
  }

  #fillFacts(record, system) {
    const at = (ms) => instant(ms, system.timezone);
    const yesNo = (value) => (value === null ? null : value ? "yes" : "no");
    const flags = [["installed", record.is_installed], ["renting", record.is_renting], ["returning", record.is_returning]];
    const broken = [[record.bikes_disabled, "bikes"], [record.docks_disabled, "docks"]].filter(([n]) => n !== null);
    const facts = {
      "Address": record.address,
      "In this state since": at(record.state_since),
      "Last reported": at(record.reported_at),
      "Last change": at(record.changed_at),
      "Last good poll": at(system.last_good_poll_at),
      "Absent since": record.absent_since === null ? null : at(record.absent_since),
      "Last seen": record.last_seen_at === null ? null : at(record.last_seen_at),
      "Capacity": record.capacity === null ? null : `${record.capacity} docks`,
      "Out of order": broken.map(([n, what]) => `${n} ${what}`).join(", ") || null,
      "Flags": flags.map(([name, is]) => (is ? name : `not ${name}`)).join(", "),
      "Payment terminal": yesNo(record.has_payment_terminal),
      "Place": record.lat === null ? null : `${record.lat.toFixed(5)}, ${record.lon.toFixed(5)}`,
      "Station id": record.station_id,
      "System id": record.system_id,
    };
    for (const name of FACTS) {
      const [row, value] = this.#parts.facts.get(name);
      row.hidden = facts[name] === null || facts[name] === "";
      setText(value, facts[name] ?? "");
    }
  }

  #build() {
    const parts = this.#parts = {
      name: element("h2"), system: element("p", "quiet"), mark: element("span", "mark"), state: element("span"),
      since: element("span", "quiet"), bikes: element("dd"), ebikes: element("dd"), docks: element("dd"),
      taken: element("i"), left: element("i"), facts: new Map(),
    };
    parts.name.id = "station-name";
    const close = element("button", "close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close the station");
    close.addEventListener("click", () => this.close());
    const level = (word, value) => element("div", "", element("dt", "", word), value);
    const facts = FACTS.map((name) => {
      const value = element("dd");
      const row = element("div", "", element("dt", "", name), value);
      parts.facts.set(name, [row, value]);
      return row;
    });
    const fill = element("div", "bar fill", parts.taken, parts.left);
    fill.setAttribute("aria-hidden", "true");
    this.#host.replaceChildren(
      element("div", "head", element("div", "", parts.name, parts.system), close),
      element("p", "chip", parts.mark, parts.state, parts.since),
      element("dl", "levels", level("Bikes", parts.bikes), level("E-bikes", parts.ebikes), level("Docks", parts.docks)),
      fill, element("dl", "facts", ...facts),
    );
  }
}

/** How long it has been so, or why nothing is known. */
function sentence(record, state, now) {
  if (state !== "unknown") return `for ${duration(now - record.state_since)}`;
  if (record.absent_since !== null) return `no longer in its feed for ${duration(now - record.absent_since)}`;
  return "the last good poll is too old; what follows is the last reading";
}
