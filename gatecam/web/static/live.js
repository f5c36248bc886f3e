// The live connection of both pages. States are JSON text. A picture is one byte (the camera's index) and a JPEG.
"use strict";
const NO_CAMERA = 4404;

function watchLive(query, take) {
  let pause = 500, wasLost = false, socket, isOver = false;
  function again() {
    if (isOver) return;
    setTimeout(() => session().then(open, again), pause);
    pause = Math.min(pause * 2, 10000);
  }
  function open() {
    if (isOver) return;
    socket = new WebSocket(url(`/live${query}`).replace(/^http/, "ws"));
    socket.binaryType = "arraybuffer";
    let heard = Date.now();
    const guard = setInterval(() => { if (Date.now() - heard > 15000) socket.close(); }, 1000);
    socket.onopen = () => {
      if (wasLost) take.found?.();
      wasLost = false;
    };
    socket.onmessage = async (message) => {
      heard = Date.now();
      pause = 500;
      if (typeof message.data === "string") { take.state(JSON.parse(message.data)); return; }
      const place = new Uint8Array(message.data, 0, 1)[0];
      try { take.picture(place, await createImageBitmap(new Blob([message.data.slice(1)], { type: "image/jpeg" }))); }
      finally { if (socket.readyState === WebSocket.OPEN) socket.send("next"); }
    };
    socket.onclose = (closed) => {
      clearInterval(guard);
      wasLost = true;
      if (isOver) return;
      if (closed.code === NO_CAMERA) pause = 10000; else take.lost();
      again();
    };
  }
  open();
  return () => { isOver = true; socket.close(); };
}

function paint(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
}
const clear = (canvas) => canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
