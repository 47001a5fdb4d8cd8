"""The page of a run must show what its numbers say, no more, and need nothing beside it."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import replace

import cv2
import numpy as np
import yaml

from falx.data.label_check import LabelCheck, LabelIssue
from falx.data.shortcuts import Shortcut
from falx.evaluation.localization import LocalizationScores
from falx.evaluation.weighted_metrics import METRIC_NAMES
from falx.recipe import Recipe
from falx.reporting.pages import run as module
from falx.reporting.report import Figure
from falx.statistics import Estimate, wilson_interval

FOUR = ("glioma", "meningioma", "notumor", "pituitary")
ACCURACY = "Accuracy fraction of slices classified correctly"
ROC_AUC = "ROC AUC area under the ROC curve; 0.5 is chance"
ERRORS, ISSUES = "Every misclassified slice", "Slices whose label is likely wrong"


def misclassified(page):
    return list(page.table(ERRORS).items())[1:]


def test_the_headline_is_the_metrics_with_their_intervals_and_meaning(report, written):
    text = written(report).text
    headline = text[: text.index("Data and audit")]
    for metric, places in (("accuracy", 2), ("roc_auc", 3), ("log_loss", 2)):
        found = report.scores.estimates[metric]
        value, low, high = (f"{x:.{places}f}" for x in (found.value, found.low, found.high))
        span = f"{value} 95 % confidence interval {low} to {high}"
        assert f"{METRIC_NAMES[metric]} {span}" in headline
    assert "34 of 38 test slices classified correctly: of 19 “yes”, 2 false negatives" in headline
    assert "Majority-class baseline (always “no”): 50 %." in headline
    assert "it rests on 38 slices in 30 groups, too few for a precise estimate." in headline


def test_the_headline_has_the_digits_that_keep_its_numbers_apart(
    make_report, make_evaluation, written
):
    text = written(make_report(make_evaluation(999, 1000))).text
    assert "Accuracy 0.999 95 % confidence interval 0.997 to 1.000" in text


def test_leakage_is_warned_of_before_the_numbers(make_report, make_evaluation, written):
    report = make_report(
        make_evaluation(34, 38, leaked=11), record={"split": "random 70/15/15, ignoring groups"}
    )
    text = written(report).text
    warning = text.index("Not independent: 11 of 38 test slices share a group with training")
    assert warning < text.index("Accuracy not independent 0.89")


def test_without_leakage_nothing_is_warned_of(report, written):
    text = written(report).text
    assert "None of 38 test slices shares a group with a training slice." in text
    assert "not independent" not in text.lower()


def test_an_evaluation_has_no_split_and_no_training(make_report, make_evaluation, written):
    page = written(make_report(make_evaluation(34, 38), "evaluate"))
    assert "split" not in {tag.get("id") for tag in page.all("section")}
    assert "This is not the dataset that the detector was trained on" in page.text
    assert "shares a group with a training slice, as far as is known." in page.text
    assert "trained in" not in page.text
    assert "falx evaluation" in page.text


def test_every_metric_stands_in_the_table_beside_the_paper(report, written):
    page = written(report)
    rows = page.table("Every metric")
    assert rows["Metric"][:-1] == [
        "This report leak-free 70/15/15, n = 38", "The paper as published, n = 32"
    ]  # fmt: skip
    for metric, name in METRIC_NAMES.items():
        found = report.scores.estimates[metric]
        own = next(cells for first, cells in rows.items() if first.startswith(f"{name} "))[0]
        assert own == f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}".replace("-", "−")
    published = {first: cells[1] for first, cells in rows.items()}
    paper = wilson_interval(29, 32)
    assert published[ACCURACY] == f"0.9062 {paper.low:.3f} to {paper.high:.3f}"
    assert published[ROC_AUC] == "0.9909"
    assert published["Log loss cross-entropy; lower is better"] == "0.2775"
    assert sum(cell == "–" for cell in published.values()) == len(METRIC_NAMES) - 3
    assert "Wilson score interval is 76 % to 97 %" in page.text


def test_several_classes_have_no_paper_and_a_row_each(make_report, make_evaluation, written):
    report = make_report(make_evaluation(50, 60, FOUR))
    page = written(report)
    assert "The paper" not in page.text
    assert "50 of 60 test slices classified correctly, in 4 classes." in page.text
    rows = page.table("Support is the number")
    for name in FOUR:
        found = [
            f"{e.value:.3f} {e.low:.3f} to {e.high:.3f}"
            for e in report.scores.by_class[name].values()
        ]
        assert rows[name] == [*found, "15"]


def test_a_random_split_stands_beside_with_the_difference(make_report, make_evaluation, written):
    page = written(make_report(random_split=make_evaluation(37, 38, leaked=11)))
    rows = page.table("Every metric")
    assert rows["Metric"][1:3] == [
        "Random split n = 38, 11 leaked", "Difference random minus this"
    ]  # fmt: skip
    assert [cell.split()[0] for cell in rows[ACCURACY][:3]] == ["0.895", "0.974", "+0.079"]
    assert "11 of 38 test slices share a group with training slices" in page.text
    assert "0.079 higher than here." in page.text


def test_what_is_undefined_is_a_dash(make_report, make_evaluation, written):
    page = written(make_report(make_evaluation(3, 3, labels=[1, 1, 1])))
    rows = page.table("Every metric")
    assert rows[ROC_AUC][0] == "–"
    specificity = (
        "Specificity true negative rate: fraction of negative slices classified as negative"
    )
    assert rows[specificity][0] == "–"
    assert "ROC AUC – no confidence interval can be given Undefined" in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)


def test_the_split_table_counts_classes_slices_and_groups(report, written):
    rows = written(report).table("Leak-free 70/15/15.")
    assert rows["Part"] == ["no", "yes", "Slices", "Groups"]
    assert rows["train"] == ["68", "108", "176", "140"]
    assert rows["test"] == ["19", "19", "38", "30"]


def test_a_cross_validation_has_a_row_for_each_fold(make_report, make_evaluation, written):
    evaluation = make_evaluation((35, 38), 40, folds=4)
    page = written(make_report(evaluation, "crossval"))
    head, *rows = next(rows for name, rows in page.tables.items() if name.startswith("Each fold"))
    assert head == ["Repeat", "Fold", "Slices", "Groups", "Accuracy", "ROC AUC", "Log loss"]
    assert [row[:4] for row in rows] == [
        [str(repeat), str(fold), "10", "10"] for repeat in (1, 2) for fold in (1, 2, 3, 4)
    ]
    accuracies = [each.scores.estimates["accuracy"].value for each in evaluation.by_fold]
    assert [row[4] for row in rows] == [f"{value:.3f}" for value in accuracies]
    assert "split" not in {tag.get("id") for tag in page.all("section")}


def test_reliability_shows_coverage_referral_and_calibration(report, written):
    page = written(report)
    rows = page.table("Thresholds were chosen on validation slices")
    found = report.reliability.coverage
    name = (
        "Coverage of prediction sets (target 90 %) fraction of slices whose prediction set holds the "
        "true class"
    )
    assert rows[name] == [f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}"]
    assert len(rows) == 1 + 6, "coverage, of each class, rejected, referred, selective accuracy"
    calibration = page.table("Temperature scaling with T = 2.00: logits are divided by T.")
    before, after = report.reliability.before["brier"], report.reliability.after["brier"]
    assert calibration["Brier score"] == [
        f"{each.value:.3f} {each.low:.3f} to {each.high:.3f}" for each in (before, after)
    ]


def test_errors_are_listed_the_most_confident_first(report, written):
    found = report.evaluation.predictions.misclassifications()
    page = written(report)
    assert page.table(ERRORS)["Slice"] == ["Label", "Predicted", "Probability of “yes”"]
    assert misclassified(page) == [
        (each.path, [each.label, each.predicted, f"{each.probability:.3f}"]) for each in found
    ]
    of_label = [each.probability if each.label == "yes" else 1 - each.probability for each in found]
    assert len(found) == 4
    assert of_label == sorted(of_label)


def test_errors_of_repeats_say_in_how_many(make_report, make_evaluation, written):
    page = written(make_report(make_evaluation((36, 38, 39), 40, folds=2), "crossval"))
    assert page.table(ERRORS)["Slice"][-1] == "Misclassified in"
    times = {path: cells[-1] for path, cells in misclassified(page)}
    assert list(times.values()) == ["3 of 3", "2 of 3", "1 of 3", "1 of 3"]
    assert times["yes/39.png"] == "3 of 3"
    assert times["no/38.png"] == "2 of 3"


def test_errors_beyond_a_page_are_counted(report, written, monkeypatch):
    monkeypatch.setattr(module, "ERRORS_SHOWN", 1)
    page = written(report)
    assert len(misclassified(page)) == 1
    assert "3 more are in errors.csv" in page.text


def test_that_there_are_no_errors_is_said(make_report, make_evaluation, written):
    text = written(make_report(make_evaluation(38, 38))).text
    assert "None: every slice was classified correctly." in text


def test_label_issues_are_listed_with_their_group(make_report, make_audit, written):
    check = LabelCheck(
        (LabelIssue(9, "no", 0.021, 1), LabelIssue(0, "yes", 0.3, 1)), checked=12, repeats=1
    )
    page = written(make_report(audit=make_audit(groups=((6, 7, 8, 9, 10),), label_check=check)))
    assert list(page.table(ISSUES).items()) == [
        ("Slice", ["Label", "Suggested", "Probability of the label", "Others in its group"]),
        ("yes/3.png", ["yes", "no", "0.021", "yes/0.png, yes/1.png, yes/2.png and 1 more"]),
        ("no/0.png", ["no", "yes", "0.300", ""]),
    ]
    assert "A label issue is not proof of an error: somebody who can read the scan" in page.text
    assert "All metrics use the labels as given." in page.text


def test_label_issues_of_repeats_say_in_how_many(make_report, make_evaluation, make_audit, written):
    check = LabelCheck((LabelIssue(9, "no", 0.021, 4),), checked=12, repeats=5)
    evaluation = make_evaluation((34,) * 5, 38, folds=2)
    page = written(make_report(evaluation, "crossval", audit=make_audit(label_check=check)))
    assert page.table(ISSUES)["yes/3.png"] == ["yes", "no", "0.021", "4 of 5", ""]


def test_label_issues_beyond_a_page_are_counted(make_report, make_audit, written, monkeypatch):
    monkeypatch.setattr(module, "LABEL_ISSUES_SHOWN", 1)
    check = LabelCheck(
        (LabelIssue(9, "no", 0.02, 1), LabelIssue(0, "yes", 0.3, 1)), checked=12, repeats=1
    )
    page = written(make_report(audit=make_audit(label_check=check)))
    assert len(page.table(ISSUES)) == 2
    assert "1 more are in label_issues.csv" in page.text


def test_label_issues_are_spoken_of_only_where_labels_were_checked(
    report, make_report, make_audit, written
):
    assert "issue" not in written(report).text
    check = LabelCheck((), checked=12, repeats=1)
    text = written(make_report(audit=make_audit(label_check=check))).text
    assert "Label issues None." in text
    assert "flags none of 12 labels." in text


def test_metrics_by_study(make_report, make_evaluation, written):
    """Fourteen studies of two slices, one of them out-of-distribution."""
    patients = [f"p{row // 4 * 2 + row % 2}" for row in range(28)]
    evaluation = make_evaluation(
        25,
        28,
        distances=np.where(np.isin(patients, "p3"), 9.0, 1.0),
        columns={"patient": patients},
    )
    page = written(make_report(evaluation))
    rows = page.table(
        "13 studies of two slices or more; 13 of them referred; 1 more was rejected as "
        "out-of-distribution. The probability of a study is the mean of the 10 % of its slices most "
        "likely to show a tumor."
    )
    found = evaluation.studies.scores.estimates["accuracy"]
    assert rows["Accuracy"] == [f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}"]


def test_volumes_have_a_section(make_report, of_volumes, written, tmp_path):
    evaluation = of_volumes()
    picture = tmp_path / "free_response.png"
    cv2.imwrite(str(picture), np.zeros((32, 48), np.uint8))
    figures = (Figure("Free-response", "Lesions.", picture, "volumes"),)
    page = written(make_report(evaluation, "evaluate", figures=figures))
    found = evaluation.volumes.sensitivity
    rows = page.table("Lesions found in volumes")
    name = "Sensitivity per lesion lesions with a slice classified as positive"
    assert rows[name] == [f"{found.value:.3f} {found.low:.3f} to {found.high:.3f}"]
    section = page.section("Volumes", "Misclassified slices")
    assert "12 volumes in 12 groups, with 12 lesions" in section
    assert "Free-response. Lesions." in section
    patients = page.table("Numbers of single patients; a dash")
    assert list(patients)[1:] == [f"p{number:02}" for number in range(12)]
    assert patients["p00"] == ["10", "4", "1.000", "1.000", "1.000"]
    assert {"href": "#figures"} not in page.all("a")


def test_without_volumes_there_is_no_such_section(report, written):
    page = written(report)
    assert {"href": "#volumes"} not in page.all("a")
    assert {"id": "volumes"} not in page.all("section")


def test_studies_of_folds_with_rules_of_their_own(make_report, of_volumes, written):
    evaluation = of_volumes(folds=1)
    (rules,) = evaluation.predictions.rules[0]
    mixed = replace(
        evaluation.predictions,
        folds=np.repeat([1, 2], 60)[None],
        rules=((rules, replace(rules, top_fraction=0.5)),),
    )
    page = written(make_report(replace(evaluation, predictions=mixed), "crossval"))
    assert "slices most likely to show a tumor, by the rule of its fold." in page.text


def test_an_undefined_metric_by_study_is_a_dash(make_report, make_evaluation, written):
    patients = [f"p{row // 2}" for row in range(8)]
    evaluation = make_evaluation(8, 8, labels=[1] * 8, columns={"patient": patients})
    assert written(make_report(evaluation)).table("4 studies")["ROC AUC"] == ["–"]


def test_localization_stands_beside_chance(make_report, make_evaluation, written):
    scores = LocalizationScores(
        12, Estimate(0.75, 0.5, 0.9), 0.05, Estimate(0.8, 0.6, 0.9), 0.1,
        Estimate(0.1, 0.05, 0.2), 0.4,
        Estimate(0.3, 0.2, 0.4), 0.05,
    )  # fmt: skip
    page = written(make_report(make_evaluation(34, 38, localization=scores), "evaluate"))
    rows = page.table("Agreement of heat maps with the tumor masks of 12 slices.")
    assert rows["Pointing game fraction of heat maps whose peak lies on the tumor"] == [
        "0.750 0.500 to 0.900", "0.050"
    ]  # fmt: skip


def test_limitations_are_listed(make_report, make_audit, written):
    shortcut = Shortcut("file properties", 0.85, 0.8, 0.9)
    page = written(make_report(audit=make_audit(shortcuts=(shortcut,))))
    limitations = page.section("Limitations", "Recipe")
    assert "The test set is small: 38 slices in 30 groups." in limitations
    assert "without the brain, from file properties (AUC 0.85)" in limitations


def test_the_verdicts_of_the_audit_stand_in_the_page(make_report, make_audit, written):
    audit = make_audit(identical=((0, 1, 2),), groups=((0, 1, 2),), distinct=10)
    text = written(make_report(audit=audit)).text
    assert "2 slices are byte-for-byte copies of others." in text
    assert "10 of 12, with copies" in text
    assert "falx audit DATA --html audit.html" in text


def test_the_run_can_be_repeated(report, written):
    page = written(report)
    recipe, command, *_ = page.preformatted
    assert Recipe.model_validate(yaml.safe_load(recipe)) == report.run.recipe
    assert command == report.record.command == "falx train navoneel --recipe paper --seed 7"
    rows = page.table("Data, weights, options and environment.")
    assert rows["options seed"] == ["7"]
    assert rows["weights name"] == ["imagenet"]
    assert rows["weights sha256"] == ["–"]
    assert rows["keras"] == ["3.12.0"]
    assert rows["cpu features"] == ["avx2, amx_bf16"]
    assert "10,286,913 parameters; trained in 3 min 12 s." in page.text
    folder = report.run.folder
    assert f"Classify images falx predict {folder} IMAGE..." in page.text


def test_figures_are_embedded_with_their_captions_as_alternative_text(report, written):
    (image,) = written(report).all("img")
    kind, content = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == report.figures[0].path.read_bytes()
    assert image["alt"] == "ROC: True positive rate against false positive rate."
    assert math.isclose(int(image["width"]) / int(image["height"]), 48 / 32, rel_tol=0.1)
