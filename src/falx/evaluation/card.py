"""The model card: what a detector is, what it is for, what it is worth, and what is not known.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), section 4. What falx can't
know is marked as to be filled in, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

from falx.detect.detector import Settings
from falx.detect.rules import Rules
from falx.evaluation import card_model, card_numbers, card_subgroups, sentences
from falx.evaluation.checklists import checklists
from falx.evaluation.document import Document
from falx.evaluation.report import Report
from falx.evaluation.subgroups import Factor
from falx.recipe import Recipe


@dataclass(frozen=True)
class Card:
    """Everything that a model card tells.

    Attributes:
        report: of the training or cross-validation, without its figures; its environment is that
            of the run.
        recipe: that was trained.
        factors: the tested slices, parted by appearance and source.
        rules: that slices were answered by; of a cross-validation, the medians of its folds.
        settings: of the detector, or None for a cross-validation, which keeps none.
        made: the day on which the run was finished, or an empty string.
    """

    report: Report
    recipe: Recipe
    factors: tuple[Factor, ...]
    rules: Rules
    settings: Settings | None
    made: str


def model_card(card: Card) -> Document:
    """The card as a document."""
    report = card.report
    notice = sentences.notice(report)
    return Document(
        kind="model card",
        title=report.title,
        lede=sentences.lede(report),
        state=notice.state,
        notice=(notice.heading, notice.text),
        sections=(
            card_model.details(card),
            card_model.intended_use(card),
            card_numbers.training_data(report),
            card_numbers.split(report),
            card_numbers.numbers(report),
            card_subgroups.subgroups(report, card.factors),
            card_numbers.calibration(report, card.rules),
            card_numbers.limits(report),
            card_model.ethics(),
            card_model.effort(report),
            card_model.licenses(card),
            card_model.reproduction(card),
            checklists(),
        ),
    )
