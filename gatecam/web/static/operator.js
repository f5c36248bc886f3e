// The operator's page: live pictures, charts, events, health and settings, all from this machine.
"use strict";
const POLL_MS = 3000, CHARTS_MS = 30000;
let cameras = [];
let isPaused = matchMedia("(prefers-reduced-motion: reduce)").matches;

const told = (number, unit) => number === null ? word("health.unknown") : `${Math.round(number)} ${unit}`;
const people = (n) => count(n, n === 1 ? "person" : "people");

// Cameras: what they see now. A picture that is not live shows its time.
function card(name) {
  const item = document.createElement("li");
  item.innerHTML = "<div class=frame><div class=view><canvas width=640 height=360 role=img></canvas></div></div><h3></h3><p class=what></p><p class=rate></p><p class=of></p><p class=hint></p><ul class=ignored></ul><p class=kept><span role=status></span> <button type=button class=undo hidden></button></p><p><a></a></p>";
  item.querySelector("h3").textContent = name;
  item.querySelector("a").textContent = word("now.door");
  item.querySelector("a").href = `door?camera=${encodeURIComponent(name)}`;
  item.querySelector("a").setAttribute("aria-label", word("now.door_of", { camera: name }));
  item.querySelector("canvas").setAttribute("aria-label", word("now.picture", { camera: name }));
  item.querySelector(".ignored").setAttribute("aria-label", word("ignore.places", { camera: name }));
  item.querySelector(".undo").textContent = word("ignore.undo");
  return item;
}
function mark(item, isStill) {
  const at = item.dataset.at;
  item.classList.toggle("still", isStill);
  item.querySelector(".of").textContent = isStill && at ? word("now.picture_at", { time: new Date(Number(at)).toLocaleTimeString(LOCALE) }) : "";
}
const isStill = (item) => isPaused || item.classList.contains("blind") || item.classList.contains("lost");

const live = {
  state(told) {
    const item = $("cameras").children[cameras.indexOf(told.camera)];
    if (!item) return;
    if (told.still) return showStill(item, told.camera, told.still);
    item.classList.remove("lost");
    item.classList.toggle("blind", Boolean(told.blindness));
    mark(item, isStill(item));
    item.querySelector(".what").textContent = told.blindness ? word("now.blind", { reason: why(told.blindness) })
      : told.people === null ? word("now.nothing")
      : told.people ? word("now.addressed", { people: people(told.people), verdict: word(`verdict.${told.verdict}`) }) : word("now.nobody");
  },
  picture(place, picture) {
    const item = $("cameras").children[place];
    if (!item || (item.dataset.at && isStill(item))) return picture.close();
    item.dataset.at = Date.now();
    paint(item.querySelector("canvas"), picture);
    item.style.setProperty("--aspect", item.querySelector("canvas").width / item.querySelector("canvas").height);
    mark(item, isStill(item));
  },
  lost() {
    $("summary").textContent = word("page.retry");
    for (const item of $("cameras").children) {
      item.classList.add("lost");
      mark(item, true);
      showStill(item, "", []);
      item.querySelector(".what").textContent = word("now.no_connection");
      item.querySelector(".rate").textContent = "";
    }
  },
  found() {
    refresh();
    refreshCharts();
  },
};

// Faces that never moved: a button over each ignores its place. The buttons of faces that are still there stay, so that
// the focus does too.
function showStill(item, camera, places) {
  const view = item.querySelector(".view"), old = new Map([...view.querySelectorAll("button")].map((one) => [one.dataset.place, one]));
  for (const [x1, y1, x2, y2] of places) {
    const key = [x1, y1, x2, y2].join();
    if (old.delete(key)) continue;
    const button = document.createElement("button"), near = [...old].find(([name]) => isNear(name.split(","), [x1, y1, x2, y2]));
    if (near) { place(near[1], x1, y1, x2, y2); old.delete(near[0]); continue; }
    Object.assign(button, { type: "button", title: word("ignore.button") });
    button.setAttribute("aria-label", word("ignore.button"));
    button.onclick = () => ignore(item, camera, button.dataset.place.split(",").map(Number), true);
    place(button, x1, y1, x2, y2);
    view.append(button);
  }
  for (const button of old.values()) button.remove();
  item.querySelector(".hint").textContent = places.length ? word("ignore.hint") : "";
}
const isNear = (one, other) => one.every((value, i) => Math.abs(value - other[i]) < 0.025);
function place(button, x1, y1, x2, y2) {
  button.dataset.place = [x1, y1, x2, y2].join();
  const share = (value) => `${100 * value}%`;
  Object.assign(button.style, { left: share((x1 + x2) / 2), top: share((y1 + y2) / 2), width: share(x2 - x1), height: share(y2 - y1) });
}
async function ignore(item, camera, place, ignored) {
  const said = item.querySelector(".kept span"), undo = item.querySelector(".undo");
  try {
    const told = await send("/api/ignored", { camera, place, ignored });
    said.textContent = `${word(ignored ? "ignore.done" : "ignore.undone")} ${saved(told)}`;
    undo.onclick = () => ignore(item, camera, place, !ignored);
    undo.hidden = false;
    undo.focus();
    showIgnored(told.places);
  } catch (error) {
    said.textContent = error.message;
  }
}
function showIgnored(places) {
  cameras.forEach((camera, at) => {
    const item = $("cameras").children[at], list = item.querySelector(".ignored"), key = JSON.stringify(places[camera]);
    if (list.dataset.places === key) return;
    list.dataset.places = key;
    list.replaceChildren(...(places[camera] ?? []).map((one, index) => {
      const line = document.createElement("li"), button = document.createElement("button"), n = index + 1;
      button.type = "button";
      button.textContent = word("ignore.remove");
      button.setAttribute("aria-label", word("ignore.remove_of", { n, camera }));
      button.onclick = () => ignore(item, camera, one, false);
      line.append(word("ignore.place", { n }), " ", button);
      return line;
    }));
  });
}

function showPause() {
  $("pause").textContent = word(isPaused ? "page.resume" : "page.pause");
  for (const item of $("cameras").children) mark(item, isStill(item));
}

async function showHealth() {
  const health = await ask("/api/status"), names = health.cameras.map((one) => one.name);
  if (!cameras.length) {
    cameras = names;
    $("cameras").replaceChildren(...cameras.map(card));
    watchLive("", live);
  } else if (names.join("\n") !== cameras.join("\n")) return location.reload();
  health.cameras.forEach((one, place) => showRate($("cameras").children[place], one));
  $("summary").textContent = word(health.sees ? "health.all_see" : "health.blind") + (health.too_slow ? ` ${word("health.slow")}` : "");
  $("troubles").textContent = health.troubles.join("\n");
  const h = Math.floor(health.up_s / 3600), m = Math.floor(health.up_s / 60) % 60, alert = health.last_alert;
  const facts = { running: word("count.h_min", { h, m }), device: health.device, memory: told(health.memory_mib, "MiB"),
    cores: told(health.cores_in_use === null ? null : 100 * health.cores_in_use, "%"),
    disk: told(health.free_disk_mb === null ? null : health.free_disk_mb / 1000, "GB"), version: health.version,
    alert: alert ? `${word(`kind.${alert.kind}`)}, ${alert.camera}, ${when(alert.at)}` : word("health.none") };
  $("machine").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = word(`health.${name}`);
    text.textContent = value;
    return [term, text];
  }));
  $("queues").replaceChildren();
  for (const one of health.queues) {
    const row = $("queues").insertRow();
    [outputOf(one.name), one.waiting, one.sent, one.failed, one.dropped].forEach((value) => cell(row, value));
  }
}
function showRate(item, one) {
  item.querySelector(".rate").textContent = one.sees
    ? word("now.rate", { ...one, frames: one.frames_per_s.toFixed(0) })
    : one.state === "open" ? "" : one.since_s ? word("now.blind_for", { time: last(one.since_s) }) : one.reason; // another gatecam uses it
}

// Charts first scroll to the newest part. They are marked as old when they cannot be updated.
async function showPeople() {
  const isFirst = !$("hours").hasChildNodes();
  const told = await ask("/api/people").catch((error) => { $("hours").closest("section").classList.add("old"); throw error; });
  $("hours").closest("section").classList.remove("old");
  $("people").textContent = told.summary;
  for (const name of ["hours", "days"]) [$(name).innerHTML, $(`${name}-table`).innerHTML] = [told[name], told[`${name}_table`]];
  if (isFirst) {
    $("days").scrollLeft = $("days").scrollWidth;
    $("hours").scrollLeft = new Date().getHours() / 24 * $("hours").scrollWidth - $("hours").clientWidth / 2;
  }
  const known = new Set([...$("camera").options].map((option) => option.value));
  for (const name of told.cameras) if (!known.has(name)) $("camera").add(new Option(name));
}

function refresh() {
  showHealth().catch(tell("summary"));
  showNewer().catch(tell("found"));
  ask("/api/ignored").then(showIgnored, () => {}); // showHealth already reports the error
}
function refreshCharts() {
  showWeeks().catch(() => {}); // showPeople reports the error
  return showPeople().catch(tell("people"));
}
$("pause").onclick = () => { isPaused = !isPaused; showPause(); };
showPause();
(async () => {
  await session();
  await Promise.all([showHealth().then(() => ask("/api/ignored")).then(showIgnored).catch(tell("summary")), refreshCharts(), showEvents().catch(tell("found"))]);
  setInterval(refresh, POLL_MS);
  setInterval(refreshCharts, CHARTS_MS);
  const linked = location.hash.match(/^#event-(-?\d+)$/);
  if (linked) openEvent(Number(linked[1])).catch(tell("found"));
})();
