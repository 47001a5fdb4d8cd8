"use strict";
// A slice, and the slice under its heat map, on canvases: falx.detect.heat_map and
// falx.detect.overlay.

(function () {
  const HEIGHT = 384;
  const WIDEST = 768;
  const OPACITY = 0.55;

  /** The size at which a slice is drawn: {height, width}. */
  function drawnSize({ height, width }) {
    const scale = Math.min(HEIGHT / height, WIDEST / width);
    return {
      height: Math.max(1, falx.rint(height * scale)),
      width: Math.max(1, falx.rint(width * scale)),
    };
  }

  /**
   * Draw an answer on two canvases: the slice, and the slice under its heat map.
   *
   * Gives the strongest evidence, 0 where no place speaks for the class. Without evidence, only the
   * slice is drawn.
   */
  function draw({ slice, region, evidence }, plain, covered) {
    const size = drawnSize(slice);
    return falx.withMats((keep) => {
      const grey = keep(greyAt(size, slice));
      const picture = keep(new cv.Mat());
      cv.cvtColor(grey, picture, cv.COLOR_GRAY2RGBA);
      put(picture, plain);
      if (!evidence) return 0;
      const heat = heatAt(size, slice, region, evidence);
      const strongest = heat.reduce((most, value) => Math.max(most, value), 0);
      const levels = heat.map((value) => falx.rint((255 * value) / strongest));
      if (strongest) cover(keep, picture, levels);
      put(picture, covered);
      return strongest;
    });
  }

  function greyAt(size, { height, width, levels }) {
    return falx.withMats((keep) => {
      const full = keep(new cv.Mat(height, width, cv.CV_8UC1));
      const to = full.data;
      levels.forEach((level, i) => {
        to[i] = falx.rint(level * 255);
      });
      const grey = new cv.Mat();
      cv.resize(full, grey, new cv.Size(size.width, size.height), 0, 0, cv.INTER_AREA);
      return grey;
    });
  }

  /** Evidence at each pixel of the picture, 0 where there is none or against: float32. */
  function heatAt(size, slice, region, { rows, columns, shares }) {
    const down = weights(size.height, slice.height, region.top, region.bottom, rows);
    const across = weights(size.width, slice.width, region.left, region.right, columns);
    const heat = new Float32Array(size.height * size.width);
    down.forEach((here, y) => {
      across.forEach((there, x) => {
        let sum = 0;
        for (const [row, high] of here) {
          for (const [column, wide] of there) {
            sum += high * wide * Math.max(shares[row * columns + column], 0);
          }
        }
        heat[y * size.width + x] = sum;
      });
    });
    return heat;
  }

  /**
   * How much places count at each pixel, linear between their centers: a list of [place, weight].
   *
   * Places part the stretch of the slice from `start` to `end` evenly; pixels beyond see none.
   */
  function weights(pixels, length, start, end, places) {
    return Array.from({ length: pixels }, (_, pixel) => {
      const center = ((pixel + 0.5) * length) / pixels;
      if (center <= start || center >= end) return [];
      const position = ((center - start) / (end - start)) * places - 0.5;
      const inside = Math.min(Math.max(position, 0), places - 1);
      const first = Math.min(Math.floor(inside), Math.max(places - 2, 0));
      const rest = inside - first;
      return rest ? [[first, 1 - rest], [first + 1, rest]] : [[first, 1]];
    });
  }

  /** Lay Inferno over a picture, the more the stronger, and a line where evidence is half. */
  function cover(keep, picture, levels) {
    const colors = inferno();
    const to = picture.data;
    levels.forEach((level, i) => {
      const share = (OPACITY * level) / 255;
      for (let c = 0; c < 3; c += 1) {
        to[4 * i + c] = falx.rint(to[4 * i + c] * (1 - share) + colors[3 * level + c] * share);
      }
    });
    const half = keep(new cv.Mat(picture.rows, picture.cols, cv.CV_8UC1));
    half.data.set(levels.map((level) => (level >= 128 ? 1 : 0)));
    const [outlines, hierarchy] = [keep(new cv.MatVector()), keep(new cv.Mat())];
    cv.findContours(half, outlines, hierarchy, cv.RETR_EXTERNAL, cv.CHAIN_APPROX_NONE);
    cv.drawContours(picture, outlines, -1, new cv.Scalar(255, 255, 255, 255), 1, cv.LINE_AA);
  }

  /** The 256 colors of Inferno, which is uniform to the eye: red, green, blue, and so on. */
  function inferno() {
    return falx.withMats((keep) => {
      const ramp = keep(new cv.Mat(1, 256, cv.CV_8UC1));
      ramp.data.set(Uint8Array.from({ length: 256 }, (_, level) => level));
      const colors = keep(new cv.Mat());
      cv.applyColorMap(ramp, colors, cv.COLORMAP_INFERNO);
      cv.cvtColor(colors, colors, cv.COLOR_BGR2RGB);
      return colors.data.slice();
    });
  }

  function put(picture, canvas) {
    canvas.width = picture.cols;
    canvas.height = picture.rows;
    const image = new ImageData(new Uint8ClampedArray(picture.data), picture.cols, picture.rows);
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  Object.assign(falx, { draw });
})();
