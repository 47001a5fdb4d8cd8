"""A detector answers for files of every kind, and refuses to be anything but whole."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from falx.data.phantom import make_phantom
from falx.data.read import read_slices
from falx.detect.detector import Settings, load
from falx.errors import BadInput, BrokenRun, FalxError


@pytest.fixture(scope="module")
def detector(run):
    return load(run)


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the detector that a test may damage."""
    return Path(shutil.copytree(run / "detector", tmp_path / "detector"))


def test_a_run_and_its_detector_are_the_same(run, detector, phantoms):
    image = phantoms / "yes" / "00001.png"
    assert load(run / "detector").predict(image) == detector.predict(image)


def test_files_folders_and_patterns_mean_the_same(detector, phantoms):
    folder = detector.predict(phantoms / "yes")
    assert len(folder.slices) == 30
    assert detector.predict(str(phantoms / "yes" / "*.png")) == folder
    assert detector.predict(sorted((phantoms / "yes").iterdir())) == folder


def test_an_answer_does_not_depend_on_the_company(detector, phantoms):
    together = {one.path: one.probability for one in detector.predict(phantoms).slices}
    assert len(together) == 60
    for path in list(together)[::17]:
        alone = detector.predict(path).slices[0].probability
        assert alone == pytest.approx(together[path], abs=1e-5)


def test_slices_at_hand_get_the_same_answer_as_their_files(detector, phantoms):
    files = sorted((phantoms / "no").iterdir())[:3]
    slices = [slice_ for file in files for slice_ in read_slices(file)]
    for given, read in zip(detector.find(slices), detector.predict(files).slices, strict=True):
        assert given.probability == pytest.approx(read.probability, abs=1e-6)


def test_a_volume_gets_one_answer_beside_those_of_its_slices(detector, tmp_path):
    planes = [make_phantom(n, tumor=False, size=96).pixels for n in range(5)]
    volume = np.stack(planes, axis=-1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 4, 1])), tmp_path / "volume.nii.gz")
    found = detector.predict(tmp_path)
    assert [one.index for one in found.slices] == [0, 1, 2, 3, 4]
    (study,) = found.studies
    assert study.slices == 5
    assert study.probability == max(one.probability for one in found.slices)


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


@pytest.mark.parametrize("path", ["nowhere.png", "nowhere/*.png", ""])
def test_a_path_that_holds_nothing_is_refused(detector, tmp_path, path):
    with pytest.raises(BadInput):
        detector.predict(tmp_path / path)


def test_settings_survive_their_file(detector, tmp_path):
    detector.settings.save(tmp_path)
    assert Settings.load(tmp_path) == detector.settings


def damaged(text):
    return lambda folder: (folder / "detector.json").write_text(text)


def other_schema(folder):
    file = folder / "detector.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))


def cut(folder):
    file = folder / "network.bin"
    file.write_bytes(file.read_bytes()[:-1])


DAMAGE = {
    "no JSON": (damaged("{"), "is damaged"),
    "a field too few": (damaged('{"schema": 1}'), "is damaged"),
    "another schema": (other_schema, "has schema 99, and this falx reads 1"),
    "weights cut off": (cut, "was altered or cut off"),
    "weights missing": (lambda folder: (folder / "network.bin").unlink(), "is missing"),
    "no network": (lambda folder: (folder / "network.xml").write_text("<"), "can't be read"),
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


def test_any_other_folder_is_no_detector(tmp_path):
    with pytest.raises(FalxError, match="neither a run nor a detector"):
        load(tmp_path)
