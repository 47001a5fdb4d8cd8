"use strict";
// From a file to the gray levels of a slice, as falx.data.read and falx.data.raster.
//
// The browser decodes; files that it would decode wrongly or in part are rejected by their headers.

(function () {
  const LIMITS = { pixels: 2 ** 24, side: 2 ** 13, bytes: 2 ** 26 };

  /** A file can't be used; the message is one sentence that says why and what to do. */
  class UnreadableImage extends Error {}

  /**
   * The slice in a file: {height, width, levels}, levels float32 in [0, 1], row by row.
   *
   * Rejects with UnreadableImage.
   */
  async function readSlice(file) {
    if (!file.size) {
      throw new UnreadableImage("This file is empty (0 bytes); copy it anew.");
    }
    if (file.size > LIMITS.bytes) {
      const [size, limit] = [file.size, LIMITS.bytes].map((bytes) => Math.round(bytes / 1e6));
      throw new UnreadableImage(
        `This file has ${size} MB, more than the ${limit} MB that this page reads; use falx predict.`,
      );
    }
    const content = await contentOf(file);
    const kind = kindOf(content);
    if (["DICOM", "NIfTI", "TIFF"].includes(kind)) {
      throw new UnreadableImage(
        `This is a ${kind} file, which browsers can't open; use falx predict.`,
      );
    }
    if (!kind) {
      throw new UnreadableImage(
        "This is not a JPEG, PNG, BMP or WebP image, whatever its name says; choose another file.",
      );
    }
    check(kind, headerOf(kind, content));
    return grayOf(await decoded(kind, content));
  }

  async function contentOf(file) {
    try {
      return new Uint8Array(await file.arrayBuffer());
    } catch {
      throw new UnreadableImage("This can't be opened; choose files, not folders.");
    }
  }

  /** The format by the leading bytes, or an empty string. */
  function kindOf(content) {
    const ascii = (start, end) => String.fromCharCode(...content.subarray(start, end));
    // A DICOM file may have the header of a TIFF in its preamble, so DICOM comes first.
    if (ascii(128, 132) === "DICM") return "DICOM";
    if (ascii(0, 3) === "\xff\xd8\xff") return "JPEG";
    if (ascii(0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
    if (ascii(0, 2) === "BM") return "BMP";
    if (ascii(0, 4) === "RIFF" && ascii(8, 12) === "WEBP") return "WebP";
    if (["II*\0", "MM\0*"].includes(ascii(0, 4))) return "TIFF";
    const magics = [ascii(344, 348), ascii(4, 8)];
    if (ascii(0, 2) === "\x1f\x8b" || magics.some((magic) => /^n[+i][12]\0$/.test(magic))) {
      return "NIfTI";
    }
    // A file without the preamble begins with an element of group 2 or 8.
    if (/^[\x02\x08]\0[^]\0[A-Z]{2}$/.test(ascii(0, 6))) return "DICOM";
    return "";
  }

  /** {width, height, bits, channels, complete}; complete: whether the file has all its data. */
  function headerOf(kind, content) {
    const view = new DataView(content.buffer);
    try {
      return { JPEG: jpeg, PNG: png, BMP: bmp, WebP: webp }[kind](view, content);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { width: 1, height: 1, bits: 8, channels: 1, complete: false };
    }
  }

  function png(view) {
    const [width, height, bits] = [view.getUint32(16), view.getUint32(20), view.getUint8(24)];
    let complete = false;
    for (let at = 8; at + 12 <= view.byteLength && !complete; ) {
      const end = at + 12 + view.getUint32(at);
      complete = end <= view.byteLength && view.getUint32(at + 4) === 0x49454e44; // IEND
      at = end;
    }
    return { width, height, bits, channels: 1, complete };
  }

  function jpeg(view, content) {
    const header = { width: 1, height: 1, bits: 8, channels: 1, complete: false };
    for (let at = 2; ; ) {
      if (view.getUint8(at) !== 0xff) return header;
      while (view.getUint8(at) === 0xff) at += 1;
      const marker = view.getUint8(at);
      at += 1;
      if (marker === 0xda) return { ...header, complete: hasEnd(content, at) };
      // Frame headers.
      if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
        header.bits = view.getUint8(at + 2);
        header.height = view.getUint16(at + 3);
        header.width = view.getUint16(at + 5);
        header.channels = view.getUint8(at + 7);
      }
      at += view.getUint16(at);
    }
  }

  // In entropy-coded data 0xFF is followed by 0 or a restart marker, so this is the end.
  function hasEnd(content, start) {
    for (let at = content.indexOf(0xff, start); at >= 0; at = content.indexOf(0xff, at + 1)) {
      if (content[at + 1] === 0xd9) return true;
    }
    return false;
  }

  function bmp(view) {
    const [width, height] = [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
    const [bits, compression] = [view.getUint16(28, true), view.getUint32(30, true)];
    const row = Math.floor((width * bits + 31) / 32) * 4;
    const needed = view.getUint32(10, true) + ([0, 3].includes(compression) ? row * height : 1);
    return { width, height, bits: 8, channels: 1, complete: needed <= view.byteLength };
  }

  // The browser determines the size.
  function webp(view) {
    const complete = 8 + view.getUint32(4, true) <= view.byteLength;
    return { width: 1, height: 1, bits: 8, channels: 1, complete };
  }

  function check(kind, header) {
    if (!header.complete) {
      throw new UnreadableImage(`This ${kind} was cut off; copy it anew.`);
    }
    if (header.bits > 8) {
      throw new UnreadableImage(
        `This ${kind} has ${header.bits} bits a pixel, which browsers cut to 8; use falx predict.`,
      );
    }
    if (header.channels === 4) {
      throw new UnreadableImage(`This ${kind} is in CMYK; save it in grayscale.`);
    }
    checkSize(header.width, header.height);
  }

  function checkSize(width, height) {
    if (width * height > LIMITS.pixels || Math.max(width, height) > LIMITS.side) {
      throw new UnreadableImage(
        `This image has ${width} x ${height} pixels, more than this page opens; use falx predict.`,
      );
    }
  }

  /** Pixels as stored in the file, upright and composited over black: ImageData. */
  async function decoded(kind, content) {
    const blob = new Blob([content], { type: `image/${kind.toLowerCase()}` });
    const bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      imageOrientation: "from-image",
    }).catch(() => {
      throw new UnreadableImage(
        `This ${kind} is damaged, or of a kind that this browser can't open; use falx predict.`,
      );
    });
    const { width, height } = bitmap;
    checkSize(width, height);
    const canvas = new OffscreenCanvas(width, height);
    // A canvas without alpha is initially black.
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return context.getImageData(0, 0, width, height);
  }

  /** Gray by ITU-R BT.601 if there is color, else the channel itself. */
  function grayOf({ data, width, height }) {
    const count = width * height;
    const levels = new Float32Array(count);
    let color = false;
    for (let i = 0; i < count; i += 1) {
      levels[i] = data[4 * i] / 255;
      color ||= data[4 * i] !== data[4 * i + 1] || data[4 * i] !== data[4 * i + 2];
    }
    if (!color) return { height, width, levels };
    return falx.withMats((keep) => {
      const channels = keep(new cv.Mat(height, width, cv.CV_32FC3));
      for (let i = 0, to = channels.data32F; i < count; i += 1) {
        for (let c = 0; c < 3; c += 1) to[3 * i + c] = data[4 * i + c] / 255;
      }
      const gray = keep(new cv.Mat());
      cv.cvtColor(channels, gray, cv.COLOR_RGB2GRAY);
      const clipped = gray.data32F.map((level) => Math.min(Math.max(level, 0), 1));
      return { height, width, levels: clipped };
    });
  }

  Object.assign(falx, { readSlice, UnreadableImage });
})();
