"""What rules are worth is counted on slices that did not choose them."""

import re

import numpy as np
import pytest

from falx.detect.rules import Rules, status_of
from falx.evaluation.metrics import score, score_repeats
from falx.evaluation.trust import SliceRules, score_trust
from falx.evaluation.trust_words import trust_words

TWO = ("no", "yes")
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
POSITIVE = np.array([0.1, 0.2, 0.5, 0.9, 0.1, 0.5, 0.8, 0.9])
CHANCES = np.column_stack([1 - POSITIVE, POSITIVE])
DISTANCES = np.array([1, 1, 1, 1, 1, 1, 1, 9.0])
RULES = Rules(temperature=2.0, inclusion=0.3, limit=5.0)


def trust(rules=RULES, repeats=1):
    return score_trust(
        LABELS, [CHANCES] * repeats, [DISTANCES] * repeats, np.arange(8), TWO,
        [SliceRules.of([rules] * 8)] * repeats,
        score_repeats(LABELS, [CHANCES] * repeats, np.arange(8), TWO), error=0.1,
    )  # fmt: skip


@pytest.mark.parametrize("repeats", [1, 3])
def test_shares_are_those_that_one_counts_by_hand(repeats):
    found = trust(repeats=repeats)
    assert found.coverage.value == 6 / 8
    assert {name: e.value for name, e in found.coverage_by_class.items()} == {
        "no": 0.75,
        "yes": 0.75,
    }
    assert found.foreign.value == 1 / 8
    assert found.referred.value == pytest.approx(2 / 7)
    assert found.answered.value == pytest.approx(3 / 5)
    assert found.temperature == 2.0


def test_calibration_is_told_of_what_the_network_gave_and_of_what_was_made_of_it():
    found = trust()
    logits = 2 * np.log(POSITIVE / (1 - POSITIVE))
    raw = 1 / (1 + np.exp(-logits))
    for chances, side in ((raw, found.before), (POSITIVE, found.after)):
        expected = score(LABELS, np.column_stack([1 - chances, chances]), np.arange(8), TWO)
        for name, estimate in side.items():
            assert estimate.value == pytest.approx(expected.estimates[name].value)


def test_where_nothing_is_answered_there_is_no_accuracy():
    found = trust(Rules(inclusion=0.0))
    assert (found.coverage.value, found.referred.value) == (1.0, 1.0)
    assert np.isnan(found.answered.value)
    assert found.as_dict()["answered"] == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("rules", [RULES, Rules(threshold=0.15, inclusion=0.6), Rules(limit=0.5)])
def test_slices_at_once_get_the_status_that_each_gets_alone(rules):
    found = SliceRules.of([rules] * 8).statuses(CHANCES, DISTANCES)
    pairs = zip(CHANCES, DISTANCES, strict=True)
    assert found.tolist() == [status_of(row, distance, rules) for row, distance in pairs]


def told(rules):
    """The sentences about shares, without their intervals."""
    words = "\n".join(list(trust_words(trust(rules)))[2:]).replace("\N{NARROW NO-BREAK SPACE}", " ")
    return re.sub(r" \(.*?\)", "", words).splitlines()


def test_words_say_of_which_slices_each_share_is():
    assert told(RULES) == [
        "Of all slices, 12 % were refused as unlike the training slices.",
        "Of slices that were not refused, 29 % are to be referred.",
        "Of slices neither refused nor referred, 60 % are called right.",
    ]


def test_words_say_where_there_are_no_slices_to_tell_a_share_of():
    refused, referred, answered = told(Rules(inclusion=0.3, limit=0.5))
    assert refused == "Of all slices, 100 % were refused as unlike the training slices."
    unknown = "there are none, so it can't be told how many are"
    assert referred == f"Of slices that were not refused {unknown} to be referred."
    assert answered == f"Of slices neither refused nor referred {unknown} called right."
