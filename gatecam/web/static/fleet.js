// The page of all doors: their state, since when, and what each one reports. Doors that need attention come first.
"use strict";
const STATES = ["silent", "blind", "slow", "trouble", "well"], EVERY_MS = 5000;
const by = (value) => (a, b) => value(b) - value(a) || NAMES.compare(a.door, b.door);
const NAMES = new Intl.Collator(LOCALE, { numeric: true });
const ORDERS = {
  attention: (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || (b.since_s ?? -1) - (a.since_s ?? -1) || NAMES.compare(a.door, b.door),
  name: (a, b) => NAMES.compare(a.door, b.door),
  people: by((one) => one.people ?? 0),
  waiting: by((one) => one.waiting),
  version: (a, b) => NAMES.compare(a.version, b.version) || NAMES.compare(a.settings, b.settings) || NAMES.compare(a.door, b.door),
};
const shown = new Map(); // by name: the tile of a door, and the text from which it was made
let doors = [];

function lasted(seconds) {
  if (seconds < 90) return word("count.s", { n: seconds });
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return word("count.min", { n: minutes });
  const h = Math.floor(minutes / 60);
  return h < 48 ? word("count.h_min", { h, m: minutes % 60 }) : word("count.days", { n: Math.floor(h / 24) });
}
function why(camera) {
  const reason = TEXTS[`reason.${camera.reason || camera.slowness}`] ?? camera.reason;
  const text = camera.sees && camera.slowness ? reason : word("fleet.blind_for", { reason: reason || word("fleet.not_judged"), time: lasted(camera.since_s) });
  return [camera.camera, text].filter(Boolean).join(": ");
}
function texts(door) {
  const people = door.people === null ? word("fleet.uncounted") : door.share === null ? word("fleet.nobody") : word("fleet.people", { n: door.people, share: Math.round(100 * door.share) });
  return {
    what: word(`fleet.${door.state}`) + (door.state === "silent" ? `, ${lasted(door.since_s)}` : ""),
    whys: [...(door.state === "silent" ? [] : door.cameras.filter((one) => !one.sees || one.slowness).map(why)), ...door.troubles],
    facts: [word("fleet.facts", door), ...(door.cameras.length > 1 ? [word("fleet.cameras", { n: door.cameras.length })] : []),
      ...(door.dropped ? [word("fleet.dropped", { n: door.dropped })] : [])].join(", "),
    today: people,
    version: word("fleet.version", door),
  };
}
function tile(door) {
  const told = texts(door), text = JSON.stringify([door.state, told]), known = shown.get(door.door);
  if (known && known.text === text) return known.element;
  const element = known ? known.element : make("li");
  element.dataset.state = door.state;
  element.replaceChildren(make("h3", { textContent: door.door }), make("p", { className: "what", textContent: told.what }),
    ...told.whys.map((textContent) => make("p", { textContent })),
    make("p", { textContent: told.today }), make("p", { className: "facts", textContent: told.facts }), make("p", { className: "facts", textContent: told.version }));
  shown.set(door.door, { element, text });
  return element;
}
function show() {
  const text = $("text").value.trim().normalize().toLowerCase(), state = $("state").value;
  const found = doors.filter((one) => (!state || one.state === state) && (!text || one.searched.includes(text))).sort(ORDERS[$("sort").value]);
  const tiles = found.map(tile), list = $("doors");
  if (tiles.length !== list.children.length || tiles.some((one, place) => one !== list.children[place])) list.replaceChildren(...tiles);
  $("found").textContent = doors.length && !found.length ? word("fleet.none_found") : found.length < doors.length ? word("fleet.found", { n: found.length, all: doors.length }) : "";
}
function set(id, text) { // the same text again would be read aloud again
  if ($(id).textContent !== text) $(id).textContent = text;
}
function take(told) {
  doors = told.doors;
  for (const one of doors) one.searched = [one.door, one.version, one.settings, ...one.cameras.map((camera) => camera.camera)].join("\n").normalize().toLowerCase();
  for (const name of shown.keys()) if (!doors.some((one) => one.door === name)) shown.delete(name);
  const numbers = STATES.map((state) => [state, doors.filter((one) => one.state === state).length]);
  const parts = numbers.filter(([, number]) => number).map(([state, number]) => `${word(`fleet.${state}`)} ${number.toLocaleString(LOCALE)}`);
  set("summary", doors.length ? `${word("fleet.doors", { n: doors.length.toLocaleString(LOCALE) })}: ${parts.join(", ")}` : told.read_at ? word("fleet.none") : "");
  set("trouble", told.troubles.length ? word("fleet.away", { error: told.troubles.join(" "), at: told.read_at ? when(told.read_at) : word("health.unknown") }) : "");
  show();
}
async function load() {
  try {
    take(await ask("/api/doors"));
  } catch (error) {
    tell("trouble")(error);
  }
  setTimeout(load, EVERY_MS);
}

for (const state of STATES) $("state").add(new Option(word(`fleet.${state}`), state));
for (const order of Object.keys(ORDERS)) $("sort").add(new Option(word(`fleet.by_${order}`), order));
const given = new URLSearchParams(location.search);
for (const name of ["text", "state", "sort"]) {
  if (given.get(name)) $(name).value = given.get(name);
  $(name).oninput = () => {
    const asked = new URLSearchParams(["text", "state", "sort"].filter((one) => $(one).value).map((one) => [one, $(one).value]));
    history.replaceState(null, "", `?${asked}`);
    show();
  };
}
$("filter").onsubmit = (event) => event.preventDefault();
session().catch(tell("trouble"));
load();
