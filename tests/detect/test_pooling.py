"""Answers for series and studies: which slices count, which series is chosen, and why."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.detect.finding import Finding
from falx.detect.pooling import (
    INCONCLUSIVE,
    NO_BRAIN,
    NOT_CALIBRATED,
    SeriesHeader,
    can_answer,
    pool,
    series_finding,
    study_finding,
)
from falx.detect.rules import Rules, StudyRules

CLASSES = ("no", "yes")
KINDS = ("healthy", "glioma", "pituitary")
SAGITTAL = "its slices are sagittal, and those of the training data axial"
AS_POOLED = StudyRules(slope=1.0, intercept=0.0, threshold=0.5, conformal_threshold=0.5, n=40)
CALIBRATED = Rules(study=AS_POOLED)
AXIAL = Rules(planes=("axial",))


def probabilities(*positive):
    return np.array([[1 - p, p] for p in positive])


def finding(p, region="brain", index=0):
    """A slice with the probability `p` of a tumor; out of distribution without one."""
    if p is None:
        return Finding(Path("volume.nii"), index, "out_of_distribution", 99.0, region=region)
    return Finding(
        Path("volume.nii"), index, "answer", 1.0, region=region,
        label="yes" if p >= 0.5 else "no", probability=p, probabilities={"no": 1 - p, "yes": p},
    )  # fmt: skip


def answer(*members, rules=CALIBRATED, **header):
    header = SeriesHeader(**{"series": "1.2", "name": "T1", "plane": "axial"} | header)
    return series_finding(header, members, CLASSES, rules)


def series(name, status="answer", reason="", **about):
    """The answer for a series of 20 axial slices that were acquired without a contrast agent."""
    members = [finding(None if status == "out_of_distribution" else 0.9, index=n) for n in range(2)]
    found = answer(*members, series=name, name=name)
    return replace(found, status=status, reason=reason, **{"n_slices": 20} | about)


# Pooling


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


@pytest.mark.parametrize(
    ("regions", "kept"),
    [
        (["below the brain", "skull base", "brain", "brain", "vertex"], [0, 0, 1, 1, 0]),
        (["", "", ""], [1, 1, 1]),
        (["below the brain", "skull base"], [1, 1]),
    ],
    ids=["whole head", "unknown", "neck alone"],
)
def test_slices_that_show_brain_are_pooled_or_all_where_none_is_known_to(regions, kept):
    assert can_answer(regions).tolist() == [bool(each) for each in kept]


# One series


def test_skull_base_neck_and_vertex_do_not_vote():
    found = answer(
        finding(0.99, "below the brain"), finding(0.98, "skull base"), finding(0.1, index=2),
        finding(0.2, index=3), finding(0.97, "vertex"),
    )  # fmt: skip
    assert (found.n_slices, found.n_pooled, found.n_out_of_distribution) == (5, 2, 0)
    assert (found.status, found.label, found.reason) == ("answer", "no", "")
    assert found.probability == pytest.approx(0.2)
    assert found.probabilities == pytest.approx({"no": 0.8, "yes": 0.2})
    assert found.strongest.index == 3


def test_unlike_slices_outside_the_brain_do_not_count_while_they_are_at_most_half_of_all():
    found = answer(
        finding(None, "skull base"), finding(None, "vertex"), finding(0.9), finding(0.8)
    )  # fmt: skip
    assert (found.n_slices, found.n_pooled, found.n_out_of_distribution) == (4, 2, 0)
    assert found.status == "answer"


def test_a_series_of_which_most_slices_are_unlike_has_no_label_even_if_those_pooled_are_not():
    found = answer(finding(None, "skull base"), finding(None, "vertex"), finding(0.9))
    assert (found.n_slices, found.n_pooled, found.n_out_of_distribution) == (3, 1, 0)
    assert (found.status, found.label) == ("out_of_distribution", None)
    assert found.reason == (
        "2 of 3 slices are unlike the training slices, among them 0 of the 1 pooled"
    )


@pytest.mark.parametrize("region", ["", "skull base"])
def test_where_no_slice_is_known_to_show_brain_all_are_pooled_and_the_series_is_referred(region):
    found = answer(finding(0.9, region), finding(0.2, region))
    assert (found.n_pooled, found.status, found.reason) == (2, "refer", NO_BRAIN)
    assert (found.label, found.probability) == ("yes", pytest.approx(0.9))


def test_a_series_with_more_than_half_unlike_slices_has_no_label():
    found = answer(finding(None), finding(None), finding(0.9))
    assert found.status == "out_of_distribution"
    assert found.reason == (
        "2 of 3 slices are unlike the training slices, among them 2 of the 3 pooled"
    )
    assert (found.label, found.probability, found.probabilities, found.strongest) == (
        None, None, {}, None,
    )  # fmt: skip


def test_exactly_half_is_not_too_much():
    found = answer(finding(None), finding(None), finding(0.9), finding(0.2))
    assert (found.n_out_of_distribution, found.status, found.label) == (2, "answer", "yes")


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_series_is_out_of_distribution_just_when_most_of_its_slices_are(p):
    found = answer(*map(finding, p))
    unlike = sum(each is None for each in p)
    assert (found.status == "out_of_distribution") == (2 * unlike > len(p))
    assert found.n_out_of_distribution == unlike


def test_an_unlike_series_stays_so_however_it_lies():
    found = answer(finding(None), plane="sagittal", rules=AXIAL)
    assert found.reason == (
        "1 of 1 slices are unlike the training slices, among them 1 of the 1 pooled"
    )


def test_without_rules_for_studies_every_series_is_referred():
    found = answer(finding(0.9999), finding(0.9999), rules=Rules())
    assert (found.status, found.reason) == ("refer", NOT_CALIBRATED)
    assert (found.label, found.probability) == ("yes", pytest.approx(0.9999))


def test_without_rules_for_studies_the_threshold_of_slices_gives_the_suggested_label():
    labels = [
        answer(finding(0.6), rules=Rules(threshold=threshold)).label for threshold in (0.5, 0.7)
    ]
    assert labels == ["yes", "no"]


def test_platt_scaling_and_the_threshold_of_studies_decide():
    """Logit -1 + 2 * log(0.8 / 0.2), a probability of 0.8547."""
    study = StudyRules(2.0, -1.0, threshold=0.86, conformal_threshold=0.5, n=40)
    found = answer(finding(0.8), finding(0.1), rules=Rules(threshold=0.01, study=study))
    assert found.probability == pytest.approx(1 / (1 + np.exp(1 - 2 * np.log(4))))
    assert (found.label, found.status, found.reason) == ("no", "refer", INCONCLUSIVE)
    lower = replace(study, threshold=0.85)
    found = answer(finding(0.8), finding(0.1), rules=Rules(threshold=0.99, study=lower))
    assert (found.label, found.status, found.reason) == ("yes", "answer", "")


@pytest.mark.parametrize(
    ("p", "conformal_threshold", "status"),
    [(0.9, 0.2, "answer"), (0.7, 0.2, "refer"), (0.7, 0.8, "refer")],
    ids=["one class in the prediction set", "both", "none"],
)
def test_a_prediction_set_of_the_label_alone_is_an_answer(p, conformal_threshold, status):
    study = replace(AS_POOLED, conformal_threshold=conformal_threshold)
    found = answer(finding(p), rules=Rules(study=study))
    assert (found.status, found.reason) == (status, "" if status == "answer" else INCONCLUSIVE)


def test_calibration_is_monotonic_and_finite_at_the_ends():
    study = StudyRules(1.5, 0.3, 0.5, 0.5, 40)
    scaled = study.calibrated(probabilities(0.0, 0.2, 0.5, 1.0))
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled[:, 1]) > 0).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1)
    np.testing.assert_allclose(scaled[2, 1], 1 / (1 + np.exp(-0.3)))


def test_a_series_that_the_detector_was_not_trained_for_is_referred_with_that_reason():
    found = answer(finding(0.9), plane="sagittal", rules=replace(CALIBRATED, planes=("axial",)))
    assert (found.status, found.reason, found.label) == ("refer", SAGITTAL, "yes")


def test_of_several_reasons_what_was_not_trained_for_is_told_first():
    unknown = finding(0.9, "")
    assert answer(unknown, rules=AXIAL, plane="sagittal").reason == SAGITTAL
    assert answer(unknown, rules=Rules()).reason == NOT_CALIBRATED
    between = replace(AS_POOLED, conformal_threshold=0.0)
    assert answer(unknown, rules=Rules(study=between)).reason == NO_BRAIN


def test_a_detector_of_several_classes_never_answers_a_study():
    shares = {"healthy": 0.01, "glioma": 0.98, "pituitary": 0.01}
    one = replace(finding(0.9), label="glioma", probability=0.98, probabilities=shares)
    other = replace(one, index=1, probabilities={**shares, "healthy": 0.02, "glioma": 0.97})
    found = series_finding(SeriesHeader("1.2", "T1", "axial"), [other, one], KINDS, CALIBRATED)
    assert (found.status, found.reason, found.label) == ("refer", NOT_CALIBRATED, "glioma")
    assert found.probability == pytest.approx(0.98)
    assert found.strongest == one


def test_what_the_header_says_is_kept():
    found = answer(finding(0.9), plane="coronal", contrast=True, original=False)
    assert (found.series, found.name, found.plane) == ("1.2", "T1", "coronal")
    assert (found.contrast, found.original) == (True, False)


# Studies


def test_the_only_series_answers_for_its_study():
    only = series("T1", "refer", NOT_CALIBRATED)
    study = study_finding("1.2", [only])
    assert (study.study, study.series, study.chosen) == ("1.2", (only,), only)
    assert study.reason == "its only series"
    assert (study.status, study.label) == ("refer", "yes")
    assert (study.probability, study.strongest) == (only.probability, only.strongest)


CONTRAST = series("T1 + C", contrast=True, n_slices=20)
PREFERENCES = {
    "one that can be answered before one that was not trained for": (
        series("T2", n_slices=3, original=False),
        series("T1 sag", "refer", SAGITTAL, contrast=True),
    ),
    "an axial one before an original": (
        series("axial MPR", original=False),
        series("coronal", plane="coronal"),
    ),
    "an original before one with a contrast agent": (
        series("T2"),
        series("subtraction", original=False, contrast=True),
    ),
    "a contrast agent before more slices": (CONTRAST, series("T1", n_slices=180)),
    "more slices": (series("3D", n_slices=180), series("2D", n_slices=24)),
    "the lower UID where all else is equal": (series("1.2"), series("1.3")),
}


@pytest.mark.parametrize("rule", PREFERENCES)
def test_a_study_is_answered_by(rule):
    better, worse = PREFERENCES[rule]
    assert study_finding("1.2", [worse, better]).chosen is better
    assert study_finding("1.2", [better, worse]).chosen is better


def test_whether_its_answer_is_conclusive_does_not_decide_for_a_series():
    referred = series("T1 + C", "refer", INCONCLUSIVE, contrast=True)
    assert study_finding("1.2", [series("T1"), referred]).chosen is referred


def test_it_is_told_why_a_series_was_chosen():
    study = study_finding("1.2", [series("T1"), series("B0", "out_of_distribution"), CONTRAST])
    assert study.reason == (
        "of 3 series, 2 suitable, the best: axial, original, with a contrast agent, 20 slices"
    )
    derived = series("MPR", plane="", original=False, n_slices=7)
    assert study_finding("1.2", [derived, series("B0", "out_of_distribution")]).reason == (
        "of 2 series, 1 suitable, the best: of unknown plane, derived, without a named contrast "
        "agent, 7 slices"
    )


def test_the_order_of_series_does_not_matter():
    every = [each for pair in PREFERENCES.values() for each in pair][:5]
    chosen = {study_finding("1.2", order).chosen.series for order in permutations(every)}
    assert len(chosen) == 1


def test_a_study_without_a_suitable_series_has_no_answer_and_says_why():
    bottles = series("B0", "out_of_distribution", "6 of 6 slices are unlike the training slices")
    study = study_finding("1.2", [bottles, replace(bottles, series="1.4")])
    assert study.chosen is None
    assert study.status == "out_of_distribution"
    assert (study.label, study.probability, study.strongest) == (None, None, None)
    assert study.reason == "no suitable series: 6 of 6 slices are unlike the training slices"
