// The admin's page: users, and the audit log.
"use strict";
const ROLES = ["viewer", "operator", "admin"];
const ACTS = ["login", "login_failed", "logout", "user_added", "user_removed", "role", "password", "setting", "erasure", "export"];
let oldest = 0;

function choices(select, chosen) {
  for (const role of ROLES) select.add(new Option(word(`role.${role}`), role, false, role === chosen));
}
function button(text, label, act) {
  const made = make("button", { type: "button", textContent: text, onclick: act });
  made.setAttribute("aria-label", label);
  return made;
}
function show(told) {
  $("users").replaceChildren();
  for (const one of told.users) {
    const row = $("users").insertRow(), { name } = one, select = document.createElement("select"), path = `/api/users/${encodeURIComponent(name)}`;
    row.append(make("th", { scope: "row", textContent: name }));
    select.setAttribute("aria-label", word("users.role_of", { name }));
    choices(select, one.role);
    select.onchange = () => change(send(path, { role: select.value, seen: { role: one.role } }, "PATCH"), () => word("users.role_set", { name, role: word(`role.${select.value}`) }));
    row.insertCell().append(select);
    row.insertCell().textContent = when(one.changed_ms);
    row.insertCell().append(
      button(word("users.new_password"), word("users.new_password_of", { name }), async () => {
        const password = await question(word("users.new_password_of", { name }), word("users.set"), true);
        if (password) change(send(path, { password }, "PATCH"), () => word("users.password_set", { name }));
      }), " ",
      button(word("users.remove"), word("users.remove_of", { name }), async () => {
        if (await question(word("users.remove_sure", { name }), word("users.remove"), false)) change(send(path, {}, "DELETE"), () => word("users.removed", { name }));
      }));
  }
  if (!told.users.length) $("said").textContent = word("users.none");
}
// Show what has become of the users, even if the change was refused, and put the focus back into the row.
async function change(answer, told) {
  const label = document.activeElement.getAttribute("aria-label");
  try {
    const users = await answer, text = told();
    show(users);
    $("said").textContent = text;
  } catch (error) {
    $("said").textContent = error.message;
    const said = error.message;
    await ask("/api/users").then(show, () => {});
    $("said").textContent = said;
  }
  [...$("users").querySelectorAll("[aria-label]")].find((one) => one.getAttribute("aria-label") === label)?.focus();
  showEntries().catch(tell("found"));
}
function question(text, yes, wantsPassword) {
  $("question").textContent = text;
  $("yes").textContent = yes;
  $("secret").value = "";
  $("secret").required = wantsPassword;
  $("secret").parentElement.hidden = !wantsPassword;
  $("ask").returnValue = "";
  $("ask").showModal();
  (wantsPassword ? $("secret") : $("no")).focus();
  return new Promise((done) => { $("ask").onclose = () => done($("ask").returnValue === "yes" && (wantsPassword ? $("secret").value : true)); });
}

function whoOf(name) {
  const [kind, rest] = name.split(":");
  return kind === "token" && rest ? word("audit.token", { role: word(`role.${rest}`) }) : kind === "command" && rest ? word("audit.command", { name: rest }) : name;
}
const valueOf = (value) => (value in TEXTS_OF_ROLES ? TEXTS_OF_ROLES[value] : value);
const TEXTS_OF_ROLES = Object.fromEntries([...ROLES, "door"].map((role) => [role, word(`role.${role}`)]));
function append(told) {
  for (const one of told.entries) {
    const row = $("entries").insertRow(), isOfRole = ["login", "role", "user_added", "user_removed"].includes(one.what), value = (text) => (isOfRole ? valueOf(text) : text);
    for (const text of [when(one.at_ms), whoOf(one.who), word(`audit.${one.what}`), one.subject, value(one.before), value(one.after), one.address]) row.insertCell().textContent = text;
    oldest = one.id;
  }
  $("more").hidden = !told.more;
  $("found").textContent = $("entries").rows.length ? "" : word("audit.none");
}
const query = (more = {}) => new URLSearchParams({ ...($("act").value ? { act: $("act").value } : {}), ...more });
async function showEntries() {
  const told = await ask(`/api/audit?${query()}`);
  $("entries").replaceChildren();
  append(told);
}

choices($("role"), "viewer");
for (const act of ACTS) $("act").add(new Option(word(`audit.${act}`), act));
$("act").onchange = () => showEntries().catch(tell("found"));
$("more").onclick = () => ask(`/api/audit?${query({ before_id: oldest })}`).then(append).catch(tell("found"));
$("filter").onsubmit = (event) => event.preventDefault();
$("add").onsubmit = async (event) => {
  event.preventDefault();
  const name = $("name").value;
  try {
    show(await send("/api/users", { name, role: $("role").value, password: $("password").value }));
    $("said").textContent = word("users.added", { name });
    $("add").reset();
    showEntries().catch(tell("found"));
  } catch (error) {
    $("said").textContent = error.message;
  }
};
session().then(() => Promise.all([ask("/api/users").then(show).catch(tell("said")), showEntries().catch(tell("found"))]), tell("said"));
