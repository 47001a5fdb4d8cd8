"""Rules for whole studies are chosen on the studies of the validation part."""

from dataclasses import replace

import numpy as np
import pytest

from falx.detect.rules import Rules
from falx.evaluation.study_calibration import MIN_OF_CLASS, MIN_STUDIES, calibrate_studies


def suspicious(labels, level):
    """Every volume has slices that look like a tumor; those with one have more of them."""
    return np.where(labels == 1, 0.9, 0.2 + 0.6 * (level < 0.1))


@pytest.fixture
def validation(of_volumes):
    """A function that makes predictions of so many studies; in every other, no slice has a tumor."""

    def make(patients, **changes):
        predictions = of_volumes(patients=patients, volumes=1, positive=suspicious)
        healthy = predictions.table["group"].to_numpy() % 2 == 0
        labels = np.where(healthy, "no", predictions.table["label"])
        level = predictions.table["level"].to_numpy()
        positive = suspicious(labels == "yes", level)
        return replace(
            predictions,
            table=predictions.table.assign(label=labels),
            probabilities=np.stack([1 - positive, positive], axis=1)[None],
            folds=np.ones((1, len(labels)), int),
            rules=((Rules(operating_point="youden", **changes),),),
        )

    return make


def test_enough_studies_of_both_classes_give_rules_for_studies(validation):
    rules = calibrate_studies(validation(MIN_STUDIES), top_fraction=0.1)
    assert rules.study is not None
    assert rules.study.n == MIN_STUDIES
    assert rules.study.slope > 0
    assert 0 < rules.study.threshold < 1


def test_a_healthy_study_with_suspicious_slices_is_answered_no(validation):
    # Its most suspicious tenth has 0.8, which is above any threshold for slices.
    study = calibrate_studies(validation(40), top_fraction=0.1).study
    healthy, ill = study.calibrated(np.array([[0.2, 0.8], [0.1, 0.9]]))[:, 1]
    assert healthy < study.threshold < ill


def test_the_other_rules_stay_as_they_are(validation):
    before = validation(MIN_STUDIES, temperature=1.5, ood_threshold=20.0)
    after = calibrate_studies(before, top_fraction=0.25)
    assert replace(after, study=None) == replace(before.rules[0][0], top_fraction=0.25)


def test_too_few_studies_give_none(validation):
    assert calibrate_studies(validation(MIN_STUDIES - 1), top_fraction=0.1).study is None


def test_studies_of_one_class_give_none(of_volumes):
    predictions = of_volumes(patients=MIN_STUDIES, volumes=1, positive=suspicious)
    one_fold = replace(
        predictions,
        folds=np.ones((1, len(predictions)), int),
        rules=((Rules(),),),
    )
    assert calibrate_studies(one_fold, top_fraction=0.1).study is None


def test_too_few_of_one_class_give_none(validation):
    predictions = validation(MIN_STUDIES)
    few = predictions.table["group"] % 2 == 0
    ill = predictions.table["group"] >= 2 * (MIN_OF_CLASS - 1)
    table = predictions.table.assign(label=np.where(~few & ill, "no", predictions.table["label"]))
    assert calibrate_studies(replace(predictions, table=table), top_fraction=0.1).study is None


def test_the_fraction_is_chosen_where_there_are_studies_enough(validation):
    chosen = calibrate_studies(validation(MIN_STUDIES), top_fraction="validation")
    assert chosen.top_fraction in (0.1, 0.25, 0.5, 1.0, 0.0)
    few = calibrate_studies(validation(MIN_STUDIES - 1), top_fraction="validation")
    assert few.top_fraction == 0.1


def test_the_conformal_threshold_is_that_of_the_miscoverage(validation):
    # All studies of a class are alike here, so that every true class is as probable as any other.
    study = calibrate_studies(validation(40, alpha=0.1), top_fraction=0.1).study
    assert study.conformal_threshold > 0.5
    strict = calibrate_studies(validation(40, alpha=0.01), top_fraction=0.1).study
    # Forty studies can't promise 99 %.
    assert strict.conformal_threshold == 0
