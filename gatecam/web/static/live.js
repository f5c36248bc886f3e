// The connection that door and operator share: states as text, pictures as one byte (the camera) and a JPEG.
"use strict";
function watchLive(query, onState, onPicture, onLost) {
  let pause = 500;
  function open() {
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/live" + query);
    socket.binaryType = "arraybuffer";
    let heard = Date.now();
    const guard = setInterval(() => { if (Date.now() - heard > 15000) socket.close(); }, 1000);
    socket.onmessage = async (message) => {
      heard = Date.now();
      pause = 500;
      if (typeof message.data === "string") { onState(JSON.parse(message.data)); return; }
      const place = new Uint8Array(message.data, 0, 1)[0];
      try { onPicture(place, await createImageBitmap(new Blob([message.data.slice(1)], { type: "image/jpeg" }))); }
      finally { if (socket.readyState === WebSocket.OPEN) socket.send("next"); }
    };
    socket.onclose = () => {
      clearInterval(guard);
      onLost();
      setTimeout(open, pause);
      pause = Math.min(pause * 2, 10000);
    };
  }
  open();
}
