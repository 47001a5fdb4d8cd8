"use strict";
// From a slice to a finding, as in falx.detect, on ONNX Runtime.

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
    // The first run takes longer than the others.
    const { size } = falx.settings.rendering;
    await run(session, new Uint8Array(size * size));
    return session;
  }

  function run(session, view) {
    const { size } = falx.settings.rendering;
    const levels = new ort.Tensor("float32", Float32Array.from(view), [1, size, size, 1]);
    return session.run({ gray_levels: levels });
  }

  /**
   * The finding for an image file.
   *
   * Returns {status, distance, label, probability, probabilities, slice, view, region, evidence,
   * milliseconds}: `status` is "answer", "refer" or "out_of_distribution", as in falx.detect.rules;
   * `probability` is that of the positive class of two, else of the label; `probabilities` has each
   * class by name; `evidence` is {rows, columns, values}, for the positive class of two, else for
   * the label. If out of distribution, label, probability, probabilities and evidence are null.
   * Rejects with falx.UnreadableImage.
   */
  async function classify(file) {
    const session = await start();
    const begun = performance.now();
    const slice = await falx.readSlice(file);
    const { view, region } = falx.render(slice, falx.settings.rendering);
    const { heat_maps: heatMaps, probabilities, distances } = await run(session, view);
    const { classes, rules } = falx.settings;
    const [distance] = distances.data;
    const [label, shown] = decide(probabilities.data, rules.threshold);
    const status = statusOf(probabilities.data, distance, label, rules);
    const hasLabel = status !== "out_of_distribution";
    const byClass = Object.fromEntries(classes.map((name, i) => [name, probabilities.data[i]]));
    return {
      status,
      distance,
      label: hasLabel ? classes[label] : null,
      probability: hasLabel ? probabilities.data[shown] : null,
      probabilities: hasLabel ? byClass : null,
      slice,
      view,
      region,
      evidence: hasLabel ? evidenceFor(heatMaps, label) : null,
      milliseconds: performance.now() - begun,
    };
  }

  /** The status of a slice, as falx.detect.rules.status_of. */
  function statusOf(probabilities, distance, label, rules) {
    const { conformal_threshold: conformalThreshold, ood_threshold: oodThreshold } = rules;
    if (oodThreshold !== null && !(distance <= oodThreshold)) return "out_of_distribution";
    const inSet = [...probabilities].map((probability) => probability >= conformalThreshold);
    const setSize = inSet.filter(Boolean).length;
    return setSize === 1 && inSet[label] ? "answer" : "refer";
  }

  /** The codes of the label, and of the class whose probability is shown beside it. */
  function decide(probabilities, threshold) {
    if (probabilities.length === 2) return [probabilities[1] >= threshold ? 1 : 0, 1];
    const best = probabilities.indexOf(Math.max(...probabilities));
    return [best, best];
  }

  /**
   * The evidence for a class at each position. With one logit, it is for the positive class, whatever
   * the label. Of several, only differences matter: a class's contribution less the mean over classes.
   */
  function evidenceFor({ dims, data }, label) {
    const [, rows, columns, logits] = dims;
    const values = new Float32Array(rows * columns);
    for (let position = 0; position < values.length; position += 1) {
      const contributions = data.subarray(position * logits, (position + 1) * logits);
      const mean = contributions.reduce((sum, value) => sum + value, 0) / logits;
      values[position] = logits === 1 ? contributions[0] : contributions[label] - mean;
    }
    return { rows, columns, values };
  }

  Object.assign(falx, { start, classify });
})();
