"""A detector takes paths, arrays and images alike, and lists of them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

import falx
import small_scans
from falx.errors import BadInput
from falx.model.reference import MahalanobisReference
from falx.phantoms import make_phantom

LEVELS = np.stack([make_phantom(n, tumor=n % 2 == 1, size=96).pixels for n in range(4)])


@pytest.fixture(scope="module")
def detector():
    return falx.load()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The slices as files, in an order that is not that of their names."""
    folder = tmp_path_factory.mktemp("slices")
    names = [folder / f"{name}.png" for name in "dbca"]
    for name, levels in zip(names, LEVELS, strict=True):
        cv2.imwrite(str(name), levels)
    return names


@pytest.fixture(scope="module")
def expected(detector, files):
    """Numbers of each slice, from its file."""
    return numbers(detector.predict(files))


def numbers(findings):
    return [(each.status, each.probability, each.distance) for each in findings]


def test_files_are_answered_in_the_order_that_they_are_given(detector, files):
    assert [each.path for each in detector.predict(files)] == files
    assert [each.path for each in detector.predict(files[0].parent)] == sorted(files)


def test_every_kind_gives_what_the_files_give(detector, files, expected):
    assert len(set(expected)) == 4
    kinds = {
        "text": [str(file) for file in files],
        "column": pd.Series(files),
        "array of paths": np.array([str(file) for file in files]),
        "stack": LEVELS,
        "floats": LEVELS / 255,
        "colors": np.repeat(LEVELS[..., None], 3, axis=-1),
        "list": list(LEVELS),
        "column of arrays": pd.Series(list(LEVELS)),
        "generator": (Image.fromarray(each) for each in LEVELS),
        "mixed": [files[0], LEVELS[1], Image.fromarray(LEVELS[2]), str(files[3])],
    }
    assert {
        name: numbers(detector.predict(images)) for name, images in kinds.items()
    } == dict.fromkeys(kinds, expected)


def test_one_image_is_one_finding(detector, files, expected):
    for one in (files[0], str(files[0]), np.array(str(files[0])), LEVELS[0]):
        assert numbers(detector.predict(one)) == expected[:1]


def test_the_datasets_of_a_series_make_one_study_with_the_numbers_of_the_files(detector, tmp_path):
    datasets = small_scans.series(small_scans.head((64, 72, 8)), 8, StudyInstanceUID="1.1")
    by_file = detector.predict(small_scans.write(tmp_path / "series", datasets))
    by_dataset = detector.predict(datasets[::-1])
    assert numbers(by_dataset) == numbers(by_file)
    assert [each.level for each in by_dataset] == [each.level for each in by_file]
    (study,), (same,) = by_file.studies, by_dataset.studies
    assert (study.study, study.status, study.reason, study.probability) == (
        same.study,
        same.status,
        same.reason,
        same.probability,
    )
    opened = [pydicom.dcmread(file) for file in sorted((tmp_path / "series").iterdir())]
    assert detector.predict(opened).slices == by_file.slices
    # Alone, a dataset is a slice of no volume.
    assert np.isnan(detector.predict(datasets[4])[0].level)


def test_a_volume_of_nibabel_makes_the_study_of_its_file(detector, tmp_path):
    volume = small_scans.head((64, 72, 8))
    file = small_scans.write_nifti(tmp_path / "head.nii", volume, (1, 1, 8))
    by_file, by_image = detector.predict(file), detector.predict(nibabel.load(file))
    assert by_image == by_file
    assert len(by_image.studies) == 1
    made = detector.predict(nibabel.Nifti1Image(volume, np.diag([1, 1, 8, 1])))
    assert numbers(made) == numbers(by_file)


def test_blank_and_tiny_arrays_are_left_out_with_the_words_of_files(detector, tmp_path):
    bad = {"blank": np.full((96, 96), 7, np.uint8), "tiny": LEVELS[0][:20, :20]}
    for name, levels in bad.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), levels)
    by_file = detector.predict([tmp_path / f"{name}.png" for name in bad]).left_out
    findings = detector.predict([LEVELS[0], *bad.values()])
    assert len(findings) == 1
    assert [str(each.path) for each in findings.left_out] == ["image[1]", "image[2]"]
    for ours, theirs in zip(findings.left_out, by_file, strict=True):
        assert ours.problem == theirs.problem.replace(str(theirs.path), str(ours.path))
    assert len(by_file) == 2


@pytest.mark.parametrize("method", ["predict", "predict_proba", "explain", "features"])
def test_what_is_no_image_is_named_by_its_number(detector, method):
    call = getattr(detector, method)
    with pytest.raises(BadInput, match=r"'image\[1\]' is an array of bool"):
        call([LEVELS[0], LEVELS[1] > 9])
    with pytest.raises(BadInput, match="empty list"):
        call([])
    with pytest.raises(BadInput, match="stack of no slices"):
        call(LEVELS[:0])
    with pytest.raises(BadInput, match="'image' is of type NoneType"):
        call(None)


def test_probabilities_have_a_row_for_every_slice(detector, expected):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    found = detector.predict_proba([*LEVELS, noise])
    assert found.shape == (5, 2)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert detector.predict(noise)[0].status == "out_of_distribution"
    for row, (_, probability, _) in zip(found, expected, strict=False):
        assert probability in (None, row[1])


@pytest.mark.parametrize("method", ["predict_proba", "explain", "features"])
def test_only_predict_leaves_out(detector, method):
    with pytest.raises(BadInput, match=r"'image\[1\]'.*Leave it out, or see what `predict` says"):
        getattr(detector, method)([LEVELS[0], LEVELS[1][:20, :20]])


def test_a_heat_map_has_the_size_of_its_image(detector):
    wide = np.pad(LEVELS[1], ((0, 0), (8, 24)))
    heat_map = detector.explain(wide)
    assert heat_map.shape == wide.shape
    assert heat_map.dtype == np.float32
    # Of every slice, out-of-distribution ones too, whose finding has none.
    lenient = detector.with_rules(replace(detector.settings.rules, ood_threshold=None))
    finding = lenient.predict(wide, maps="flip_tta")[0]
    np.testing.assert_array_equal(heat_map, finding.heat_map.on_slice())
    maps = detector.explain([wide, LEVELS[0]])
    assert [each.shape for each in maps] == [wide.shape, LEVELS[0].shape]
    np.testing.assert_array_equal(maps[0], heat_map)
    assert [each.shape for each in detector.explain([wide])] == [wide.shape]
    assert isinstance(detector.explain(LEVELS), list)


def test_a_class_can_be_explained(detector):
    np.testing.assert_array_equal(
        detector.explain(LEVELS[1], label="no tumor"), detector.explain(LEVELS[1], label="tumor")
    )
    with pytest.raises(BadInput, match="There is no class 'glioma', only no tumor, tumor"):
        detector.explain(LEVELS[1], label="glioma")


def test_features_are_what_distances_are_measured_in(detector):
    """The shipped detector has a linear head."""
    from falx.detect.detector import SHIPPED

    check_features(detector, SHIPPED)


def test_features_of_a_detector_of_keras(run):
    check_features(falx.load(run), run / "detector")


def check_features(detector, folder):
    """The norm of whitened features is the distance, by NumPy and what the folder keeps."""
    features = detector.features(LEVELS)
    reference = MahalanobisReference.load(folder)
    assert features.shape == (4, len(reference.mean))
    assert features.dtype == np.float32
    whitened = features.astype(np.float64) @ reference.whitening
    views_distances = np.linalg.norm(whitened, axis=1)
    findings = detector.predict(LEVELS)
    np.testing.assert_allclose(views_distances, [each.distance for each in findings], rtol=1e-3)
    # They are centered: adding the mean gives what the reference itself takes.
    np.testing.assert_allclose(
        reference.distances(features + reference.mean), views_distances, rtol=1e-3
    )


def test_several_threads_may_ask_one_detector(detector, files, expected):
    with ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(detector.predict_proba, [files] * 8))
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_progress_is_told_for_images(detector):
    heard = []
    detector.predict(list(LEVELS[:3]), listener=heard.append)
    assert [(each.done, each.total) for each in heard] == [(1, 3), (2, 3), (3, 3)]


def test_a_list_column_or_stack_of_one_is_explained_by_a_list(detector, files):
    assert isinstance(detector.explain(files[0]), np.ndarray)
    for one in ([files[0]], np.array([str(files[0])]), LEVELS[:1]):
        assert isinstance(detector.explain(one), list)
