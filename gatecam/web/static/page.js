// What all pages share: addresses, words, the session, and requests to gatecam.
"use strict";
const $ = (id) => document.getElementById(id);
const ROOT = new URL("..", document.currentScript.src).href; // a proxy may serve the pages below any path
const url = (path) => ROOT + path.replace(/^\//, "");
const here = () => location.href.replace(location.hash, "").slice(ROOT.length - 1); // this page, as gatecam knows it
const TEXTS = JSON.parse($("table").textContent), LANGUAGE = document.documentElement.lang;
const LOCALE = navigator.languages.find((tag) => tag.startsWith(LANGUAGE)) || LANGUAGE; // a reader of English may write dates as in India
let csrf = "", run = "";

function word(key, parts = {}) {
  return (TEXTS[key] ?? key).replace(/{(\w+)}/g, (_, name) => parts[name]);
}
// Whether a change was saved, and if not, the lines that save it.
const saved = (told) => told.problem ? `${word(`unsaved.${told.problem}`, told)} ${word("page.until_restart", told)}` : word("page.saved", told);
const tell = (place) => (error) => { $(place).textContent = word("page.not_shown", { error: error.message }); };
// The name of an output. Each chat address has one of its own.
const outputOf = (name) => { const [kind, id] = name.split(":"); return word(`output.${kind}`) + (id ? ` ${id}` : ""); };
const when = (at) => new Date(at).toLocaleString(LOCALE);
const toLogin = () => { location.href = url(`/login?next=${encodeURIComponent(here())}`); };

// Go to the login if the session has ended. Reload the page if gatecam has restarted. Parts of a page with
// data-for="operator" or "admin" show only to these roles.
async function session() {
  const answer = await fetch(url("/session"));
  if (answer.status === 401) toLogin();
  if (!answer.ok) throw new Error(answer.statusText);
  const told = await answer.json();
  if (run && run !== told.run) location.reload();
  run = told.run;
  csrf = told.csrf_token;
  document.body.dataset.role = told.role;
  return told;
}

async function ask(path, options) {
  const answer = await fetch(url(path), options).catch(() => { throw new Error(word("page.no_answer")); });
  if (answer.status === 401) { toLogin(); throw new Error("logged out"); }
  if (!answer.ok) {
    const { detail } = await answer.json().catch(() => ({}));
    const text = Array.isArray(detail) ? detail.map((one) => `${one.loc?.at(-1)}: ${one.msg}`).join(" ") : detail;
    throw Object.assign(new Error(text || answer.statusText), { status: answer.status });
  }
  return answer.status === 204 ? null : answer.json();
}
// A login in another tab has replaced the session, so a refused change is sent once more with the new one's CSRF token.
async function send(path, body, method = "POST") {
  const given = csrf, again = () => ask(path, { method, headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body) });
  try { return await again(); }
  catch (error) {
    if (error.status === 403) await session();
    if (csrf !== given) return again();
    throw error;
  }
}

// A browser may refuse storage to a page in another site's frame.
function stored(act) {
  try { return act(sessionStorage); } catch { return null; }
}

function make(tag, properties = {}, ...parts) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...parts);
  return element;
}

for (const link of document.querySelectorAll("nav a")) if (link.href === location.href.split(/[?#]/)[0]) link.setAttribute("aria-current", "page");
const language = document.querySelector("a[hreflang]");
if (language) language.onclick = () => { // keeps what is chosen on the page
  const asked = new URLSearchParams(location.search);
  asked.set("language", language.hreflang);
  language.href = `?${asked}`;
};
if ($("logout")) $("logout").onclick = async () => {
  await fetch(url("/logout"), { method: "POST", headers: { "X-CSRF-Token": csrf } });
  stored((storage) => storage.clear());
  location.href = url("/login");
};
