"""A model card says what its run says, and marks what it can't know."""

import re
from dataclasses import replace

import pytest

from falx.notice import NOTICE
from falx.recipe import load_recipe
from falx.reporting.card.model_card import model_card
from falx.reporting.pages.rendering import fill
from falx.statistics import Estimate

THREE = ("notumor", "glioma", "meningioma")


def written(estimate):
    numbers = (f"{x:.3f}" for x in (estimate.value, estimate.low, estimate.high))
    return "{} ({} to {})".format(*numbers).replace("-", "−")


def section(text, title):
    return text[text.index(f"## {title}\n") :].split("\n## ")[0]


@pytest.fixture
def text(make_report, markdown):
    """The card of a leak-free training: 34 of 38 test slices classified correctly."""
    return markdown(make_report())


def test_sections_are_in_the_order_of_model_cards(text):
    assert re.findall(r"(?m)^## (.*)$", text) == [
        "Model details", "Intended use", "Training data", "Split", "Performance", "Subgroups",
        "Calibration and operating point", "Limitations", "Ethics and privacy", "Time and energy",
        "Licenses", "Reproducibility", "Checklists",
    ]  # fmt: skip


def test_it_is_no_medical_device_and_says_so_once(make_report, text):
    html = fill("document.html.j2", document=model_card(make_report()))
    assert text.count(NOTICE) == html.count(NOTICE) == 1


def test_every_link_leads_to_a_section(make_report):
    document = model_card(make_report())
    titles = {section.title for section in document.sections}
    assert len({section.anchor for section in document.sections}) == len(document.sections)
    links = re.findall(r"Span\(text='([^']*)', kind='link'\)", repr(document))
    assert len(links) > 30
    assert set(links) <= titles


def test_volumes_are_scored_where_there_are_any(make_report, of_volumes, text, markdown, row):
    evaluation = of_volumes()
    performance = section(markdown(make_report(evaluation, "crossval")), "Performance")
    assert "12 volumes in 12 groups, with 12 lesions" in performance
    sensitivity = evaluation.volumes.sensitivity
    assert row(performance, "Sensitivity per lesion")[0] == written(sensitivity)
    assert "In volumes." not in text


def test_what_only_a_person_knows_is_marked(text):
    for gap in ("ethics approval", "which scanners", "who labeled them", "name and address"):
        assert re.search(rf"\*\*To be filled in:\*\* .*{gap}", text)


def test_the_metrics_are_those_of_the_run(make_report, text, row):
    scores = make_report().scores
    for name, title in (("accuracy", "Accuracy"), ("log_loss", "Log loss"), ("f1", "F1")):
        assert row(text, title)[0] == written(scores.estimates[name])
    assert row(text, "yes")[:3] == [
        written(scores.by_class["yes"][name]) for name in ("precision", "recall", "f1")
    ]
    assert "On 38 slices in 30 groups; 95 % confidence intervals over groups." in text


def test_the_split_is_counted(text, row):
    assert row(text, "train") == ["68", "108", "176", "140"]
    assert row(text, "test") == ["19", "19", "38", "30"]


def test_network_weights_data_and_command_are_named(make_report, text, row):
    record = make_report().record
    assert "10,286,913 parameters" in row(text, "Network")[0]
    assert row(text, "Network, SHA-256") == [f"`{'f' * 64}`"]
    assert row(text, "Data, SHA-256") == [f"`{record.data['sha256']}`"]
    assert row(text, "Initial weights, SHA-256") == ["`none`"]
    assert row(text, "Date") == ["2025-11-28"]
    assert "All slices of `navoneel`" in text
    assert record.command in section(text, "Reproducibility")
    assert row(section(text, "Reproducibility"), "options seed") == ["`7`"]


def test_a_logistic_head_and_test_time_augmentation_are_described(make_report, markdown, row):
    best = load_recipe("best")
    text = markdown(make_report(recipe=best))
    assert row(text, "Training")[0] == (
        "logistic regression on the features of 8 views of each slice, L2 penalty 100; class "
        "weights balanced."
    )
    assert (
        "Test-time augmentation: the mean over a slice and its mirror image."
        in (row(text, "Output")[0])
    )


def test_an_optimizer_after_a_logistic_head_is_described(make_report, markdown, row):
    best = load_recipe("best")
    tuned = best.phases[0].model_copy(update={"solver": "optimizer", "epochs": 1})
    both = best.model_copy(update={"phases": (*best.phases, tuned), "flip_tta": False})
    text = markdown(make_report(recipe=both))
    assert row(text, "Training")[0].endswith(
        "L2 penalty 100; 1 epoch of the head at a learning rate of 0.001; class weights balanced; "
        "adam, batch size 32; the last weights are kept."
    )
    assert "mirror" not in row(text, "Output")[0]


def test_the_threshold_is_given_with_the_predictive_value_at_a_low_prevalence(text, row):
    assert "The decision threshold for “yes” is 0.50." in row(text, "Output")[0]
    calibration = section(text, "Calibration and operating point")
    assert "The decision threshold for “yes” is 0.50 (fixed)." in calibration
    # Sensitivity and specificity are 17 of 19: 0.01 * 17 / (0.01 * 17 + 0.99 * 2) is 8 %.
    assert "The prevalence of “yes” here is 50 %. At a prevalence of 1 %, the" in calibration
    assert "the positive predictive value would be 8 %" in calibration


def test_several_classes_have_no_threshold(make_report, make_evaluation, markdown, row):
    report = make_report(make_evaluation(50, 60, THREE))
    text = markdown(report)
    assert "The most probable class is predicted" in text
    assert "positive predictive value would be" not in text
    for name in THREE:
        assert row(text, name)[3] == "20"


def test_calibration_is_compared_with_class_frequencies(make_report, text, row):
    calibration = section(text, "Calibration and operating point")
    estimates = make_report().scores.estimates
    assert row(calibration, "Brier score") == [written(estimates["brier"]), "0.250"]
    assert row(calibration, "Log loss") == [written(estimates["log_loss"]), "0.693"]
    assert "38 slices are few for 15 bins" in calibration


def test_energy_was_not_measured_but_bounded(make_report, markdown):
    text = markdown(make_report(record={"training_seconds": 1800.0}))
    assert "Training took 30 min 0 s on 4 processor cores, at most 2 core hours." in text
    assert "Energy was not measured. If every core drew 20 W throughout" in text
    assert "at most 40 Wh" in text


def test_leakage_is_the_first_thing_said(make_report, make_evaluation):
    evaluation = make_evaluation(34, 38, leaked=3)
    split = "random 70/15/15, ignoring groups"
    document = model_card(make_report(evaluation, record={"split": split}))
    text = fill("document.md.j2", document=document)
    warning = "Not independent: 3 of 38 test slices share a group with training slices."
    assert text.index(f"> **{warning}**") < text.index("## Model details")
    assert f"Random 70/15/15, ignoring groups. {warning}" in text
    rest = evaluation.without_leakage.scores.estimates["accuracy"]
    assert f"no group with training, accuracy is {rest.value:.3f}" in text
    assert '<div class="notice act">' in fill("document.html.j2", document=document)


def test_metrics_by_study_are_given_where_there_are_studies(
    make_report, make_evaluation, markdown, row
):
    patients = [f"p{number // 4 * 2 + number % 2}" for number in range(28)]
    distances = [9.0 if patient == "p3" else 1.0 for patient in patients]
    evaluation = make_evaluation(25, 28, distances=distances, columns={"patient": patients})
    text = markdown(make_report(evaluation))
    caption = (
        "By study: 13 studies of two slices or more; 13 of them referred; 1 more was rejected as"
    )
    by_study = text[text.index(caption) :]
    accuracy = evaluation.studies.scores.estimates["accuracy"]
    assert row(by_study, "Accuracy") == [written(accuracy)]


def test_an_undefined_metric_by_study_is_a_dash(make_report, make_evaluation, markdown, row):
    patients = [f"p{number // 2}" for number in range(8)]
    evaluation = make_evaluation(8, 8, labels=[1] * 8, columns={"patient": patients})
    text = markdown(make_report(evaluation))
    assert row(text[text.index("By study: 4 studies") :], "ROC AUC") == ["–"]


def test_errors_are_listed_the_most_confident_first(make_report, text, row):
    errors = make_report().evaluation.predictions.misclassifications()
    limitations = section(text, "Limitations")
    assert "Misclassified slices, those most confidently misclassified first" in limitations
    for error in errors:
        assert row(limitations, f"`{error.path}`") == [
            error.label, error.predicted, f"{error.probability:.3f}"
        ]  # fmt: skip
    first, last = (limitations.index(each.path) for each in (errors[0], errors[-1]))
    assert first < last


def test_errors_beyond_the_table_are_counted(make_report, make_evaluation, markdown):
    text = markdown(make_report(make_evaluation(18, 38)))
    assert "misclassified first; 10 more are in errors.csv." in text


def test_that_there_are_no_errors_is_said(make_report, make_evaluation, markdown):
    text = section(markdown(make_report(make_evaluation(38, 38))), "Limitations")
    assert "No slice was misclassified." in text
    assert "so few could not rule out an error rate of 9 %." in text


def test_a_hostile_file_name_stays_text(make_report, make_evaluation):
    paths = [*(f"{number}.png" for number in range(37)), "yes/<script>|`x`.png"]
    document = model_card(make_report(make_evaluation(37, 38, columns={"path": paths})))
    assert r"| `` yes/<script>\|`x`.png `` | yes | no | 0." in fill(
        "document.md.j2", document=document
    )
    html = fill("document.html.j2", document=document)
    assert "<code>yes/&lt;script&gt;|`x`.png</code>" in html
    assert "<script>" not in html


def test_a_cross_validation_has_no_detector_and_counts_repeats(
    make_report, make_evaluation, markdown, row
):
    report = make_report(make_evaluation((36, 38), 40, folds=2), "crossval")
    text = markdown(report)
    assert row(text, "Accuracy")[0] == written(report.scores.estimates["accuracy"])
    assert "mean of 2 repeats" in text
    assert "Leak-free 5-fold cross-validation." in text
    assert row(text, "Detector")[0].startswith("None is kept")
    assert "Network, SHA-256" not in text
    assert row(text, "`yes/39.png`")[-1] == "2 of 2"


def test_pretraining_is_described(make_report, markdown, row):
    pretraining = {
        "name": "msoud", "slices": 1205, "excluded": 5, "trained_on": 1080, "held_out": 120,
        "accuracy": 0.9, "auc": 0.95, "phantom_fraction": 0.0,
    }  # fmt: skip
    text = markdown(make_report(record={"pretraining": pretraining}))
    assert row(text, "Pretraining")[0].startswith("The backbone was pretrained on 1,080 slices of")
    assert "| Pretraining |" not in markdown(make_report())


def test_a_metric_that_is_undefined_is_a_dash(make_report, markdown, row):
    report = make_report()
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    scores = replace(report.scores, estimates=report.scores.estimates | {"mcc": nothing})
    report.evaluation.__dict__["scores"] = scores
    assert row(markdown(report), "Matthews correlation")[0] == "–"
