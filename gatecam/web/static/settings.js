// The settings page: every setting that applies at once, by group, and a test of each output.
"use strict";
const OUTPUTS = { sound: "notify.sound", mqtt: "mqtt.host", webhook: "webhook.url", command: "command.run", chat: "chat.urls_file" };
let known = {};
const labelOf = (name) => word(`setting.${name}`);
const shown = (value) => value === null ? word("settings.empty") : value === true ? word("settings.on") : value === false ? word("settings.off") : String(value);
const UNITS = ["s", "days", "frames/s"];  // those that are words
const unitOf = (one) => UNITS.includes(one.unit) ? word(`unit.${one.unit}`) : one.unit;
const rangeOf = (one) => `${one.low === null ? "" : `${word("settings.range", { ...one, unit: one.unit && ` ${unitOf(one)}` })} `}${word("settings.default", { value: shown(one.default) })}`;

function field(name, one) {
  const id = `setting-${name}`, isSwitch = one.kind === "bool";
  const input = make("input", { id, type: isSwitch ? "checkbox" : "number", required: !isSwitch && !one.nullable, disabled: document.body.dataset.role === "viewer" });
  if (!isSwitch) Object.assign(input, { min: one.low, max: one.high, step: one.kind === "int" ? 1 : "any", placeholder: one.nullable ? word("settings.empty") : "" });
  input.setAttribute("aria-describedby", `${id}-help`);
  const box = make("div", { className: "field" }, make("label", { htmlFor: id, textContent: labelOf(name) }),
    make("div", { className: "value" }, input, ...(one.unit ? [make("span", { textContent: unitOf(one) })] : [])),
    make("p", { className: "help", id: `${id}-help`, textContent: `${word(`help.${name}`)} ${rangeOf(one)}` }));
  input.oninput = () => box.classList.toggle("changed", read(input) !== known[name].value);
  return box;
}
function read(input) {
  if (input.type === "checkbox") return input.checked;
  return input.value === "" && !input.validity.badInput ? null : input.valueAsNumber;
}
function put(name, value) {
  const input = $(`setting-${name}`);
  if (input.type === "checkbox") input.checked = value; else input.value = value ?? "";
  input.oninput();
}

function group(title, names) {
  const said = make("p", { className: "said" }), back = make("button", { type: "button", textContent: word("settings.defaults") });
  said.setAttribute("role", "status");
  const form = make("form", { noValidate: true }, make("div", { className: "fields" }, ...names.map((name) => field(name, known[name]))),
    make("div", { className: "buttons" }, make("button", { className: "main", textContent: word("settings.save") }), back), said);
  back.onclick = () => { for (const name of names) put(name, known[name].default); said.textContent = word("settings.not_yet"); };
  form.onsubmit = (event) => { event.preventDefault(); save(names, said).catch((error) => { said.textContent = error.message; }); };
  const heading = make("h3", { id: `group-${title}`, textContent: word(`group.${title}`) }), section = make("section", { className: "card" }, heading, form);
  section.setAttribute("aria-labelledby", heading.id);
  return section;
}
async function save(names, said) {
  const changed = names.filter((name) => !Object.is(read($(`setting-${name}`)), known[name].value));
  const wrong = changed.find((name) => !$(`setting-${name}`).validity.valid);
  if (wrong) {
    said.textContent = word("settings.bounds", { ...known[wrong], label: labelOf(wrong) });
    return $(`setting-${wrong}`).focus();
  }
  if (!changed.length) { said.textContent = word("settings.same"); return; }
  const before = known, of = (value) => Object.fromEntries(changed.map((name) => [name, value(name)]));
  const told = await send("/api/settings", { values: of((name) => read($(`setting-${name}`))), seen: of((name) => before[name].value) }).catch(async (error) => {
    if (error.status === 409) { // what somebody else has changed is shown, and replaces what was entered there
      known = await ask("/api/settings");
      for (const name of Object.keys(known)) if (!Object.is(known[name].value, before[name].value)) put(name, known[name].value);
    }
    throw error;
  });
  known = told.settings;
  // What somebody else has changed meanwhile is shown as well, but nothing that was entered and not saved is lost.
  for (const name of Object.keys(known)) if (names.includes(name) || Object.is(read($(`setting-${name}`)), before[name].value)) put(name, known[name].value);
  said.textContent = [...changed.map((name) => word("settings.changed", { label: labelOf(name), before: shown(before[name].value), after: shown(known[name].value) })), saved(told)].join("\n");
}

function output(name, key, isThere) {
  const said = make("p", { className: "said" }), title = outputOf(name);
  said.setAttribute("role", "status");
  if (!isThere) return make("li", {}, make("b", { textContent: title }), make("p", { className: "said help", textContent: word("try.missing", { key }) }));
  const button = make("button", { type: "button", textContent: word("try.send") });
  button.setAttribute("aria-label", word("try.send_to", { output: title }));
  button.onclick = async () => {
    said.className = "said";
    said.textContent = word("try.waiting");
    button.setAttribute("aria-disabled", true);
    try {
      const told = await send(`/api/tests/${encodeURIComponent(name)}`, {});
      said.textContent = told.arrived ? word("try.arrived", told) : word("try.failed", told);
      said.classList.add(told.arrived ? "good" : "wrong");
    } catch (error) { said.textContent = error.message; }
    button.removeAttribute("aria-disabled");
  };
  return make("li", {}, make("b", { textContent: title }), button, said);
}

(async () => {
  await session();
  const [settings, names] = await Promise.all([ask("/api/settings"), ask("/api/tests")]);
  known = settings;
  const all = Object.keys(known), titles = new Set(all.map((name) => name.split(".")[0]));
  $("groups").append(...[...titles].map((title) => group(title, all.filter((name) => name.startsWith(`${title}.`)))));
  for (const name of Object.keys(known)) put(name, known[name].value);
  $("outputs").append(...Object.entries(OUTPUTS).flatMap(([kind, key]) => {
    const there = names.filter((name) => name.split(":")[0] === kind);
    return there.length ? there.map((name) => output(name, key, true)) : [output(kind, key, false)];
  }));
})().catch(tell("said"));
