// Log in with a token after the # of the address, which browsers do not send to any server. The tab keeps the door's
// token, so that the screen at the door logs in again by itself after its session has ended or gatecam was away.
"use strict";
const KEPT = "door-token", LONGEST_MS = 60000;
const given = new URLSearchParams(location.hash.slice(1)).get("token");
const next = new URLSearchParams(location.search).get("next") || "";
const kept = next.startsWith("/door") ? stored((storage) => storage.getItem(KEPT)) : null;
let pause = 1000;

// A wrong token from a link is reported once. After other failures, and with the kept token of the door, try again.
async function enter(token) {
  try {
    const answer = await fetch("login", { method: "POST", body: new URLSearchParams({ token, next, link: 1 }) });
    const told = await answer.json();
    if (answer.ok) {
      if (told.role === "door") stored((storage) => storage.setItem(KEPT, token));
      return location.replace(`.${told.place}`);
    }
    if (told.said) say(told.said);
    if (answer.status === 401 && token !== kept) return;
  } catch { /* gatecam does not answer */ }
  setTimeout(enter, pause, token);
  pause = Math.min(pause * 2, LONGEST_MS);
}

// A browser may refuse storage to a page in another site's frame.
function stored(act) {
  try { return act(sessionStorage); } catch { return null; }
}

function say(text) {
  const line = document.getElementById("said");
  line.textContent = text;
  line.hidden = false;
}

if (given) history.replaceState(null, "", location.pathname + location.search);
if (given || kept) enter(given || kept);
