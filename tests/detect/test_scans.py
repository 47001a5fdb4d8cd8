"""From files to views: what is read, where it lies in its volume, and what is left out."""

import gc
import math
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.data.volumes import REPEATED
from falx.detect import scans
from falx.detect.scans import FURTHER, rendered, rendered_slices
from falx.image.crop import Box
from falx.image.render import render
from falx.phantoms import make_phantom
from falx.progress import silent
from falx.recipe import Rendering
from falx.training.disk_cache import DiskCache
from falx.training.views import render_views
from helpers import head_slices, write_nifti, write_series

RENDERING = Rendering(size=64)


def read(*files, rendering=RENDERING):
    left_out = []
    items = list(rendered(files, rendering, left_out, silent))
    return items, left_out


def inside(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def head():
    return head_slices()


@pytest.fixture(scope="module")
def series(head, tmp_path_factory):
    """A head of 16 slices as a DICOM series, the lowest first."""
    return write_series(tmp_path_factory.mktemp("series"), head)


def item(**elements):
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def write_enhanced(file, slices, kinds, positions):
    """One DICOM file of several axial frames, each of a kind (FrameType) and at a height in mm."""
    about = {"SeriesDescription": "B0", "SeriesInstanceUID": "1.4"}
    (template,) = write_series(file.parent / "template", slices[:1], **about)
    dataset = pydicom.dcmread(template)
    shutil.rmtree(template.parent)
    dataset.NumberOfFrames = len(slices)
    dataset.PixelData = np.ascontiguousarray(slices).tobytes()
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", kind, "NONE"])],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, position])],
        )
        for kind, position in zip(kinds, positions, strict=True)
    ]
    dataset.save_as(file)
    return file


# Where slices lie


def test_slices_of_a_series_come_from_the_lowest_up_with_level_and_region(series):
    items, left_out = read(*reversed(series))
    assert left_out == []
    assert [each.path for each in items] == series
    np.testing.assert_allclose([each.level for each in items], np.linspace(0, 1, 16))
    regions = [each.head_region for each in items]
    assert regions == sorted(regions, key=["skull base", "brain", "vertex"].index)
    assert set(regions) == {"skull base", "brain", "vertex"}
    assert {each.plane for each in items} == {"axial"}
    assert {(each.study, each.series.series) for each in items} == {("1.1", "1.2")}


def test_all_slices_of_a_volume_show_the_same_region(series):
    items, _ = read(*series)
    alone = [read(file)[0][0].region for file in series]
    assert len({each.region for each in items}) == 1
    assert len(set(alone)) > 1


def test_a_single_slice_has_no_level_no_region_and_no_series(phantoms):
    file = phantoms / "yes" / "00001.png"
    ((one,), _) = read(file)
    assert math.isnan(one.level)
    assert (one.study, one.series, one.plane, one.head_region) == ("", None, "", "")
    (slice_,) = read_slices(file)
    np.testing.assert_array_equal(one.view, render(slice_.pixels, RENDERING))


def test_slices_of_unknown_position_have_no_level_and_keep_the_order_of_their_files(head, tmp_path):
    for file in write_series(tmp_path, head[4:8]):
        dataset = pydicom.dcmread(file)
        del dataset.ImagePositionPatient
        dataset.save_as(file)
    items, left_out = read(*inside(tmp_path))
    assert left_out == []
    assert [each.path for each in items] == inside(tmp_path)
    assert all(math.isnan(each.level) for each in items)
    assert {each.series.series for each in items} == {"1.2"}


def test_planes_of_one_series_are_series_of_their_own(head, tmp_path):
    for first, plane in ((1, "axial"), (101, "coronal")):
        write_series(tmp_path, head[4:7], plane=plane, first=first, SeriesDescription="MPR")
    items, _ = read(*inside(tmp_path))
    names = {(each.series.series, each.series.name, each.series.plane) for each in items}
    assert names == {
        ("1.2, axial", "MPR, axial", "axial"),
        ("1.2, coronal", "MPR, coronal", "coronal"),
    }
    assert [each.level for each in items] == [0, 0.5, 1, 0, 0.5, 1]


def test_the_header_of_a_series_says_what_a_study_is_chosen_by(head, tmp_path):
    write_series(
        tmp_path, head[4:6], SeriesDescription="T1 + C", ContrastBolusAgent="Gd",
        ImageType=["DERIVED", "SECONDARY"],
    )  # fmt: skip
    (one, _), _ = read(*inside(tmp_path))
    assert (one.series.name, one.series.plane) == ("T1 + C", "axial")
    assert (one.series.contrast, one.series.original) == (True, False)


def test_a_volume_without_a_description_is_called_by_its_file(head, tmp_path):
    file = write_nifti(tmp_path / "t1.nii.gz", head)
    items, _ = read(file)
    assert {(each.study, each.series.series, each.series.name) for each in items} == {
        (str(file), str(file), "t1.nii.gz")
    }


# The same slices, however they are named


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_names_of_files_do_not_matter(series, seed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shuffled")
    numbers = random.Random(seed).sample(range(len(series)), len(series))
    for number, file in zip(numbers, series, strict=True):
        shutil.copy(file, folder / f"{number:03d}")
    expected, _ = read(*series)
    found, left_out = read(*inside(folder))
    assert left_out == []
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.view, other.view)
        assert (one.level, one.head_region, one.region) == (
            other.level, other.head_region, other.region,
        )  # fmt: skip


def test_other_files_between_those_of_a_series_do_not_matter(series, phantoms):
    others = sorted((phantoms / "yes").iterdir())[: len(series)]
    mixed = [file for pair in zip(series, others, strict=True) for file in pair]
    expected, _ = read(*series)
    found = [each for each in read(*mixed)[0] if each.series]
    assert [(each.path, each.level) for each in found] == [
        (each.path, each.level) for each in expected
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.view, other.view)


def test_every_file_is_read_in_order_and_told_to_the_listener(series, phantoms):
    """More of them than are decoded at once."""
    heard, left_out = [], []
    files = [*series, *sorted(phantoms.glob("*/*.png"))]
    items = list(rendered(files, RENDERING, left_out, heard.append))
    assert [each.path for each in items] == files
    assert [step.done for step in heard] == list(range(1, len(files) + 1))


# Predicted as trained


@pytest.fixture(scope="module")
def dataset(head, tmp_path_factory):
    """A dataset of NIfTI, DICOM of several time points and kinds, and single slices."""
    folder = tmp_path_factory.mktemp("dataset")
    for name in ("no", "yes"):
        (folder / name).mkdir()
    write_nifti(folder / "yes" / "t1.nii.gz", head)
    write_series(folder / "no" / "epi", head)
    write_series(folder / "no" / "epi", head + 1, first=101)
    write_series(folder / "no" / "epi", head[:6], first=201, ImageType=["ORIGINAL", "PRIMARY", "P"])
    write_series(folder / "yes" / "sag", head[3:9], plane="sagittal", SeriesInstanceUID="1.3")
    write_enhanced(
        folder / "no" / "enhanced.dcm", np.concatenate([head, head]),
        ["FIELD_MAP"] * 16 + ["M"] * 16, [8.0 * n for n in (*range(16), *range(16))],
    )  # fmt: skip
    for number in range(2):
        pixels = make_phantom(50 + number, tumor=True, size=96).pixels
        cv2.imwrite(str(folder / "yes" / f"{number}.png"), pixels)
    cv2.imwrite(str(folder / "no" / "blank.png"), np.zeros((64, 64), np.uint8))
    cv2.imwrite(str(folder / "no" / "tiny.png"), make_phantom(1, tumor=True).pixels[:20, :20])
    return folder


@pytest.fixture(scope="module")
def catalog(dataset):
    return build_catalog(dataset)


@pytest.mark.parametrize("crop", ["head", "none"])
def test_a_view_is_the_same_in_prediction_and_in_training(dataset, catalog, crop, tmp_path):
    usable, rendering = catalog.usable(), Rendering(size=64, crop=crop)
    views = render_views(usable, rendering, DiskCache(tmp_path, 1)).plain
    items, _ = read(*inside(dataset), rendering=rendering)
    by_slice = {(each.path, each.index): each for each in items}
    assert len(by_slice) == len(items) == len(usable)
    for row, view in enumerate(views):
        table = usable.table.iloc[row]
        found = by_slice[usable.file(row), table["index"]]
        np.testing.assert_array_equal(found.view, view)
        np.testing.assert_equal(found.level, table["level"])
        assert (found.head_region, found.plane) == (table["region"], table["plane"])


def test_what_is_left_out_is_what_the_audit_leaves_out_in_the_same_words(dataset, catalog):
    _, left_out = read(*inside(dataset))
    table = catalog.table
    unusable = table[table["problem"] != ""]
    assert sum(each.n or 1 for each in left_out) == len(unusable)
    for path, rows in unusable.groupby("path"):
        said = " ".join(each.problem for each in left_out if each.path == dataset / path)
        assert all(problem in said for problem in rows["problem"]), said


# Left out


def test_time_points_at_one_position_are_named_and_not_read_as_slices(head, tmp_path):
    for number in range(3):
        write_series(tmp_path, head, first=1 + 100 * number)
    items, left_out = read(*inside(tmp_path))
    assert [each.path.name for each in items] == [f"1.2-{n:03d}.dcm" for n in range(1, 17)]
    assert [each.path for each in left_out] == inside(tmp_path)[16:]
    assert left_out[0].problem == f"'{left_out[0].path}' is left out: {REPEATED}."
    assert {each.n for each in left_out} == {None}


def test_frames_are_left_out_once_for_each_reason_and_counted(head, tmp_path):
    """Two field maps, and four magnitude frames at three positions."""
    file = write_enhanced(
        tmp_path / "b0.dcm", head[4:10],
        ["FIELD_MAP", "M", "M", "FIELD_MAP", "M", "M"], [0, 0, 8, 8, 8, 16],
    )  # fmt: skip
    items, left_out = read(file)
    assert [each.index for each in items] == [1, 2, 5]
    assert [(each.n, each.problem) for each in left_out] == [
        (2, f"2 of 6 slices of '{file}' are left out: a field map."),
        (1, f"1 of 6 slices of '{file}' are left out: {REPEATED}."),
    ]


def test_phase_images_of_a_series_are_not_read_as_its_slices(head, tmp_path):
    magnitude = write_series(tmp_path, head)
    phase = write_series(tmp_path, head, first=101, ImageType=["ORIGINAL", "PRIMARY", "P"])
    items, left_out = read(*inside(tmp_path))
    assert [each.path for each in items] == magnitude
    assert [each.path for each in left_out] == phase
    assert left_out[0].problem == f"'{phase[0]}' is left out: a phase image."


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Modality": "CT"}, "a CT image, not MR"),
        ({"BodyPartExamined": "ABDOMEN"}, "of another body part (ABDOMEN)"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer"),
    ],
)
def test_what_the_header_settles_is_left_out_with_that_reason(head, elements, reason, tmp_path):
    files = write_series(tmp_path, head[4:6], **elements)
    items, left_out = read(*files)
    assert items == []
    assert [each.problem for each in left_out] == [
        f"'{file}' is left out: {reason}." for file in files
    ]


def test_a_file_that_can_not_be_read_is_left_out_with_its_error(tmp_path):
    (tmp_path / "empty.dcm").touch()
    items, (one,) = read(tmp_path / "empty.dcm")
    assert items == []
    assert one.path == tmp_path / "empty.dcm"
    assert one.problem == f"'{one.path}' is empty (0 bytes); copy it anew."


@pytest.mark.parametrize(("n", "words"), [(2, "1 further volume of"), (4, "3 further volumes of")])
def test_further_volumes_of_a_file_are_named_and_counted(head, n, words, tmp_path):
    file = write_nifti(tmp_path / "bold.nii", head)
    image = nibabel.load(file)
    voxels = np.stack([np.asarray(image.dataobj)] * n, axis=-1)
    nibabel.Nifti1Image(voxels, image.affine).to_filename(file)
    items, (one,) = read(file)
    assert len(items) == 16
    verb = "is" if n == 2 else "are"
    assert one.problem == f"{words} '{file}' {verb} left out: {FURTHER}."
    assert one.n == 16 * (n - 1)


def test_the_audit_warns_of_further_volumes_also_when_it_knows_the_file(head, tmp_path, caplog):
    for name in ("no", "yes"):
        file = write_nifti(tmp_path / name / "bold.nii", head + (name == "yes"))
    image = nibabel.load(file)
    voxels = np.stack([np.asarray(image.dataobj)] * 3, axis=-1)
    nibabel.Nifti1Image(voxels, image.affine).to_filename(file)
    for _ in range(2):
        caplog.clear()
        build_catalog(tmp_path)
        assert f"2 further volumes of {file} are left out" in caplog.text
        assert str(tmp_path / "no") not in caplog.text


# One series at a time


def test_a_series_without_ids_of_study_and_patient_is_a_study(head, tmp_path):
    write_series(tmp_path, head[4:8], StudyInstanceUID="", PatientID="")
    items, _ = read(*inside(tmp_path))
    assert {(each.study, each.series.series) for each in items} == {("1.2", "1.2")}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_bytes=st.integers(0, 30_000), n_files=st.integers(1, 6))
def test_the_limits_of_what_is_decoded_ahead_change_nothing(series, n_bytes, n_files):
    expected, _ = read(*series)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scans, "_BYTES_AHEAD", n_bytes)
        patch.setattr(scans, "_FILES_AHEAD", n_files)
        found, _ = read(*series)
    assert [each.path for each in found] == [each.path for each in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.view, other.view)


class Counting(ThreadPoolExecutor):
    """Threads that count what they were asked to do."""

    submitted = 0

    def submit(self, *arguments):
        self.submitted += 1
        return super().submit(*arguments)


@pytest.mark.parametrize(
    ("n_bytes", "n_files", "ahead"), [(3.5, 64, 2), (99, 5, 4), (0, 64, 0), (99, 64, 15)]
)
def test_no_more_is_decoded_ahead_than_the_limits_allow(
    series, n_bytes, n_files, ahead, monkeypatch
):
    """Bytes are given in sizes of a file; one file is always read, however large."""
    monkeypatch.setattr(scans, "_BYTES_AHEAD", n_bytes * series[0].stat().st_size)
    monkeypatch.setattr(scans, "_FILES_AHEAD", n_files)
    with Counting(2) as executor:
        found = scans._decoded_ahead(series, executor, silent)
        for n_read, contents in enumerate(found, start=1):
            assert contents.path == series[n_read - 1]
            assert executor.submitted == min(n_read + ahead, len(series))


def test_of_a_series_that_was_read_nothing_is_kept(head, tmp_path, monkeypatch):
    """While the second and the third file are decoded, the slices of the one before are gone."""
    files = [write_nifti(tmp_path / f"{n}.nii", head) for n in range(3)]
    monkeypatch.setattr(scans, "_BYTES_AHEAD", 0)
    alive, decode = [], scans._decode

    def counting(file):
        gc.collect()
        alive.append(sum(isinstance(each, scans._Decoded) for each in gc.get_objects()))
        return decode(file)

    monkeypatch.setattr(scans, "_decode", counting)
    assert len(read(*files)[0]) == 48
    assert alive == [0, 0, 0]


def test_slices_that_can_not_be_used_keep_no_pixels(head, tmp_path):
    write_series(tmp_path, head, ImageType=["ORIGINAL", "PRIMARY", "P"])
    for file in inside(tmp_path):
        contents = scans._decode(file)
        assert contents.problems == ("a phase image",)
        assert contents.usable == ()


# Slices that are decoded already


def test_decoded_slices_are_each_rendered_by_themselves(series):
    slices = [slice_ for file in series[:3] for slice_ in read_slices(file)]
    for slice_, found in zip(slices, rendered_slices(slices, RENDERING), strict=True):
        np.testing.assert_array_equal(found.view, render(slice_.pixels, RENDERING))
        assert math.isnan(found.level)
        assert (found.path, found.study, found.series.series) == (slice_.path, "1.1", "1.2")


def test_decoded_slices_are_cropped_to_the_box_that_is_given(series):
    slices = read_slices(series[12])
    box = Box(10, 20, 90, 80)
    (found,) = rendered_slices(slices, RENDERING, [box])
    np.testing.assert_array_equal(found.view, render(slices[0].pixels, RENDERING, box))
    assert found.region.height == found.region.width == 80


def test_frames_of_one_file_are_a_study(head, tmp_path):
    path = write_nifti(Path(tmp_path) / "t1.nii", head)
    found = rendered_slices(read_slices(path), RENDERING)
    assert {each.study for each in found} == {str(path)}
