// Zones on a live picture: drawn, moved and resized with mouse, finger or arrow keys. They are shares of the picture.
"use strict";
const LEAST = 0.02, LEAST_REGION = 0.05, KEY_STEP = 0.01, KEYS_MS = 700;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const rounded = (place) => place.map((value) => Math.round(value * 1000) / 1000);

// Edits the zones over `view`. `mode` says which kind is drawn, and `save(zones, seen)` saves them, if the zones are
// still those that were seen before, and says whether it did.
function editZones(view, mode, save) {
  let region = null, ignore = [], seen = { region, ignore }, isDragged = false, timer = 0, saving = 0, last = Promise.resolve();
  const least = (isRegion) => isRegion ? LEAST_REGION : LEAST;
  const kinds = () => [...(region ? [["region", region]] : []), ...ignore.map((place, index) => [index, place])];
  const get = (key) => key === "region" ? region : ignore[key];
  function set(key, place) { if (key === "region") region = place; else ignore[key] = place; }
  function at(event) {
    const box = view.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
  }
  function later(ms) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const zones = { region: region && rounded(region), ignore: ignore.map(rounded) };
      timer = 0;
      saving += 1;
      last = last.then(async () => { // one after the other, because each expects the zones of the one before
        if (await save(zones, seen)) seen = zones;
        saving -= 1;
      });
    }, ms);
  }

  function style(zone, [x1, y1, x2, y2]) {
    const share = (value) => `${100 * value}%`;
    Object.assign(zone.style, { left: share(x1), top: share(y1), width: share(x2 - x1), height: share(y2 - y1) });
    const parts = { n: zone.dataset.key === "region" ? "" : Number(zone.dataset.key) + 1, left: Math.round(100 * x1), top: Math.round(100 * y1), right: Math.round(100 * x2), bottom: Math.round(100 * y2) };
    zone.setAttribute("aria-label", word(zone.dataset.key === "region" ? "zones.region_at" : "zones.ignore_at", parts));
  }
  function draw(focus) {
    for (const old of view.querySelectorAll(".zone")) old.remove();
    for (const [key, place] of kinds()) {
      const zone = make("button", { type: "button", className: `zone ${key === "region" ? "region" : ""}` }, make("b", { textContent: key === "region" ? word("zones.region") : String(key + 1) }), make("i", { className: "handle first" }), make("i", { className: "handle" }));
      zone.dataset.key = key;
      style(zone, place);
      zone.onkeydown = (event) => press(event, key, zone);
      zone.onpointerdown = (event) => {
        event.stopPropagation();
        zone.focus();
        const handle = event.target.classList.contains("first") ? 0 : event.target.classList.contains("handle") ? 1 : 2;
        drag(event, key, zone, handle);
      };
      view.append(zone);
      if (key === focus) zone.focus();
    }
  }
  // Move a whole zone (2), or its first (0) or last (1) corner, with the pointer.
  function drag(event, key, zone, part) {
    const start = at(event), before = [...get(key)], size = least(key === "region");
    view.setPointerCapture(event.pointerId);
    isDragged = true;
    let hasMoved = false;
    view.onpointermove = (moved) => {
      const [x, y] = at(moved), [dx, dy] = [x - start[0], y - start[1]], [x1, y1, x2, y2] = before;
      if (Math.abs(dx) + Math.abs(dy) > 0.005) hasMoved = true;
      if (part === 2) {
        const [mx, my] = [clamp(dx, -x1, 1 - x2), clamp(dy, -y1, 1 - y2)];
        set(key, [x1 + mx, y1 + my, x2 + mx, y2 + my]);
      } else if (part === 0) set(key, [clamp(x1 + dx, 0, x2 - size), clamp(y1 + dy, 0, y2 - size), x2, y2]);
      else set(key, [x1, y1, clamp(x2 + dx, x1 + size, 1), clamp(y2 + dy, y1 + size, 1)]);
      style(zone, get(key));
    };
    view.onpointerup = view.onpointercancel = () => {
      view.onpointermove = view.onpointerup = view.onpointercancel = null;
      isDragged = false;
      if (hasMoved) later(0);
    };
  }
  // Draw a new zone on the picture. A click without a movement draws nothing.
  view.onpointerdown = (event) => {
    if (event.button) return;
    event.preventDefault();
    const [x, y] = at(event);
    isDragged = true;
    let key = null;
    view.setPointerCapture(event.pointerId);
    view.onpointermove = (moved) => {
      const [a, b] = at(moved), size = least(mode() === "region");
      if (Math.abs(a - x) < size || Math.abs(b - y) < size) return;
      const place = [Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)];
      if (key === null) key = mode() === "region" ? "region" : ignore.length;
      set(key, place);
      draw(key);
    };
    view.onpointerup = view.onpointercancel = () => {
      view.onpointermove = view.onpointerup = view.onpointercancel = null;
      isDragged = false;
      if (key !== null) later(0);
    };
  };
  // Arrow keys move a zone, with Shift they resize it, and Delete removes it.
  function press(event, key, zone) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key], size = least(key === "region");
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      return remove(key);
    }
    if (!step) return;
    event.preventDefault();
    const [dx, dy] = step.map((value) => value * KEY_STEP), [x1, y1, x2, y2] = get(key);
    if (event.shiftKey) set(key, [x1, y1, clamp(x2 + dx, x1 + size, 1), clamp(y2 + dy, y1 + size, 1)]);
    else {
      const [mx, my] = [clamp(dx, -x1, 1 - x2), clamp(dy, -y1, 1 - y2)];
      set(key, [x1 + mx, y1 + my, x2 + mx, y2 + my]);
    }
    style(zone, get(key));
    later(KEYS_MS);
  }
  function remove(key) {
    if (key === "region") region = null; else ignore.splice(key, 1);
    draw();
    (view.querySelector(".zone") ?? view.closest("li").querySelector("button.add")).focus();
    later(0);
  }
  return {
    // Show zones as they are saved, unless somebody changes them now.
    show(told) {
      if (isDragged || timer || saving) return;
      seen = { region: told.region, ignore: told.ignore };
      if (JSON.stringify(seen) === JSON.stringify({ region, ignore })) return;
      [region, ignore] = [told.region, [...told.ignore]];
      draw(document.activeElement?.closest(".view") === view ? document.activeElement.dataset.key : undefined);
    },
    add() {
      const key = mode() === "region" ? "region" : ignore.length;
      set(key, key === "region" ? region ?? [0.1, 0.1, 0.9, 0.9] : [0.4, 0.35, 0.6, 0.65]);
      draw(key);
      later(0);
    },
    removed() {
      const key = document.activeElement?.closest(".view") === view ? document.activeElement.dataset.key : kinds().at(-1)?.[0];
      if (key !== undefined) remove(key === "region" ? key : Number(key));
    },
  };
}
