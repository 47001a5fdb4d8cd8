"use strict";
// From a slice to an answer, as falx.detect does it, on ONNX Runtime.

(function () {
  let started;

  /** The network, ready to run; loaded once. */
  function start() {
    started ||= load();
    return started;
  }

  async function load() {
    window.cv = await window.cv;
    // A page without a server can't share memory between threads.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await falx.unpacked("onnxruntime.wasm");
    const script = new Blob([await falx.unpacked("onnxruntime.mjs")], { type: "text/javascript" });
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(script) };
    const network = await falx.unpacked("network.onnx");
    const session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
    // The first run costs more than the others.
    const { size } = falx.settings.rendering;
    await run(session, new Uint8Array(size * size));
    return session;
  }

  function run(session, view) {
    const { size } = falx.settings.rendering;
    const levels = new ort.Tensor("float32", Float32Array.from(view), [1, size, size, 1]);
    return session.run({ grey_levels: levels });
  }

  /**
   * The answer for an image file.
   *
   * Gives {status, distance, label, probability, probabilities, slice, view, region, evidence,
   * milliseconds}: `status` is "answer", "refer" or "foreign", as in falx.detect.rules;
   * `probability` is that of the positive class where there are two, else of the label;
   * `probabilities` has each class by name; `evidence` is {rows, columns, shares}, for the positive
   * class of two, else for the label. What is foreign has null for label, probability,
   * probabilities and evidence. Rejects with falx.UnreadableImage.
   */
  async function classify(file) {
    const session = await start();
    const begin = performance.now();
    const slice = await falx.readSlice(file);
    const { view, region } = falx.render(slice, falx.settings.rendering);
    const { heat_maps: heatMaps, probabilities, distances } = await run(session, view);
    const { classes, rules } = falx.settings;
    const [distance] = distances.data;
    const [label, shown] = decide(probabilities.data, rules.threshold);
    const status = statusOf(probabilities.data, distance, label, rules);
    const known = status !== "foreign";
    const named = Object.fromEntries(classes.map((name, i) => [name, probabilities.data[i]]));
    return {
      status,
      distance,
      label: known ? classes[label] : null,
      probability: known ? probabilities.data[shown] : null,
      probabilities: known ? named : null,
      slice,
      view,
      region,
      evidence: known ? evidenceFor(heatMaps, label) : null,
      milliseconds: performance.now() - begin,
    };
  }

  /** What is to be made of a slice, as falx.detect.rules.status_of says it. */
  function statusOf(probabilities, distance, label, { inclusion, limit }) {
    if (limit !== null && !(distance <= limit)) return "foreign";
    const possible = [...probabilities].filter((probability) => probability >= inclusion);
    return possible.length === 1 && probabilities[label] >= inclusion ? "answer" : "refer";
  }

  /** Numbers of the label, and of the class whose probability is shown beside it. */
  function decide(probabilities, threshold) {
    if (probabilities.length === 2) return [probabilities[1] >= threshold ? 1 : 0, 1];
    const best = probabilities.indexOf(Math.max(...probabilities));
    return [best, best];
  }

  /**
   * The evidence for a class, place by place. One logit is that of the positive class, whatever the
   * label. Of several, only differences count: a class's share less the mean over the classes.
   */
  function evidenceFor({ dims, data }, label) {
    const [, rows, columns, logits] = dims;
    const shares = new Float32Array(rows * columns);
    for (let place = 0; place < shares.length; place += 1) {
      const all = data.subarray(place * logits, (place + 1) * logits);
      const mean = all.reduce((sum, share) => sum + share, 0) / logits;
      shares[place] = logits === 1 ? all[0] : all[label] - mean;
    }
    return { rows, columns, shares };
  }

  Object.assign(falx, { start, classify });
})();
