"use strict";
// The only global of this page, and the files that are packed into it.

const falx = (function () {
  const packed = {};

  /** The bytes of a packed file, which is then dropped, since it is large. */
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
// A constant is not a property of the window.
window.falx = falx;
