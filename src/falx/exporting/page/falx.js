"use strict";
// The one global of this page, and what was packed for it.

const falx = (function () {
  const packed = {};

  /** The bytes of a packed file; each can be had once, since it is large. */
  async function unpacked(name) {
    const text = atob(packed[name]);
    delete packed[name];
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  return { packed, unpacked };
})();
// A constant is no property of the window by itself.
window.falx = falx;
