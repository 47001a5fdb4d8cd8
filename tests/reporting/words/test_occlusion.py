"""Border-only predictions and tumor occlusion in words: what the numbers say, no more."""

from math import nan

import pytest

from falx.evaluation.occlusion import BorderOnlyScores, OcclusionScores
from falx.reporting.words.occlusion import occlusion_words
from falx.statistics import Estimate

FULL, UNKNOWN = Estimate(0.95, 0.9, 1.0), Estimate(nan, nan, nan)


def of_border(roc_auc):
    (words,) = occlusion_words(BorderOnlyScores(40, roc_auc, FULL), None)
    return words


def of_occlusion(drop, *, outlined=20):
    visible, occluded = Estimate(0.9, 0.8, 1.0), Estimate(0.1, 0.05, 0.2)
    scores = OcclusionScores(20, outlined, visible, occluded, Estimate(0.85, 0.8, 0.9), drop)
    (words,) = occlusion_words(None, scores)
    return words


def test_both_aucs_are_given():
    words = of_border(Estimate(0.5, 0.4, 0.6))
    assert "the AUC on 40 slices is 0.500 (0.400 to 0.600)" in words
    assert "on the full slices it is 0.950 (0.900 to 1.000)" in words


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.4, 0.6, "no sign that predictions rest on the border"),
        (0.8, 1.0, "The border alone predicts the class"),
        (0.0, 0.2, "Border-only predictions anti-correlate with the label"),
        (nan, nan, "no conclusion can be drawn"),
    ],
)
def test_the_border_is_judged_by_the_interval(low, high, verdict):
    assert verdict in of_border(Estimate(0.5 if low != low else (low + high) / 2, low, high))


def test_all_probabilities_are_given():
    words = of_occlusion(Estimate(0.75, 0.6, 0.8), outlined=25)
    assert "On 20 slices with an outlined tumor (5 more reach the midline)" in words
    assert "the mean probability of a tumor is 0.900 (0.800 to 1.000)" in words
    assert "with the tumor inpainted it is 0.100 (0.050 to 0.200)" in words
    assert "with the mirrored region inpainted 0.850 (0.800 to 0.900)" in words
    assert "reach the midline" not in of_occlusion(Estimate(0.75, 0.6, 0.8))


@pytest.mark.parametrize(
    ("drop", "verdict"),
    [
        (Estimate(0.75, 0.6, 0.8), "predictions rest at least in part on the tumor."),
        (Estimate(0.0, -0.01, 0.01), "Occluding the tumor changes little: predictions rest on"),
        (Estimate(0.0, -0.2, 0.2), "The probability is not significantly lower with the tumor"),
        (Estimate(0.8, nan, nan), "Without a confidence interval, no conclusion can be drawn."),
    ],
    ids=["drop", "no drop", "unclear", "a single slice"],
)
def test_occlusion_is_judged_by_the_interval_of_the_drop(drop, verdict):
    assert verdict in of_occlusion(drop)


def test_where_all_tumors_reach_the_midline_that_is_said():
    scores = OcclusionScores(0, 3, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    (words,) = occlusion_words(None, scores)
    assert words.startswith(
        "Tumor occlusion was not measured: in all of 3 slices with an outlined tumor it reaches "
        "the midline"
    )


def test_both_are_told_in_turn():
    border = BorderOnlyScores(40, Estimate(0.5, 0.4, 0.6), FULL)
    occlusion = OcclusionScores(0, 3, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    assert len(list(occlusion_words(border, occlusion))) == 2


def test_without_measurements_there_are_no_words():
    assert list(occlusion_words(None, None)) == []
