"""A detector predicts files of every format, and a damaged one is refused."""

import json
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

import falx
from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.data.volumes import REPEATED
from falx.detect.detector import load
from falx.detect.engine import BATCH
from falx.detect.pooling import INCONCLUSIVE, NO_BRAIN, NOT_CALIBRATED
from falx.detect.rules import Rules, StudyRules
from falx.detect.settings import SCHEMA
from falx.errors import BadInput, BrokenRun
from falx.exporting.detector_folder import export_detector
from falx.image.render import render
from falx.model.network import build_network
from falx.recipe import load_recipe
from falx.training.disk_cache import DiskCache
from falx.training.views import render_views
from helpers import exportable_model, head_slices, write_nifti, write_series

FOUR = ("glioma", "meningioma", "notumor", "pituitary")
AS_POOLED = StudyRules(slope=1.0, intercept=0.0, threshold=0.5, conformal_threshold=0.5, n=40)
ANSWERING = Rules(study=AS_POOLED)
"""Nothing is out of distribution, and every study has an answer."""


@pytest.fixture(scope="module")
def detector(run):
    return load(run)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A detector of four classes, as it leaves the export; its weights are random."""
    recipe = load_recipe("demo").changed({"rendering.size": "64", "backbone.width": "0.35"})
    folder = tmp_path_factory.mktemp("four")
    views = np.random.default_rng(0).integers(0, 256, (4, 64, 64), np.uint8)
    network = build_network(recipe, len(FOUR))
    export_detector(
        exportable_model(network), folder, recipe=recipe, classes=FOUR,
        rules=Rules(top_fraction=1.0), parity_views=views,
    )  # fmt: skip
    return load(folder)


@pytest.fixture(scope="module")
def answering(detector):
    """The detector with rules for studies, and without a threshold for distances."""
    return detector.with_rules(ANSWERING)


@pytest.fixture(scope="module")
def head():
    return head_slices(tumor=True)


@pytest.fixture(scope="module")
def series(head, tmp_path_factory):
    """A head of 16 slices as a DICOM series, the lowest first."""
    return write_series(tmp_path_factory.mktemp("series"), head, SeriesDescription="AX T1")


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the detector that a test may damage."""
    return Path(shutil.copytree(run / "detector", tmp_path / "detector"))


def test_a_run_and_its_detector_are_the_same(run, detector, phantoms):
    image = phantoms / "yes" / "00001.png"
    assert load(run / "detector").predict(image) == detector.predict(image)
    assert load(str(run)).predict(str(image)) == detector.predict(image)


def test_files_folders_and_patterns_mean_the_same(detector, phantoms):
    folder = detector.predict(phantoms / "yes")
    assert len(folder.slices) == 30
    assert detector.predict(str(phantoms / "yes" / "*.png")) == folder
    assert detector.predict(sorted((phantoms / "yes").iterdir())) == folder


def test_a_file_named_several_times_is_answered_once_where_it_is_named_first(detector, phantoms):
    folder = phantoms / "yes"
    files = sorted(folder.iterdir())
    found = detector.predict([*reversed(files), folder, str(folder / "*.png")])
    assert [one.path for one in found.slices] == files[::-1]


def test_a_listener_hears_of_every_file(detector, phantoms):
    heard = []
    detector.predict(phantoms, listener=heard.append)
    assert [step.done for step in heard] == list(range(1, 61))
    assert {(step.task, step.total) for step in heard} == {("Predicting", 60)}


def test_an_answer_is_the_class_probabilities_and_the_label_they_give(detector, phantoms):
    threshold = detector.settings.rules.threshold
    for one in detector.predict(phantoms).slices:
        assert list(one.probabilities) == ["no", "yes"]
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert one.probability == one.probabilities["yes"]
        assert one.label == ("yes" if one.probability >= threshold else "no")


def test_an_answer_does_not_depend_on_the_batch(detector, phantoms):
    together = {one.path: one.probability for one in detector.predict(phantoms).slices}
    assert len(together) == 60
    for path in list(together)[::17]:
        alone = detector.predict(path).slices[0].probability
        assert alone == pytest.approx(together[path], abs=1e-5)


def test_more_views_than_a_batch_are_answered_in_their_order(detector):
    views = np.random.default_rng(0).integers(0, 256, (2 * BATCH + 3, 64, 64), np.uint8)
    found = detector.probabilities(views)
    np.testing.assert_allclose(detector.probabilities(views[::-1])[::-1], found, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_decoded_slices_get_the_same_answer_as_their_files(detector, phantoms, head, tmp_path):
    (single,) = write_series(tmp_path, head[4:5])
    files = sorted([*sorted((phantoms / "no").iterdir())[:3], single])
    slices = [slice_ for file in files for slice_ in read_slices(file)]
    found = detector.predict_slices(slices)
    assert len(found) == 3 + 1
    for decoded, read in zip(found, detector.predict(files).slices, strict=True):
        assert decoded.probability == pytest.approx(read.probability, abs=1e-5)
        assert (decoded.path, decoded.index, decoded.study) == (read.path, read.index, read.study)


def test_maps_with_flip_tta_are_the_mean_with_those_of_the_mirrored_slice(detector, phantoms):
    (slice_,) = read_slices(phantoms / "yes" / "00001.png")
    (plain,) = detector.predict_slices([slice_])
    (mirrored,) = detector.predict_slices([slice_], maps="flip_tta")
    view = render(slice_.pixels, detector.settings.rendering)
    upright, flipped = detector.evidence(np.stack([view, view[:, ::-1]]), [1, 1])
    np.testing.assert_allclose(
        mirrored.heat_map.values, (upright + flipped[:, ::-1]) / 2, atol=1e-6
    )
    np.testing.assert_allclose(plain.heat_map.values, upright, atol=1e-6)
    assert mirrored == plain


def test_a_symmetric_slice_has_a_symmetric_map_with_flip_tta(detector):
    half = np.random.default_rng(0).integers(0, 256, (1, 64, 32), np.uint8)
    view = np.concatenate([half, half[:, :, ::-1]], axis=2)
    (values,) = detector.evidence(view, [1], maps="flip_tta")
    np.testing.assert_allclose(values, values[:, ::-1], atol=1e-6)


def test_without_slices_there_are_no_findings(detector):
    assert detector.predict_slices([]) == []


def test_a_volume_gets_one_answer_beside_those_of_its_slices(answering, head, tmp_path):
    file = write_nifti(tmp_path / "volume.nii.gz", head)
    found = answering.predict(tmp_path)
    assert [one.index for one in found.slices] == list(range(16))
    (study,) = found.studies
    (series,) = study.series
    brain = [one for one in found.slices if one.region == "brain"]
    assert 0 < len(brain) < 16
    assert (study.study, series.series, series.name) == (str(file), str(file), "volume.nii.gz")
    assert (series.plane, series.n_slices, series.n_pooled) == ("axial", 16, len(brain))
    assert study.status == "answer"
    assert study.probability == pytest.approx(max(one.probability for one in brain))
    assert study.strongest == max(brain, key=lambda one: one.probability)


def test_the_fraction_of_slices_that_decide_a_study_can_be_set(detector, head, tmp_path):
    rules = Rules(top_fraction=1.0, study=AS_POOLED)
    found = detector.with_rules(rules).predict(write_nifti(tmp_path / "volume.nii", head))
    (study,) = found.studies
    brain = [one.probability for one in found.slices if one.region == "brain"]
    assert study.probability == pytest.approx(np.mean(brain))


def test_without_rules_for_studies_a_study_is_referred(detector, series):
    (study,) = detector.with_rules(Rules()).predict(series).studies
    assert (study.status, study.chosen.reason) == ("refer", NOT_CALIBRATED)
    assert study.label in ("no", "yes")


def test_rules_for_studies_decide_about_studies_and_not_about_slices(detector, series):
    found = detector.with_rules(Rules(study=AS_POOLED)).predict(series)
    p = found.studies[0].probability
    for threshold, label in ((p - 1e-6, "yes"), (p + 1e-6, "no")):
        study = StudyRules(1.0, 0.0, threshold, 0.0, 40)
        changed = detector.with_rules(Rules(study=study)).predict(series)
        assert (changed.studies[0].label, changed.studies[0].status) == (label, "refer")
        assert changed.studies[0].chosen.reason == INCONCLUSIVE
        assert changed.slices == found.slices


def test_a_study_of_unlike_slices_has_no_suitable_series(detector, series):
    rejecting = detector.with_rules(Rules(ood_threshold=0.0, study=AS_POOLED))
    (study,) = rejecting.predict(series).studies
    (only,) = study.series
    assert study.chosen is None
    assert study.reason == (
        f"no suitable series: {only.n_slices} of {only.n_slices} slices are unlike the training "
        f"slices, among them {only.n_pooled} of the {only.n_pooled} pooled"
    )
    assert (study.status, study.label, study.probability) == ("out_of_distribution", None, None)


def test_a_few_slices_of_a_series_lie_where_they_may_and_are_referred(answering, head, tmp_path):
    (study,) = answering.predict(write_series(tmp_path, head[6:10])).studies
    assert (study.series[0].n_pooled, study.status) == (4, "refer")
    assert study.chosen.reason == NO_BRAIN


# A series is the same however its files are named


def test_a_folder_its_files_in_any_order_and_files_between_them_give_equal_findings(
    answering, series, phantoms
):
    expected = answering.predict(series[0].parent)
    assert [one.path for one in expected.slices] == series
    assert [one.level for one in expected.slices] == sorted(one.level for one in expected.slices)
    shuffled = random.Random(1).sample(series, len(series))
    assert answering.predict(shuffled) == expected
    (study,) = expected.studies
    mixed = answering.predict([*shuffled, phantoms / "yes"])
    of_series = [one for one in mixed.slices if one.series]
    assert len(mixed.slices) == 16 + 30
    for one, other in zip(of_series, expected.slices, strict=True):
        assert (one.path, one.level, one.region) == (other.path, other.level, other.region)
        assert one.probability == pytest.approx(other.probability, abs=1e-5)
    assert mixed.studies[0].probability == pytest.approx(study.probability, abs=1e-5)


def test_names_of_files_do_not_matter(answering, series, tmp_path):
    for number, file in zip(random.Random(2).sample(range(16), 16), series, strict=True):
        shutil.copy(file, tmp_path / f"IM{number:02d}")
    expected, found = answering.predict(series), answering.predict(tmp_path)
    for one, other in zip(found.slices, expected.slices, strict=True):
        assert (one.level, one.region, one.probability) == (
            other.level, other.region, other.probability,
        )  # fmt: skip
    assert found.studies[0].probability == expected.studies[0].probability


def test_a_slice_of_a_volume_is_predicted_as_it_was_trained_on(detector, head, tmp_path):
    data = tmp_path / "data"
    for name in ("no", "yes"):
        (data / name).mkdir(parents=True)
    write_nifti(data / "yes" / "t1.nii.gz", head)
    write_series(data / "no" / "t1", head_slices(seed=5))
    usable = build_catalog(data).usable()
    views = render_views(usable, detector.settings.rendering, DiskCache(tmp_path / "cache", 1))
    trained = detector.probabilities(views.plain)[:, 1]
    found = {
        (one.path, one.index): one for one in detector.with_rules(Rules()).predict(data).slices
    }
    assert len(found) == len(usable) == 32
    for row, p in enumerate(trained):
        one = found[usable.file(row), usable.table["index"].iat[row]]
        assert one.probability == pytest.approx(p, abs=1e-5)


# Planes


@pytest.mark.parametrize(
    ("trained", "asked", "reason"),
    [
        ([], "axial", ""),
        ([], "coronal", "its slices are coronal, and the training data did not say that they held such"),
        (["axial"], "sagittal", "its slices are sagittal, and those of the training data axial"),
        (["sagittal"], "sagittal", ""),
    ],
)  # fmt: skip
def test_a_plane_that_it_was_not_trained_on_is_referred_with_that_reason(
    copy, head, trained, asked, reason, tmp_path
):
    detector = load(copy).with_rules(replace(ANSWERING, planes=tuple(trained)))
    found = detector.predict(write_series(tmp_path / "series", head, plane=asked))
    (study,) = found.studies
    assert {one.reason for one in found.slices} == {reason}
    assert study.chosen.plane == asked
    # Where slices lie in the head is known of axial ones alone.
    known = NO_BRAIN if asked != "axial" else ""
    assert study.chosen.reason == (reason or known)
    assert {one.status for one in found.slices} <= ({"refer"} if reason else {"refer", "answer"})
    assert all(one.label for one in found.slices)


# Studies of several series


def test_series_of_one_study_are_answered_one_by_one(answering, head, tmp_path):
    for uid, name in (("1.2", "T1"), ("1.3", "T1 + C"), ("1.4", "T1 sag")):
        write_series(
            tmp_path / uid, head, plane="sagittal" if uid == "1.4" else "axial",
            SeriesInstanceUID=uid, SeriesDescription=name,
            ContrastBolusAgent="Gd" if uid == "1.3" else None,
        )  # fmt: skip
    (study,) = answering.predict(tmp_path).studies
    assert study.study == "1.1"
    assert [one.name for one in study.series] == ["T1", "T1 + C", "T1 sag"]
    assert [one.n_slices for one in study.series] == [16, 16, 16]
    assert study.chosen.name == "T1 + C"
    assert study.reason == (
        "of 3 series, 3 suitable, the best: axial, original, with a contrast agent, 16 slices"
    )
    files = sorted(tmp_path.glob("*/*.dcm"), reverse=True)
    (reversed_study,) = answering.predict(files).studies
    assert reversed_study.chosen == study.chosen
    assert reversed_study.series == study.series[::-1]


def test_time_points_and_phase_images_are_named_and_not_pooled(answering, series, head, tmp_path):
    magnitude = write_series(tmp_path, head, SeriesDescription="AX T1")
    again = write_series(tmp_path, head[::-1], first=101)
    phase = write_series(tmp_path, head, first=201, ImageType=["ORIGINAL", "PRIMARY", "P"])
    found = answering.predict(tmp_path)
    assert [one.path for one in found.slices] == magnitude
    assert sorted(one.path for one in found.left_out) == sorted([*again, *phase])
    assert {one.problem.split(": ")[-1] for one in found.left_out} == {
        "a phase image.",
        f"{REPEATED}.",
    }
    (study,), (alone,) = found.studies, answering.predict(series).studies
    assert (study.probability, study.chosen.n_slices) == (alone.probability, 16)


def test_studies_come_in_the_order_of_their_first_files(answering, head, tmp_path):
    write_series(tmp_path / "b", head[4:6], StudyInstanceUID="1.1")
    write_series(tmp_path / "a", head[4:6], StudyInstanceUID="1.9", SeriesInstanceUID="1.8")
    assert [one.study for one in answering.predict(tmp_path).studies] == ["1.9", "1.1"]


def test_a_series_of_one_slice_is_a_slice_and_no_study(answering, series):
    found = answering.predict(series[4])
    assert (len(found.slices), found.studies) == (1, ())
    assert found.slices[0].study == "1.1"
    assert math.isnan(found.slices[0].level)


def test_a_series_without_a_study_is_one_of_its_patient(answering, head, tmp_path):
    write_series(tmp_path, head[4:6], StudyInstanceUID=None, PatientID="P7")
    (study,) = answering.predict(tmp_path).studies
    assert (study.study, study.series[0].n_slices) == ("P7", 2)


def test_a_dicom_file_of_several_frames_is_a_study(detector, tmp_path):
    """Two frames of an image in color, whose position is unknown."""
    captured = dcmread(get_testdata_file("SC_rgb_rle_2frame.dcm", download=False))
    # As it is, its header says that it is a secondary capture.
    del captured.ImageType
    captured.save_as(tmp_path / "frames.dcm")
    found = detector.predict(tmp_path / "frames.dcm")
    assert [one.index for one in found.slices] == [0, 1]
    (study,) = found.studies
    assert study.study == "1.2.826.0.1.3680043.8.498.12406831542731051035295345080039845114"
    assert study.series[0].n_slices == 2


def test_a_dicom_file_names_its_study(detector):
    (one,) = detector.predict(get_testdata_file("MR_small.dcm")).slices
    assert one.study == "1.3.6.1.4.1.5962.1.2.4.20040826185059.5457"


def test_what_can_not_be_read_is_listed_and_the_rest_goes_on(detector, phantoms, tmp_path):
    shutil.copy(phantoms / "yes" / "00001.png", tmp_path)
    (tmp_path / "empty.dcm").touch()
    found = detector.predict(tmp_path)
    assert len(found.slices) == 1
    assert [one.path.name for one in found.left_out] == ["empty.dcm"]
    assert "0 bytes" in found.left_out[0].problem


def test_ct_a_radiotherapy_dose_and_blank_and_tiny_slices_are_left_out_with_their_reason(
    detector, head, tmp_path
):
    write_series(tmp_path, head[:1], Modality="CT")
    shutil.copy(get_testdata_file("rtdose.dcm", download=False), tmp_path)
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((64, 64), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "tiny.png"), np.eye(20, dtype=np.uint8) * 255)
    found = detector.predict(tmp_path)
    assert found.slices == ()
    assert [one.problem.replace(str(tmp_path / one.path.name), "") for one in found.left_out] == [
        "'' is left out: a CT image, not MR.",
        "'' is left out: blank: all pixels have nearly the same gray level.",
        "'' is a radiotherapy dose, not an image; leave it out.",
        "'' is left out: tiny: 20 x 20 pixels, and a side needs at least 32.",
    ]


def test_where_nothing_can_be_read_every_file_is_listed(detector, tmp_path):
    for name in ("a.png", "b.dcm"):
        (tmp_path / name).write_text("no image")
    found = detector.predict(tmp_path)
    assert (found.slices, found.studies) == ((), ())
    assert [one.path.name for one in found.left_out] == ["a.png", "b.dcm"]
    for one in found.left_out:
        assert one.problem.endswith(".")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere.png", r"nowhere\.png' does not exist; name a file"),
        ("nowhere/*.png", r"nowhere/\*\.png' matches no file"),
        ("", "There is no file in '.*'; name images or their folder"),
    ],
)
def test_a_path_that_holds_nothing_is_refused(detector, tmp_path, path, sentence):
    with pytest.raises(BadInput, match=sentence):
        detector.predict(tmp_path / path)


def test_an_empty_list_is_refused(detector):
    with pytest.raises(BadInput, match="There is no file in an empty list"):
        detector.predict([])


def test_four_classes_give_the_most_probable_and_its_probability(four, phantoms):
    found = four.predict(phantoms)
    assert found.classes == FOUR
    assert len(found.slices) == 60
    for one in found.slices:
        assert list(one.probabilities) == list(FOUR)
        assert sum(one.probabilities.values()) == pytest.approx(1)
        assert one.probability == max(one.probabilities.values())
        assert one.probability == one.probabilities[one.label]


def test_a_study_of_four_classes_has_all_of_them_and_is_referred(four, series):
    rules = Rules(top_fraction=1.0, study=AS_POOLED)
    found = four.with_rules(rules).predict(series)
    (study,) = found.studies
    assert (study.status, study.chosen.reason) == ("refer", NOT_CALIBRATED)
    brain = [one for one in found.slices if one.region == "brain"]
    for name in FOUR:
        mean = np.mean([one.probabilities[name] for one in brain])
        assert study.chosen.probabilities[name] == pytest.approx(mean)


def damaged(text):
    return lambda folder: (folder / "detector.json").write_text(text)


def other_schema(folder):
    file = folder / "detector.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))


def nonsense(folder):
    file = folder / "detector.json"
    content = json.loads(file.read_text())
    content["rules"]["threshold"] = "x"
    file.write_text(json.dumps(content))


def alter(folder):
    content = bytearray((folder / "network.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "network.bin").write_bytes(content)


def cut(folder):
    file = folder / "network.bin"
    file.write_bytes(file.read_bytes()[:-1])


DAMAGE = {
    "no JSON": (damaged("{"), "is damaged"),
    "a field too few": (damaged(f'{{"schema": {SCHEMA}}}'), "is damaged"),
    "no object": (damaged("[]"), "is damaged"),
    "no text": (lambda folder: (folder / "detector.json").write_bytes(b"\xff"), "is damaged"),
    "another schema": (other_schema, f"has schema 99, and this version of falx reads {SCHEMA}"),
    "one bit of the weights": (alter, "was altered or cut off"),
    "weights cut off": (cut, "was altered or cut off"),
    "weights missing": (lambda folder: (folder / "network.bin").unlink(), "is missing"),
    "no network": (
        lambda folder: (folder / "network.xml").write_text("<"),
        "was altered or cut off",
    ),
    "a threshold that is no number": (nonsense, "is damaged"),
    "network missing": (lambda folder: (folder / "network.xml").unlink(), "is missing"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_detector_is_refused_in_one_sentence(copy, what):
    damage, sentence = DAMAGE[what]
    damage(copy)
    with pytest.raises(BrokenRun, match=sentence) as raised:
        load(copy)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


def test_an_unfinished_training_is_said_to_be_one(tmp_path):
    (tmp_path / "run.partial").mkdir()
    with pytest.raises(BrokenRun, match="unfinished training; run its command again"):
        load(tmp_path / "run.partial")


@pytest.mark.parametrize("name", ["", "nowhere"], ids=["another folder", "no folder"])
def test_anything_else_is_no_detector(tmp_path, name):
    with pytest.raises(BrokenRun, match="neither a run nor a detector"):
        load(tmp_path / name)


def test_noise_is_out_of_distribution(phantoms, tmp_path):
    """With pretrained features; those of random weights need not distinguish textures."""
    changes = {"rendering.size": "96", "phases.0.epochs": "1"}
    run = falx.train(
        phantoms, recipe="demo", changes=changes, weights="phantom", out=tmp_path / "run"
    )
    detector = load(run.folder)
    noise = np.random.default_rng(0).integers(0, 256, (120, 120), np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    (finding,) = detector.predict(tmp_path / "noise.png").slices
    assert (finding.status, finding.label, finding.probability) == (
        "out_of_distribution",
        None,
        None,
    )
    assert finding.distance > detector.settings.rules.ood_threshold
    assert finding.heat_map is None
