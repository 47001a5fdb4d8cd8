"""DICOM: stored values become gray levels as PS3.3 says, checked by numbers worked out by hand."""

import contextlib
import io
import itertools
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from falx.data.dicom import is_segmentation, segmented_series, series_uid
from falx.data.read import Limits, read_slices
from falx.data.slices import Acquisition
from falx.errors import UnreadableImage
from small_scans import content, dicom, head, segmentation, series

NAME = Path("IM0001")
SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
REFUSAL = r"^'IM0001' (is|has) .*; .*\.$"
"""One sentence that names the file and says what to do."""


def shipped(name):
    """A test file that comes inside the pydicom package."""
    return (SHIPPED / f"{name}.dcm").read_bytes()


def read(content, **options):
    return read_slices(NAME, content=content, **options)


def made(stored, **elements):
    """A DICOM file of stored values, uint16 or int16 (rows, columns) or (frames, rows, columns)."""
    stored = np.asarray(stored)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(stored.dtype == np.int16)
    dataset.PixelData = stored.tobytes()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def item(**elements):
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


RAMP = np.array([[0, 100, 200, 300, 400]], np.uint16)


def test_a_window_maps_by_the_linear_function():
    # PS3.3 C.11.2.1.2: ((x - (c - 0.5)) / (w - 1) + 0.5), with c = 200.5 and w = 201.
    (slice_,) = read(made(RAMP, WindowCenter="200.5", WindowWidth="201"))
    np.testing.assert_allclose(slice_.pixels, [[0, 0, 0.5, 1, 1]], atol=1e-6)


def test_linear_exact_and_sigmoid_windows_have_their_own_functions():
    exact = made(RAMP, WindowCenter="200", WindowWidth="400", VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_allclose(read(exact)[0].pixels, RAMP / 400, atol=1e-6)
    sigmoid = made(RAMP, WindowCenter="200", WindowWidth="400", VOILUTFunction="SIGMOID")
    expected = 1 / (1 + np.exp(-4 * (RAMP.astype(float) - 200) / 400))
    np.testing.assert_allclose(read(sigmoid)[0].pixels, expected, atol=1e-6)


def test_the_first_of_several_windows_is_used():
    both = made(RAMP, WindowCenter=["200.5", "50"], WindowWidth=["201", "10"])
    assert read(both)[0].pixels[0, 2] == pytest.approx(0.5)


def test_rescaling_comes_before_the_window():
    content = made(
        RAMP, RescaleSlope="2", RescaleIntercept="-400", WindowCenter="0.5", WindowWidth="801"
    )
    np.testing.assert_allclose(read(content)[0].pixels, [[0, 0.25, 0.5, 0.75, 1]], atol=1e-6)


def test_signed_values_below_zero_are_kept_apart():
    stored = np.array([[-200, -100, 0, 100, 200]], np.int16)
    content = made(stored, WindowCenter="0.5", WindowWidth="401")
    np.testing.assert_allclose(read(content)[0].pixels, [[0, 0.25, 0.5, 0.75, 1]], atol=1e-6)


def test_a_voi_lut_goes_before_a_window():
    lut = item(LUTDescriptor=[4, 0, 8], LUTData=struct.pack("<4H", 255, 170, 85, 0))
    content = made(
        np.array([[0, 1, 2, 3]], np.uint16),
        VOILUTSequence=[lut],
        WindowCenter="1",
        WindowWidth="2",
    )
    np.testing.assert_allclose(read(content)[0].pixels, [[1, 2 / 3, 1 / 3, 0]], atol=1e-6)


def test_an_empty_voi_lut_leaves_the_window():
    content = made(RAMP, VOILUTSequence=[], WindowCenter="200.5", WindowWidth="201")
    assert read(content)[0].pixels[0, 2] == pytest.approx(0.5)


def test_without_a_window_the_percentiles_are_black_and_white():
    stored = np.random.default_rng(0).integers(0, 1000, (50, 60)).astype(np.uint16)
    low, high = np.percentile(stored, [0.5, 99.5])
    expected = np.clip((stored - low) / (high - low), 0, 1)
    np.testing.assert_allclose(read(made(stored))[0].pixels, expected, atol=1e-5)


def test_monochrome1_is_inverted():
    content = made(
        RAMP, PhotometricInterpretation="MONOCHROME1", WindowCenter="200.5", WindowWidth="401"
    )
    np.testing.assert_allclose(read(content)[0].pixels, [[1, 0.75, 0.5, 0.25, 0]], atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_counts_in_no_percentile(photometric):
    stored = np.full((20, 20), -2000, np.int16)
    stored[5:15, 5:15] = np.arange(100).reshape(10, 10)
    content = made(stored, PixelPaddingValue=-2000, PhotometricInterpretation=photometric)
    (slice_,) = read(content)
    assert not slice_.pixels[stored == -2000].any()
    inside = slice_.pixels[5:15, 5:15]
    assert inside.mean() == pytest.approx(0.5, abs=0.01)
    assert (inside[-1, -1] > inside[0, 0]) == (photometric == "MONOCHROME2")


def test_frames_are_slices_with_windows_and_rescaling_of_their_own():
    groups = [
        item(
            FrameVOILUTSequence=[item(WindowCenter=center, WindowWidth="401")],
            PixelValueTransformationSequence=[item(RescaleSlope="1", RescaleIntercept=shift)],
        )
        for center, shift in [("200.5", "0"), ("300.5", "200")]
    ]
    slices = read(made(np.stack([RAMP, RAMP]), PerFrameFunctionalGroupsSequence=groups))
    assert [slice_.index for slice_ in slices] == [0, 1]
    np.testing.assert_allclose(slices[0].pixels, [[0, 0.25, 0.5, 0.75, 1]], atol=1e-6)
    np.testing.assert_allclose(slices[1].pixels, [[0.25, 0.5, 0.75, 1, 1]], atol=1e-6)


def test_who_and_which_are_kept():
    content = made(
        RAMP, PatientID="P7", StudyInstanceUID="1.2", SeriesInstanceUID="1.2.4", InstanceNumber=12
    )
    (slice_,) = read(content)
    found = slice_.format, slice_.patient, slice_.study, slice_.series, slice_.instance
    assert found == ("dicom", "P7", "1.2", "1.2.4", 12)


def test_who_and_which_may_be_missing():
    (slice_,) = read(made(RAMP))
    assert (slice_.patient, slice_.study, slice_.series, slice_.instance) == ("", "", "", None)


def test_pixels_are_made_square():
    stored = np.zeros((10, 10), np.uint16)
    # PixelSpacing is the distance between rows, then between columns.
    assert read(made(stored, PixelSpacing=["2", "1"]))[0].pixels.shape == (20, 10)
    assert read(made(stored, PixelSpacing=["1", "1.005"]))[0].pixels.shape == (10, 10)


def test_absurd_spacing_can_not_fill_the_memory():
    with pytest.raises(UnreadableImage, match="make it smaller"):
        read(made(RAMP, PixelSpacing=["1", "1e-9"]))


@pytest.mark.parametrize(("equal", "color"), [(True, False), (False, True)])
def test_color_means_that_channels_differ(equal, color):
    rgb = np.full((4, 4, 3), 90, np.uint8)
    rgb[0, 0] = 90 if equal else (200, 100, 50)
    content = made(
        np.zeros((4, 4), np.uint16), SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=rgb.tobytes(),
    )  # fmt: skip
    (slice_,) = read(content)
    assert slice_.color == color
    expected = rgb @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(slice_.pixels, expected, atol=1e-5)


MR_SMALL = "MR_small"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE", "MR_small_bigendian", "MR_small_expb", "MR_small_implicit",
        "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_padded",
    ],
)  # fmt: skip
def test_lossless_encodings_of_one_image_read_alike(name):
    expected = read(shipped(MR_SMALL))[0].pixels
    assert np.array_equal(read(shipped(name))[0].pixels, expected)


@pytest.mark.parametrize(
    ("name", "frames", "shape", "color"),
    [
        ("693_J2KI", 1, (512, 512), False),
        ("J2K_pixelrep_mismatch", 1, (512, 512), False),
        ("GDCMJ2K_TextGBR", 1, (400, 400), True),
        ("examples_palette", 1, (350, 800), True),
        ("image_dfl", 1, (512, 512), False),
        ("SC_rgb_jpeg_dcmtk", 1, (100, 100), True),
        ("SC_ybr_full_422_uncompressed", 1, (100, 100), True),
        ("SC_rgb_rle_2frame", 2, (100, 100), True),
        ("SC_rgb_rle_16bit", 1, (100, 100), True),
    ],
)
def test_transfer_syntaxes_and_color_models(name, frames, shape, color):
    slices = read(shipped(name))
    assert len(slices) == frames
    assert slices[0].pixels.shape == shape
    assert slices[0].color == color


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        ("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Multi-component Image Compression"),
    ],
)
def test_a_transfer_syntax_that_is_not_read_is_named(syntax, name):
    dataset = pydicom.dcmread(SHIPPED / "MR_small_jp2klossless.dcm")
    dataset.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(UnreadableImage, match=f"compressed as {name}.*, which falx does not read"):
        read(content(dataset))


def test_colors_come_out_alike_however_they_were_compressed():
    expected = read(shipped("SC_rgb_rle"))[0].pixels
    for name in ("SC_rgb_jpeg_gdcm", "SC_rgb_jpeg_dcmtk", "SC_rgb_dcmtk_+eb+cy+np"):
        assert np.abs(read(shipped(name))[0].pixels - expected).mean() < 0.02


def test_a_file_without_the_preamble_is_read():
    assert np.array_equal(
        read(shipped(MR_SMALL)[132:])[0].pixels, read(shipped(MR_SMALL))[0].pixels
    )


def test_a_preamble_that_looks_like_a_tiff_is_still_dicom():
    content = b"II*\0" + shipped(MR_SMALL)[4:]
    assert read(content)[0].format == "dicom"


@pytest.mark.parametrize("name", ["rtplan", "rtstruct", "test-SR", "waveform_ecg"])
def test_dicom_without_pixels_is_refused(name):
    with pytest.raises(UnreadableImage, match="without pixels"):
        read(shipped(name))


# What follows the pixel data (padding, the delimiter of the last sequence) may be missing.
TRAILERS = {
    "MR_small": 138, "MR_small_RLE": 142, "MR_small_jp2klossless": 142,
    "MR_small_jpeg_ls_lossless": 142, "SC_rgb_small_odd_jpeg": 4, "SC_rgb_rle_2frame": 4,
}  # fmt: skip


@pytest.mark.parametrize("name", TRAILERS)
def test_a_truncation_is_refused_unless_every_pixel_is_there(name):
    content = shipped(name)
    whole = read(content)
    cuts = {*range(0, len(content), 97), *range(len(content) - 160, len(content))}
    for end in sorted(cuts):
        if end < len(content) - TRAILERS[name]:
            with pytest.raises(UnreadableImage, match=REFUSAL):
                read(content[:end])
        else:
            with contextlib.suppress(UnreadableImage):
                for found, expected in zip(read(content[:end]), whole, strict=True):
                    assert np.array_equal(found.pixels, expected.pixels)


# GDCM is left out: some damaged streams make it abort the process (see _checked_plugin).
FUZZED = ["MR_small", "MR_small_implicit", "MR_small_RLE", "image_dfl", "examples_palette",
                "MR_small_jp2klossless"]  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(FUZZED),
    st.lists(st.tuples(st.integers(132, 2500), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_gives_slices_or_unreadable_image(name, changes):
    content = bytearray(shipped(name))
    for position, value in changes:
        content[position] = value
    with contextlib.suppress(UnreadableImage):
        read(bytes(content), limits=Limits(pixels=1_000_000))


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_give_slices_or_unreadable_image(rest):
    with contextlib.suppress(UnreadableImage):
        read(bytes(128) + b"DICM" + rest)


def test_damaged_files_print_nothing(capfd):
    for name in ("badVR", "MR_truncated", "meta_missing_tsyntax"):
        with pytest.raises(UnreadableImage, match=REFUSAL):
            read(shipped(name))
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("elements", [{"RescaleSlope": "nan"}, {"WindowWidth": "nan"}])
def test_gray_levels_that_are_not_numbers_are_refused(elements):
    window = {"WindowCenter": "200.5", "WindowWidth": "201", "RescaleIntercept": "0"}
    content = made(RAMP, **{"RescaleSlope": "1", **window, **elements})
    with pytest.raises(UnreadableImage, match="gray levels are not numbers; export it anew"):
        read(content)


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, RuntimeError])
@pytest.mark.parametrize(
    ("module", "name", "elements"),
    [
        ("levels", "percentile_normalize", {}),
        ("levels", "_windowed", {"WindowCenter": "200.5", "WindowWidth": "201"}),
        ("levels", "_is_padding", {}),
        ("", "displayed", {}),
        ("", "Slice", {}),
    ],
)
def test_a_bug_of_falx_is_not_reported_as_a_damaged_file(
    monkeypatch, module, name, elements, error
):
    from falx.data import dicom

    def broken(*_, **__):
        raise error("a bug of falx")

    monkeypatch.setattr(getattr(dicom, module) if module else dicom, name, broken)
    with pytest.raises(error, match="a bug of falx"):
        read(made(RAMP, **elements))


def test_too_many_pixels_are_refused_before_decoding(monkeypatch):
    from falx.data.dicom import pixels

    monkeypatch.setattr(pixels, "pixel_array", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match="4 x 3 x 5 pixels"):
        read(made(np.zeros((5, 3, 4), np.uint16)), limits=Limits(pixels=59))


@pytest.mark.parametrize("name", ["MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_a_compressed_image_larger_than_the_header_says_is_refused(name):
    dataset = pydicom.dcmread(io.BytesIO(shipped(name)))
    dataset.Rows = 8
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(UnreadableImage, match="64 x 8 pixels that holds an image of 64 x 64"):
        read(stream.getvalue())


def test_reading_dicom_opens_no_socket_and_needs_no_pillow():
    code = (
        "import socket, sys; from pathlib import Path\n"
        "def refuse(*_, **__): raise AssertionError('socket')\n"
        "socket.socket.connect = refuse; sys.modules['PIL'] = None\n"
        "from falx.data.read import read_slices\n"
        f"assert [len(read_slices(Path({str(SHIPPED)!r}) / name)) for name in"
        " ('MR_small_jp2klossless.dcm', 'SC_rgb_jpeg_dcmtk.dcm')] == [1, 1]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# One voxel a level: x to the patient's left, y to posterior, z to superior.
VOXELS = np.random.default_rng(0).integers(0, 4096, (9, 11, 13)).astype(np.uint16)
SHOWN = {
    "axial": lambda at: VOXELS[:, :, at].T,
    "coronal": lambda at: VOXELS[:, at, ::-1].T,
    "sagittal": lambda at: VOXELS[at, :, ::-1].T,
}
POSITIONS = {"axial": 3.0, "coronal": -3.0, "sagittal": -3.0}
"""Of the slices at 3 along z, y and x, towards superior, anterior and right."""
FRAMES = [
    (*axes, *signs)
    for axes in itertools.permutations(range(3), 2)
    for signs in itertools.product((1, -1), repeat=2)
]


def sampled(row, column, row_sign, column_sign, **elements):
    """The slice at 3 along the remaining axis, stored with the indices growing as asked."""
    axis = 3 - row - column
    stored = np.take(VOXELS, 3, axis=axis)
    stored = (stored.T if row < column else stored)[::column_sign, ::row_sign]
    corner = np.zeros(3)
    corner[axis] = 3
    corner[row] = 0 if row_sign > 0 else VOXELS.shape[row] - 1
    corner[column] = 0 if column_sign > 0 else VOXELS.shape[column] - 1
    orientation = [*(row_sign * np.eye(3)[row]), *(column_sign * np.eye(3)[column])]
    return content(dicom(stored, orientation, corner, **elements))


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_any_frame_of_axes_gives_the_slice_as_shown(frame):
    (slice_,) = read(sampled(*frame))
    plane = ("sagittal", "coronal", "axial")[3 - frame[0] - frame[1]]
    assert (slice_.plane, slice_.position) == (plane, POSITIONS[plane])
    np.testing.assert_allclose(slice_.pixels, SHOWN[plane](3) / 4096, atol=1e-6)


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP", "HFDR", None])
def test_only_the_orientation_matters_and_not_how_the_patient_lay(position):
    (slice_,) = read(sampled(0, 1, -1, -1, PatientPosition=position))
    assert slice_.plane == "axial"
    np.testing.assert_allclose(slice_.pixels, SHOWN["axial"](3) / 4096, atol=1e-6)


def test_an_oblique_slice_is_shown_as_stored():
    half = np.sqrt(0.5)
    stored = VOXELS[:, :, 3]
    (slice_,) = read(content(dicom(stored, (1, 0, 0, 0, half, half), (0, 0, 10))))
    assert slice_.plane == "oblique"
    assert slice_.position == pytest.approx(10 * half)
    np.testing.assert_allclose(slice_.pixels, stored / 4096, atol=1e-6)


def test_spacing_follows_the_slice_as_shown():
    # Stored with rows along y and columns along z: a sagittal slice on its side.
    content_ = sampled(2, 1, 1, 1, PixelSpacing=[1, 2])
    (slice_,) = read(content_)
    assert slice_.plane == "sagittal"
    assert slice_.pixels.shape == (26, 11)
    assert slice_.spacing == 1


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": ["0"] * 6},
        {"ImagePositionPatient": None},
        {"ImagePositionPatient": [], "ImageOrientationPatient": []},
    ],
)
def test_without_an_orientation_or_a_position_the_position_is_unknown(elements):
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], **elements)))
    assert np.isnan(slice_.position)
    assert slice_.plane == ("axial" if "ImagePositionPatient" in elements and
                            len(elements) == 1 else "")  # fmt: skip


def test_a_spacing_that_is_only_a_ratio_is_no_length():
    elements = {"PixelSpacing": None, "PixelAspectRatio": ["2", "1"]}
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], **elements)))
    assert slice_.pixels.shape == (18, 11)
    assert np.isnan(slice_.spacing)


def test_frames_of_an_enhanced_image_have_a_position_and_orientation_of_their_own():
    def groups(orientation, corner):
        return item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(orientation))],
            PlanePositionSequence=[item(ImagePositionPatient=list(corner))],
            FrameAnatomySequence=[item(AnatomicRegionSequence=[item(CodeMeaning="Brain")])],
            MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])],
        )

    stored = np.stack([VOXELS[:9, :9, 0], VOXELS[:9, :9, 1], VOXELS[:9, :9, 2]])
    frames = [
        groups((1, 0, 0, 0, 1, 0), (0, 0, 4)),
        groups((-1, 0, 0, 0, 1, 0), (8, 0, 9)),
        groups((1, 0, 0, 0, 0, -1), (0, 2, 0)),
    ]
    window = {"WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT"}
    slices = read(made(stored, Modality="MR", PerFrameFunctionalGroupsSequence=frames, **window))
    assert [slice_.plane for slice_ in slices] == ["axial", "axial", "coronal"]
    assert [slice_.position for slice_ in slices] == [4, 9, -2]
    assert {slice_.frames for slice_ in slices} == {3}
    assert {slice_.acquisition.body_part for slice_ in slices} == {"BRAIN"}
    assert slices[0].acquisition.image_type == ("ORIGINAL", "PRIMARY", "M", "NONE")
    np.testing.assert_allclose(slices[1].pixels, stored[1][:, ::-1] / 4096, atol=1e-6)


def test_what_the_header_says_of_the_acquisition_is_kept():
    elements = {
        "Modality": "MR", "BodyPartExamined": "BRAIN ", "SeriesDescription": "T1 axial + C",
        "ContrastBolusAgent": "gadobutrol", "ImageType": ["ORIGINAL", "PRIMARY", "M"],
    }  # fmt: skip
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], SOPInstanceUID="1.9", **elements)))
    assert slice_.acquisition == Acquisition(
        "MR", "BRAIN", ("ORIGINAL", "PRIMARY", "M"), "T1 axial + C", contrast=True,
        sop_class="MR Image Storage",
    )  # fmt: skip
    assert slice_.uid == "1.9"
    assert read(made(RAMP))[0].acquisition == Acquisition(
        sop_class="Secondary Capture Image Storage"
    )


def test_a_private_sop_class_has_no_name():
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], SOPClassUID="1.2.840.113619.4.26")))
    assert slice_.acquisition.sop_class == ""


@pytest.mark.parametrize(
    "written",
    ["", "NONE", "None given", "no", "No contrast", "without", "UNKNOWN", "n/a", "N", "-", "0"],
)
def test_what_stands_for_no_contrast_agent_is_none(written):
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], ContrastBolusAgent=written)))
    assert not slice_.acquisition.contrast


@pytest.mark.parametrize("written", ["Gd", "Dotarem", "NOVA contrast", "Normagraf", "YES", "15 ml"])
def test_any_other_text_names_a_contrast_agent(written):
    (slice_,) = read(content(dicom(VOXELS[:, :, 0], ContrastBolusAgent=written)))
    assert slice_.acquisition.contrast


@pytest.mark.parametrize(
    ("agent", "administered", "contrast"),
    [
        ("Gadolinium", None, True),
        ("Gadolinium", "YES", True),
        ("Gadolinium", "NO", False),
        ("None", None, False),
    ],
)
def test_the_contrast_agent_of_an_enhanced_image_is_in_its_sequences(agent, administered, contrast):
    named = item(CodeValue="C-17800", CodingSchemeDesignator="SRT", CodeMeaning=agent)
    dataset = dicom(VOXELS[:, :, 0], ContrastBolusAgentSequence=[named])
    if administered:
        usage = item(ContrastBolusAgentAdministered=administered)
        dataset.SharedFunctionalGroupsSequence = [item(ContrastBolusUsageSequence=[usage])]
    assert read(content(dataset))[0].acquisition.contrast is contrast


@pytest.mark.parametrize(
    ("modality", "reason"),
    [("SEG", "a segmentation, not an image; name it as a mask"),
     ("RTDOSE", "a radiotherapy dose, not an image; leave it out")],
)  # fmt: skip
def test_segmentations_and_doses_are_refused_with_the_reason(modality, reason):
    with pytest.raises(UnreadableImage, match=f"^'IM0001' is {reason}"):
        read(content(dicom(VOXELS[:, :, 0], Modality=modality)))


def test_the_dose_that_comes_with_pydicom_and_a_report_are_refused():
    with pytest.raises(UnreadableImage, match="is a radiotherapy dose, not an image"):
        read(shipped("rtdose"))
    with pytest.raises(UnreadableImage, match=r"without pixels \(.*SR.*\); leave it out"):
        read(shipped("test-SR"))


def test_series_and_segmented_series_are_told_by_the_header_alone(tmp_path):
    images = series(head((20, 24, 3)))
    outlines = np.zeros((3, 24, 20), bool)
    outlines[1, 5:9, 5:9] = True
    mask = segmentation(images, outlines)
    (tmp_path / "mask.dcm").write_bytes(content(mask))
    (tmp_path / "image.dcm").write_bytes(content(images[0]))
    (tmp_path / "text.dcm").write_text("no DICOM")
    of_images = str(images[0].SeriesInstanceUID)
    assert is_segmentation(tmp_path / "mask.dcm")
    assert not is_segmentation(tmp_path / "image.dcm")
    assert not is_segmentation(tmp_path / "text.dcm")
    assert segmented_series(tmp_path / "mask.dcm") == series_uid(tmp_path / "image.dcm")
    assert series_uid(tmp_path / "image.dcm") == of_images
    assert segmented_series(tmp_path / "image.dcm") == ""
    assert (series_uid(tmp_path / "text.dcm"), segmented_series(tmp_path / "text.dcm")) == ("", "")
