"use strict";
// A slice, and the slice under its heat map, on canvases, as falx.detect.heat_map and
// falx.detect.overlay.

(function () {
  const HEIGHT = 384;
  const MAX_WIDTH = 768;
  const OPACITY = 0.55;

  /** The size at which a slice is drawn: {height, width}. */
  function drawnSize({ height, width }) {
    const scale = Math.min(HEIGHT / height, MAX_WIDTH / width);
    return {
      height: Math.max(1, falx.rint(height * scale)),
      width: Math.max(1, falx.rint(width * scale)),
    };
  }

  /**
   * Draw a finding on two canvases: the slice, and the slice under its heat map.
   *
   * Returns the maximum of the evidence, 0 if there is none for the class. Without a heat map, only
   * the slice is drawn.
   */
  function draw({ slice, region, evidence }, plain, overlay) {
    const size = drawnSize(slice);
    return falx.withMats((keep) => {
      const gray = keep(resizedSlice(size, slice));
      const image = keep(new cv.Mat());
      cv.cvtColor(gray, image, cv.COLOR_GRAY2RGBA);
      put(image, plain);
      if (!evidence) return 0;
      const heat = upsample(size, slice, region, evidence);
      const maximum = heat.reduce((largest, value) => Math.max(largest, value), 0);
      const levels = heat.map((value) => falx.rint((255 * value) / maximum));
      if (maximum) blend(keep, image, levels);
      put(image, overlay);
      return maximum;
    });
  }

  function resizedSlice(size, { height, width, levels }) {
    return falx.withMats((keep) => {
      const full = keep(new cv.Mat(height, width, cv.CV_8UC1));
      const to = full.data;
      levels.forEach((level, i) => {
        to[i] = falx.rint(level * 255);
      });
      const gray = new cv.Mat();
      cv.resize(full, gray, new cv.Size(size.width, size.height), 0, 0, cv.INTER_AREA);
      return gray;
    });
  }

  /** Evidence for the class at each pixel of the image; evidence against it counts as 0. */
  function upsample(size, slice, region, { rows, columns, values }) {
    const down = weights(size.height, slice.height, region.top, region.bottom, rows);
    const across = weights(size.width, slice.width, region.left, region.right, columns);
    const heat = new Float32Array(size.height * size.width);
    down.forEach((rowWeights, y) => {
      across.forEach((columnWeights, x) => {
        let sum = 0;
        for (const [row, rowWeight] of rowWeights) {
          for (const [column, columnWeight] of columnWeights) {
            sum += rowWeight * columnWeight * Math.max(values[row * columns + column], 0);
          }
        }
        heat[y * size.width + x] = sum;
      });
    });
    return heat;
  }

  /**
   * The weights of positions at each pixel along an axis, linear between their centers: a list of
   * [position, weight].
   *
   * Positions are evenly spaced from `start` to `end` of the slice; pixels outside have no weights.
   */
  function weights(pixels, length, start, end, positions) {
    return Array.from({ length: pixels }, (_, pixel) => {
      const center = ((pixel + 0.5) * length) / pixels;
      if (center <= start || center >= end) return [];
      const position = ((center - start) / (end - start)) * positions - 0.5;
      const inside = Math.min(Math.max(position, 0), positions - 1);
      const first = Math.min(Math.floor(inside), Math.max(positions - 2, 0));
      const rest = inside - first;
      return rest ? [[first, 1 - rest], [first + 1, rest]] : [[first, 1]];
    });
  }

  /** Blend Inferno into an image, more opaque with more evidence, with a contour at half of it. */
  function blend(keep, image, levels) {
    const colors = inferno();
    const to = image.data;
    levels.forEach((level, i) => {
      const opacity = (OPACITY * level) / 255;
      for (let c = 0; c < 3; c += 1) {
        to[4 * i + c] = falx.rint(to[4 * i + c] * (1 - opacity) + colors[3 * level + c] * opacity);
      }
    });
    const half = keep(new cv.Mat(image.rows, image.cols, cv.CV_8UC1));
    half.data.set(levels.map((level) => (level >= 128 ? 1 : 0)));
    const [contours, hierarchy] = [keep(new cv.MatVector()), keep(new cv.Mat())];
    cv.findContours(half, contours, hierarchy, cv.RETR_EXTERNAL, cv.CHAIN_APPROX_NONE);
    cv.drawContours(image, contours, -1, new cv.Scalar(255, 255, 255, 255), 1, cv.LINE_AA);
  }

  /** The 256 colors of Inferno, which is perceptually uniform: red, green, blue, and so on. */
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

  function put(image, canvas) {
    canvas.width = image.cols;
    canvas.height = image.rows;
    const pixels = new ImageData(new Uint8ClampedArray(image.data), image.cols, image.rows);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  Object.assign(falx, { draw });
})();
