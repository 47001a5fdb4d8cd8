"""The model card: what a detector is, what it is for, what it is worth, and what is not known.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019), section 4. What falx can't
know is marked as to be filled in, never guessed.
"""

from __future__ import annotations

from falx.reporting.card import model, numbers
from falx.reporting.card.checklists import checklists
from falx.reporting.card.document import Document
from falx.reporting.card.subgroups import subgroups
from falx.reporting.report import Report
from falx.reporting.words.report import lede, notice


def model_card(report: Report) -> Document:
    """The card of a training or a cross-validation, as a document."""
    independence = notice(report)
    return Document(
        kind="model card",
        title=report.record.title,
        lede=lede(report),
        state=independence.state,
        notice=(independence.heading, independence.text),
        sections=(
            model.details(report),
            model.intended_use(report),
            numbers.training_data(report),
            numbers.split(report),
            numbers.performance(report),
            subgroups(report),
            numbers.calibration(report),
            numbers.limitations(report),
            model.ethics(),
            model.cost(report),
            model.licenses(report),
            model.reproducibility(report),
            checklists(),
        ),
    )
