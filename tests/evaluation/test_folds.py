"""A repeated cross-validation: its numbers, its intervals, and the errors that repeat."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from falx.data.catalog import Catalog
from falx.detect.rules import Rules
from falx.evaluation.folds import OutOfFold
from falx.evaluation.metrics import score, score_repeats

TWO = ("no", "yes")
GENERATOR = np.random.default_rng(0)
LABELS = np.arange(40) % 2
GROUPS = np.arange(40) // 2
CHANCES = np.clip(LABELS + GENERATOR.normal(0, 0.6, (3, 40)), 0.01, 0.99)
PROBABILITIES = np.stack([1 - CHANCES, CHANCES], axis=2)


@pytest.fixture
def found(tmp_path):
    table = pd.DataFrame({
        "path": [f"{TWO[label]}/{row}.png" for row, label in enumerate(LABELS)],
        "index": 0,
        "label": [TWO[label] for label in LABELS],
        "group": GROUPS,
        "problem": "",
    })  # fmt: skip
    folds = np.stack([1 + (GROUPS + repeat) % 5 for repeat in range(3)])
    views = np.zeros((40, 32, 32), np.uint8)
    rules = tuple((Rules(limit=2.0),) * 5 for _ in range(3))
    distances = np.ones((3, 40))
    return OutOfFold(Catalog(tmp_path, TWO, table), PROBABILITIES, distances, folds, rules, views)


def test_a_number_is_the_mean_over_repeats(found):
    scores = found.scores()
    expected = np.mean([accuracy_score(LABELS, chances >= 0.5) for chances in CHANCES])
    assert scores.estimates["accuracy"].value == pytest.approx(expected)
    expected = np.mean([roc_auc_score(LABELS, chances) for chances in CHANCES])
    assert scores.estimates["roc_auc"].value == pytest.approx(expected)
    assert (scores.n, scores.groups, scores.repeats) == (40, 20, 3)
    assert scores.support == {"no": 20, "yes": 20}
    assert scores.confusion.sum() == 120


def test_one_repeat_is_scored_as_any_predictions_are():
    one = score(LABELS, PROBABILITIES[0], GROUPS, TWO)
    repeated = score_repeats(LABELS, [PROBABILITIES[0]], GROUPS, TWO)
    assert repeated.estimates == one.estimates


def test_equal_repeats_add_nothing_and_different_ones_widen():
    same = score_repeats(LABELS, [PROBABILITIES[0]] * 3, GROUPS, TWO).estimates["accuracy"]
    one = score(LABELS, PROBABILITIES[0], GROUPS, TWO).estimates["accuracy"]
    assert (same.value, same.low, same.high) == pytest.approx((one.value, one.low, one.high))
    good, bad = PROBABILITIES[0], PROBABILITIES[0][:, ::-1]
    apart = score_repeats(LABELS, [good, bad], GROUPS, TWO).estimates["accuracy"]
    assert apart.high - apart.low > one.high - one.low


def test_errors_that_repeat_come_first_and_count_their_repeats(found):
    wrong = ((CHANCES >= 0.5) != LABELS).sum(axis=0)
    mistakes = found.mistakes()
    assert [m.times for m in mistakes] == sorted(wrong[wrong > 0], reverse=True)
    first = int(mistakes[0].path.split("/")[1].removesuffix(".png"))
    assert wrong[first] == mistakes[0].times
    assert mistakes[0].predicted != mistakes[0].label
    assert mistakes[0].probability == pytest.approx(CHANCES[:, first].mean())


def test_a_mistake_among_several_classes_has_the_probability_of_its_wrong_label(tmp_path):
    """On average the true class is the most probable here, though one repeat called it wrong."""
    classes = ("glioma", "meningioma", "pituitary")
    table = pd.DataFrame({
        "path": ["a", "b", "c"], "index": 0, "label": classes, "group": range(3), "problem": "",
    })  # fmt: skip
    right = 0.8 * np.eye(3) + 0.1 * (1 - np.eye(3))
    once = right.copy()
    once[0] = [0.3, 0.6, 0.1]
    found = OutOfFold(
        Catalog(tmp_path, classes, table),
        np.stack([right, once]),
        np.ones((2, 3)),
        np.ones((2, 3), int),
        ((Rules(),),) * 2,
        np.zeros((3, 32, 32), np.uint8),
    )
    (mistake,) = found.mistakes()
    assert (mistake.label, mistake.predicted, mistake.times) == ("glioma", "meningioma", 1)
    assert mistake.probability == pytest.approx((0.1 + 0.6) / 2)


def test_folds_are_scored_on_their_own_slices(found):
    folds = found.by_fold
    assert [(each.repeat, each.fold) for each in folds] == [
        (repeat, fold) for repeat in (1, 2, 3) for fold in range(1, 6)
    ]
    rows = np.flatnonzero(found.folds[1] == 3)
    expected = accuracy_score(LABELS[rows], CHANCES[1, rows] >= 0.5)
    assert folds[7].scores.estimates["accuracy"].value == pytest.approx(expected)
    assert sum(each.scores.n for each in folds) == 120


def test_the_table_has_a_row_a_slice_and_repeat(found):
    table = found.as_table()
    assert len(table) == 120
    row = table[(table["repeat"] == 2) & (table["path"] == "yes/7.png")].iloc[0]
    assert row["fold"] == found.folds[1, 7]
    assert row["p_yes"] == pytest.approx(CHANCES[1, 7])
    assert row["predicted"] == TWO[int(CHANCES[1, 7] >= 0.5)]
