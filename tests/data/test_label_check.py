"""The label check finds labels that are wrong, and leaves those alone that are merely unsure."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from falx.data.catalog import Catalog
from falx.data.label_check import Doubt, LabelCheck, carry_over, check_labels

TWO, FOUR = ("no", "yes"), ("glioma", "meningioma", "notumor", "pituitary")


def answers(truth, classes, *, sure=0.9, repeats=3):
    """Probabilities (repeats, n, classes) of networks that are right, and equally sure, of all."""
    right = np.eye(len(classes))[truth]
    once = sure * right + (1 - sure) * (1 - right) / (len(classes) - 1)
    return np.repeat(once[None], repeats, axis=0)


def flipped(truth, rows, classes):
    """The labels, those of some rows replaced by the next class."""
    labels = truth.copy()
    labels[rows] = (labels[rows] + 1) % len(classes)
    return labels


def rows_of(check):
    return sorted(doubt.row for doubt in check.doubts)


@pytest.mark.parametrize("classes", [TWO, FOUR])
def test_labels_that_were_flipped_are_found_and_nothing_else(classes):
    truth = np.arange(200) % len(classes)
    wrong = [3, 50, 77, 120, 199]
    labels = flipped(truth, wrong, classes)
    check = check_labels(labels, answers(truth, classes), classes)
    assert rows_of(check) == wrong
    assert (check.checked, check.repeats) == (200, 3)
    for doubt in check.doubts:
        assert doubt.suggested == classes[truth[doubt.row]]
        assert doubt.times == 3


def test_labels_that_agree_are_not_doubted():
    truth = np.arange(40) % 2
    assert check_labels(truth, answers(truth, TWO), TWO).doubts == ()


def test_a_network_that_knows_nothing_doubts_nothing():
    assert check_labels(np.arange(40) % 2, np.full((2, 40, 2), 0.5), TWO).doubts == ()


def test_a_class_without_wrong_labels_keeps_all_of_them():
    truth = np.arange(100) % 2
    wrong = np.flatnonzero(truth == 0)[:4]
    check = check_labels(flipped(truth, wrong, TWO), answers(truth, TWO), TWO)
    assert rows_of(check) == wrong.tolist()
    assert {doubt.suggested for doubt in check.doubts} == {"no"}


def test_an_answer_less_sure_than_its_class_on_average_is_no_doubt():
    truth = np.arange(100) % 2
    probabilities = answers(truth, TWO)
    probabilities[:, 10] = [0.6, 0.4]
    assert check_labels(flipped(truth, [10], TWO), probabilities, TWO).doubts == ()


def test_four_slices_are_enough():
    truth = np.array([0, 0, 1, 1])
    assert check_labels(truth, answers(truth, TWO), TWO).doubts == ()
    truth = np.array([0, 1, 1, 1])
    check = check_labels(np.array([0, 0, 1, 1]), answers(truth, TWO), TWO)
    assert rows_of(check) == [1]


def test_the_least_probable_label_comes_first_with_its_mean_over_repeats():
    truth = np.arange(100) % 2
    labels = flipped(truth, [10, 20], TWO)
    probabilities = answers(truth, TWO)
    probabilities[:, 20] = [[0.99, 0.01], [0.97, 0.03], [0.98, 0.02]]
    first, second = check_labels(labels, probabilities, TWO).doubts
    assert first == Doubt(row=20, suggested="no", probability=pytest.approx(0.02), times=3)
    assert second.row == 10


def test_repeats_that_agree_with_the_label_are_not_counted():
    truth = np.arange(100) % 2
    probabilities = answers(truth, TWO, sure=0.75)
    probabilities[:, 10] = [[0.99, 0.01], [0.99, 0.01], [0.45, 0.55]]
    (doubt,) = check_labels(flipped(truth, [10], TWO), probabilities, TWO).doubts
    assert (doubt.row, doubt.times) == (10, 2)


def catalog(root, rows):
    """A catalog of (path, content, label); every slice a group of its own."""
    table = pd.DataFrame(rows, columns=["path", "sha256", "label"])
    return Catalog(root, TWO, table.assign(index=0, group=range(len(rows)), problem=""))


@pytest.fixture
def known(tmp_path):
    return catalog(tmp_path, [("no/a", "A", "no"), ("no/b", "B", "no"), ("yes/c", "C", "yes")])


DOUBTS = (Doubt(2, "no", 0.1, 5), Doubt(0, "yes", 0.2, 4))
CHECK = LabelCheck(DOUBTS, checked=3, repeats=5)


def test_doubts_follow_slices_that_were_moved(known, tmp_path):
    moved = catalog(tmp_path, [("new/z", "C", "yes"), ("new/y", "B", "no"), ("new/x", "A", "no")])
    check = carry_over(CHECK, known, moved)
    assert check == replace(CHECK, doubts=(replace(DOUBTS[0], row=0), replace(DOUBTS[1], row=2)))


def test_a_label_that_was_changed_and_a_slice_that_is_new_were_not_checked(known, tmp_path):
    changed = catalog(tmp_path, [("no/c", "C", "no"), ("no/a", "A", "no"), ("no/new", "N", "no")])
    check = carry_over(CHECK, known, changed)
    assert check.checked == 1
    assert check.doubts == (replace(DOUBTS[1], row=1),)


def test_of_two_copies_the_one_that_was_doubted_stays_so_and_a_new_one_is_doubted_too(tmp_path):
    """Which of equal slices are named is by count (see check_labels), so that ties may part."""
    copies = [("yes/c", "C", "yes"), ("yes/d", "C", "yes"), ("no/a", "A", "no")]
    check = LabelCheck((Doubt(1, "no", 0.1, 5),), checked=3, repeats=5)
    known = catalog(tmp_path, copies)
    assert carry_over(check, known, known) == check
    grown = carry_over(check, known, catalog(tmp_path, [*copies, ("yes/e", "C", "yes")]))
    assert rows_of(grown) == [1, 3]
    assert grown.checked == 4
    renamed = [("yes/x", "C", "yes"), ("yes/y", "C", "yes"), ("no/a", "A", "no")]
    assert rows_of(carry_over(check, known, catalog(tmp_path, renamed))) == [0, 1]


def test_two_copies_that_are_both_doubted_are_two_doubts(tmp_path):
    copies = catalog(tmp_path, [("yes/c", "C", "yes"), ("yes/d", "C", "yes")])
    doubts = (Doubt(1, "no", 0.1, 5), Doubt(0, "no", 0.2, 4))
    check = LabelCheck(doubts, checked=2, repeats=5)
    assert carry_over(check, copies, copies) == check


def test_other_data_were_not_checked_at_all(known, tmp_path):
    check = carry_over(CHECK, known, catalog(tmp_path, [("no/a", "other", "no")]))
    assert (check.doubts, check.checked) == ((), 0)


def test_the_table_has_a_row_a_doubt_in_their_order(known):
    table = CHECK.as_table(known)
    assert list(table.columns) == [
        "path", "index", "group", "label", "suggested", "probability", "times",
    ]  # fmt: skip
    assert table.to_numpy().tolist() == [
        ["yes/c", 0, 2, "yes", "no", 0.1, 5],
        ["no/a", 0, 0, "no", "yes", 0.2, 4],
    ]


def test_the_table_of_no_doubts_is_its_header(known):
    table = LabelCheck((), checked=3, repeats=5).as_table(known)
    assert table.to_csv(index=False).strip() == "path,index,group,label,suggested,probability,times"
