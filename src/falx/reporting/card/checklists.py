"""The items of two reporting guidelines, and where a model card answers each.

CLAIM is the Checklist for Artificial Intelligence in Medical Imaging (Tejani et al., Radiology:
Artificial Intelligence 6, 2024, e240300); TRIPOD+AI is on Transparent Reporting of a multivariable
prediction model for Individual Prognosis Or Diagnosis (Collins et al., BMJ 385, 2024, e078378).
Items keep their numbers and are reworded. Those about an article are left out: title, abstract,
background and objectives (CLAIM 1 to 4; TRIPOD+AI 1, 2, 3a, 3c and 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from falx.reporting.card.document import Line, Paragraph, Section, Span, Table, line, to_fill_in


@dataclass(frozen=True)
class Item:
    """One item of a guideline.

    Attributes:
        numbers: in the guideline; several where one answer serves them.
        asks: what it asks for, in short.
        state: whether a section of the card answers it, a person has to, or a remark does.
        answer: title of the section, what to fill in, or the remark.
    """

    numbers: str
    asks: str
    state: Literal["answered", "open", "remark"]
    answer: str


def answered(numbers: str, asks: str, section: str) -> Item:
    """An item that a section answers."""
    return Item(numbers, asks, "answered", section)


def open_(numbers: str, asks: str, what: str) -> Item:
    """An item that whoever deploys the model must answer."""
    return Item(numbers, asks, "open", what)


def remark(numbers: str, asks: str, text: str) -> Item:
    """An item for which a sentence is enough, for example because it does not apply."""
    return Item(numbers, asks, "remark", text)


CLAIM = (
    open_("5", "Prospective or retrospective", "how the slices were collected."),
    answered("6", "Goal of the study", "Intended use"),
    open_("7", "Sources of the data", "where they come from, and under which terms."),
    open_("8", "Inclusion and exclusion criteria", "whom the data include, and whom not."),
    answered("9", "Preprocessing", "Model details"),
    answered("10", "Subsets that were selected", "Training data"),
    open_("11", "De-identification", "how and by whom."),
    answered("12", "Missing data", "Training data"),
    open_("13", "Image acquisition protocol", "scanners, field strengths, sequences, planes."),
    open_("14, 15", "Reference standard and its rationale", "what a label rests on, and why."),
    open_("16, 17", "Who annotated, the test set too", "training and number of readers."),
    open_("18", "Variability between and within readers", "agreement, and how it was settled."),
    answered("19, 20", "Partitions, and at what level they are disjoint", "Split"),
    open_(
        "21", "Intended sample size of the test", "the rationale; falx used all slices there were."
    ),
    answered("22", "Model, inputs and outputs", "Model details"),
    answered("23", "Software and its versions", "Reproducibility"),
    answered("24", "Initial parameters", "Model details"),
    answered("25", "Training, augmentation, hyperparameters", "Reproducibility"),
    answered("26", "How the final model was chosen", "Model details"),
    remark("27", "Ensembling", "None: the detector is a single network."),
    answered("28, 29", "Metrics and their uncertainty", "Performance"),
    answered("30", "Robustness: subgroups", "Subgroups"),
    remark(
        "31",
        "Explainability",
        "Heat maps come with every prediction; falx evaluate --masks tests them.",
    ),
    answered("32", "Evaluation on internal data", "Performance"),
    remark("33", "Testing on external data", "Not part of this run; see falx evaluate RUN DATA."),
    open_("34", "Registration of a clinical trial", "number and registry, if there is one."),
    answered("35", "Numbers included and excluded", "Training data"),
    open_("36", "Demographic and clinical characteristics", "by partition."),
    answered("37", "Performance with uncertainty", "Performance"),
    answered("38", "Diagnostic performance", "Calibration and operating point"),
    answered("39", "Failure analysis", "Limitations"),
    answered("40", "Limitations", "Limitations"),
    answered("41", "Implications for practice", "Intended use"),
    open_("42", "Study protocol", "where it can be read."),
    open_("43", "Availability of software, model and data", "where they can be had."),
    open_("44", "Funding", "who paid, and what they decided."),
)

TRIPOD = (
    open_("3b", "Target population, place in the care pathway", "for the intended deployment."),
    open_("5a, 5b", "Sources and dates of the data", "where from, and from when to when."),
    open_("6a, 6b", "Setting and eligibility", "centers, and who was included."),
    open_("6c", "Treatments received", "surgery, radiation or drugs before the scan."),
    answered("7", "Preparation and quality of the data", "Training data"),
    open_("8a", "Outcome and how it was assessed", "what a label rests on."),
    open_("8b, 8c", "Assessors of the outcome, and blinding", "who they were and what they saw."),
    answered("9a, 9b", "Predictors: the pixels of one slice", "Model details"),
    remark("9c", "Assessors of predictors", "Predictors are pixels; no human judgment enters."),
    open_("10", "Sample size", "the rationale; falx used all slices there were."),
    answered("11", "Missing data: unusable files", "Training data"),
    answered("12a", "How data were split", "Split"),
    answered("12b, 12c", "Handling of predictors, model, tuning", "Reproducibility"),
    answered("12d, 23b", "Heterogeneity between clusters", "Subgroups"),
    answered("12e", "Measures of performance", "Performance"),
    remark("12f, 24", "Updating of the model", "The model was not updated after its test."),
    answered("12g", "How predictions were made", "Model details"),
    answered("13", "Class imbalance: class weights", "Model details"),
    remark("14", "Fairness", "Not addressed: falx knows neither age, sex nor ethnicity."),
    answered("15", "Output and thresholds", "Calibration and operating point"),
    answered("16", "Differences between training and test", "Split"),
    open_("17", "Ethics approval and consent", "committee, number, waiver."),
    open_("18a, 18b", "Funding and conflicts of interest", "of whoever deploys it."),
    open_("18c, 18d", "Protocol and registration", "where they can be read."),
    open_("18e, 18f", "Sharing of data and code", "where they can be had."),
    open_("19", "Involvement of patients and the public", "in design, conduct or reporting."),
    open_("20a, 20b", "Flow and characteristics of participants", "patients, not slices."),
    remark("20c", "Comparison of evaluation and development data", "Both come from one dataset."),
    answered("21", "Participants and outcomes in each analysis", "Split"),
    answered("22", "The full model", "Reproducibility"),
    answered("23a", "Performance, also by subgroup", "Subgroups"),
    answered("25, 26", "Interpretation and limitations", "Limitations"),
    remark(
        "27a",
        "Poor input",
        "Files that can't be read are named, out-of-distribution slices rejected; image quality is "
        "not checked.",
    ),
    answered("27b", "Users and their expertise", "Intended use"),
    open_("27c", "Next steps", "external test, reader study, monitoring."),
)

_GUIDELINES = (
    ("CLAIM, 2024 update (Tejani et al., Radiology: Artificial Intelligence, 2024).", CLAIM),
    ("TRIPOD+AI (Collins et al., BMJ, 2024).", TRIPOD),
)


def checklists() -> Section:
    """Both guidelines, one row per item."""
    tables = tuple(
        Table(caption, ("Item", "Asks for", "Answer"), tuple(_row(item) for item in items))
        for caption, items in _GUIDELINES
    )
    total = sum(len(items) for _, items in _GUIDELINES)
    gaps = sum(item.state == "open" for _, items in _GUIDELINES for item in items)
    intro = (
        f"Two reporting guidelines. Of {total} rows, {gaps} must be filled in by whoever deploys "
        "the model: no program can know them. Items about an article (title, abstract, background) "
        "are left out."
    )
    return Section("Checklists", (Paragraph(line(intro)), *tables))


def _row(item: Item) -> tuple[Line, ...]:
    if item.state == "answered":
        answer = line("See ", Span(item.answer, "link"), ".")
    else:
        answer = to_fill_in(item.answer) if item.state == "open" else line(item.answer)
    return line(item.numbers), line(item.asks), answer
