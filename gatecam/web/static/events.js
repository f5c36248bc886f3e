// The list of events as a timeline, one event with its picture, and the operator's answers.
"use strict";
const KINDS = ["mask_missing", "mask_incorrect", "mask_reminder", "mask_ok", "camera_blind", "camera_ok", "too_slow", "fast_enough"];
const ANSWERS = ["right", "not_person", "correct", "incorrect", "none"];
const ENDS = new Set(["camera_ok", "fast_enough"]); // their reason is that of what has ended
let asked = new URLSearchParams(), newest = 0, oldest = 0, opened = 0;

const count = (n, unit) => word(`count.${unit}`, { n });
const what = (one) => word(`kind.${one.kind}${one.kind !== "mask_ok" ? "" : one.first ? ".first" : ".later"}`);
const why = (reason) => word(`reason.${reason}`);
function last(seconds) {
  if (seconds < 90) return count(Math.round(seconds), "s");
  return seconds < 5400 ? count(Math.round(seconds / 60), "min") : count(Math.round(seconds / 3600), "h");
}
function cell(row, text) { row.insertCell().textContent = text; }

function query() {
  const asked = new URLSearchParams();
  for (const name of ["camera", "kind"]) if ($(name).value) asked.set(name, $(name).value);
  for (const name of ["since", "until"]) if ($(name).value) asked.set(`${name}_ms`, new Date($(name).value).getTime());
  return asked;
}
const stateOf = (one) => JSON.stringify([one.picture, one.lasted_s, one.answer]);
const details = (one) => one.reason ? (ENDS.has(one.kind) ? word("events.before", { reason: why(one.reason) }) : why(one.reason)) : word(`verdict.${one.verdict}`);
function fill(row, one) {
  const picture = row.insertCell(), open = document.createElement("button");
  Object.assign(row.dataset, { kind: one.kind, id: one.id, state: stateOf(one) });
  row.onclick = () => openEvent(one.id).catch(tell("found"));
  if (one.picture) picture.append(Object.assign(new Image(96, 54), { loading: "lazy", alt: "", src: url(`/api/events/${one.id}/picture.jpg?small=true`) }));
  open.type = "button";
  open.textContent = when(one.at);
  open.setAttribute("aria-haspopup", "dialog");
  row.insertCell().append(open);
  [what(one), one.camera, one.reason ? "" : `#${one.person}`, details(one) + (one.answer ? ` · ${word(`answer.${one.answer}`)}` : ""), one.lasted_s === null ? "" : last(one.lasted_s)].forEach((value) => cell(row, value));
}
async function showEvents() {
  const wanted = asked = query(), told = await ask(`/api/events?${wanted}`);
  if (wanted === asked) replace(told);
}
function replace(told) {
  const focused = document.activeElement.closest("#events tr")?.dataset.id;
  newest = 0;
  $("events").replaceChildren();
  append(told);
  rowOf(focused)?.querySelector("button").focus();
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
function sayFound() {
  const isTurned = asked.has("since_ms") && asked.has("until_ms") && Number(asked.get("since_ms")) > Number(asked.get("until_ms"));
  $("found").textContent = $("events").rows.length ? "" : word(isTurned ? "events.turned" : "events.none");
}
async function showOlder() {
  const wanted = asked, told = await ask(`/api/events?${wanted}&before_id=${oldest}`);
  if (wanted === asked) append(told);
}
// New events go on top if older ones are shown too. Otherwise all rows are replaced, so that a page that is open for
// months does not grow. Pictures and ends come later than their events.
async function showNewer() {
  const wanted = asked, told = await ask(`/api/events?${wanted}`);
  if (wanted !== asked) return;
  told.events.forEach(update);
  const fresh = told.events.filter((one) => one.id > newest);
  const number = $("events").rows.length, hasLess = !told.more && number > told.events.length; // events were erased
  if (hasLess || (fresh.length && (number <= told.events.length || fresh.length === told.events.length))) { replace(told); return; }
  for (const one of fresh.reverse()) {
    fill($("events").insertRow(0), one);
    newest = one.id;
  }
  sayFound();
}
const rowOf = (id) => id && $("events").querySelector(`tr[data-id="${id}"]`);
function update(one) {
  const row = rowOf(one.id);
  if (!row || row.dataset.state === stateOf(one)) return;
  const hasFocus = row.contains(document.activeElement);
  row.replaceChildren();
  fill(row, one);
  if (hasFocus) row.querySelector("button").focus();
}

// One event.
async function openEvent(id) {
  const one = await ask(`/api/events/${id}`);
  opened = id;
  $("event-said").textContent = "";
  showPicture(one);
  showFacts(one);
  showAnswers(one);
  history.replaceState(null, "", `#event-${id}`);
  if (!$("event").open) $("event").showModal();
  $("event").onclose = () => {
    $("event-video").removeAttribute("src");
    $("event-video").load();
    history.replaceState(null, "", location.pathname + location.search);
    rowOf(id)?.querySelector("button").focus(); // the row may have been filled anew
  };
}
function showPicture(one) {
  const picture = $("event-picture"), frame = picture.parentElement;
  picture.hidden = !one.picture;
  frame.querySelector("i")?.remove();
  $("event-caption").textContent = !one.picture ? word("event.no_picture") : one.blurred ? word("event.blurred") : "";
  if (one.picture) {
    picture.alt = word("event.picture_of", { camera: one.camera, time: when(one.at) });
    picture.onload = () => one.box && frame.append(boxOf(one.box, picture));
    picture.src = url(`/api/events/${one.id}/picture.jpg`);
  }
  $("event-video").hidden = !one.video;
  if (one.video) $("event-video").src = url(`/api/events/${one.id}/video.mp4`);
}
function boxOf([x1, y1, x2, y2], picture) {
  const mark = document.createElement("i"), share = (value, whole) => `${100 * value / whole}%`, { naturalWidth: w, naturalHeight: h } = picture;
  Object.assign(mark.style, { left: share(x1, w), top: share(y1, h), width: share(x2 - x1, w), height: share(y2 - y1, h) });
  return mark;
}
function showFacts(one) {
  const nothing = word("health.none");
  $("event-title").textContent = what(one);
  const facts = [["events.time", when(one.at)], ["events.camera", one.camera], ["events.details", details(one)]];
  if (!one.reason) facts.push(["event.probability", `${Math.round(100 * one.probability)} %`]);
  facts.push(["event.lasted", one.lasted_s === null ? word("health.unknown") : last(one.lasted_s)]);
  if (one.message) facts.push(["event.message", [one.message[LANGUAGE], ...Object.values(one.message).filter((text) => text !== one.message[LANGUAGE])].join(" / ")]);
  const played = one.played.split(", ").filter(Boolean).map((part) => word(`played.${part}`));
  facts.push(["event.played", played.join(", ") || nothing], ["event.sent", one.sent.map(outputOf).join(", ") || nothing]);
  $("event-facts").replaceChildren(...facts.flatMap(([name, value]) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = word(name);
    text.textContent = value;
    return [term, text];
  }));
}
function showAnswers(one) {
  const focused = document.activeElement.closest("#answers button")?.dataset.answer;
  $("event-question").hidden = Boolean(one.reason);
  $("answers").replaceChildren(...ANSWERS.filter((name) => name !== one.verdict).map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.answer = name;
    button.textContent = word(`answer.${name}`);
    button.setAttribute("aria-pressed", one.answer === name);
    button.onclick = () => answer(one, one.answer === name ? null : name);
    return button;
  }));
  $("answers").querySelector(`[data-answer="${focused}"]`)?.focus();
}
async function answer({ id, answer: seen }, name) {
  try {
    const one = await send(`/api/events/${id}/answer`, { answer: name, seen: { answer: seen } });
    if (id === opened) showAnswers(one);
    $("event-said").textContent = word(name ? "event.answered" : "event.unanswered");
    update(one);
    await showWeeks();
  } catch (error) {
    $("event-said").textContent = error.message;
    if (error.status === 409) await ask(`/api/events/${id}`).then((one) => { if (id === opened) showAnswers(one); update(one); }, () => {});
  }
}

// How many answers of each week say that the event is right.
async function showWeeks() {
  const weeks = await ask("/api/feedback");
  $("weeks-none").hidden = weeks.length > 0;
  $("weeks-box").hidden = !weeks.length;
  $("weeks").replaceChildren();
  for (const one of weeks) {
    const row = $("weeks").insertRow();
    [new Date(`${one.week}T00:00`).toLocaleDateString(LOCALE), one.answered, one.right, `${Math.round(100 * one.right / one.answered)} %`].forEach((value) => cell(row, value));
  }
}

for (const kind of KINDS) $("kind").add(new Option(word(`kind.${kind}`), kind));
$("filter").onsubmit = (event) => { event.preventDefault(); showEvents().catch(tell("found")); };
$("filter").oninput = () => { $("csv").href = `api/events.csv?${query()}`; };
$("more").onclick = () => showOlder().catch(tell("found"));
$("event-close").onclick = () => $("event").close();
$("event").onclick = (event) => { if (event.target === $("event")) $("event").close(); }; // a click beside it
