// The sidebar and the legend: systems with their totals, the search, and the states with their counts.

import { FleetView } from "/static/js/fleet.js";
import { duration, element, number, setText } from "/static/js/format.js";
import { STATES } from "/static/js/store.js";

const FOUND_AT_MOST = 8;
const WORDS = { available: "Available", empty: "Empty", full: "Full", closed: "Closed", unknown: "Unknown" };
export const stateWord = (state) => WORDS[state];

export class SystemList {
  #list; #count; #store; #onChoose; #items = new Map();

  constructor(list, heading, store, onChoose) {
    [this.#list, this.#count, this.#store, this.#onChoose] = [list, heading, store, onChoose];
  }

  render(totals, maxGapMs) {
    const ids = [...totals.keys()].filter((id) => id !== "");
    for (const id of this.#items.keys()) {
      if (!totals.has(id)) {
        this.#items.get(id).root.remove();
        this.#items.delete(id);
      }
    }
    let isNew = false;
    for (const id of ids) {
      if (!this.#items.has(id)) {
        this.#items.set(id, this.#made(id));
        isNew = true;
      }
      this.#fill(this.#items.get(id), this.#store.system(id), totals.get(id), maxGapMs);
    }
    setText(this.#count, ids.length ? number.format(ids.length) : "none yet");
    if (isNew) this.#list.replaceChildren(...ids.sort((a, b) => this.#size(b, totals) - this.#size(a, totals))
      .map((id) => this.#items.get(id).root));
  }

  #size(id, totals) { return totals.get(id).stations || (this.#store.fleets.get(id)?.vehicles ?? 0); }

  choose(id) {
    for (const [one, item] of this.#items) item.button.setAttribute("aria-current", String(one === id));
  }

  #made(id) {
    const [name, age, counts] = [element("b"), element("span", "age"), element("p", "counts")];
    const parts = STATES.map((state) => {
      const part = element("i");
      part.style.background = `var(--${state === "available" ? "accent" : state})`;
      return [state, part];
    });
    const bar = element("div", "bar", ...parts.map(([, part]) => part));
    bar.setAttribute("aria-hidden", "true");
    const button = element("button", "", element("div", "top", name, age), bar, counts);
    button.type = "button";
    button.dataset.system = id;
    button.addEventListener("click", () => this.#onChoose(id));
    const fleet = new FleetView(this.#store);
    return { root: element("li", "", button, fleet.root), button, name, age, counts, bar, parts, fleet };
  }

  #fill(item, system, total, maxGapMs) {
    setText(item.name, system.name ?? system.key);
    const fleet = this.#store.fleets.get(system.key);
    const isFleetAlone = fleet !== undefined && total.stations === 0;
    const seen = isFleetAlone ? fleet.last_good_poll_at : system.last_good_poll_at;
    const ago = seen === null ? null : this.#store.now() - seen;
    setText(item.age, ago === null ? "no good poll yet" : `polled ${duration(ago)} ago`);
    item.age.classList.toggle("old", ago === null || ago > maxGapMs);
    item.fleet.render(fleet, maxGapMs);
    item.bar.hidden = item.counts.hidden = isFleetAlone;
    for (const [state, part] of item.parts) part.style.flexGrow = total[state];
    setText(item.counts, [
      `${number.format(total.stations)} ${total.stations === 1 ? "station" : "stations"}`, `${number.format(total.empty)} empty`,
      `${number.format(total.full)} full`, `${number.format(total.bikes)} bikes`,
    ].join(" · "));
  }
}

export class Legend {
  #counts = new Map();
  #unplaced = element("p", "quiet unplaced");
  #hidden = new Set();

  /** `onHide(states)` gets the states that are switched off. */
  constructor(host, onHide) {
    for (const state of STATES) {
      const count = element("span", "quiet", "0");
      const button = element("button", "", element("span", `mark ${state}`), WORDS[state], count);
      button.type = "button";
      button.dataset.state = state;
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        if (!this.#hidden.delete(state)) this.#hidden.add(state);
        button.setAttribute("aria-pressed", String(!this.#hidden.has(state)));
        onHide(this.#hidden);
      });
      this.#counts.set(state, count);
      host.append(button);
    }
    const ramp = element("div", "", "few bikes", element("i"), "many");
    ramp.id = "ramp";
    this.#unplaced.hidden = true;
    host.append(ramp, this.#unplaced);
  }

  render(total) {
    this.#unplaced.hidden = total.unplaced === 0;
    setText(this.#unplaced, `${number.format(total.unplaced)} without a place`);
    for (const [state, count] of this.#counts) setText(count, number.format(total[state]));
  }
}

/** Makes every station reachable by its name, also without a mouse. */
export function search(input, list, store, onChoose) {
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const close = () => { list.hidden = true; };
  const look = () => {
    const words = plain(input.value.trim());
    if (!words) return close();
    const found = [];
    for (const record of store.stations.values()) {
      if (!plain(`${record.name ?? ""} ${record.station_id}`).includes(words)) continue;
      found.push(record);
      if (found.length === FOUND_AT_MOST) break;
    }
    list.replaceChildren(...(found.length ? found.map(item) : [element("li", "", element("p", "", "No station of that name."))]));
    list.hidden = false;
    return undefined;
  };
  const item = (record) => {
    const system = store.system(record.system_id).name ?? record.system_id;
    const button = element("button", "", record.name ?? record.station_id, element("small", "", system));
    button.type = "button";
    button.addEventListener("click", () => {
      close();
      input.value = "";
      onChoose(record.key);
    });
    return element("li", "", button);
  };
  input.addEventListener("input", look);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "ArrowDown") list.querySelector("button")?.focus();
    if (event.key === "Enter") list.querySelector("button")?.click();
  });
  list.addEventListener("keydown", (event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    if (event.key === "ArrowDown") buttons[at + 1]?.focus();
    if (event.key === "ArrowUp") (buttons[at - 1] ?? input).focus();
    if (event.key === "Escape") { close(); input.focus(); }
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest(".search")) close();
  });
}
