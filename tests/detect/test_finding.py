"""From logits to findings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.detect.finding import class_probabilities, evidence_for
from falx.detect.rules import Rules, decide

CLASSES = ("no", "yes")


def test_one_logit_is_that_of_the_positive_class():
    found = class_probabilities(np.array([[0.0], [np.log(3)], [-np.log(3)]]))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]])


def test_several_logits_go_through_a_softmax():
    found = class_probabilities(np.log([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(found, [[0.125, 0.25, 0.625]])


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6))
def test_probabilities_sum_to_one_however_large_the_logits(logits):
    found = class_probabilities(np.array([logits]))
    assert np.isfinite(found).all()
    assert found.sum() == pytest.approx(1)


@given(st.floats(-700, 700))
def test_one_logit_and_its_opposite_change_places(logit):
    found = class_probabilities(np.array([[logit], [-logit]]))
    np.testing.assert_allclose(found[0], found[1, ::-1], atol=1e-15)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6), st.floats(-100, 100))
def test_only_differences_between_logits_count(logits, shift):
    found = class_probabilities(np.array([logits, np.array(logits) + shift]))
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


@pytest.mark.parametrize(
    ("threshold", "label"), [(0.7, "yes"), (0.71, "no")], ids=["at it", "below it"]
)
def test_the_threshold_itself_is_called_positive(threshold, label):
    assert decide(np.array([0.3, 0.7]), CLASSES, threshold) == (label, 0.7)


def test_of_several_classes_the_most_probable_is_the_answer():
    assert decide(np.array([0.2, 0.5, 0.3]), ("a", "b", "c"), 0.9) == ("b", 0.5)


@pytest.mark.parametrize("name", ["threshold", "alpha", "conformal_threshold", "top_fraction"])
def test_rules_check_themselves(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be in \[0, 1\], got 1\.5"):
        Rules(**{name: 1.5})
    with pytest.raises(ValueError, match="`temperature` must be positive, got 0"):
        Rules(temperature=0)


def test_evidence_of_one_logit_is_that_for_the_positive_class():
    maps = np.array([[[1.0], [-2.0]]], np.float32)
    for label in (0, 1):
        np.testing.assert_array_equal(evidence_for(maps, label), [[1, -2]])


def test_evidence_for_one_of_several_classes_is_what_it_has_beyond_their_mean():
    maps = np.array([[[3.0, 0.0, 0.0], [1.0, 1.0, 4.0]]], np.float32)
    np.testing.assert_allclose(evidence_for(maps, 0), [[2, -1]])
    np.testing.assert_allclose(evidence_for(maps, 2), [[-1, 2]])
