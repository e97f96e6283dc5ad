// What lies under the stations: land, borders and a graticule, all from this machine.

import { alpha, colours, mix } from "/static/js/look.js";

const STEPS = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];
const LINE_PX = 110; // lines of the graticule are at least so far apart: room for their labels

// The coastline is true to about a kilometre: nearer than that it would put stations into the sea.
const FADE_FROM = 8.5;
const FADE_TO = 10.5;

let world = null;

/** Reads the coastline once. */
export async function loadWorld() {
  const topology = await (await fetch("/static/vendor/world-atlas/countries-50m.json")).json();
  const land = topojson.feature(topology, topology.objects.land).features.map((one) => one.geometry);
  world = {
    land: land.flatMap((geometry) => geometry.coordinates.map((polygon) => polygon.map(unrolled))),
    borders: topojson.mesh(topology, topology.objects.countries, (a, b) => a !== b).coordinates,
  };
}

/** A ring without the jump from 180° to -180°: it runs on beyond, where the map repeats. */
function unrolled(ring) {
  let turns = 0;
  const points = ring.map(([lon, lat], at) => {
    const jump = at === 0 ? 0 : lon - ring[at - 1][0];
    if (Math.abs(jump) > 180) turns -= Math.sign(jump);
    return [lon + 360 * turns, lat];
  });
  // Antarctica goes around the pole: it is closed along the map's lower edge.
  return turns === 0 ? points : [...points, [points.at(-1)[0], -88], [points[0][0], -88], points[0]];
}

/** How much of the coastline is shown at a zoom, 1 to 0. */
const presence = (zoom) => Math.min(1, Math.max(0, (FADE_TO - zoom) / (FADE_TO - FADE_FROM)));

export function groundColour(zoom) {
  return `rgb(${mix(colours.ground, colours.water, world ? presence(zoom) : 0).join(" ")})`;
}

export function groundLayers(viewport) {
  const share = presence(viewport.zoom);
  const isThere = world !== null && share > 0;
  return [
    isThere && new deck.SolidPolygonLayer({
      id: "land", data: world.land, getPolygon: (polygon) => polygon, getFillColor: alpha(colours.ground, 255),
      opacity: share, updateTriggers: { getFillColor: colours.ground.join() },
    }),
    isThere && new deck.PathLayer({
      id: "borders", data: world.borders, getPath: (line) => line, getColor: alpha(colours.border, 255),
      opacity: share, getWidth: 1, widthUnits: "pixels", updateTriggers: { getColor: colours.border.join() },
    }),
    ...graticule(viewport),
  ];
}

function graticule(viewport) {
  const [west, south, east, north] = viewport.getBounds();
  const step = STEPS.findLast((size) => (size / (east - west)) * viewport.width >= LINE_PX) ?? STEPS[0];
  const lines = [];
  const labels = [];
  const edge = (x, y) => viewport.unproject([x, y]);
  for (let lon = Math.ceil(west / step) * step; lon <= east; lon += step) {
    lines.push([[lon, Math.max(-85, south)], [lon, Math.min(85, north)]]);
    labels.push({ at: [lon, edge(0, 6)[1]], text: degrees(wrapped(lon), step, "E", "W"), anchor: "start", baseline: "top" });
  }
  for (let lat = Math.ceil(Math.max(-80, south) / step) * step; lat <= Math.min(84, north); lat += step) {
    lines.push([[west, lat], [east, lat]]);
    labels.push({ at: [edge(6, 0)[0], lat], text: degrees(lat, step, "N", "S"), anchor: "start", baseline: "bottom" });
  }
  return [
    new deck.PathLayer({
      id: "graticule", data: lines, getPath: (line) => line, getColor: alpha(colours.grid, 90), getWidth: 1,
      widthUnits: "pixels", updateTriggers: { getColor: colours.grid.join() },
    }),
    new deck.TextLayer({
      id: "graticule-labels", data: labels, getPosition: (label) => label.at, getText: (label) => label.text,
      getSize: 11, getColor: alpha(colours.quiet, 170), getTextAnchor: (label) => label.anchor,
      getAlignmentBaseline: (label) => label.baseline, getPixelOffset: [4, 0], characterSet: "0123456789.°NESW ",
      fontFamily: "system-ui, sans-serif", updateTriggers: { getColor: colours.quiet.join() },
    }),
  ];
}

const wrapped = (lon) => ((((lon + 180) % 360) + 360) % 360) - 180;

function degrees(value, step, positive, negative) {
  const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : step >= 0.01 ? 2 : 3;
  const text = Math.abs(value).toFixed(digits);
  return `${text}°${Number(text) === 0 ? "" : ` ${value > 0 ? positive : negative}`}`;
}

/** The longest round length that fits into `width` pixels: its words and its own width. */
export function scaleBar(viewport, width) {
  const metres = 40_075_016.686 * Math.cos((viewport.latitude * Math.PI) / 180) / (512 * 2 ** viewport.zoom);
  const power = 10 ** Math.floor(Math.log10(metres * width));
  const length = [5, 2, 1].map((n) => n * power).find((n) => n <= metres * width);
  return { text: length >= 1000 ? `${length / 1000} km` : `${length} m`, width: Math.round(length / metres) };
}
