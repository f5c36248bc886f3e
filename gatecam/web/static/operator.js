// The operator's page: live pictures, charts, events, health and settings, all from this machine.
"use strict";
const $ = (id) => document.getElementById(id);
const VERDICTS = { none: "no mask", incorrect: "mask worn wrong", correct: "mask worn right", unknown: "not sure yet" };
let csrf = "", cameras = [], words = {}, asked = new URLSearchParams(), newest = 0, oldest = 0;

function cell(row, text) { row.insertCell().textContent = text; }
async function ask(path, options) {
  const answer = await fetch(path, options);
  if (answer.status === 401) { location.href = "/login?next=/"; throw new Error("logged out"); }
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || answer.statusText);
  return answer.json();
}

function card(name) {
  const item = document.createElement("li");
  item.innerHTML = "<canvas width=640 height=360 role=img></canvas><p><strong></strong> <span class=what></span></p><p class=rate></p><p><a>Page at the door</a></p>";
  item.querySelector("strong").textContent = name;
  item.querySelector("a").href = `/door?camera=${encodeURIComponent(name)}`;
  item.querySelector("canvas").setAttribute("aria-label", `live picture of ${name}, faces blurred`);
  return item;
}

function takeState(told) {
  const item = $("cameras").children[cameras.indexOf(told.camera)];
  if (!item) return;
  item.classList.toggle("blind", Boolean(told.blindness));
  const people = told.people === 1 ? "1 person" : `${told.people} people`;
  item.querySelector(".what").textContent = told.blindness
    ? `does not see: ${(words[told.blindness] || {}).en || told.blindness}`
    : told.people ? `${people}; nearest: ${VERDICTS[told.verdict]}` : "nobody";
}

function takePicture(place, picture) {
  const canvas = $("cameras").children[place]?.querySelector("canvas");
  if (canvas) {
    if (canvas.width !== picture.width || canvas.height !== picture.height) [canvas.width, canvas.height] = [picture.width, picture.height];
    canvas.getContext("2d").drawImage(picture, 0, 0);
  }
  picture.close();
}

async function showHealth() {
  const health = await ask("/api/status");
  words = health.words;
  if (!cameras.length) {
    cameras = health.cameras.map((one) => one.name);
    $("cameras").replaceChildren(...cameras.map(card));
    watchLive("", takeState, takePicture, () => { $("summary").textContent = "No connection to gatecam; trying again."; });
  }
  health.cameras.forEach((one, place) => {
    $("cameras").children[place].querySelector(".rate").textContent =
      `${one.frames_per_s.toFixed(0)} frames/s, ${one.dropped} dropped, reader restarted ${one.restarts} times`;
  });
  $("summary").textContent = health.sees ? "All cameras see." : "A camera does not see.";
  $("troubles").textContent = health.troubles.join("\n");
  const hours = Math.floor(health.up_s / 3600), minutes = Math.floor(health.up_s / 60) % 60;
  const facts = [["Runs for", `${hours} h ${minutes} min`], ["Device", health.device], ["Memory", told(health.memory_mib, "MiB")], ["Load of the cores", told(health.load === null ? null : 100 * health.load, "%")],
    ["Disk left", told(health.free_disk_mb === null ? null : health.free_disk_mb / 1000, "GB")],
    ["Version", health.version], ["Last alert", health.last_alert ? `${health.last_alert.kind}, ${health.last_alert.camera}, ${when(health.last_alert.at)}` : "none"]];
  $("machine").replaceChildren(...facts.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  $("queues").replaceChildren();
  for (const one of health.queues) {
    const row = $("queues").insertRow();
    [one.name, one.waiting, one.sent, one.failed, one.dropped].forEach((value) => cell(row, value));
  }
}

async function showPeople() {
  const told = await ask("/api/people");
  const share = told.share === null ? "" : `, ${Math.round(100 * told.share)} % with the mask worn right`;
  $("people").textContent = `${told.people} people${share}; ${told.put_on} put it right after they were told.`;
  $("hours").innerHTML = told.hours;
  $("days").innerHTML = told.days;
  const known = new Set([...$("camera").options].map((option) => option.value));
  for (const name of told.cameras) if (!known.has(name)) $("camera").add(new Option(name));
}

const told = (number, unit) => number === null ? "not known" : `${Math.round(number)} ${unit}`;
const when = (at) => new Date(at).toLocaleString();
function query() {
  const asked = new URLSearchParams();
  for (const name of ["camera", "kind"]) if ($(name).value) asked.set(name, $(name).value);
  for (const name of ["since", "until"]) if ($(name).value) asked.set(`${name}_ms`, new Date($(name).value).getTime());
  return asked;
}
function fill(row, one) {
  const isCamera = one.kind.startsWith("camera");
  [when(one.at), one.kind, one.camera, isCamera ? "" : `#${one.person}`, isCamera ? one.reason : VERDICTS[one.verdict]].forEach((value) => cell(row, value));
}
async function showEvents() {
  const wanted = asked = query();
  $("csv").href = `/api/events.csv?${wanted}`;
  const told = await ask(`/api/events?${wanted}`);
  if (wanted === asked) replace(told);
}
function replace(told) {
  newest = 0;
  $("events").replaceChildren();
  append(told);
}
function append(told) {
  for (const one of told.events) {
    fill($("events").insertRow(), one);
    newest = Math.max(newest, one.id);
    oldest = one.id;
  }
  $("more").hidden = !told.more;
  sayFound();
}
function sayFound() { $("found").textContent = $("events").rows.length ? "" : "No such events."; }
async function showOlder() {
  const wanted = asked, told = await ask(`/api/events?${wanted}&before_id=${oldest}`);
  if (wanted === asked) append(told);
}
// New events go on top; a page that is open for months keeps no more rows than it asks for.
async function showNewer() {
  const wanted = asked, told = await ask(`/api/events?${wanted}`);
  if (wanted !== asked) return;
  const fresh = told.events.filter((one) => one.id > newest);
  if (fresh.length && ($("events").rows.length <= told.events.length || fresh.length === told.events.length)) { replace(told); return; }
  for (const one of fresh.reverse()) {
    fill($("events").insertRow(0), one);
    newest = one.id;
  }
  sayFound();
}
const tell = (place) => (error) => { $(place).textContent = `Not shown: ${error.message}`; };

function showSettings(told) {
  $("settings").replaceChildren(...Object.entries(told).map(([name, one]) => {
    const field = document.createElement("div"), label = document.createElement("label"), input = document.createElement("input");
    field.className = "field";
    label.textContent = one.label;
    label.htmlFor = input.id = `setting-${name}`;
    Object.assign(input, { type: "number", min: one.low, max: one.high, step: "any", value: one.value, required: true });
    input.onchange = async () => {
      try {
        showSettings(await ask("/api/settings", { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ name, value: Number(input.value) }) }));
        $("said").textContent = `${one.label}: ${input.value}`;
      } catch (error) { $("said").textContent = error.message; }
    };
    field.append(label, input);
    return field;
  }));
}

$("filter").onsubmit = (event) => { event.preventDefault(); showEvents().catch(tell("found")); };
$("more").onclick = () => showOlder().catch(tell("found"));
$("logout").onclick = async () => { await fetch("/logout", { method: "POST", headers: { "X-CSRF-Token": csrf } }); location.href = "/login"; };
(async () => {
  csrf = (await ask("/session")).csrf_token;
  await Promise.all([showHealth().catch(tell("summary")), showPeople().catch(tell("people")), showEvents().catch(tell("found")), ask("/api/settings").then(showSettings).catch(tell("said"))]);
  setInterval(() => showHealth().catch(tell("summary")), 3000);
  setInterval(() => showNewer().catch(tell("found")), 3000);
  setInterval(() => showPeople().catch(tell("people")), 30000);
})();
