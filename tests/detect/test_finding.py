"""From logits to findings."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.detect.finding import Finding, class_probabilities, pool, study_findings
from falx.detect.rules import Rules, decide

CLASSES = ("no", "yes")


def probabilities(*positive):
    return np.array([[1 - p, p] for p in positive])


def finding(name, p, study="s"):
    label = "yes" if p >= 0.5 else "no"
    named = {"no": 1 - p, "yes": p}
    return Finding(Path(name), 0, "answer", 1.0, study, label, p, named)


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


def test_a_study_is_the_mean_of_its_upper_tenth():
    p = np.linspace(0, 0.95, 20)
    np.testing.assert_allclose(pool(probabilities(*p), 0.1)[1], (0.95 + 0.9) / 2)


def test_a_study_counts_at_least_one_slice():
    np.testing.assert_allclose(pool(probabilities(0.1, 0.8, 0.3), 0.0), [0.2, 0.8])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.randoms())
def test_a_study_does_not_depend_on_the_order_of_its_slices(p, fraction, random):
    mixed = random.sample(p, len(p))
    np.testing.assert_allclose(
        pool(probabilities(*p), fraction), pool(probabilities(*mixed), fraction), atol=1e-12
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_a_smaller_fraction_never_lowers_a_study(p, fraction, other):
    fewer, more = sorted([fraction, other])
    assert pool(probabilities(*p), fewer)[1] >= pool(probabilities(*p), more)[1] - 1e-12


def test_of_several_classes_the_slices_least_like_the_first_decide():
    found = pool(np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1]]), 0.67)
    np.testing.assert_allclose(found, [0.3, 0.35, 0.35])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_fraction_of_1_is_the_mean(p):
    np.testing.assert_allclose(pool(probabilities(*p), 1.0)[1], np.mean(p), atol=1e-12)


@pytest.mark.parametrize("name", ["threshold", "alpha", "conformal_threshold", "top_fraction"])
def test_rules_check_themselves(name):
    with pytest.raises(ValueError, match=rf"`{name}` must be in \[0, 1\], got 1\.5"):
        Rules(**{name: 1.5})
    with pytest.raises(ValueError, match="`temperature` must be positive, got 0"):
        Rules(temperature=0)


def test_only_studies_of_several_slices_get_an_answer_of_their_own():
    slices = [
        finding("a", 0.2), finding("b", 0.9), finding("c", 0.6, "other"), finding("d", 0.6, ""),
        finding("e", 0.6, ""),
    ]  # fmt: skip
    (study,) = study_findings(slices, CLASSES, Rules())
    assert (study.study, study.n_slices, study.label) == ("s", 2, "yes")
    assert study.probability == 0.9
    assert study.strongest.path == Path("b")


def test_studies_come_in_the_order_in_which_they_appear():
    slices = [finding("a", 0.2, "z"), finding("b", 0.9, "y"), finding("c", 0.6, "z"),
              finding("d", 0.1, "y")]  # fmt: skip
    found = study_findings(slices, CLASSES, Rules(top_fraction=1.0))
    assert [(one.study, one.label) for one in found] == [("z", "no"), ("y", "yes")]
    assert [one.probability for one in found] == pytest.approx([0.4, 0.5])


def test_the_threshold_also_decides_about_studies():
    slices = [finding("a", 0.6), finding("b", 0.6)]
    labels = [
        study_findings(slices, CLASSES, Rules(threshold=threshold))[0].label
        for threshold in (0.5, 0.7)
    ]
    assert labels == ["yes", "no"]


def test_a_study_leaves_out_of_distribution_slices_out_and_counts_them():
    photo = Finding(Path("photo"), 0, "out_of_distribution", 99.0, "s")
    (study,) = study_findings([finding("a", 0.2), photo], CLASSES, Rules(conformal_threshold=0.3))
    assert (study.n_slices, study.n_out_of_distribution) == (2, 1)
    assert (study.status, study.label) == ("answer", "no")
    (study,) = study_findings([photo, photo], CLASSES, Rules())
    assert (study.n_out_of_distribution, study.status, study.label, study.strongest) == (
        2,
        "out_of_distribution",
        None,
        None,
    )


def test_a_study_between_the_classes_is_referred():
    (study,) = study_findings(
        [finding("a", 0.6), finding("b", 0.6)], CLASSES, Rules(conformal_threshold=0.4)
    )
    assert (study.status, study.label) == ("refer", "yes")
