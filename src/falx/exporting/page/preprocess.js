"use strict";
// From a slice to the square that the network sees: falx.image.crop and falx.image.render, function
// by function, on the same OpenCV.
//
// A slice is {height, width, levels}, levels float32 in [0, 1]; NumPy computes in float32 where
// Math.fround stands here.

(function () {
  const WORK_SIZE = 256;
  const MIN_AREA_FRACTION = 0.05;
  const FRAME_CONTRAST = Math.fround(0.1);
  const STRAY = 0.05;
  const FILLED = 0.9;
  const SOFT_EDGE = 3;
  const SOFT_STEP = 0.05;

  /** Call `callback` with a function that registers an OpenCV object to be freed afterwards. */
  function withMats(callback) {
    const kept = [];
    try {
      return callback((mat) => {
        kept.push(mat);
        return mat;
      });
    } finally {
      kept.forEach((mat) => mat.delete());
    }
  }

  /** The nearest integer, halves to even, as in Python and NumPy. */
  function rint(value) {
    const below = Math.floor(value);
    const rest = value - below;
    return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
  }

  /** The median gray of the rim of the picture. */
  function backgroundLevel(slice) {
    return rimLevel(partOf(slice, pictureBox(slice)));
  }

  /** The slice without a uniform frame around it, as {top, left, bottom, right}, half-open. */
  function pictureBox(slice) {
    const { height, width, levels } = slice;
    const whole = { top: 0, left: 0, bottom: height, right: width };
    const frame = rimLevel(slice);
    const differs = (row, column) =>
      Math.abs(Math.fround(levels[row * width + column] - frame)) > FRAME_CONTRAST;
    const [perRow, perColumn] = [new Int32Array(height), new Int32Array(width)];
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        if (!differs(row, column)) continue;
        perRow[row] += 1;
        perColumn[column] += 1;
      }
    }
    const [top, bottom] = extentOf(perRow, width);
    const [left, right] = extentOf(perColumn, height);
    if (top < 0 || left < 0) return whole;
    const margins = [top, left, height - bottom, width - right];
    if (Math.max(...margins) <= rimWidth(slice) / 2) return whole;
    const box = { top, left, bottom, right };
    // The mean of a function of row and column over line `i` of the picture from each edge inwards.
    const [rows, columns] = [bottom - top, right - left];
    const meanAlong = (edge, i, valueAt) => {
      const length = edge % 2 ? rows : columns;
      let sum = 0;
      for (let k = 0; k < length; k += 1) {
        if (edge === 0) sum += valueAt(top + i, left + k);
        else if (edge === 1) sum += valueAt(top + k, left + i);
        else if (edge === 2) sum += valueAt(bottom - 1 - i, left + k);
        else sum += valueAt(top + k, right - 1 - i);
      }
      return sum / length;
    };
    const edges = [0, 1, 2, 3].filter((edge) => margins[edge]);
    const linesAt = (edge, limit) => [...Array(Math.min(limit, edge % 2 ? columns : rows)).keys()];
    const isStraight = edges.every((edge) =>
      linesAt(edge, SOFT_EDGE).some((i) => meanAlong(edge, i, differs) >= FILLED));
    if (!isStraight) return whole;
    // Lines that are a blend with the frame, where its edge is blurred.
    const rim = rimWidth({ height: rows, width: columns });
    const levelAt = (row, column) => levels[row * width + column];
    const blended = [0, 0, 0, 0];
    edges.forEach((edge) => {
      const half = Math.floor(((edge % 2 ? columns : rows) + 1) / 2);
      const means = linesAt(edge, Math.min(rim + 1, half)).map((i) => meanAlong(edge, i, levelAt));
      const settled = means.slice(1).map((mean, i) => Math.abs(mean - means[i]) <= SOFT_STEP);
      blended[edge] = settled.includes(true) ? settled.indexOf(true) : settled.length;
    });
    box.top += blended[0];
    box.left += blended[1];
    box.bottom -= blended[2];
    box.right -= blended[3];
    return box;
  }

  /** First and last + 1 of the lines of which more than a few pixels count; -1 where none is. */
  function extentOf(counts, length) {
    const above = Array.from(counts, (count) => count / length > STRAY);
    return [above.indexOf(true), above.lastIndexOf(true) + 1];
  }

  /** The part of a slice inside a box, as a slice. */
  function partOf({ width, levels }, box) {
    const [height, partWidth] = [box.bottom - box.top, box.right - box.left];
    const part = new Float32Array(height * partWidth);
    for (let row = 0; row < height; row += 1) {
      const start = (box.top + row) * width + box.left;
      part.set(levels.subarray(start, start + partWidth), row * partWidth);
    }
    return { height, width: partWidth, levels: part };
  }

  function rimWidth({ height, width }) {
    return Math.max(1, Math.floor(Math.min(height, width) / 32));
  }

  /** The median gray of the outermost rim, 1/32 of the shorter side wide. */
  function rimLevel({ height, width, levels }) {
    const rim = rimWidth({ height, width });
    const edges = new Float32Array(2 * rim * (height + width));
    let count = 0;
    const add = (rows, columns) => {
      for (let row = rows[0]; row < rows[1]; row += 1) {
        edges.set(levels.subarray(row * width + columns[0], row * width + columns[1]), count);
        count += columns[1] - columns[0];
      }
    };
    add([0, rim], [0, width]);
    add([height - rim, height], [0, width]);
    add([0, height], [0, rim]);
    add([0, height], [width - rim, width]);
    edges.sort();
    // The count is even.
    return Math.fround(Math.fround(edges[count / 2 - 1] + edges[count / 2]) / 2);
  }

  /** The smallest box around the head: {top, left, bottom, right}, half-open. */
  function headBox(slice) {
    const picture = pictureBox(slice);
    const box = headBoxIn(partOf(slice, picture));
    return {
      top: picture.top + box.top,
      left: picture.left + box.left,
      bottom: picture.top + box.bottom,
      right: picture.left + box.right,
    };
  }

  /** The same in a slice without a frame. */
  function headBoxIn(slice) {
    const { height, width } = slice;
    return withMats((keep) => {
      const pixels = keep(new cv.Mat(height, width, cv.CV_32FC1));
      pixels.data32F.set(slice.levels);
      const scale = Math.min(1, WORK_SIZE / Math.max(height, width));
      const size = new cv.Size(Math.max(1, rint(width * scale)), Math.max(1, rint(height * scale)));
      const small = keep(new cv.Mat());
      cv.resize(pixels, small, size, 0, 0, cv.INTER_AREA);
      const component = largestComponent(keep, small, rimLevel(slice));
      if (!component) return { top: 0, left: 0, bottom: height, right: width };
      const mask = keep(new cv.Mat());
      cv.resize(component, mask, new cv.Size(width, height), 0, 0, cv.INTER_NEAREST);
      return boxOf(mask);
    });
  }

  /** The largest component that differs from the background, or null if it covers under 5 %. */
  function largestComponent(keep, pixels, background) {
    const levels = keep(new cv.Mat(pixels.rows, pixels.cols, cv.CV_8UC1));
    write(levels, pixels.data32F, (level) => {
      const contrast = Math.abs(Math.fround(level - background));
      return Math.min(Math.fround(contrast * 255), 255);
    });
    cv.GaussianBlur(levels, levels, new cv.Size(5, 5), 0);
    const binary = keep(new cv.Mat());
    const otsu = cv.threshold(levels, binary, 0, 255, cv.THRESH_BINARY + cv.THRESH_OTSU);
    // Half of Otsu's threshold: in slices with one very bright part (fat, contrast agent), the full
    // threshold keeps only that part.
    const threshold = Math.max(otsu / 2, 8);
    write(binary, levels.data, (level) => (level > threshold ? 1 : 0));
    const kernel = keep(cv.getStructuringElement(cv.MORPH_ELLIPSE, new cv.Size(5, 5)));
    cv.morphologyEx(binary, binary, cv.MORPH_OPEN, kernel);
    const [components, statistics, centers] = Array.from({ length: 3 }, () => keep(new cv.Mat()));
    const count = cv.connectedComponentsWithStats(binary, components, statistics, centers);
    if (count < 2) return null;
    const area = (label) => statistics.intAt(label, cv.CC_STAT_AREA);
    let largest = 1;
    for (let label = 2; label < count; label += 1) if (area(label) > area(largest)) largest = label;
    if (area(largest) < MIN_AREA_FRACTION * binary.data.length) return null;
    write(binary, components.data32S, (label) => (label === largest ? 1 : 0));
    fill(keep, binary);
    return binary;
  }

  /** Fill a Mat of uint8 by a function of each value. */
  function write(mat, values, valueOf) {
    // Each use of `data` makes a new array on OpenCV's memory.
    const to = mat.data;
    for (let i = 0; i < to.length; i += 1) to[i] = valueOf(values[i]);
  }

  function fill(keep, mask) {
    const [contours, hierarchy] = [keep(new cv.MatVector()), keep(new cv.Mat())];
    cv.findContours(mask, contours, hierarchy, cv.RETR_EXTERNAL, cv.CHAIN_APPROX_NONE);
    cv.drawContours(mask, contours, -1, new cv.Scalar(1), cv.FILLED);
  }

  function boxOf(mask) {
    const [height, width] = [mask.rows, mask.cols];
    const box = { top: height, left: width, bottom: 0, right: 0 };
    mask.data.forEach((inside, i) => {
      if (!inside) return;
      const [row, column] = [Math.floor(i / width), i % width];
      box.top = Math.min(box.top, row);
      box.bottom = Math.max(box.bottom, row + 1);
      box.left = Math.min(box.left, column);
      box.right = Math.max(box.right, column + 1);
    });
    return box;
  }

  /**
   * The plain view of a slice, and the rectangle of the slice that it shows.
   *
   * `rendering` is {size, crop: "none" | "head", aspect: "stretch" | "keep"}. Returns {view,
   * region}: gray levels uint8 (size * size), and {top, left, bottom, right}, which may extend beyond
   * the slice.
   */
  function render(slice, rendering) {
    const { height, width } = slice;
    const whole = { top: 0, left: 0, bottom: height, right: width };
    const box = rendering.crop === "head" ? headBox(slice) : whole;
    const [rows, columns] = [box.bottom - box.top, box.right - box.left];
    const padding = rendering.aspect === "keep" ? Math.abs(rows - columns) : 0;
    const [before, after] = [Math.floor(padding / 2), padding - Math.floor(padding / 2)];
    const isTall = rows > columns;
    const [top, bottom, left, right] = isTall ? [0, 0, before, after] : [before, after, 0, 0];
    return withMats((keep) => {
      const levels = keep(levelsIn(box, slice));
      if (padding) {
        const background = new cv.Scalar(rint(backgroundLevel(slice) * 255));
        cv.copyMakeBorder(levels, levels, top, bottom, left, right, cv.BORDER_CONSTANT, background);
      }
      const view = keep(resized(levels, rendering.size));
      const region = {
        top: box.top - top,
        left: box.left - left,
        bottom: box.bottom + bottom,
        right: box.right + right,
      };
      return { view: view.data.slice(), region };
    });
  }

  /** The part of a slice inside a box, as gray levels: a Mat of uint8. */
  function levelsIn(box, { width, levels }) {
    const part = new cv.Mat(box.bottom - box.top, box.right - box.left, cv.CV_8UC1);
    const to = part.data;
    for (let row = box.top, i = 0; row < box.bottom; row += 1) {
      for (let column = box.left; column < box.right; column += 1, i += 1) {
        to[i] = rint(Math.fround(levels[row * width + column] * 255));
      }
    }
    return part;
  }

  function resized(levels, size) {
    const view = new cv.Mat();
    const isSmaller = Math.min(levels.rows, levels.cols) > size;
    const interpolation = isSmaller ? cv.INTER_AREA : cv.INTER_LINEAR;
    cv.resize(levels, view, new cv.Size(size, size), 0, 0, interpolation);
    return view;
  }

  Object.assign(falx, { withMats, rint, backgroundLevel, headBox, render });
})();
