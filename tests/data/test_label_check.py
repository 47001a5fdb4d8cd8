"""The label check finds wrong labels, and no merely uncertain ones."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falx.data.catalog import Catalog
from falx.data.label_check import LabelCheck, LabelIssue, carry_over, check_labels

TWO, FOUR = ("no", "yes"), ("glioma", "meningioma", "notumor", "pituitary")


def predictions(truth, classes, *, confidence=0.9, repeats=3):
    """Probabilities (repeats, n, classes) of networks that are right, with equal confidence."""
    right = np.eye(len(classes))[truth]
    once = confidence * right + (1 - confidence) * (1 - right) / (len(classes) - 1)
    return np.repeat(once[None], repeats, axis=0)


def flipped(truth, rows, classes):
    """The labels, those of some rows replaced by the next class."""
    labels = truth.copy()
    labels[rows] = (labels[rows] + 1) % len(classes)
    return labels


def rows_of(check):
    return sorted(issue.row for issue in check.label_issues)


@pytest.mark.parametrize("classes", [TWO, FOUR])
def test_labels_that_were_flipped_are_found_and_nothing_else(classes):
    truth = np.arange(200) % len(classes)
    wrong = [3, 50, 77, 120, 199]
    labels = flipped(truth, wrong, classes)
    check = check_labels(labels, predictions(truth, classes), classes)
    assert rows_of(check) == wrong
    assert (check.checked, check.repeats) == (200, 3)
    for issue in check.label_issues:
        assert issue.suggested == classes[truth[issue.row]]
        assert issue.times == 3


def test_labels_that_agree_are_no_issues():
    truth = np.arange(40) % 2
    assert check_labels(truth, predictions(truth, TWO), TWO).label_issues == ()


def test_a_network_at_chance_raises_no_issues():
    assert check_labels(np.arange(40) % 2, np.full((2, 40, 2), 0.5), TWO).label_issues == ()


def test_a_class_without_wrong_labels_keeps_all_of_them():
    truth = np.arange(100) % 2
    wrong = np.flatnonzero(truth == 0)[:4]
    check = check_labels(flipped(truth, wrong, TWO), predictions(truth, TWO), TWO)
    assert rows_of(check) == wrong.tolist()
    assert {issue.suggested for issue in check.label_issues} == {"no"}


def test_a_prediction_less_confident_than_its_class_on_average_is_no_issue():
    truth = np.arange(100) % 2
    probabilities = predictions(truth, TWO)
    probabilities[:, 10] = [0.6, 0.4]
    assert check_labels(flipped(truth, [10], TWO), probabilities, TWO).label_issues == ()


def test_four_slices_are_enough():
    truth = np.array([0, 0, 1, 1])
    assert check_labels(truth, predictions(truth, TWO), TWO).label_issues == ()
    truth = np.array([0, 1, 1, 1])
    check = check_labels(np.array([0, 0, 1, 1]), predictions(truth, TWO), TWO)
    assert rows_of(check) == [1]


def test_the_least_probable_label_comes_first_with_its_mean_over_repeats():
    truth = np.arange(100) % 2
    labels = flipped(truth, [10, 20], TWO)
    probabilities = predictions(truth, TWO)
    probabilities[:, 20] = [[0.99, 0.01], [0.97, 0.03], [0.98, 0.02]]
    first, second = check_labels(labels, probabilities, TWO).label_issues
    assert first == LabelIssue(row=20, suggested="no", probability=pytest.approx(0.02), times=3)
    assert second.row == 10


def test_repeats_that_agree_with_the_label_are_not_counted():
    truth = np.arange(100) % 2
    probabilities = predictions(truth, TWO, confidence=0.75)
    probabilities[:, 10] = [[0.99, 0.01], [0.99, 0.01], [0.45, 0.55]]
    (issue,) = check_labels(flipped(truth, [10], TWO), probabilities, TWO).label_issues
    assert (issue.row, issue.times) == (10, 2)


def catalog(root, rows):
    """A catalog of (path, content, label); every slice a group of its own."""
    table = pd.DataFrame(rows, columns=["path", "sha256", "label"])
    return Catalog(root, TWO, table.assign(index=0, group=range(len(rows)), problem=""))


@pytest.fixture
def known(tmp_path):
    return catalog(tmp_path, [("no/a", "A", "no"), ("no/b", "B", "no"), ("yes/c", "C", "yes")])


ISSUES = (LabelIssue(2, "no", 0.1, 5), LabelIssue(0, "yes", 0.2, 4))
CHECK = LabelCheck(ISSUES, checked=3, repeats=5)


def test_issues_follow_slices_that_were_moved(known, tmp_path):
    moved = catalog(tmp_path, [("new/z", "C", "yes"), ("new/y", "B", "no"), ("new/x", "A", "no")])
    check = carry_over(CHECK, known, moved)
    assert check == replace(
        CHECK, label_issues=(replace(ISSUES[0], row=0), replace(ISSUES[1], row=2))
    )


def test_a_label_that_was_changed_and_a_slice_that_is_new_were_not_checked(known, tmp_path):
    changed = catalog(tmp_path, [("no/c", "C", "no"), ("no/a", "A", "no"), ("no/new", "N", "no")])
    check = carry_over(CHECK, known, changed)
    assert check.checked == 1
    assert check.label_issues == (replace(ISSUES[1], row=1),)


def test_of_two_copies_the_one_with_an_issue_keeps_it_and_a_new_one_has_it_too(tmp_path):
    """Issues are limited by count (see check_labels), so equal slices may differ."""
    copies = [("yes/c", "C", "yes"), ("yes/d", "C", "yes"), ("no/a", "A", "no")]
    check = LabelCheck((LabelIssue(1, "no", 0.1, 5),), checked=3, repeats=5)
    known = catalog(tmp_path, copies)
    assert carry_over(check, known, known) == check
    grown = carry_over(check, known, catalog(tmp_path, [*copies, ("yes/e", "C", "yes")]))
    assert rows_of(grown) == [1, 3]
    assert grown.checked == 4
    renamed = [("yes/x", "C", "yes"), ("yes/y", "C", "yes"), ("no/a", "A", "no")]
    assert rows_of(carry_over(check, known, catalog(tmp_path, renamed))) == [0, 1]


def test_two_copies_with_an_issue_each_are_two_issues(tmp_path):
    copies = catalog(tmp_path, [("yes/c", "C", "yes"), ("yes/d", "C", "yes")])
    label_issues = (LabelIssue(1, "no", 0.1, 5), LabelIssue(0, "no", 0.2, 4))
    check = LabelCheck(label_issues, checked=2, repeats=5)
    assert carry_over(check, copies, copies) == check


def test_other_data_were_not_checked_at_all(known, tmp_path):
    check = carry_over(CHECK, known, catalog(tmp_path, [("no/a", "other", "no")]))
    assert (check.label_issues, check.checked) == ((), 0)


def test_the_table_has_one_row_per_issue_in_their_order(known):
    table = CHECK.as_table(known)
    assert list(table.columns) == [
        "path", "index", "group", "label", "suggested", "probability", "times",
    ]  # fmt: skip
    assert table.to_numpy().tolist() == [
        ["yes/c", 0, 2, "yes", "no", 0.1, 5],
        ["no/a", 0, 0, "no", "yes", 0.2, 4],
    ]


def test_the_table_without_issues_is_its_header(known):
    table = LabelCheck((), checked=3, repeats=5).as_table(known)
    assert table.to_csv(index=False).strip() == "path,index,group,label,suggested,probability,times"
