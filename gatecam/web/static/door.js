// The page at the door: one large message for the addressed person, and a live picture that marks this person.
"use strict";
const HOLD_MS = 1200, UNKNOWN_MS = 2500, LEAST_MS = 200, CALM_MS = 1000;
const LEAST_SCALE = 0.2, LEAST_UNBROKEN = 0.4;
const body = document.body, message = document.getElementById("message"), words = document.getElementById("words"), canvas = document.getElementById("live");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const camera = new URLSearchParams(location.search).get("camera");
const query = "?page=door" + (camera ? `&camera=${encodeURIComponent(camera)}` : "");
let languages = [], state = null, shownAt = -Infinity, timer = 0, isBlind = true, drawnAt = -Infinity;

function show(next) {
  clearTimeout(timer);
  if (next === state) return;
  state = next;
  body.dataset.state = next;
  say(languages.filter((one) => one[next]).map((one) => [one.lang, one[next]]));
  shownAt = next === "starting" ? -Infinity : performance.now(); // after the words were fitted, which takes time
}

function say(lines) {
  words.replaceChildren(...lines.map(([lang, text]) => {
    const line = document.createElement("p");
    line.lang = lang;
    line.dir = "auto";
    line.textContent = text;
    return line;
  }));
  fit();
}

// Shrink the words until all of them fit below the sign. Only very long words are broken.
function fit() {
  const fits = (scale) => {
    words.style.setProperty("--scale", scale);
    return message.scrollHeight <= message.clientHeight + 1 && [...words.children].every((line) => line.scrollWidth <= line.clientWidth + 1);
  };
  for (const [breaks, least] of [[false, LEAST_UNBROKEN], [true, LEAST_SCALE]]) {
    words.classList.toggle("breaks", breaks);
    for (let scale = 1; scale >= least; scale *= 0.95) if (fits(scale)) return;
  }
}

// Place the picture beside the words, or above them on an upright screen, unless it is clearly larger the other way.
function arrange() {
  const aspect = canvas.width / canvas.height, wide = innerWidth / innerHeight;
  body.dataset.layout = Math.min(0.46 * wide, aspect) > (wide > 1 ? 0.8 : 1.25) * Math.min(wide, 0.46 * aspect) ? "beside" : "above";
  body.style.setProperty("--aspect", aspect);
  fit();
}

// A message stays for a moment, unless a person needs another one or the camera goes blind. With at most five
// changes a second, the page stays below the three flashes a second that WCAG 2.3.1 allows.
function want(next) {
  clearTimeout(timer);
  if (next === state) return;
  const isUrgent = (next !== "welcome" && next !== "unknown") || state === "starting";
  const held = shownAt + (isUrgent ? LEAST_MS : HOLD_MS) - performance.now();
  const wait = isUrgent ? held : Math.max(next === "unknown" ? UNKNOWN_MS : 0, held);
  if (wait <= 0) show(next); else timer = setTimeout(show, wait, next);
}

function blind() {
  isBlind = true;
  clear(canvas);
  want("unseen");
}

const NAMES = { none: "missing", incorrect: "incorrect", correct: "correct", unknown: "unknown" };
const take = {
  state(told) {
    if (told.cameras) return refuse(told.cameras.join(", "));
    if (told.blindness) return blind();
    isBlind = false;
    want(told.people === null ? "starting" : told.verdict ? NAMES[told.verdict] : "welcome");
  },
  picture(place, picture) {
    if (isBlind || (calm.matches && performance.now() - drawnAt < CALM_MS)) return picture.close();
    drawnAt = performance.now();
    const before = canvas.width / canvas.height;
    paint(canvas, picture);
    if (canvas.width / canvas.height !== before) arrange();
  },
  lost: blind,
};

function refuse(names) {
  if (state === "refused") return;
  show("refused");
  const texts = JSON.parse(document.getElementById("table").textContent);
  say(Object.entries(texts).map(([lang, text]) => [lang, text.replace("{camera}", () => camera).replace("{names}", () => names)]));
}

addEventListener("resize", arrange);
document.fonts.addEventListener("loadingdone", fit);
arrange();
Promise.all([session(), fetch(url("/door/words")).then((answer) => answer.json())]).then(([, given]) => {
  languages = given;
  document.documentElement.lang = given[0].lang;
  show("starting");
  watchLive(query, take);
}).catch(() => setTimeout(() => location.reload(), 3000));
