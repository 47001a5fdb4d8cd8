"""Heat maps in words: what deletion, insertion and randomization show, and no more."""

import math

import pytest

from falx.evaluation.deletion import Curve, DeletionScores, PerturbationCurves
from falx.evaluation.faithfulness import FaithfulnessScores
from falx.evaluation.localization import LocalizationScores
from falx.evaluation.randomization import STAGES, RandomizationScores
from falx.evaluation.regions import RegionScores
from falx.reporting.words.heat_maps import (
    faithfulness_table,
    localization_rows,
    localization_table,
    region_rows,
)
from falx.statistics import Estimate

NO, YES = Estimate(0.1, -0.1, 0.2), Estimate(0.2, 0.1, 0.3)
LOW, HIGH = Estimate(0.1, 0.0, 0.2), Estimate(0.45, 0.3, 0.6)


def curve(area):
    return Curve((Estimate(0.9, 0.8, 1), Estimate(0.2, 0.1, 0.3)), Estimate(area, 0.2, 0.8))


def deletion(over_random, over_other, insertion_over_other=YES):
    both = (
        PerturbationCurves(curve(0.3), curve(0.5), curve(0.4), over_random, each)
        for each in (over_other, insertion_over_other)
    )
    return DeletionScores(12, 10, *both)


def randomization(last, head=YES):
    return RandomizationScores(12, dict(zip(STAGES, (head, YES, last), strict=True)))


def words(deletion=None, randomization=None, classes=("no", "yes")):
    scores = FaithfulnessScores(12, 30, deletion, randomization)
    return " ".join(faithfulness_table(scores, classes)["sentences"])


def test_it_is_said_on_which_slices_faithfulness_was_measured():
    assert "Measured on a random sample of 12 of 30 slices predicted “yes”." in words()
    several = words(classes=("glioma", "meningioma", "notumor"))
    assert "Measured on a random sample of 12 of 30 slices." in several


def test_what_was_not_measured_is_said():
    assert "Deletion was not measured: all slices got the same prediction" in words()
    assert "Randomization was not measured: the detector came without its Keras" in words()


@pytest.mark.parametrize(
    ("over_random", "over_other", "insertion_over_other", "verdict"),
    [
        (YES, YES, YES, "more than on what another slice's map shows"),
        (YES, NO, YES, "significantly better than another's in only one of deletion and insertion"),
        (YES, NO, NO, "Better than chance, but no better than the map of another slice"),
        (NO, NO, NO, "Not significantly better than chance"),
    ],
)
def test_deletion_is_judged_by_the_intervals_of_the_gains(
    over_random, over_other, insertion_over_other, verdict
):
    found = words(deletion(over_random, over_other, insertion_over_other))
    assert verdict in found
    assert "is 0.30 in the order of the map and 0.50 in random order." in found


def test_without_intervals_no_conclusion_is_drawn():
    unknown = Estimate(0.2, math.nan, math.nan)
    found = words(deletion(unknown, unknown, unknown))
    assert "Without confidence intervals, no conclusion can be drawn." in found
    assert "chance" not in found
    found = words(randomization=randomization(Estimate(0.1, math.nan, math.nan)))
    assert "is 0.10; without a confidence interval, the sanity check has no result." in found
    assert "passed" not in found


def test_maps_that_survive_randomization_fail_the_sanity_check():
    assert "Sanity check passed: " in words(randomization=randomization(LOW))
    assert "Sanity check failed: " in words(randomization=randomization(HIGH))
    assert "(rank correlation 0.45, 0.30 to 0.60)" in words(randomization=randomization(HIGH))


def test_maps_that_survive_a_randomized_head_are_qualified():
    assert "only the head" not in words(randomization=randomization(LOW))
    qualified = words(randomization=randomization(NO, head=Estimate(0.6, 0.5, 0.7)))
    assert "But maps stay similar when only the head is randomized (0.60)" in qualified


def test_the_tables_hold_areas_gains_and_correlations():
    scores = FaithfulnessScores(12, 30, deletion(YES, NO), randomization(LOW))
    found = faithfulness_table(scores, ("no", "yes"))
    names, glosses, cells = zip(*found["areas"], strict=True)
    assert names == ("Deletion", "Insertion")
    assert ["lower is more faithful" in glosses[0], "higher is more faithful" in glosses[1]] == [
        True, True,
    ]  # fmt: skip
    assert [cell.value for cell in cells[0]] == ["0.300", "0.500", "0.400", "+0.200", "+0.100"]
    assert [name for name, _ in found["randomized"]] == ["Head", "Upper half", "All"]
    assert [cell.value for _, cell in found["randomized"]] == ["0.200", "0.200", "0.100"]


def test_tables_of_what_was_not_measured_are_empty():
    found = faithfulness_table(FaithfulnessScores(12, 30, None, None), ("no", "yes"))
    assert (found["areas"], found["randomized"]) == ([], [])
    assert faithfulness_table(None, ("no", "yes")) is None
    assert localization_table(None, None) is None


def test_localization_stands_beside_chance():
    scores = LocalizationScores(12, YES, 0.05, HIGH, 0.07, LOW, 0.4, HIGH, 0.06)
    assert [(name, value, chance) for name, _, value, chance in localization_rows(scores)] == [
        ("Pointing game", YES, 0.05), ("Peak in the hull", HIGH, 0.07),
        ("Peak distance", LOW, 0.4), ("Energy inside", HIGH, 0.06),
    ]  # fmt: skip
    table = localization_table(scores, None)
    assert table["n"] == "12 slices"
    name, _, cell, chance = table["rows"][0]
    assert (name, cell.value, cell.span, chance) == (
        "Pointing game", "0.200", "0.100 to 0.300", "0.050"
    )  # fmt: skip


def test_what_a_localization_head_finds_stands_below():
    found = RegionScores(
        slices=40, lesions=12, sensitivity_in_slices={1: YES},
        volumes=5, volume_lesions=6, sensitivity_in_volumes={1: LOW, 4: HIGH},
        large_lesions=0, sensitivity_large={1: LOW, 4: HIGH}, curve=None,
    )  # fmt: skip
    assert region_rows(found) == (
        ("Lesions found in slices, 1 false positive a slice", "12 lesions in 40 slices", YES),
        ("Lesions found in volumes, 1 false positive a volume", "6 lesions in 5 volumes", LOW),
        ("Lesions found in volumes, 4 false positives a volume", "6 lesions in 5 volumes", HIGH),
    )
    assert region_rows(None) == ()
    scores = LocalizationScores(12, YES, 0.05, HIGH, 0.07, LOW, 0.4, HIGH, 0.06)
    assert len(localization_table(scores, found)["rows"]) == 7
