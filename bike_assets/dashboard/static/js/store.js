// The browser's memory: every station and system as last heard, and what follows from the time that passes.

export const STATES = ["available", "empty", "full", "closed", "unknown"];
const SHOWN_FIELDS = ["bikes_available", "ebikes_available", "docks_available", "state", "absent_since"];

/** Arrays of the wire as records, by the field names that the snapshot gave. */
function recordOf(fields, values) {
  return Object.freeze(Object.fromEntries(fields.map((name, at) => [name, values[at]])));
}

export class Store {
  stations = new Map();    // key -> record
  systems = new Map();     // system_id -> record
  fleets = new Map();      // system_id -> what its vehicles come to
  receivedAt = new Map();  // key -> epoch ms of this browser's clock
  shown = new Map();       // key -> state now: unknown where absent or unseen for too long
  changedKeys = new Set(); // whose look may have changed since the map last took them
  isReset = true;          // all of them
  loaded = false;
  status = null;
  #clockAhead = 0;         // ms that the server's clock is ahead of this one
  #maxGap = Infinity;

  /** Now, by the server's clock: a viewer's own may be wrong, and ages would be too. */
  now() { return Date.now() + this.#clockAhead; }

  takeSnapshot(snapshot) {
    this.stationFields = snapshot.station_fields;
    this.systemFields = snapshot.system_fields;
    this.#maxGap = snapshot.max_gap_ms;
    for (const map of [this.stations, this.systems, this.fleets, this.receivedAt, this.shown]) map.clear();
    for (const fleet of snapshot.fleets) this.fleets.set(fleet.key, Object.freeze(fleet));
    for (const values of snapshot.systems) this.#putSystem(values);
    for (const values of snapshot.stations) this.#putStation(values);
    this.isReset = true;
    this.loaded = true;
    this.passTime();
  }

  /** Takes changes in; gives the keys of stations whose reading changed, to be pointed out. */
  takeChanges(changes) {
    for (const values of changes.systems) this.#putSystem(values);
    const moved = [];
    for (const values of changes.stations) {
      const before = this.stations.get(values[0]);
      const record = this.#putStation(values);
      if (!before) this.isReset = true;
      else this.changedKeys.add(record.key);
      if (!before || SHOWN_FIELDS.some((name) => before[name] !== record[name])) moved.push(record.key);
    }
    for (const key of changes.gone) this.#forget(key);
    for (const fleet of changes.fleets) this.fleets.set(fleet.key, Object.freeze(fleet));
    for (const key of changes.fleets_gone) this.fleets.delete(key);
    if (changes.systems.length) this.passTime();
    return moved;
  }

  takeStatus(status) {
    this.status = status;
    this.#clockAhead = status.server_time - Date.now();
  }

  /** Works out all states anew: a station becomes unknown by nothing happening. */
  passTime() {
    for (const record of this.stations.values()) this.#judge(record);
  }

  /** The system's record, also of one that nobody described yet. */
  system(id) {
    return this.systems.get(id) ?? { key: id, name: null, timezone: "UTC", last_good_poll_at: null };
  }

  /** Stations by state and bikes to take, for each system and under "" for all. */
  totals() {
    const none = () => ({ stations: 0, unplaced: 0, bikes: 0, available: 0, empty: 0, full: 0, closed: 0, unknown: 0 });
    const found = new Map([["", none()]]);
    for (const id of [...this.systems.keys(), ...this.fleets.keys()]) found.set(id, none());
    for (const [key, record] of this.stations) {
      if (!found.has(record.system_id)) found.set(record.system_id, none());
      const state = this.shown.get(key);
      for (const total of [found.get(""), found.get(record.system_id)]) {
        total.stations += 1;
        total[state] += 1;
        if (record.lat === null) total.unplaced += 1;
        if (state === "available" || state === "full") total.bikes += record.bikes_available;
      }
    }
    return found;
  }

  #putStation(values) {
    const record = recordOf(this.stationFields, values);
    this.stations.set(record.key, record);
    this.receivedAt.set(record.key, Date.now());
    this.#judge(record);
    return record;
  }

  #putSystem(values) {
    const record = recordOf(this.systemFields, values);
    this.systems.set(record.key, record);
  }

  #forget(key) {
    this.systems.delete(key);
    if (!this.stations.delete(key)) return;
    this.receivedAt.delete(key);
    this.shown.delete(key);
    this.isReset = true;
  }

  #judge(record) {
    const seen = this.system(record.system_id).last_good_poll_at;
    const isKnown = record.absent_since === null && seen !== null && this.now() - seen <= this.#maxGap;
    const state = isKnown ? record.state : "unknown";
    if (this.shown.get(record.key) === state) return;
    this.shown.set(record.key, state);
    this.changedKeys.add(record.key);
  }
}

/** The memory as tests and measurements may look at it. */
export function readOnly(store) {
  const view = (map) => Object.freeze({
    get size() { return map.size; },
    get: (key) => map.get(key),
    has: (key) => map.has(key),
    keys: () => [...map.keys()],
    entries: () => [...map.entries()],
  });
  return Object.freeze({
    stations: view(store.stations),
    systems: view(store.systems),
    fleets: view(store.fleets),
    shown: view(store.shown),
    receivedAt: view(store.receivedAt),
    get status() { return store.status; },
  });
}
