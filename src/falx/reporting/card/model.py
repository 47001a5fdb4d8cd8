"""A model card on the model: details, intended use, ethics, cost, licenses, reproducibility."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from falx.notice import CREDIT
from falx.reporting.card.document import (
    Bullets,
    Line,
    Listing,
    Paragraph,
    Section,
    Table,
    code,
    line,
    to_fill_in,
)
from falx.reporting.facts import facts
from falx.reporting.formatting import count, duration, listed, number, percent
from falx.reporting.words.report import pretraining_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falx.recipe import Backbone, Head, Phase, Recipe
    from falx.reporting.report import Report

WATTS_PER_CORE = 20
"""A high estimate: the power of a processor with its memory and cooling, divided by its cores."""

_WEIGHTS = {
    "imagenet": "ImageNet weights, those of Keras or of FALX_WEIGHTS",
    "phantom": "The phantom weights of falx, trained on synthetic slices only",
    "falx": "Those of the detector that ships with falx, trained on phantoms and on real slices",
    "random": "Random",
}
_WEIGHTS_LICENSES = {
    "imagenet": "Those of Keras are offered under the Apache License 2.0; the photographs that "
    "they were trained on have terms of their own, for non-commercial research and education.",
    "phantom": "Apache License 2.0, as falx. No real images were used.",
    "falx": f"Apache License 2.0, as falx, and this credit wherever it is passed on: {CREDIT}",
    "random": "None needed: training started from random weights.",
}


def details(report: Report) -> Section:
    """What the model is."""
    return Section("Model details", (_table("What was trained.", _details(report)),))


def _details(report: Report) -> Iterator[tuple[str, Line]]:
    run, record, recipe = report.run, report.record, _recipe(report)
    version = record.environment["versions"].get("falx", "")
    yield "Recipe", line(code(recipe.name), f", by falx {version}. {recipe.description}")
    if run.settings is None:
        yield "Detector", line("None is kept: a cross-validation estimates what a recipe is worth.")
    yield "Date", line(record.finished[:10])
    size = f" {count(run.parameters, 'parameter')}." if run.parameters else ""
    yield "Network", line(f"{_backbone(recipe.backbone)}; {_head(recipe.head)}.{size}")
    yield "Initial weights", line(f"{_initial_weights(record.weights['name'] or '')}.")
    if record.pretraining:
        yield "Pretraining", line(pretraining_words(record.pretraining))
    yield "Training", line(_training(recipe))
    rendering = recipe.rendering
    crop = "cropped to the head, " if rendering.crop == "head" else ""
    yield (
        "Input",
        line(
            "One slice in gray levels, from JPEG, PNG, BMP, TIFF, WebP, DICOM or NIfTI; "
            f"{crop}{_FITTED[rendering.aspect]} {rendering.size} × {rendering.size} pixels."
        ),
    )
    yield (
        "Output",
        line(
            f"{_output(report)}{_flip_tta(recipe)} A heat map shows where the evidence lies, an "
            "out-of-distribution distance how unlike the training slices the input is."
        ),
    )
    if run.settings:
        yield "Study", line(_study_rule(run.settings.rules.top_fraction))
        yield "Network, SHA-256", line(code(run.settings.network_sha256))
    yield "Data, SHA-256", line(code(record.data["sha256"]))
    yield "Initial weights, SHA-256", line(code(record.weights["sha256"] or "none"))
    yield "Developer and contact", to_fill_in("name and address.")


def _recipe(report: Report) -> Recipe:
    """The recipe of a training or a cross-validation, which always has one."""
    assert report.run.recipe is not None
    return report.run.recipe


_KEPT = {"best": "weights of the epoch with the lowest validation loss", "last": "last weights"}
_FITTED = {"keep": "fitted with its proportions into", "stretch": "stretched to"}


def _backbone(backbone: Backbone) -> str:
    assert backbone.name == "mobilenet_v2"
    return f"MobileNetV2 (Sandler et al., CVPR 2018), width {backbone.width:g}"


_POOLING = {
    "average": "global average pooling",
    "flatten": "flattened",
    "evidence": "the cells of a localization head, summed",
}


def _head(head: Head) -> str:
    hidden = f", {head.hidden} hidden units" if head.hidden else ""
    drop = f", dropout {head.dropout:g}" if head.dropout else ""
    pooling = _POOLING[head.pooling]
    return f"{pooling}{hidden}{drop}, a linear layer"


def _training(recipe: Recipe) -> str:
    phases = [phase for phase in recipe.phases if phase.epochs]
    words = f"{'; '.join(map(_phase, phases))}; class weights {recipe.class_weights}"
    if all(phase.solver == "logistic" for phase in phases):
        return f"{words}."
    return (
        f"{words}; {recipe.optimizer.name}, batch size {recipe.batch_size}; the "
        f"{_KEPT[recipe.keep]} are kept."
    )


def _phase(phase: Phase) -> str:
    if phase.solver == "logistic":
        return (
            f"logistic regression on the features of {count(phase.epochs, 'view')} of each slice, "
            f"L2 penalty {phase.l2:g}"
        )
    which = "the head" if phase.unfreeze_from == "head" else f"layers from {phase.unfreeze_from} on"
    return (
        f"{count(phase.epochs, 'epoch')} of {which} at a learning rate of {phase.learning_rate:g}"
    )


def _initial_weights(name: str) -> str:
    return _WEIGHTS.get(name, f"Weights in the file “{Path(name).name}”")


def _output(report: Report) -> str:
    classes = report.scores.classes
    words = f"The probability of {listed([f'“{name}”' for name in classes])}."
    if len(classes) > 2:
        return f"{words} The most probable class is predicted."
    threshold = report.evaluation.predictions.median_rules.threshold
    return f"{words} The decision threshold for “{classes[1]}” is {number(threshold, 2)}."


def _flip_tta(recipe: Recipe) -> str:
    return (
        " Test-time augmentation: the mean over a slice and its mirror image."
        if recipe.flip_tta
        else ""
    )


def _study_rule(top_fraction: float) -> str:
    if not top_fraction:
        return "A study has the probability of the slice most likely to show a tumor."
    return (
        f"A study has the mean probability of the {percent(top_fraction)} of its slices most "
        "likely to show a tumor."
    )


def intended_use(report: Report) -> Section:
    """Intended uses and users, and what is out of scope."""
    classes = listed([f"“{name}”" for name in report.scores.classes])
    return Section(
        "Intended use",
        (
            Bullets(
                (
                    line("Use: research and teaching on classifying single slices of brain MRI."),
                    line("Users: researchers, students and engineers who can read this card."),
                    to_fill_in("the clinical setting and the patients that a deployment is for."),
                )
            ),
            Paragraph(line("Out of scope, and misuse:")),
            Bullets(
                (
                    line(
                        "Any decision about a patient: it was neither tested nor approved for one."
                    ),
                    line(
                        f"Anything but {classes}: another disease is given one of these labels. "
                        "Most images of other things are rejected as out-of-distribution, but not "
                        "all."
                    ),
                    line(
                        "Computed tomography, and planes, sequences, ages and states (after "
                        "surgery or radiation) that are not in its training data."
                    ),
                    line(
                        "Volumes: it looks at one slice at a time. A study's probability is pooled "
                        "from those of its slices."
                    ),
                    line("Segmenting or measuring a tumor: a heat map is not a segmentation."),
                )
            ),
        ),
    )


def ethics() -> Section:
    """Risks, and privacy."""
    return Section(
        "Ethics and privacy",
        (
            Bullets(
                (
                    line(
                        "A false negative delays treatment, a false positive causes distress and "
                        "further examinations; a reader who relies on a prediction may look less "
                        "closely (automation bias)."
                    ),
                    line(
                        "Whether it performs equally for all patients is unknown: falx knows "
                        "neither age, sex and ethnicity nor the scanner."
                    ),
                    line(
                        "A run folder holds pictures of slices, file names and patient "
                        "identifiers, if there are any. To share the detector, share ",
                        code("detector/"),
                        " and this card, after checking the file names in it.",
                    ),
                    to_fill_in("ethics approval, consent, and how the data were de-identified."),
                )
            ),
        ),
    )


def cost(report: Report) -> Section:
    """Time and energy of the training."""
    record = report.record
    seconds, cores = record.training_seconds or 0.0, record.environment["cores"] or 1
    hours = seconds * cores / 3600
    lines = [
        line(
            f"Training took {duration(seconds)} on {count(cores, 'processor core')}, "
            f"at most {_hours(hours)} core hours. Time before an interruption and time saved by "
            "features that an earlier run cached are not included."
        ),
        line(
            f"Energy was not measured. If every core drew {WATTS_PER_CORE} W throughout, a high "
            f"estimate, it was at most {_hours(hours * WATTS_PER_CORE)} Wh."
        ),
    ]
    if record.backend == "jax":
        lines.append(line("The power of a GPU, if there was one, is not included."))
    return Section("Time and energy", (Bullets(tuple(lines)),))


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def licenses(report: Report) -> Section:
    """What falx knows about licenses."""
    name = report.record.weights["name"] or ""
    unknown = "See their source; falx knows only the file."
    rows = (
        ("falx", line("Apache License 2.0.")),
        ("Initial weights", line(_WEIGHTS_LICENSES.get(name, unknown))),
        ("Data", line("See their source; falx knows only the folder.")),
        (
            "This detector",
            to_fill_in("a license that is compatible with those of weights and data."),
        ),
    )
    return Section("Licenses", (_table("Terms of use of each part.", rows),))


def reproducibility(report: Report) -> Section:
    """How to reproduce the run."""
    environment = ((name, line(code(value))) for name, value in facts(report.record))
    return Section(
        "Reproducibility",
        (
            Listing(report.record.command),
            Paragraph(line("The recipe in full, ", code("recipe.yaml"), ":")),
            Listing(_recipe(report).to_yaml()),
            _table("Data, weights, options and environment.", environment),
        ),
    )


def _table(caption: str, rows: Iterator[tuple[str, Line]] | tuple[tuple[str, Line], ...]) -> Table:
    return Table(caption, ("What", "Value"), tuple((line(name), value) for name, value in rows))
