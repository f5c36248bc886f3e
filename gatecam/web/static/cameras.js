// The page for cameras: what each sees, its zones, and a form that tries out, adds and changes cameras.
"use strict";
const POLL_MS = 1000, SAID = "gatecam-said";
let shown = [], editors = [], changing = null, stopLive = null, isTrying = false, drawn = 0; // how often zones were saved
const percent = (share) => Math.round(100 * share);

function describe(place, one) {
  const sight = one?.sight, facts = place.querySelector(".facts"), advice = place.querySelector(".advice"), reason = TEXTS[`reason.${one?.reason}`] ?? one?.reason;
  facts.textContent = !sight ? reason || word("camera.opening") : [...(reason ? [word("now.blind", { reason })] : []), word("sight.facts", { ...sight, brightness: percent(sight.brightness) }),
    sight.people ? word("sight.seen", { n: sight.people, verdicts: sight.verdicts.map((verdict) => word(`verdict.${verdict}`)).join(", ") }) : word("now.nobody"),
    ...(sight.face_px === null ? [] : [word("sight.face", { px: sight.face_px })])].join(" · ");
  const said = sight ? one.advice.map((key) => word(`advice.${key}`, { px: sight.face_px, fps: sight.fps })).join(" ") : "";
  if (advice.textContent !== said) advice.textContent = said;
  advice.className = `advice ${one?.advice[0] === "good" ? "good" : "wrong"}`;
}
function show(canvas, picture) {
  paint(canvas, picture);
  canvas.closest(".view").style.setProperty("--aspect", canvas.width / canvas.height);
}

function card(one, index) {
  const canvas = make("canvas", { width: 640, height: 360 }), view = make("div", { className: "view" }, canvas), said = make("p", { className: "said" }), mode = make("select", { id: `mode-${index}` });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", word("now.picture", { camera: one.name }));
  said.setAttribute("role", "status");
  mode.append(new Option(word("zones.ignore"), "ignore"), new Option(word("zones.region"), "region"));
  const button = (key, label, run) => {
    const made = make("button", { type: "button", textContent: word(key), className: key === "zones.add" ? "add" : "" });
    made.setAttribute("aria-label", word(label, { camera: one.name }));
    made.onclick = run;
    return made;
  };
  const editor = editZones(view, () => mode.value, async (zones, seen) => {
    try {
      said.textContent = `${word("zones.changed")} ${saved(await send("/api/zones", { camera: one.name, ...zones, seen }))}`;
      return true;
    } catch (error) {
      said.textContent = error.message;
      return false;
    } finally { drawn += 1; }
  });
  editors.push(editor);
  const item = make("li", {}, make("h3", { textContent: one.name }), make("div", { className: "frame" }, view), make("p", { className: "facts" }), make("p", { className: "advice" }),
    make("div", { className: "buttons" }, make("label", { htmlFor: mode.id, textContent: word("zones.draw") }), mode, button("zones.add", "zones.add_of", editor.add), button("zones.remove", "zones.remove_of", editor.removed)), said,
    make("p", { className: "source", textContent: one.source }),
    make("div", { className: "buttons" }, button("camera.change", "camera.change_of", () => edit(shown[index])), button("camera.remove", "camera.remove_of", () => remove(one, said))));
  return item;
}

async function refresh() {
  const wasTrying = isTrying, before = drawn, told = await ask(`/api/cameras${isTrying ? "?trial=1" : ""}`);
  const names = told.cameras.map((one) => one.name).join("\n");
  if (names !== shown.map((one) => one.name).join("\n")) {
    editors = [];
    $("cameras").replaceChildren(...told.cameras.map(card));
    stopLive?.();
    stopLive = watchLive("", { state() {}, lost() {}, picture: (place, picture) => { const canvas = $("cameras").children[place]?.querySelector("canvas"); if (canvas) show(canvas, picture); else picture.close(); } });
  }
  shown = told.cameras;
  shown.forEach((one, index) => { describe($("cameras").children[index], one); if (before === drawn) editors[index].show(one); });
  if (isTrying && wasTrying) { if (told.trial) describe($("trial"), told.trial); else endTrial(); } // it ends if the camera was added elsewhere
}

// The form adds a camera, or changes the one in `changing`.
const SIZES = ["width", "height"];
function values() {
  const sizes = takesSize() ? SIZES.map((id) => [id, $(id).valueAsNumber]).filter(([id, value]) => value !== changing?.[id]) : [];
  return Object.fromEntries([...["source", "user", "password", "name"].map((id) => [id, $(id).value.trim()]), ...sizes].filter(([, value]) => value));
}
// Only a USB camera is asked for a size.
const takesSize = () => $("source").value.trim() ? !$("source").value.includes("://") : changing && !changing.is_url;
function showSize() {
  for (const field of document.querySelectorAll("[data-size]")) field.hidden = !takesSize();
}
function edit(one) {
  changing = one;
  $("form").reset();
  $("name").value = one?.name ?? "";
  for (const id of SIZES) $(id).value = one && !one.is_url ? one[id] : "";
  showSize();
  $("source").placeholder = one ? word("camera.keep", { source: one.source }) : "rtsp://10.0.0.5/live";
  $("title").textContent = one ? word("camera.change_of", { camera: one.name }) : word("camera.add");
  $("save").textContent = word(one ? "camera.save" : "camera.save_new");
  $("cancel").hidden = !one;
  $("result").textContent = "";
  endTrial();
  if (one) $("title").focus();
}
async function finish(told, text) {
  stored((storage) => storage.setItem(SAID, `${text} ${saved(told)}`));
  location.reload();
}
async function remove(one, said) {
  const sure = word("camera.sure", { camera: one.name });
  if (said.textContent !== sure) { said.textContent = sure; return; }
  try { await finish(await send("/api/cameras/remove", { camera: one.name }), word("camera.removed", { camera: one.name })); }
  catch (error) { said.textContent = error.message; }
}
let stopTrial = null;
function endTrial() {
  isTrying = false;
  $("trial").hidden = true;
  stopTrial?.();
  stopTrial = null;
}
async function test() {
  endTrial();
  $("result").textContent = "";
  await send("/api/cameras/trial", { camera: changing?.name ?? null, values: values() });
  isTrying = true;
  $("trial").hidden = false;
  describe($("trial"), null);
  const canvas = $("trial").querySelector("canvas");
  clear(canvas);
  setTimeout(() => { if (isTrying && !stopTrial) stopTrial = watchLive("?camera=%3F", { state() {}, lost() {}, picture: (_, picture) => show(canvas, picture) }); }, POLL_MS);
}
async function save() {
  const given = values();
  for (const id of SIZES) if (!$(id).validity.valid) { $("result").textContent = word("settings.bounds", { label: word(`camera.${id}`), low: $(id).min, high: $(id).max }); return $(id).focus(); }
  if (!given.name) { $("result").textContent = word("camera.needs_name"); return $("name").focus(); }
  if (!given.source && !changing) { $("result").textContent = word("camera.needs_source"); return $("source").focus(); }
  const seen = changing && Object.fromEntries(["name", "source", ...SIZES].map((id) => [id, changing[id]]));
  const told = await send("/api/cameras", { camera: changing?.name ?? null, values: given, seen }).catch(async (error) => {
    if (error.status === 409) { await refresh(); edit(shown.find((one) => one.name === changing.name) ?? null); }
    throw error;
  });
  await finish(told, word(changing ? "camera.changed" : "camera.added", { camera: given.name }));
}

// Cameras of the network: search for them, then ask one for its streams.
function choices(found, text, choose) {
  $("found").replaceChildren(...found.map((one) => {
    const button = make("button", { type: "button", textContent: text(one) });
    button.onclick = () => choose(one);
    return make("li", {}, button);
  }));
}
async function search() {
  $("answer").textContent = word("camera.searching");
  const found = await send("/api/cameras/search", {});
  $("answer").textContent = word(found.length ? "camera.found" : "camera.found_none", { n: found.length });
  choices(found, (one) => `${one.name} (${one.address})`, (one) => { $("source").value = one.address; showSize(); $("name").value ||= one.name; streams().catch(tellIn("answer")); });
}
async function streams() {
  const address = $("source").value.trim();
  if (!address) { $("answer").textContent = word("camera.needs_source"); return $("source").focus(); }
  $("answer").textContent = word("camera.searching");
  const found = await send("/api/cameras/streams", { address, user: $("user").value, password: $("password").value });
  $("answer").textContent = word(found.length ? "camera.choose_stream" : "camera.no_stream");
  choices(found, (one) => `${one.name}: ${one.width} × ${one.height}, ${one.encoding}`, (one) => { $("source").value = one.source; showSize(); $("answer").textContent = word("camera.chosen", { name: one.name }); $("source").focus(); });
}
const tellIn = (id) => (error) => { $(id).textContent = error.message; };

$("form").onsubmit = (event) => { event.preventDefault(); save().catch(tellIn("result")); };
$("test").onclick = () => test().catch((error) => { endTrial(); $("result").textContent = error.message; });
$("cancel").onclick = () => edit(null);
$("search").onclick = () => search().catch(tellIn("answer"));
$("streams").onclick = () => streams().catch(tellIn("answer"));
$("usb").onchange = () => { $("source").value = $("usb").value; showSize(); };
$("source").oninput = showSize;
(async () => {
  await session();
  $("said").textContent = stored((storage) => storage.getItem(SAID)) ?? "";
  stored((storage) => storage.removeItem(SAID));
  edit(null);
  for (const one of await ask("/api/cameras/usb")) $("usb").add(new Option(`${one.name} (${one.source})`, one.source));
  await refresh();
  let isLost = false; // what was said of that goes as soon as gatecam answers again
  setInterval(() => refresh().then(() => { if (isLost) $("said").textContent = ""; isLost = false; }, (error) => { isLost = true; tell("said")(error); }), POLL_MS);
})().catch(tell("said"));
