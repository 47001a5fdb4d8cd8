"""The site check fires where a set differs, is quiet where it does not, and says when it can't be."""

import json
from dataclasses import replace

import numpy as np
import pytest

from falx.detect.rules import Rules
from falx.detect.site import FALSE_ALARM_RATE, MIN_GROUPS, MIN_SLICES, SiteCheck, check_site
from falx.detect.site_reference import SITE_FILE, Measurements, SiteReference
from falx.errors import BrokenRun
from falx.image.view_statistics import VIEW_STATISTICS
from falx.serialization import dump

CLASSES = ("no", "yes")
RULES = Rules(alpha=0.1, conformal_threshold=0.3, ood_threshold=14.0)


def measurements(n, seed=0, *, brightness=0.0, logit=0.0, distance=10.0):
    rng = np.random.default_rng(seed)
    statistics = rng.normal(size=(n, len(VIEW_STATISTICS)))
    statistics[:, 0] += brightness
    positive = 1 / (1 + np.exp(-(rng.normal(size=n) * 2 + logit)))
    return Measurements(
        np.column_stack([1 - positive, positive]).astype(np.float32),
        rng.normal(distance, 1, n).astype(np.float32),
        statistics.astype(np.float32),
    )


@pytest.fixture(scope="module")
def reference():
    """Of 120 groups, 40 of them validation."""
    found = measurements(120, seed=1)
    found.probabilities[40:] = np.nan
    return SiteReference(found)


def check(reference, measured, groups=None, rules=RULES):
    groups = np.arange(len(measured)) if groups is None else groups
    return check_site(reference, measured, groups, rules, CLASSES)


def test_it_is_quiet_on_slices_like_those_of_training(reference):
    found = [check(reference, measurements(40, seed=seed)) for seed in range(2, 22)]
    assert sum(each.is_different for each in found) <= 1
    assert all(each.outcome != "not checked" for each in found)


def test_a_difference_of_views_is_found_and_named(reference):
    found = check(reference, measurements(40, seed=2, brightness=1.5))
    assert found.outcome == "different"
    assert found.p_value <= FALSE_ALARM_RATE
    assert found.differences[0].name == "brightness"
    assert found.differences[0].here == pytest.approx(1.5, abs=0.5)
    assert found.differences[0].deviation == pytest.approx(1.5, abs=0.5)
    assert found.sentence.startswith(
        "As a set, these 40 slices (40 groups) differ from the training slices (p < 0.001, "
        "false-alarm rate 1 %), most in brightness ("
    )
    assert "the 90 % coverage were chosen on slices like those of training" in found.sentence


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"logit": 3.0}, "probability of “yes”"), ({"distance": 13.0}, "Mahalanobis distance")],
)
def test_a_difference_of_scores_or_features_is_found_and_named(reference, changes, name):
    found = check(reference, measurements(40, seed=2, **changes))
    assert found.is_different
    assert name in [each.name for each in found.differences[:3]]


def test_rates_are_those_of_the_rules(reference):
    measured = measurements(40, seed=2, distance=14.5)
    found = {each.name: each for each in check(reference, measured).differences}
    assert found["out-of-distribution rate"].here == np.mean(measured.distances > 14)
    conclusive = (measured.probabilities >= 0.3).sum(axis=1) == 1
    assert found["referral rate"].here == pytest.approx(np.mean(~conclusive))


def test_without_an_ood_threshold_there_is_no_rate_of_it(reference):
    found = check(reference, measurements(40, seed=2), rules=replace(RULES, ood_threshold=None))
    assert "out-of-distribution rate" not in [each.name for each in found.differences]


def test_groups_count_once(reference):
    """A volume of a hundred slices among forty patients is one of forty."""
    one = measurements(40, seed=2)
    odd = measurements(1, seed=3, brightness=8.0)
    both = Measurements.joined([one, odd])
    repeated = both.take(np.r_[np.arange(40), np.full(100, 40)])
    groups = np.r_[np.arange(40), np.full(100, 40)]
    assert check(reference, repeated, groups).p_value == pytest.approx(
        check(reference, both).p_value, abs=0.001
    )


def test_values_that_are_no_numbers_count_as_far(reference):
    measured = measurements(40, seed=2)
    measured.distances[:] = np.inf
    found = check(reference, measured)
    assert found.is_different
    written = json.loads(dump(found))
    assert written["differences"][0]["here"] is None
    assert SiteCheck.from_dict(written) == found


def test_a_few_groups_of_many_slices_can_be_told_apart(reference):
    groups = np.repeat(np.arange(5), 24)
    assert check(reference, measurements(120, seed=2, brightness=3.0), groups).is_different
    assert not check(reference, measurements(120, seed=2), groups).is_different


@pytest.mark.parametrize(
    ("n", "groups", "reason"),
    [
        (MIN_SLICES - 1, MIN_SLICES - 1, "that takes at least 30 slices"),
        (40, MIN_GROUPS - 1, "they are of 2 patients, studies or files, and at least 3 are needed"),
        (40, 1, "they are of one patient, study or file, and at least 3 are needed"),
    ],
)
def test_too_little_is_not_checked_and_it_says_why(reference, n, groups, reason):
    found = check(reference, measurements(n, seed=2), np.arange(n) % groups)
    assert (found.outcome, found.p_value, found.differences) == ("not checked", None, ())
    assert found.sentence == (
        f"Whether these {n} slices differ, as a set, from the training slices was not checked: "
        f"{reason}."
    )


def test_a_detector_without_a_reference_or_of_few_groups_can_not_be_checked(reference):
    none = check(None, measurements(40)).reason
    assert "keeps no measurements of its training slices; train or adapt it anew" in none
    few = SiteReference(reference.measurements.take(np.arange(19)))
    assert check(few, measurements(40)).reason == (
        "the detector keeps slices of 19 groups to compare with, and at least 20 are needed"
    )


def test_several_classes_have_a_probability_each(reference):
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    trained, tested = (
        replace(measurements(n, seed=n), probabilities=rng.dirichlet(np.ones(3), n))
        for n in (80, 40)
    )
    found = check_site(SiteReference(trained), tested, np.arange(40), RULES, names)
    assert {f"probability of “{name}”" for name in names} <= {d.name for d in found.differences}


def test_a_reference_survives_its_file(reference, tmp_path):
    reference.save(tmp_path)
    assert (tmp_path / SITE_FILE).stat().st_size < 50_000
    loaded = SiteReference.load(tmp_path).measurements
    for name, values in vars(reference.measurements).items():
        np.testing.assert_array_equal(getattr(loaded, name), values)


def test_without_a_file_there_is_no_reference(tmp_path):
    assert SiteReference.load(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_damaged_file_is_one_sentence(content, tmp_path):
    (tmp_path / SITE_FILE).write_bytes(content)
    with pytest.raises(
        BrokenRun, match=r"site\.npz' is missing or damaged; copy its folder anew\."
    ):
        SiteReference.load(tmp_path)
