"use strict";
// The user interface: files in, a card for each, results out as CSV.

(function () {
  const find = (id) => document.getElementById(id);
  /** {name, finding} or {name, problem} of each file, in order. */
  const results = [];
  let queue = Promise.resolve();

  function listen() {
    find("files").addEventListener("change", (event) => {
      add(event.target.files);
      // The same file may be chosen again.
      event.target.value = "";
    });
    find("save").addEventListener("click", save);
    find("clear").addEventListener("click", clear);
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
      window.addEventListener(kind, (event) => {
        event.preventDefault();
        find("chooser").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      });
    }
    window.addEventListener("drop", (event) => add(event.dataTransfer.files));
  }

  async function open() {
    listen();
    try {
      await falx.start();
    } catch (error) {
      console.error(error);
      const reason = `This browser can't run the network (${error.message})`;
      say(`${reason}; use a newer one, or falx predict.`, true);
      return;
    }
    find("files").disabled = false;
    say("Ready.");
  }

  /** Classify files one after the other, each on its own card; resolves when all are done. */
  function add(files) {
    for (const file of [...files]) {
      const card = newCard(file.name);
      queue = queue.then(() => classify(file, card));
    }
    return queue;
  }

  async function classify(file, card) {
    say(`Classifying ${file.name}.`);
    // Let the browser show it.
    await new Promise((resolve) => setTimeout(resolve));
    const result = { name: file.name };
    try {
      result.finding = await falx.classify(file);
      showFinding(card, result);
    } catch (error) {
      if (!(error instanceof falx.UnreadableImage)) console.error(error);
      result.problem =
        error instanceof falx.UnreadableImage
          ? error.message
          : `This file could not be classified (${error.message}); report it, or use falx predict.`;
      showProblem(card, result.problem);
    }
    if (!card.isConnected) return;
    results.push(result);
    count();
    say("Ready.");
  }

  function newCard(name) {
    find("results").hidden = false;
    const card = find("card").content.cloneNode(true).firstElementChild;
    card.querySelector(".name").textContent = name;
    find("cards").append(card);
    return card;
  }

  function showFinding(card, { name, finding }) {
    const content = find("finding").content.cloneNode(true);
    const part = (selector) => content.querySelector(selector);
    const maximum = falx.draw(finding, part(".plain"), part(".overlay"));
    if (finding.status === "out_of_distribution") showOutOfDistribution(part, name);
    else showLabeled(part, name, finding, maximum);
    part(".time").textContent = `${Math.round(finding.milliseconds)} ms`;
    card.querySelector(".body").replaceChildren(content);
    card.classList.add("done");
    // Float levels are large, and no longer needed.
    delete finding.slice;
  }

  function showLabeled(part, name, finding, maximum) {
    const { classes, rules } = falx.settings;
    const two = classes.length === 2;
    const evidenceClass = two ? classes[1] : finding.label;
    part(".plain").setAttribute("aria-label", `The slice ${name}`);
    part(".overlay").setAttribute("aria-label", `The slice with its heat map for ${evidenceClass}`);
    part(".legend").replaceChildren(...legend(maximum, evidenceClass));
    part(".answer").textContent = finding.label;
    part(".remark").textContent = finding.status === "refer" ? "Refer: a person should read this slice." : "";
    const shown = two ? [classes[1]] : classes;
    part(".bars").append(
      ...shown.flatMap((each) => bar(each, finding.probabilities[each], two ? rules.threshold : null)),
    );
  }

  function showOutOfDistribution(part, name) {
    part(".plain").setAttribute("aria-label", `The image ${name}`);
    part(".overlay").parentElement.remove();
    part(".answer").textContent = "Out of distribution";
    part(".remark").textContent = "This image is unlike the training slices, so it has no label.";
  }

  function legend(maximum, evidenceClass) {
    if (!maximum) return [`No evidence for ${evidenceClass}`];
    const scale = element("span", "scale");
    scale.append("0", element("span", "ramp"), maximum.toFixed(2));
    return [`Evidence for ${evidenceClass}`, scale];
  }

  function bar(name, probability, threshold) {
    const term = element("dt", "", `p(${name})`);
    const track = element("dd", "track");
    track.setAttribute("role", "meter");
    track.setAttribute("aria-label", `Probability of ${name}`);
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", "1");
    track.setAttribute("aria-valuenow", probability.toFixed(3));
    const level = element("span", "level");
    level.style.width = `${100 * probability}%`;
    track.append(level);
    if (threshold !== null) {
      const tick = element("span", "tick");
      tick.style.left = `${100 * threshold}%`;
      track.append(tick);
    }
    return [term, track, element("dd", "value", probability.toFixed(3))];
  }

  function showProblem(card, sentence) {
    card.classList.add("failed");
    card.querySelector(".body").replaceChildren(element("p", "problem", sentence));
  }

  function element(kind, className, text = "") {
    const made = document.createElement(kind);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function count() {
    const findings = results.filter((result) => result.finding).map((result) => result.finding);
    const withStatus = (status) => findings.filter((finding) => finding.status === status).length;
    const parts = falx.settings.classes
      .map((name) => [findings.filter((finding) => finding.label === name).length, name])
      .filter(([n]) => n)
      .map(([n, name]) => `${n} ${name}`);
    const [referred, outOfDistribution] = ["refer", "out_of_distribution"].map(withStatus);
    if (referred) parts.push(`${referred} of them to refer`);
    if (outOfDistribution) parts.push(`${outOfDistribution} out of distribution`);
    const unreadable = results.length - findings.length;
    if (unreadable) parts.push(`${unreadable} not usable`);
    const files = results.length === 1 ? "1 file" : `${results.length} files`;
    find("count").textContent = `${files}: ${parts.join(", ")}`;
  }

  function say(sentence, isProblem = false) {
    find("status").textContent = sentence;
    find("status").classList.toggle("problem", isProblem);
  }

  function clear() {
    results.length = 0;
    find("cards").replaceChildren();
    find("results").hidden = true;
    find("files").focus();
  }

  /** The columns of falx predict --csv. */
  function csv() {
    const { classes } = falx.settings;
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const columns = ["path", "index", "status", "label", "probability"];
    columns.push(...classes.map((name) => `p_${name}`), "distance", "study", "problem");
    const rows = [columns];
    for (const { name, finding, problem } of results) {
      const labeled = finding?.probabilities ? finding : null;
      rows.push([
        name,
        ...(finding ? ["0", finding.status, finding.label ?? ""] : ["", "", ""]),
        labeled ? labeled.probability.toFixed(6) : "",
        ...classes.map((each) => (labeled ? labeled.probabilities[each].toFixed(6) : "")),
        finding ? finding.distance.toFixed(4) : "",
        "",
        problem ?? "",
      ]);
    }
    return rows.map((row) => `${row.map(quoted).join(",")}\n`).join("");
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "results.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  Object.assign(falx, { results, add, csv });
  open();
})();
