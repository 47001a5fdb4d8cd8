"""The estimator keeps scikit-learn's contract, as far as it is about images."""

import pickle

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils import estimator_checks, get_tags

import falx
from conftest import BACKBONE
from falx.errors import BadInput, UnusableData
from falx.phantoms import make_phantom
from helpers import head_slices, write_series

N = 36
CHANGES = BACKBONE | {"phases.0.epochs": 2}
LEVELS = np.stack([make_phantom((7, n), tumor=n % 2 == 1, size=64).pixels for n in range(N)])
PATIENTS = np.arange(N) // 2 * 2 % 31 // 2
LABELS = np.arange(N) % 2


@pytest.fixture(scope="module")
def classifier(weights):
    """A recipe without Keras and small views, so that a fit takes a second or two."""
    return falx.SliceClassifier(recipe="best", weights=weights, changes=CHANGES)


@pytest.fixture(scope="module")
def fitted(classifier):
    return clone(classifier).fit(LEVELS, LABELS)


CHECKS = [
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]
"""Those of scikit-learn that need no table of numbers to fit; the others make two-dimensional X."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_check_of_scikit_learn_passes(check):
    check("SliceClassifier", falx.SliceClassifier())


def test_scikit_learn_yields_no_other_check_that_could_run():
    """By its tags it takes no two-dimensional array, so no check that fits one applies."""
    tags = get_tags(falx.SliceClassifier())
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert tags.estimator_type == "classifier"
    assert is_classifier(falx.SliceClassifier())
    with pytest.warns(SkipTestWarning, match="Can't test estimator SliceClassifier"):
        yielded = list(estimator_checks.estimator_checks_generator(falx.SliceClassifier()))
    names = {getattr(check, "func", check).__name__ for _, check in yielded}
    assert names <= {check.__name__ for check in CHECKS} | {"check_estimator_tags_renamed"}


def test_classes_and_probabilities_are_those_of_the_detector(fitted):
    assert fitted.classes_.tolist() == [0, 1]
    probabilities = fitted.predict_proba(LEVELS)
    assert probabilities.shape == (N, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    predicted = fitted.predict(LEVELS)
    assert predicted.dtype == LABELS.dtype
    threshold = fitted.detector.settings.rules.threshold
    np.testing.assert_array_equal(predicted, (probabilities[:, 1] >= threshold).astype(int))
    assert fitted.score(LEVELS, LABELS) == np.mean(predicted == LABELS) > 0.6
    assert 0 <= fitted.scores_.accuracy.value <= 1


def test_a_pickled_estimator_answers_as_before(fitted):
    expected = fitted.predict_proba(LEVELS)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(LEVELS), expected)
    assert again.classes_.tolist() == [0, 1]
    assert repr(again.scores_) == repr(fitted.scores_)


def test_a_clone_is_not_fitted(fitted):
    cloned = clone(fitted)
    assert cloned.get_params() == fitted.get_params()
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(cloned, method)(LEVELS)


def test_files_and_floats_give_what_arrays_give(fitted, tmp_path):
    file = tmp_path / "a.png"
    cv2.imwrite(str(file), LEVELS[0])
    expected = fitted.predict_proba(LEVELS[:1])
    for images in ([str(file)], pd.Series([file]), LEVELS[:1] / 255):
        np.testing.assert_array_equal(fitted.predict_proba(images), expected)


@pytest.mark.slow
def test_it_is_trained_as_by_the_verb(fitted, classifier, tmp_path):
    """A folder of the same slices, trained by falx.train, gives the same detector."""
    for number, levels in enumerate(LEVELS):
        cv2.imwrite(str(tmp_path / f"{number}.png"), levels)
    table = pd.DataFrame({"path": [f"{n}.png" for n in range(N)], "label": LABELS})
    table.to_csv(tmp_path / "slices.csv", index=False)
    run = falx.train(
        tmp_path / "slices.csv",
        recipe="best",
        weights=classifier.weights,
        changes=CHANGES,
        positive="1",
        out=tmp_path / "run",
    )
    np.testing.assert_allclose(
        run.detector.predict_proba(LEVELS), fitted.predict_proba(LEVELS), atol=1e-6
    )


def test_patients_stay_together_and_numbers_are_ordered_as_numbers(classifier, monkeypatch):
    seen = []
    train = falx.train

    def watched(*arguments, **options):
        run = train(*arguments, **options)
        seen.append(run)
        return run

    monkeypatch.setattr("falx.verbs.slice_classifier.train", watched)
    nine_or_ten = np.where(LABELS, 10, 9)
    fitted = clone(classifier).fit(LEVELS, nine_or_ten, groups=PATIENTS)
    # As text, "10" comes before "9".
    assert fitted.classes_.tolist() == [9, 10]
    assert fitted.detector.classes == ("9", "10")
    assert fitted.score(LEVELS, nine_or_ten) > 0.6
    (run,) = seen
    table = run.catalog.usable().table
    assert table["patient"].nunique() == len(set(PATIENTS))
    parts = table.assign(part=run.split.names()).groupby("patient")["part"].nunique()
    assert (parts == 1).all()
    assert set(run.split.names()) == {"train", "validation", "test"}


def test_three_classes_of_text_keep_their_names(classifier):
    names = np.array(["glioma", "no tumor", "a meningioma"])[np.arange(N) % 3]
    fitted = clone(classifier).fit(list(LEVELS), pd.Series(names))
    assert fitted.classes_.tolist() == ["a meningioma", "glioma", "no tumor"]
    probabilities = fitted.predict_proba(LEVELS)
    assert probabilities.shape == (N, 3)
    np.testing.assert_array_equal(
        fitted.predict(LEVELS), fitted.classes_[probabilities.argmax(axis=1)]
    )


@pytest.mark.slow
def test_it_takes_part_in_a_cross_validation(classifier):
    groups = np.arange(N) // 2
    scores = cross_val_score(
        classifier, LEVELS, LABELS, groups=groups, cv=GroupKFold(2), error_score="raise"
    )
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize(
    ("labels", "groups", "reason"),
    [
        (LABELS[:-1], None, r"36 images and labels \(35,\)"),
        (LABELS[:, None], None, r"36 images and labels \(36, 1\)"),
        (LABELS, PATIENTS[:5], r"36 images and groups \(5,\)"),
    ],
)
def test_sizes_that_differ_are_refused(labels, groups, reason):
    with pytest.raises(BadInput, match=reason):
        falx.SliceClassifier().fit(LEVELS, labels, groups=groups)


def test_what_is_no_slice_is_refused():
    with pytest.raises(BadInput, match=r"'X\[0\]' holds 2 slices; give images of one slice each"):
        falx.SliceClassifier().fit([LEVELS[:2], LEVELS[0]], [0, 1])
    with pytest.raises(BadInput, match=r"'X\[1\]' is of type NoneType"):
        falx.SliceClassifier().fit([LEVELS[0], None], [0, 1])


def test_one_class_is_not_enough(classifier):
    with pytest.raises((BadInput, UnusableData)):
        clone(classifier).fit(LEVELS[:4], [0, 0, 0, 0])


def test_rows_come_in_the_order_of_the_images_and_repeats_stay(fitted, tmp_path):
    """Also where slices are of one series, which a detector would sort from the lowest up."""
    files = write_series(tmp_path, head_slices(4, size=64))
    series = [pydicom.dcmread(file) for file in files]
    alone = np.concatenate([fitted.predict_proba([each]) for each in series])
    order = [2, 0, 3, 1, 2]
    np.testing.assert_array_equal(fitted.predict_proba([series[n] for n in order]), alone[order])


def test_a_slice_of_sixteen_bits_does_not_depend_on_the_others(fitted):
    dim, bright = LEVELS[:2].astype(np.uint16) * 10, LEVELS[2:4].astype(np.uint16) * 200
    together = fitted.predict_proba(np.concatenate([dim, bright]))
    np.testing.assert_array_equal(together[:2], fitted.predict_proba(dim))


def test_the_name_of_no_tumor_is_the_negative_class_whatever_the_alphabet(classifier):
    names = np.where(LABELS == 1, "glioma", "healthy")
    fitted = clone(classifier).fit(LEVELS, names)
    assert fitted.classes_.tolist() == ["glioma", "healthy"]
    assert fitted.detector.classes == ("healthy", "glioma")
    tumor = fitted.predict_proba(LEVELS)[:, 0]
    threshold = fitted.detector.settings.rules.threshold
    expected = np.where(tumor >= threshold, "glioma", "healthy")
    np.testing.assert_array_equal(fitted.predict(LEVELS), expected)


def test_its_detector_explains_and_gives_features(fitted):
    assert fitted.detector.features(LEVELS[:2]).shape[0] == 2
    assert fitted.detector.explain(LEVELS[0]).shape == LEVELS[0].shape
