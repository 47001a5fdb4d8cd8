"""A detector predicts files of every format, and a damaged one is refused."""

import json
import shutil
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

import falx
from falx.data.read import read_slices
from falx.detect.detector import SCHEMA, Settings, load
from falx.detect.engine import BATCH
from falx.detect.rules import Rules
from falx.errors import BadInput, BrokenRun
from falx.exporting.detector_folder import export_detector
from falx.image.render import render
from falx.model.network import build_network
from falx.phantom import make_phantom
from falx.recipe import load_recipe
from helpers import exportable_model

FOUR = ("glioma", "meningioma", "notumor", "pituitary")


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


def test_a_file_named_several_times_is_answered_once_in_sorted_order(detector, phantoms):
    folder = phantoms / "yes"
    files = sorted(folder.iterdir())
    found = detector.predict([*reversed(files), folder, str(folder / "*.png")])
    assert [one.path for one in found.slices] == files


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


def test_decoded_slices_get_the_same_answer_as_their_files(detector, phantoms):
    volume = get_testdata_file("rtdose.dcm", download=False)
    files = sorted([*sorted((phantoms / "no").iterdir())[:3], Path(volume)])
    slices = [slice_ for file in files for slice_ in read_slices(file)]
    found = detector.predict_slices(slices)
    assert len(found) == 3 + 15
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


def test_a_volume_gets_one_answer_beside_those_of_its_slices(detector, tmp_path):
    planes = [make_phantom(n, tumor=False, size=96).pixels for n in range(5)]
    volume = np.stack(planes, axis=-1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 4, 1])), tmp_path / "volume.nii.gz")
    found = detector.predict(tmp_path)
    assert [one.index for one in found.slices] == [0, 1, 2, 3, 4]
    (study,) = found.studies
    assert study.n_slices == 5
    assert study.probability == max(one.probability for one in found.slices)
    assert study.study == str(tmp_path / "volume.nii.gz")
    assert study.strongest == max(found.slices, key=lambda one: one.probability)


def test_the_fraction_of_slices_that_decide_a_study_can_be_set(detector):
    rules = Rules(top_fraction=1.0)
    found = detector.with_rules(rules).predict(get_testdata_file("rtdose.dcm", download=False))
    (study,) = found.studies
    assert study.probability == pytest.approx(np.mean([one.probability for one in found.slices]))


@pytest.mark.parametrize(
    ("name", "frames", "number"),
    [
        ("rtdose.dcm", 15, "1.2.999.999.99.9.9999.8888"),
        (
            "SC_rgb_rle_2frame.dcm",
            2,
            "1.2.826.0.1.3680043.8.498.12406831542731051035295345080039845114",
        ),
    ],
)
def test_a_dicom_file_of_several_frames_is_a_study(detector, name, frames, number):
    found = detector.predict(get_testdata_file(name, download=False))
    assert [one.index for one in found.slices] == list(range(frames))
    (study,) = found.studies
    assert (study.study, study.n_slices) == (number, frames)


def test_files_of_one_patient_are_a_study_where_none_is_named(detector, tmp_path):
    dataset = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    del dataset.StudyInstanceUID
    for name in ("one.dcm", "two.dcm"):
        dataset.save_as(tmp_path / name)
    (study,) = detector.predict(tmp_path).studies
    assert (study.study, study.n_slices) == (dataset.PatientID, 2)


def test_a_dicom_file_names_its_study(detector):
    (one,) = detector.predict(get_testdata_file("MR_small.dcm")).slices
    assert one.study == "1.3.6.1.4.1.5962.1.2.4.20040826185059.5457"


def test_what_can_not_be_read_is_listed_and_the_rest_goes_on(detector, phantoms, tmp_path):
    shutil.copy(phantoms / "yes" / "00001.png", tmp_path)
    (tmp_path / "empty.dcm").touch()
    found = detector.predict(tmp_path)
    assert len(found.slices) == 1
    assert [one.path.name for one in found.unreadable] == ["empty.dcm"]
    assert "0 bytes" in found.unreadable[0].problem


def test_where_nothing_can_be_read_every_file_is_listed(detector, tmp_path):
    for name in ("a.png", "b.dcm"):
        (tmp_path / name).write_text("no image")
    found = detector.predict(tmp_path)
    assert (found.slices, found.studies) == ((), ())
    assert [one.path.name for one in found.unreadable] == ["a.png", "b.dcm"]
    for one in found.unreadable:
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


def test_a_study_of_four_classes_has_all_of_them(four):
    found = four.predict(get_testdata_file("rtdose.dcm", download=False))
    (study,) = found.studies
    for name in FOUR:
        mean = np.mean([one.probabilities[name] for one in found.slices])
        assert study.probabilities[name] == pytest.approx(mean)


def test_settings_survive_their_file(detector, tmp_path):
    detector.settings.save(tmp_path)
    assert Settings.load(tmp_path) == detector.settings


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
