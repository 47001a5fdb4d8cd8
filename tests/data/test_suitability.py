"""What a header settles is named in the same words everywhere; what it leaves open is accepted."""

from pathlib import Path

import numpy as np
import pytest

from falx.data.slices import Acquisition, Slice
from falx.data.suitability import why_unsuitable, why_unusable

NOISE = np.random.default_rng(0).random((40, 50), np.float32)


def slice_of(pixels=NOISE, **headers):
    return Slice(pixels, Path("a.dcm"), acquisition=Acquisition(**headers))


@pytest.mark.parametrize(
    ("modality", "words"),
    [
        ("CT", "a CT image, not MR"),
        ("US", "an ultrasound image, not MR"),
        ("NM", "a nuclear medicine image, not MR"),
        ("PT", "a PET image, not MR"),
        ("CR", "a radiograph, not MR"),
        ("XC", "an image of modality XC, not MR"),
    ],
)
def test_other_modalities_are_named(modality, words):
    assert why_unusable(slice_of(modality=modality)) == words


@pytest.mark.parametrize("modality", ["", "MR", "OT"])
def test_mr_and_an_unknown_modality_are_accepted(modality):
    assert why_unusable(slice_of(modality=modality)) == ""


@pytest.mark.parametrize(
    ("sop_class", "words"),
    [
        ("CT Image Storage", "a CT image, not MR"),
        ("Legacy Converted Enhanced CT Image Storage", "a CT image, not MR"),
        ("Positron Emission Tomography Image Storage", "a PET image, not MR"),
        ("Enhanced PET Image Storage", "a PET image, not MR"),
        ("Ultrasound Multi-frame Image Storage", "an ultrasound image, not MR"),
        ("Nuclear Medicine Image Storage", "a nuclear medicine image, not MR"),
        ("Digital X-Ray Image Storage - For Presentation", "a radiograph, not MR"),
        ("Digital Mammography X-Ray Image Storage - For Processing", "a mammogram, not MR"),
        ("X-Ray Angiographic Image Storage", "an angiogram, not MR"),
        ("Segmentation Storage", "a segmentation, not MR"),
        ("RT Dose Storage", "a radiotherapy dose, not MR"),
        ("VL Photographic Image Storage",
         "an image of the class 'VL Photographic Image Storage', not MR"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("modality", ["", "MR"])
def test_other_sop_classes_are_named_whatever_the_modality_says(modality, sop_class, words):
    assert why_unsuitable(Acquisition(modality, sop_class=sop_class)) == words


@pytest.mark.parametrize(
    "sop_class",
    ["", "MR Image Storage", "Enhanced MR Image Storage",
     "Legacy Converted Enhanced MR Image Storage"],
)  # fmt: skip
def test_sop_classes_of_mr_and_an_unknown_one_are_accepted(sop_class):
    assert why_unsuitable(Acquisition("MR", sop_class=sop_class)) == ""


@pytest.mark.parametrize(
    ("image_type", "words"),
    [
        (("DERIVED", "SECONDARY"), "a secondary capture"),
        (("DERIVED", "SECONDARY", "SCREEN SAVE"), "a screenshot"),
        (("DERIVED", "PRIMARY", "SCREENSAVE"), "a screenshot"),
        # Converters write that class for every image.
        (("ORIGINAL", "PRIMARY"), ""),
        ((), ""),
    ],
)
def test_secondary_captures_are_named_by_their_image_type(image_type, words):
    capture = Acquisition("MR", image_type=image_type, sop_class="Secondary Capture Image Storage")
    assert why_unsuitable(capture) == words


@pytest.mark.parametrize(
    "part", ["", "BRAIN", "HEAD", "HEADNECK", "SKULL", "INTRACRANIAL", "CEREBELLUM", "PITUITARY",
             "SELLA", "ORBIT", "IAC", "IACS", "NEURO", "HEAD_NECK", "MR-HEAD", "HEAD AND NECK",
             "INTERNAL AUDITORY CANAL", "KOPF", "SCHAEDEL", "SCHÄDEL", "TETE", "TÊTE", "CABEZA",
             "CRANEO", "CRÁNEO", "CRÂNE"],
)  # fmt: skip
def test_parts_of_the_head_and_an_unknown_part_are_accepted(part):
    assert why_unsuitable(Acquisition("MR", part)) == ""


@pytest.mark.parametrize(
    "part", ["ABDOMEN", "CARDIAC", "SACROILIAC", "CSPINE", "KNEE", "NECK", "CHEST", "PATELLA",
             "FEMORAL HEAD", "HUMERAL HEAD", "RADIAL HEAD", "HEAD OF FEMUR", "FEMURKOPF", "FOREARM",
             "TETE FEMORALE", "TÊTE FÉMORALE", "OVERHEAD"],
)  # fmt: skip
def test_other_body_parts_are_named(part):
    assert why_unsuitable(Acquisition("MR", part)) == f"of another body part ({part})"


@pytest.mark.parametrize(
    ("image_type", "words"),
    [
        (("ORIGINAL", "PRIMARY", "LOCALIZER"), "a localizer"),
        (("DERIVED", "SECONDARY", "SCOUT"), "a localizer"),
        (
            ("ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"),
            "a mosaic of slices tiled into one image",
        ),
        (("ORIGINAL", "PRIMARY", "P", "ND"), "a phase image"),
        (("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"), "a phase image"),
        (("DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"), "a diffusion map (ADC)"),
        (("DERIVED", "PRIMARY", "DIFFUSION", "FA"), "a diffusion map (FA)"),
        (("DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP"), "a projection of a volume"),
        (("ORIGINAL", "PRIMARY", "R"), "the real part of a complex image"),
        (("ORIGINAL", "PRIMARY", "I"), "the imaginary part of a complex image"),
        (("DERIVED", "PRIMARY", "T2 MAP"), "a T2 map"),
        (("DERIVED", "PRIMARY", "PERFUSION", "RCBV"), "a perfusion map"),
        (("DERIVED", "PRIMARY", "VELOCITY"), "a velocity map"),
        (("DERIVED", "PRIMARY", "B0 MAP"), "a field map"),
        (("DERIVED", "PRIMARY", "MNIP", "NORM"), "a projection of a volume"),
        (("DERIVED", "PRIMARY", "MIN_IP", "NONE"), "a projection of a volume"),
        (("DERIVED", "PRIMARY", "PERFUSION", "RELCBF"), "a perfusion map"),
        (("DERIVED", "PRIMARY", "PERFUSION", "RELCBV"), "a perfusion map"),
        (("DERIVED", "PRIMARY", "PERFUSION", "RELMTT"), "a perfusion map"),
        (("DERIVED", "PRIMARY", "SWI PHASE"), "a phase image"),
        (("DERIVED", "PRIMARY", "M", "SUBTRACTION"), "a difference of two images"),
        (("DERIVED", "PRIMARY", "DIFFUSION", "COLFA"), "a diffusion map (FA)"),
        (("DERIVED", "PRIMARY", "VOLUME", "DIFFUSION_ANISO"), "a diffusion map (anisotropy)"),
        (("DERIVED", "PRIMARY", "VOLUME", "METABOLITE_MAP"), "a metabolite map"),
    ],
)
def test_localizers_mosaics_and_maps_are_named(image_type, words):
    assert why_unsuitable(Acquisition("MR", "BRAIN", image_type)) == words


@pytest.mark.parametrize(
    "image_type",
    [
        (),
        ("ORIGINAL", "PRIMARY"),
        ("ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"),
        ("ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"),
        ("DERIVED", "SECONDARY", "MPR"),
        ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "ND"),
        ("ORIGINAL", "PRIMARY", "M", "SWI"),
        ("ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND"),
    ],
)
def test_magnitude_images_are_accepted(image_type):
    assert why_unsuitable(Acquisition("MR", "HEAD", image_type)) == ""


def test_the_modality_goes_before_the_body_part_and_that_before_the_image_type():
    everything = Acquisition("CT", "ABDOMEN", ("ORIGINAL", "PRIMARY", "LOCALIZER"))
    assert why_unsuitable(everything) == "a CT image, not MR"
    assert "ABDOMEN" in why_unsuitable(Acquisition("MR", "ABDOMEN", ("LOCALIZER",)))


def test_tiny_and_blank_slices_are_named_after_what_the_header_says():
    tiny, blank = NOISE[:31], np.full((40, 50), 0.4, np.float32)
    assert why_unusable(slice_of(tiny)).startswith("tiny: 50 x 31 pixels")
    assert why_unusable(slice_of(blank)).startswith("blank")
    assert why_unusable(slice_of(tiny, modality="CT")) == "a CT image, not MR"
    assert why_unusable(slice_of(NOISE[:32])) == ""
