"use strict";
// What a person sees and does: files in, a card for each, answers out as CSV.

(function () {
  const find = (id) => document.getElementById(id);
  /** {name, answer} or {name, problem} of each file, in the order in which they came. */
  const answers = [];
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
      const why = `This browser can't run the network (${error.message})`;
      say(`${why}; use a newer one, or falx predict.`, true);
      return;
    }
    find("files").disabled = false;
    say("Ready.");
  }

  /** Classify files one after the other, each on a card of its own; resolves when all are done. */
  function add(files) {
    const list = [...files];
    list.forEach((file) => {
      const card = newCard(file.name);
      queue = queue.then(() => answer(file, card));
    });
    return queue;
  }

  async function answer(file, card) {
    say(`Classifying ${file.name}.`);
    // Give the browser a moment to show it.
    await new Promise((resolve) => setTimeout(resolve));
    const entry = { name: file.name };
    try {
      entry.answer = await falx.classify(file);
      showAnswer(card, entry);
    } catch (error) {
      if (!(error instanceof falx.UnreadableImage)) console.error(error);
      entry.problem =
        error instanceof falx.UnreadableImage
          ? error.message
          : `This file could not be classified (${error.message}); report it, or use falx predict.`;
      showProblem(card, entry.problem);
    }
    if (!card.isConnected) return;
    answers.push(entry);
    count();
    say("Ready.");
  }

  function newCard(name) {
    find("answers").hidden = false;
    const card = find("card").content.cloneNode(true).firstElementChild;
    card.querySelector(".name").textContent = name;
    find("cards").append(card);
    return card;
  }

  function showAnswer(card, { name, answer: found }) {
    const { classes, rules } = falx.settings;
    const content = find("finding").content.cloneNode(true);
    const part = (of) => content.querySelector(of);
    if (found.status === "foreign") {
      showForeign(card, content, name, found);
      return;
    }
    const two = classes.length === 2;
    const about = two ? classes[1] : found.label;
    const strongest = falx.draw(found, part(".plain"), part(".covered"));
    part(".plain").setAttribute("aria-label", `The slice ${name}`);
    part(".covered").setAttribute("aria-label", `The slice under its heat map for ${about}`);
    part(".legend").replaceChildren(...legend(strongest, about));
    part(".answer").textContent = found.label;
    part(".remark").textContent = found.status === "refer" ? "Refer: a person should look." : "";
    const shown = two ? [classes[1]] : classes;
    part(".bars").append(
      ...shown.flatMap((each) => bar(each, found.probabilities[each], two ? rules.threshold : null)),
    );
    part(".time").textContent = `${Math.round(found.milliseconds)} ms`;
    card.querySelector(".body").replaceChildren(content);
    card.classList.add("done");
    // Levels as floats are large, and a card needs them no more.
    delete found.slice;
  }

  /** An image that is like nothing the network was trained on: the slice, and no answer. */
  function showForeign(card, content, name, found) {
    const part = (of) => content.querySelector(of);
    falx.draw(found, part(".plain"), part(".covered"));
    part(".plain").setAttribute("aria-label", `The image ${name}`);
    part(".covered").parentElement.remove();
    part(".answer").textContent = "No answer";
    part(".remark").textContent = "This image is unlike the slices that the network was trained on.";
    part(".time").textContent = `${Math.round(found.milliseconds)} ms`;
    card.querySelector(".body").replaceChildren(content);
    card.classList.add("done");
    delete found.slice;
  }

  function legend(strongest, about) {
    if (!strongest) return [`No place speaks for ${about}`];
    const scale = element("span", "scale");
    scale.append("0", element("span", "ramp"), strongest.toFixed(2));
    return [`Evidence for ${about}`, scale];
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
    const found = answers.filter((entry) => entry.answer);
    const parts = falx.settings.classes
      .map((name) => [found.filter((entry) => entry.answer.label === name).length, name])
      .filter(([n]) => n)
      .map(([n, name]) => `${n} ${name}`);
    const foreign = found.filter((entry) => entry.answer.status === "foreign").length;
    const referred = found.filter((entry) => entry.answer.status === "refer").length;
    if (referred) parts.push(`${referred} of them to refer`);
    if (foreign) parts.push(`${foreign} foreign`);
    const failed = answers.length - found.length;
    if (failed) parts.push(`${failed} not usable`);
    const files = answers.length === 1 ? "1 file" : `${answers.length} files`;
    find("count").textContent = `${files}: ${parts.join(", ")}`;
  }

  function say(sentence, isProblem = false) {
    find("status").textContent = sentence;
    find("status").classList.toggle("problem", isProblem);
  }

  function clear() {
    answers.length = 0;
    find("cards").replaceChildren();
    find("answers").hidden = true;
    find("files").focus();
  }

  /** The columns of falx predict --csv. */
  function csv() {
    const { classes } = falx.settings;
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const chance = classes.map((name) => `p_${name}`);
    const head = ["path", "index", "status", "label", "probability", ...chance, "distance"];
    const rows = [[...head, "study", "problem"]];
    for (const { name, answer: found, problem } of answers) {
      const named = found?.probabilities;
      const chances = classes.map((each) => (named ? named[each].toFixed(6) : ""));
      const start = found ? ["0", found.status, found.label ?? ""] : ["", "", ""];
      const shown = named ? found.probability.toFixed(6) : "";
      const distance = found ? found.distance.toFixed(4) : "";
      rows.push([name, ...start, shown, ...chances, distance, "", problem ?? ""]);
    }
    return rows.map((row) => `${row.map(quoted).join(",")}\n`).join("");
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "answers.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  Object.assign(falx, { answers, add, csv });
  open();
})();
