"""What a model card says of the model: what it is, is for, cost, is licensed under, comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from falx.evaluation.document import (
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
from falx.evaluation.report_page import facts
from falx.evaluation.sentences import pretraining_words
from falx.evaluation.templates import count, duration, listed, number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falx.evaluation.card import Card
    from falx.evaluation.report import Report
    from falx.recipe import Backbone, Head, Phase, Recipe

WATTS_A_CORE = 20
"""Assumed, and generous: a processor's whole power, memory and cooling included, shared out."""

_WEIGHTS = {
    "imagenet": "ImageNet weights, those of Keras or of FALX_WEIGHTS",
    "phantom": "The phantom weights of falx, learned from synthetic slices alone",
    "random": "Random numbers",
}
_WEIGHTS_LICENSES = {
    "imagenet": "Those of Keras are offered under the Apache License 2.0; the photographs that "
    "they were learned from have terms of their own, for non-commercial research and education.",
    "phantom": "Apache License 2.0, as falx. No real image went into them.",
    "random": "None needed: training began with random numbers.",
}


def details(card: Card) -> Section:
    """What the model is."""
    return Section("Model details", (_table("What was trained.", _details(card)),))


def _details(card: Card) -> Iterator[tuple[str, Line]]:
    report, recipe = card.report, card.recipe
    versions = report.environment["versions"]
    yield "Recipe", line(code(recipe.name), f", by falx {versions.get('falx', '')}. {recipe.about}")
    if card.settings is None:
        yield "Detector", line("None is kept: a cross-validation says what a recipe is worth.")
    if card.made:
        yield "Made on", line(card.made)
    size = f" {count(report.parameters, 'parameter')}." if report.parameters else ""
    yield "Network", line(f"{_backbone(recipe.backbone)}; {_head(recipe.head)}.{size}")
    yield "Began with", line(f"{_began(report.environment['weights']['name'])}.")
    if "pretraining" in report.environment:
        yield "Pretrained", line(pretraining_words(report.environment["pretraining"]))
    yield "Trained", line(_trained(recipe))
    rendering = recipe.rendering
    cut = "cut to the head, " if rendering.crop == "head" else ""
    yield (
        "Input",
        line(
            "One slice in grey levels, from JPEG, PNG, BMP, TIFF, WebP, DICOM or NIfTI; "
            f"{cut}{_FITTED[rendering.aspect]} {rendering.size} × {rendering.size} pixels."
        ),
    )
    yield (
        "Output",
        line(f"{_output(card)}{_mirrored(recipe)} A heat map shows where the evidence lies."),
    )
    if card.settings:
        yield "Several slices of one study", line(_study_rule(card.settings.rules.study_share))
    if card.settings:
        yield "Network, SHA-256", line(code(card.settings.network_sha256))
    for name in ("data", "weights"):
        digest = report.environment[name]["sha256"]
        yield f"{name.capitalize()}, SHA-256", line(code(digest) if digest else "none")
    yield "Who made it, and whom to ask", to_fill_in("name and address.")


_KEPT = {"best": "weights of the epoch with the lowest validation loss", "last": "last weights"}
_FITTED = {"keep": "fitted with its proportions into", "stretch": "stretched to"}


def _backbone(backbone: Backbone) -> str:
    assert backbone.name == "mobilenet_v2"
    return f"MobileNetV2 (Sandler et al., CVPR 2018), width {backbone.width:g}"


def _head(head: Head) -> str:
    hidden = f", {head.hidden} hidden units" if head.hidden else ""
    drop = f", dropout {head.dropout:g}" if head.dropout else ""
    pooling = {"average": "global average pooling", "flatten": "flattened"}[head.pooling]
    return f"{pooling}{hidden}{drop}, a linear layer"


def _trained(recipe: Recipe) -> str:
    phases = [phase for phase in recipe.phases if phase.epochs]
    words = f"{'; '.join(map(_phase, phases))}; class weights {recipe.class_weights}"
    if all(phase.solver == "logistic" for phase in phases):
        return f"{words}."
    return (
        f"{words}; {recipe.optimizer.name}, batches of {recipe.batch}; the {_KEPT[recipe.keep]} "
        "are kept."
    )


def _phase(phase: Phase) -> str:
    if phase.solver == "logistic":
        return (
            f"logistic regression on the features of {count(phase.epochs, 'view')} of each slice, "
            f"with a penalty of {phase.penalty:g} on squared weights"
        )
    which = "the head" if phase.train_from == "head" else f"layers from {phase.train_from} on"
    return f"{count(phase.epochs, 'epoch')} of {which} at a rate of {phase.learning_rate:g}"


def _began(name: str) -> str:
    return _WEIGHTS.get(name, f"Weights in the file “{Path(name).name}”")


def _output(card: Card) -> str:
    classes = card.report.scores.classes
    words = f"The probability of {listed([f'“{name}”' for name in classes])}."
    if len(classes) > 2:
        return f"{words} The most probable class is the answer."
    return f"{words} “{classes[1]}” is the answer from {number(card.rules.threshold, 2)} on."


def _mirrored(recipe: Recipe) -> str:
    return " It is the mean over a slice and its mirror image." if recipe.mirrored else ""


def _study_rule(share: float) -> str:
    if not share:
        return "The study's answer is that of its strongest slice."
    return f"The study's answer is the mean of its strongest {percent(share)} of slices."


def intended_use(card: Card) -> Section:
    """Whom and what it is for, and whom and what not."""
    classes = listed([f"“{name}”" for name in card.report.scores.classes])
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
                        f"Anything but {classes}: another disease gets one of these answers. Most "
                        "pictures of other things are refused, and not all."
                    ),
                    line(
                        "Computed tomography, other planes, sequences, ages and states (after "
                        "surgery or radiation) than those of its training data."
                    ),
                    line(
                        "Volumes: it looks at one slice at a time. A study's answer is made of "
                        "those of its slices by a rule, not by looking at them together."
                    ),
                    line("Outlining or measuring a tumor: a heat map is no segmentation."),
                )
            ),
        ),
    )


def ethics() -> Section:
    """Whom it can harm."""
    return Section(
        "Ethics and privacy",
        (
            Bullets(
                (
                    line(
                        "A missed tumor delays treatment, a false alarm frightens and costs "
                        "examinations; a reader who trusts an answer looks less closely."
                    ),
                    line(
                        "Whether it fares alike for all patients is unknown: falx knows neither "
                        "their age, sex and ethnicity nor the scanner."
                    ),
                    line(
                        "A run folder holds pictures of slices, file names and patient numbers, "
                        "where there are any. To share the detector, share ",
                        code("detector/"),
                        " and this card, after a look at the file names in it.",
                    ),
                    to_fill_in("ethics approval, consent, and how the data were de-identified."),
                )
            ),
        ),
    )


def effort(report: Report) -> Section:
    """What training took."""
    seconds, cores = report.seconds or 0.0, report.environment["cores"] or 1
    hours = seconds * cores / 3600
    lines = [
        line(
            f"Training took {duration(seconds)} on {count(cores, 'processor core')}, "
            f"{_hours(hours)} core hours at the most. What came before a stop, and features that "
            "an earlier run had left, are not in that."
        ),
        line(
            f"Energy was not measured. If every core drew {WATTS_A_CORE} W all along, which is an "
            f"assumption on the high side, it was at most "
            f"{_hours(hours * WATTS_A_CORE)} Wh."
        ),
    ]
    if report.environment["backend"] == "jax":
        lines.append(line("What a graphics processor drew, if there was one, is not in that."))
    return Section("Time and energy", (Bullets(tuple(lines)),))


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def licenses(card: Card) -> Section:
    """What falx knows of licenses."""
    name = card.report.environment["weights"]["name"]
    unknown = "As their source states; falx was given a file and knows no more of it."
    rows = (
        ("falx", line("Apache License 2.0.")),
        ("Weights it began with", line(_WEIGHTS_LICENSES.get(name, unknown))),
        ("Data", line("As their source states; falx was given a folder and knows no more of it.")),
        ("This detector", to_fill_in("a license that those of weights and data allow.")),
    )
    return Section("Licenses", (_table("Under which terms each part may be used.", rows),))


def reproduction(card: Card) -> Section:
    """How to make it again."""
    environment = ((name, line(code(value))) for name, value in facts(card.report.environment))
    return Section(
        "Reproduction",
        (
            Listing(card.report.command),
            Paragraph(line("The recipe in full, ", code("recipe.yaml"), ":")),
            Listing(card.recipe.to_yaml()),
            _table("What it ran on, and with.", environment),
        ),
    )


def _table(caption: str, rows: Iterator[tuple[str, Line]] | tuple[tuple[str, Line], ...]) -> Table:
    return Table(caption, ("What", "Value"), tuple((line(name), value) for name, value in rows))
