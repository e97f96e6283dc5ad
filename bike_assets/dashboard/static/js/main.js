// The page: memory, map, lists and panel, brought together.

import { duration, setText } from "/static/js/format.js";
import { Legend, SystemList, search, stateWord } from "/static/js/lists.js";
import { StationMap } from "/static/js/map.js";
import { StationPanel } from "/static/js/panel.js";
import { Store, readOnly } from "/static/js/store.js";
import { follow } from "/static/js/stream.js";

const LISTS_MS = 250;  // lists and counts are written at most so often
const TIME_MS = 1_000; // ages move on, and stations become unknown

const $ = (id) => document.getElementById(id);
const store = new Store();
window.bikeLive = readOnly(store);

let isConnected = null;
let maxGapMs = Infinity;
let map = null;

const panel = new StationPanel($("station"), store, () => map?.select(null));
const systems = new SystemList($("systems"), $("systems-count"), store, chooseSystem);
const legend = new Legend($("legend"), (states) => map?.hide(states));
search($("search"), $("found"), store, (key) => {
  chooseStation(key);
  map?.showStation(store.stations.get(key));
});

try {
  map = new StationMap($("map"), store, { select: chooseStation, system: chooseSystem, hover: showHover, scale: showScale });
} catch (err) {
  console.error(err);
  say("This browser cannot draw the map: it needs WebGL 2. Lists and search work all the same.");
}

function chooseStation(key) {
  closeDrawer();
  map?.select(key);
  panel.open(key);
}

function chooseSystem(id) {
  closeDrawer();
  systems.choose(id);
  map?.showSystem(id);
}

function showHover(record, x, y) {
  const tip = $("hover");
  tip.hidden = record === null;
  if (record === null) return;
  const state = store.shown.get(record.key);
  const docks = record.docks_available === null ? "" : `, ${record.docks_available} docks`;
  const name = document.createElement("b");
  name.textContent = record.name ?? record.station_id;
  tip.replaceChildren(name, state === "unknown" ? stateWord(state) : `${record.bikes_available} bikes${docks}`);
  const isRight = x > $("map").clientWidth - 280;
  tip.style.left = isRight ? "auto" : `${x + 14}px`;
  tip.style.right = isRight ? `${$("map").clientWidth - x + 14}px` : "auto";
  tip.style.top = `${Math.max(4, y - 20)}px`;
}

function showScale({ text, width }) {
  setText($("scale").firstElementChild, text);
  $("scale").lastElementChild.style.width = `${width}px`;
}

function say(sentence) {
  $("banner").hidden = !sentence;
  setText($("banner"), sentence ?? "");
}

function showConnection() {
  const status = store.status;
  const state = isConnected === false ? "offline" : isConnected === null ? "loading" : status?.connection ?? "loading";
  const words = { live: "Live", loading: "Loading", down: "Kafka is away", offline: "Page server is away" };
  $("connection").dataset.state = state;
  setText($("connection").lastElementChild, words[state]);
  if (state === "offline") say("No connection to the page's server. What you see may be old; the page connects again by itself.");
  else if (state === "down") say(`${status.reason} What you see may be old; the page goes on by itself.`);
  else if (map) say(null);
  const newest = status?.last_message_at;
  $("newest").hidden = !newest;
  setText($("newest").lastElementChild, `${duration(store.now() - newest)} ago`);
  $("empty").hidden = !(store.loaded && status?.connection === "live" && store.stations.size + store.fleets.size === 0);
}

let listsTimer = null;
function showLists() {
  if (listsTimer !== null) return;
  listsTimer = setTimeout(() => {
    listsTimer = null;
    const totals = store.totals();
    systems.render(totals, maxGapMs);
    legend.render(totals.get(""));
    panel.render();
    showConnection();
  }, LISTS_MS);
}

follow("/api/events", {
  snapshot(data) {
    maxGapMs = data.max_gap_ms;
    store.takeSnapshot(data);
    map?.update();
    showLists();
  },
  changes(data) {
    const moved = store.takeChanges(data);
    map?.update(moved);
    showLists();
  },
  status(data) {
    store.takeStatus(data);
    showLists();
  },
  connected(is) {
    if (isConnected === is) return;
    isConnected = is;
    showLists();
  },
});

setInterval(() => {
  store.passTime();
  if (store.changedKeys.size) map?.update();
  showLists();
}, TIME_MS);

function closeDrawer() {
  $("sidebar").classList.remove("open");
  $("drawer-button").setAttribute("aria-expanded", "false");
}

$("drawer-button").addEventListener("click", () => {
  const isOpen = $("sidebar").classList.toggle("open");
  $("drawer-button").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) $("search").focus();
});
$("all").addEventListener("click", () => { systems.choose(null); map?.showAll(); });
$("zoom-in").addEventListener("click", () => map?.zoomBy(1));
$("zoom-out").addEventListener("click", () => map?.zoomBy(-1));
