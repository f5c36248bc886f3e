// The page at the door: one large message for the nearest person, and a calm picture.
"use strict";
const HOLD_MS = 1200, UNKNOWN_MS = 2500;
const body = document.body, words = document.getElementById("words"), canvas = document.getElementById("live");
const camera = new URLSearchParams(location.search).get("camera");
const query = "?page=door" + (camera ? `&camera=${encodeURIComponent(camera)}` : "");
let languages = [], state = null, shownAt = 0, timer = 0;

function show(next) {
  clearTimeout(timer);
  if (next === state) return;
  state = next;
  shownAt = performance.now();
  body.dataset.state = next;
  words.replaceChildren(...languages.map((one) => {
    const line = document.createElement("p");
    line.lang = one.lang;
    line.textContent = one[next];
    return line;
  }));
}

// A message stays for a moment, unless a person needs another one or the camera goes blind.
function want(next) {
  clearTimeout(timer);
  if (next === state) return;
  const urgent = next !== "welcome" && next !== "unknown";
  const wait = urgent ? 0 : Math.max(next === "unknown" ? UNKNOWN_MS : 0, shownAt + HOLD_MS - performance.now());
  if (wait <= 0) show(next); else timer = setTimeout(show, wait, next);
}

function take(told) {
  const names = { none: "missing", incorrect: "incorrect", correct: "correct", unknown: "unknown" };
  want(told.blindness ? "unseen" : told.verdict ? names[told.verdict] : "welcome");
}

function draw(place, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}

fetch("/door/words").then((answer) => answer.json()).then((given) => {
  languages = given;
  document.documentElement.lang = given[0].lang;
  show("welcome");
  watchLive(query, take, draw, () => want("unseen"));
}).catch(() => setTimeout(() => location.reload(), 3000));
