// The map: stations over the ground, redrawn only where something changed.

import { groundColour, groundLayers, loadWorld, scaleBar } from "/static/js/ground.js";
import { alpha, colours, fillColour, lineColour, lineWidth, mix, radius, readColours } from "/static/js/look.js";

const FLASH_MS = 1600;
const SYSTEM_NAMES_UNTIL = 10.5; // zoom up to which systems are named, as their stations melt into one
const COUNTS_FROM = 13.2;
const NAMES_FROM = 13.8;
const LABELS_AT_MOST = 600;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const PHONE_PX = 560;

// Room for the legend, the tools and the names of systems.
const PADDING = { top: 96, bottom: 70, left: 150, right: 90 };
const PADDING_PHONE = { top: 96, bottom: 240, left: 40, right: 40 };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class StationMap {
  #store; #deck; #host; #on;
  #copy = [];              // #rows as the layer has them
  #rows = [];              // records with a place, in the order that the layers hold them
  #places = new Map();     // key -> index in #rows
  #dirty = [];             // ranges of rows to be drawn anew
  #hidden = new Set();     // states that the legend switched off
  #flashes = new Map();    // key -> when it began
  #selected = null;
  #view = { longitude: 8, latitude: 46, zoom: 2.2, minZoom: 0.8, maxZoom: 19, pitch: 0, bearing: 0 };
  #isWaiting = false;
  #wasFitted = false;
  #theme = 0;

  /** `on.select(key)` is called for a click on a station, `on.system(id)` for one on a system's name. */
  constructor(host, store, on) {
    [this.#host, this.#store, this.#on] = [host, store, on];
    readColours();
    const fromAddress = /map=([\d.]+)\/(-?[\d.]+)\/(-?[\d.]+)/.exec(location.hash);
    if (fromAddress) {
      const [zoom, latitude, longitude] = fromAddress.slice(1).map(Number);
      Object.assign(this.#view, { zoom, latitude, longitude });
      this.#wasFitted = true;
    }
    this.#deck = new deck.Deck({
      parent: host,
      views: new deck.MapView({ repeat: true }),
      viewState: this.#view,
      controller: { keyboard: true, dragRotate: false, touchRotate: false, inertia: 250 },
      layers: [],
      pickingRadius: 6,
      getCursor: ({ isDragging, isHovering }) => (isDragging ? "grabbing" : isHovering ? "pointer" : "grab"),
      onViewStateChange: ({ viewState }) => this.#look(viewState),
      onResize: () => this.draw(),
      onAfterRender: () => this.#drawn(),
      onClick: (info) => this.#clicked(info),
      onHover: (info) => this.#hovered(info),
    });
    loadWorld().then(() => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      readColours();
      this.#theme += 1;
      this.draw();
    });
  }

  /** Takes what changed in the store, and points out the moved. */
  update(moved = []) {
    if (this.#store.isReset) this.#restart();
    else for (const key of this.#store.changedKeys) this.#touch(key);
    this.#store.changedKeys.clear();
    this.#store.isReset = false;
    for (const key of moved) if (this.#places.has(key)) this.#flashes.set(key, performance.now());
    if (!this.#wasFitted && this.#rows.length) this.showAll(0);
    this.draw();
  }

  select(key) {
    this.#selected = key;
    this.draw();
  }

  hide(states) {
    this.#hidden = states;
    this.#store.isReset = true;
    this.update();
  }

  showAll(ms = 900) { this.#fit([...this.#placed()], ms); }

  showSystem(id, ms = 1200) { this.#fit([...this.#placed()].filter((one) => one.system_id === id), ms); }

  showStation(record) {
    if (record.lat === null) return;
    const { width, height } = this.#size();
    const zoom = Math.max(15, this.#view.zoom);
    const target = new deck.WebMercatorViewport({ width, height, longitude: record.lon, latitude: record.lat, zoom });
    // On a phone the panel covers all but the upper part.
    const [x, y] = [width / 2, height * (width < PHONE_PX ? 0.22 : 0.5)];
    const [longitude, latitude] = target.unproject([width - x, height - y]);
    this.#fly({ longitude, latitude, zoom }, 900);
  }

  zoomBy(steps) { this.#fly({ zoom: this.#view.zoom + steps }, 250); }

  /** Draws at the next frame of the screen. */
  draw() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    requestAnimationFrame(() => {
      this.#isWaiting = false;
      this.#render();
    });
  }

  *#placed() {
    for (const record of this.#store.stations.values()) if (record.lat !== null) yield record;
  }

  #restart() {
    this.#rows = [...this.#placed()].filter((one) => !this.#hidden.has(this.#store.shown.get(one.key)));
    this.#places = new Map(this.#rows.map((one, at) => [one.key, at]));
    this.#dirty = null;
  }

  #touch(key) {
    const record = this.#store.stations.get(key);
    const at = this.#places.get(key);
    const belongs = record.lat !== null && !this.#hidden.has(this.#store.shown.get(key));
    if (belongs !== (at !== undefined)) return this.#restart();
    if (!belongs) return undefined;
    this.#rows[at] = record;
    this.#dirty?.push({ startRow: at, endRow: at + 1 });
    return undefined;
  }

  #fit(records, ms) {
    const { width, height } = this.#size();
    if (!records.length || width < 120 || height < 300) return;
    this.#wasFitted = true;
    const lons = middling(records.map((one) => one.lon));
    const lats = middling(records.map((one) => one.lat));
    const flat = new deck.WebMercatorViewport({ ...this.#view, width, height });
    const { longitude, latitude, zoom } = flat.fitBounds([[lons[0], lats[0]], [lons[1], lats[1]]], {
      padding: width < PHONE_PX ? PADDING_PHONE : PADDING, maxZoom: 15,
    });
    this.#fly({ longitude, latitude, zoom: Math.max(0.8, zoom) }, ms);
  }

  #fly(target, ms) {
    const isMoving = ms > 0 && !calm.matches;
    this.#look({
      ...this.#view, ...target,
      transitionDuration: isMoving ? ms : 0,
      transitionInterpolator: isMoving ? new deck.FlyToInterpolator({ speed: 2 }) : null,
    });
  }

  #look(viewState) {
    this.#view = viewState;
    this.#deck.setProps({ viewState });
    this.draw();
  }

  #size() { return { width: this.#host.clientWidth, height: this.#host.clientHeight }; }

  /** Tells how many stations are on the screen, once they can be clicked. */
  #drawn() {
    if (!this.#copy.length || this.#host.dataset.drawn === String(this.#copy.length)) return;
    // The first look for what lies under a point makes shaders; a finger would have gone by then.
    this.#deck.pickObject({ x: 1, y: 1, layerIds: ["stations"] });
    this.#host.dataset.drawn = this.#copy.length;
  }

  #clicked({ object, layer }) {
    if (!object) return;
    if (layer.id === "systems") this.#on.system(object.id);
    else this.#on.select(object.key);
  }

  #hovered({ object, layer, x, y }) {
    this.#on.hover(object && layer.id === "stations" ? object : null, x, y);
  }

  #render() {
    const viewport = new deck.WebMercatorViewport({ ...this.#view, ...this.#size() });
    if (!viewport.width || !viewport.height) return;
    this.#host.style.background = groundColour(viewport.zoom);
    this.#deck.setProps({
      layers: [
        ...groundLayers(viewport), this.#stations(viewport), this.#flash(viewport), this.#ring(viewport),
        ...this.#labels(viewport), this.#systemNames(viewport),
      ],
    });
    this.#on.scale(scaleBar(viewport, 110));
    if (this.#flashes.size) this.draw();
  }

  /** Stations grow as one comes nearer; far off they are dots. */
  #growth(zoom) { return Math.min(1.7, Math.max(0.34, 2 ** ((zoom - 13.4) * 0.42))); }

  #stations(viewport) {
    const dirty = this.#dirty;
    if (dirty === null || dirty.length) this.#copy = this.#rows.slice();
    this.#dirty = [];
    // The layer may read a row in a later frame, when its station has gone.
    const state = (record) => this.#store.shown.get(record.key) ?? "unknown";
    return new deck.ScatterplotLayer({
      id: "stations",
      data: this.#copy,
      _dataDiff: dirty === null ? undefined : () => dirty,
      pickable: true, stroked: true, radiusUnits: "pixels", lineWidthUnits: "pixels",
      radiusScale: this.#growth(viewport.zoom), radiusMinPixels: 1.6,
      lineWidthScale: Math.min(1, Math.max(0.3, this.#growth(viewport.zoom))),
      getPosition: (record) => [record.lon, record.lat],
      getRadius: (record) => radius(record, state(record)),
      getFillColor: (record) => fillColour(record, state(record)),
      getLineColor: (record) => lineColour(state(record)),
      getLineWidth: (record) => lineWidth(state(record)),
      updateTriggers: { getFillColor: this.#theme, getLineColor: this.#theme },
    });
  }

  /** A ring that runs outwards from each station that changed; it stands still for who wants calm. */
  #flash(viewport) {
    const now = performance.now();
    for (const [key, began] of this.#flashes) {
      if (now - began > FLASH_MS || !this.#places.has(key)) this.#flashes.delete(key);
    }
    const flashing = [...this.#flashes].map(([key, began]) => ({
      record: this.#rows[this.#places.get(key)], share: (now - began) / FLASH_MS,
    }));
    return new deck.ScatterplotLayer({
      id: "flash", data: flashing, filled: false, stroked: true, radiusUnits: "pixels", lineWidthUnits: "pixels",
      getPosition: ({ record }) => [record.lon, record.lat],
      getRadius: ({ record, share }) =>
        this.#growth(viewport.zoom) * (radius(record) + 3 + (calm.matches ? 4 : 15 * share ** 0.6)),
      getLineColor: ({ share }) => alpha(colours.accent, 255 * (1 - share)),
      getLineWidth: 2.5,
    });
  }

  #ring(viewport) {
    const at = this.#places.get(this.#selected);
    return new deck.ScatterplotLayer({
      id: "selected", data: at === undefined ? [] : [this.#rows[at]], filled: false, stroked: true,
      radiusUnits: "pixels", lineWidthUnits: "pixels", getPosition: (record) => [record.lon, record.lat],
      getRadius: (record) => radius(record) * this.#growth(viewport.zoom) + 5, getLineWidth: 3,
      getLineColor: alpha(colours.text, 255),
      updateTriggers: { getLineColor: this.#theme, getRadius: viewport.zoom },
    });
  }

  #labels(viewport) {
    if (viewport.zoom < COUNTS_FROM) return [];
    const [west, south, east, north] = viewport.getBounds();
    const near = this.#rows
      .filter((one) => one.lon > west && one.lon < east && one.lat > south && one.lat < north)
      .slice(0, LABELS_AT_MOST);
    const counted = near.filter((one) => ["available", "full"].includes(this.#store.shown.get(one.key)));
    const common = {
      getPosition: (record) => [record.lon, record.lat], fontFamily: FONT, characterSet: "auto",
    };
    const below = (record) => radius(record) * this.#growth(viewport.zoom) + 5;
    return [
      counted.length > 0 && new deck.TextLayer({
        ...common, id: "counts", data: this.#apart(viewport, counted, countOf, 12, () => -8), getText: countOf,
        getSize: 11 * Math.min(1.25, this.#growth(viewport.zoom)), fontWeight: 650,
        getColor: (record) => this.#inkOn(fillColour(record, this.#store.shown.get(record.key))),
        updateTriggers: { getColor: [this.#theme, near.map((one) => this.#store.shown.get(one.key)).join()] },
      }),
      near.length > 0 && viewport.zoom >= NAMES_FROM && new deck.TextLayer({
        ...common, id: "names", data: this.#apart(viewport, near, nameOf, 12, below), getText: nameOf,
        getSize: 12, getColor: alpha(colours.text, 235), getTextAnchor: "middle", getAlignmentBaseline: "top",
        getPixelOffset: (record) => [0, below(record)],
        updateTriggers: { getColor: this.#theme, getPixelOffset: viewport.zoom },
      }),
    ];
  }

  #inkOn([r, g, b]) {
    return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? [16, 24, 32, 255] : [255, 255, 255, 255];
  }

  #systemNames(viewport) {
    const places = viewport.zoom > SYSTEM_NAMES_UNTIL ? [] : this.#systemPlaces();
    if (!places.length) return null;
    return new deck.TextLayer({
      id: "systems", data: this.#apart(viewport, places, (one) => one.text, 16, () => -36), pickable: true,
      getPosition: (one) => [one.lon, one.lat], getText: (one) => one.text,
      getSize: 13, fontFamily: FONT, fontWeight: 600, characterSet: "auto",
      getColor: alpha(colours.text, 255), getAlignmentBaseline: "bottom", getPixelOffset: [0, -14],
      background: true, getBackgroundColor: alpha(mix(colours.halo, colours.ground, 0.2), 235),
      backgroundPadding: [8, 4], backgroundBorderRadius: 6,
      updateTriggers: { getColor: this.#theme, getBackgroundColor: this.#theme },
    });
  }

  /** Those whose labels do not cover one another; the larger go first. */
  #apart(viewport, places, text, height, below) {
    const taken = [];
    const size = (one) => one.stations ?? one.capacity ?? 0;
    return places.toSorted((a, b) => size(b) - size(a)).filter((one) => {
      const [x, y] = viewport.project([one.lon, one.lat]);
      const half = text(one).length * height * 0.29 + 8;
      const box = [x - half, y + below(one), x + half, y + below(one) + height + 4];
      if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) return false;
      taken.push(box);
      return true;
    });
  }

  #systemPlaces() {
    const found = new Map();
    for (const record of this.#placed()) {
      const one = found.get(record.system_id) ?? { id: record.system_id, lon: 0, lat: -90, stations: 0 };
      one.lon += record.lon;
      one.lat = Math.max(one.lat, record.lat);
      one.stations += 1;
      found.set(record.system_id, one);
    }
    return [...found.values()].map((one) => ({
      ...one, lon: one.lon / one.stations,
      text: this.#store.system(one.id).name ?? one.id,
    }));
  }
}

const countOf = (record) => String(record.bikes_available);
const nameOf = (record) => record.name ?? record.station_id;

/** The bounds of nearly all values: one station with a wrong place must not move the map. */
function middling(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const cut = Math.floor(sorted.length * 0.005);
  const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
  return high - low < 0.004 ? [low - 0.004, high + 0.004] : [low, high];
}
