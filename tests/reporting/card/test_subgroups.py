"""Subgroups in a model card: those of the predictions, and which of them differ from all slices."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from falx.evaluation.subgroups import Factor, Subgroup
from falx.statistics import Estimate

HIGH, LOW = Estimate(0.95, 0.9, 1.0), Estimate(0.5, 0.4, 0.6)


def subgroup(name, accuracy):
    others = dict.fromkeys(("sensitivity", "specificity", "roc_auc"))
    return Subgroup(name, 60, 40, {"accuracy": accuracy, **others})


@pytest.fixture
def with_subgroups(make_report):
    """A function that makes a report with an accuracy of 0.95 and some subgroups by folder."""

    def make(*subgroups):
        report = make_report()
        scores = replace(report.scores, estimates=report.scores.estimates | {"accuracy": HIGH})
        # Both are cached, so that numbers made by hand can stand in for them.
        report.evaluation.__dict__.update(scores=scores, subgroups=(Factor("Folder", subgroups),))
        return report

    return make


def cells_of(text, factor):
    """Subgroup to its cells."""
    rows = [line.strip("|").split(" | ") for line in text.splitlines()]
    return {
        cells[1]: [cell.strip() for cell in cells[2:]]
        for cells in rows
        if cells[0].strip() == factor and len(cells) > 2
    }


def test_a_subgroup_that_differs_is_named(with_subgroups, markdown):
    text = markdown(with_subgroups(subgroup("siteA", HIGH), subgroup("siteB", LOW)))
    expected = "- Folder siteB: accuracy 0.500 (0.400 to 0.600) is below the 0.950 over all slices."
    assert expected in text
    assert "Folder siteA: accuracy" not in text
    assert "- 2 comparisons were made; by chance alone about 1 in 20 would be significant." in text
    assert cells_of(text, "Folder")["siteB"][:2] == ["0.500 (0.400 to 0.600)", "too few groups"]


def test_without_a_difference_equality_is_not_claimed(with_subgroups, markdown):
    text = markdown(with_subgroups(subgroup("siteA", HIGH), subgroup("siteB", HIGH)))
    assert "None of 2 comparisons has a confidence interval that excludes" in text
    assert "That does not prove equal performance" in text


def test_without_enough_groups_nothing_is_compared(with_subgroups, markdown):
    text = markdown(with_subgroups(subgroup("siteA", None), subgroup("siteB", None)))
    assert "No subgroup has enough groups for a comparison." in text


def test_the_numbers_are_those_of_the_predictions(make_report, make_evaluation, markdown):
    evaluation = make_evaluation((68, 72), 80, folds=2)
    text = markdown(make_report(evaluation, "crossval"))
    predictions = evaluation.predictions
    order = np.argsort(predictions.table["standard_deviation"].to_numpy(), kind="stable")
    found = cells_of(text, "Contrast")
    assert len(found) == 3
    assert sum(int(cells[-2]) for cells in found.values()) == 80
    lowest, cells = next(iter(found.items()))
    rows = order[: int(cells[-2])]
    assert lowest.startswith("low, up to ")
    truth, predicted = predictions.labels[rows], predictions.predicted_codes[:, rows]
    accuracy = np.mean([accuracy_score(truth, each) for each in predicted])
    specificity = np.mean([recall_score(truth, each, pos_label=0) for each in predicted])
    assert cells[0].split()[0] == f"{accuracy:.3f}"
    assert cells[2].split()[0] == f"{specificity:.3f}"


def test_numbers_of_too_few_groups_are_left_out(make_report, make_evaluation, markdown):
    found = cells_of(markdown(make_report(make_evaluation(18, 20))), "Brightness")
    assert [cells[-2:] for cells in found.values()] == [["7", "7"], ["7", "7"], ["6", "6"]]
    assert {cell for cells in found.values() for cell in cells[:-2]} == {"too few groups"}


def test_factors_that_do_not_vary_are_named(make_report, markdown):
    text = markdown(make_report())
    assert (
        "Not compared, since it is the same for all slices: image size (96 pixels), file format "
        "(png), color (grayscale)" in text
    )
    assert cells_of(text, "Image size") == {}
