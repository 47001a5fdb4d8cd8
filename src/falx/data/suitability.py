"""Whether the headers of a file say that it is no slice that falx can answer for.

falx reads MR of the head. What its header settles is named and left out, by every verb and with the
same words: other SOP classes, modalities and body parts, screenshots, localizers, mosaics, and maps
that are computed from images or show something else than magnitude (PS3.3 C.7.6.1.1.2, C.8.3.1.1.1,
C.8.13.3.1.1 and C.8.16.1).
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np

from falx.data.slices import Acquisition, Slice

MIN_SIZE = 32
MIN_STANDARD_DEVIATION = 2 / 255

_MODALITIES = {"", "MR", "OT"}
_HEAD = re.compile(
    r"BRAIN|\bHEAD|SKULL|NEURO|CRAN[EI]|CEREB|PITUIT|SELLA|ORBIT|\bIACS?\b|INTERNAL AUDITORY|"
    r"\bKOPF|SCHAE?DEL|\bTETE\b|\bCABEZA"
)
"""Body parts of the head; the internal auditory canal (IAC) must not be found in CARDIAC."""

_HEAD_OF_BONE = re.compile(r"FEM(UR|OR)|HUMER|RADIAL|RADIUS|FIBULA|METATARS|METACARP")

_CLASSES = (
    (r"MR", ""),
    (r"CT", "CT"),
    (r"PET|Positron Emission Tomography", "PT"),
    (r"Ultrasound|US", "US"),
    (r"Nuclear Medicine", "NM"),
    (r"Mammography|Breast", "MG"),
    (r"Computed Radiography", "CR"),
    (r"Angiographic|XA|XRF|Radiofluoroscopic", "XA"),
    (r"X-Ray", "DX"),
    (r"Segmentation", "SEG"),
    (r"Dose", "RTDOSE"),
)
"""Words in the names of SOP classes, and the modality that they mean; "" for MR."""

_SCREENSHOT = {"SCREEN SAVE", "SCREENSAVE", "SCREENSHOT"}

_NAMES = {
    "CR": "a radiograph",
    "CT": "a CT image",
    "DX": "a radiograph",
    "MG": "a mammogram",
    "NM": "a nuclear medicine image",
    "PT": "a PET image",
    "RTDOSE": "a radiotherapy dose",
    "SC": "a secondary capture",
    "SEG": "a segmentation",
    "US": "an ultrasound image",
    "XA": "an angiogram",
}

_IMAGE_TYPES = {
    "LOCALIZER": "a localizer",
    "SCOUT": "a localizer",
    "MOSAIC": "a mosaic of slices tiled into one image",
    "PROJECTION IMAGE": "a projection of a volume",
    "MIP": "a projection of a volume",
    "MAX_IP": "a projection of a volume",
    "MNIP": "a projection of a volume",
    "MINIP": "a projection of a volume",
    "MIN_IP": "a projection of a volume",
    "VOLUME_RENDER": "a rendering of a volume",
    "SUBTRACTION": "a difference of two images",
    "SUB": "a difference of two images",
    "P": "a phase image",
    "PHASE": "a phase image",
    "PHASE MAP": "a phase image",
    "PHASE_MAP": "a phase image",
    "SWI PHASE": "a phase image",
    "SWI_PHASE": "a phase image",
    "R": "the real part of a complex image",
    "REAL": "the real part of a complex image",
    "I": "the imaginary part of a complex image",
    "IMAGINARY": "the imaginary part of a complex image",
    "VELOCITY": "a velocity map",
    "FIELD_MAP": "a field map",
    "B0 MAP": "a field map",
    "ADC": "a diffusion map (ADC)",
    "EADC": "a diffusion map (eADC)",
    "FA": "a diffusion map (FA)",
    "COLFA": "a diffusion map (FA)",
    "DIFFUSION_ANISO": "a diffusion map (anisotropy)",
    "TENSOR": "a diffusion tensor",
    "METABOLITE_MAP": "a metabolite map",
    "T1 MAP": "a T1 map",
    "T2 MAP": "a T2 map",
    "T2_STAR MAP": "a T2* map",
    "RCBV": "a perfusion map",
    "RCBF": "a perfusion map",
    "MTT": "a perfusion map",
    "TTP": "a perfusion map",
    "CBV": "a perfusion map",
    "CBF": "a perfusion map",
    "RELCBV": "a perfusion map",
    "RELCBF": "a perfusion map",
    "RELMTT": "a perfusion map",
}


def why_unusable(slice_: Slice) -> str:
    """Why a slice can't be used, in a few words; empty if it can."""
    return why_unsuitable(slice_.acquisition) or _why_no_image(slice_.pixels)


def why_unsuitable(acquisition: Acquisition) -> str:
    """What a slice is instead of an MR slice of a head, in a few words; empty if it may be one.

    A SOP class, modality or body part that the header does not name is taken as suitable, and so is
    a secondary capture that does not say that it shows a screen, or was made from other images:
    some programs convert every image to that class.
    """
    modality, part = acquisition.modality, acquisition.body_part
    if modality not in _MODALITIES:
        return f"{_NAMES.get(modality, f'an image of modality {modality}')}, not MR"
    reason = _why_other_class(acquisition)
    if reason:
        return reason
    if part and not _is_of_head(part):
        return f"of another body part ({part})"
    for value in acquisition.image_type:
        if value in _IMAGE_TYPES:
            return _IMAGE_TYPES[value]
    return ""


def _why_other_class(acquisition: Acquisition) -> str:
    name, image_type = acquisition.sop_class, set(acquisition.image_type)
    if image_type & _SCREENSHOT:
        return "a screenshot"
    if "Secondary Capture" in name:
        return "a secondary capture" if "SECONDARY" in image_type else ""
    for words, modality in _CLASSES:
        if re.search(rf"\b({words})\b", name):
            return f"{_NAMES[modality]}, not MR" if modality else ""
    return f"an image of the class '{name}', not MR" if name else ""


def _is_of_head(part: str) -> bool:
    unaccented = unicodedata.normalize("NFKD", part).encode("ascii", "ignore").decode()
    words = re.sub(r"[\W_]+", " ", unaccented.upper())
    return bool(_HEAD.search(words)) and not _HEAD_OF_BONE.search(words)


def _why_no_image(pixels: np.ndarray) -> str:
    height, width = pixels.shape
    if min(height, width) < MIN_SIZE:
        return f"tiny: {width} x {height} pixels, and a side needs at least {MIN_SIZE}"
    if float(pixels.std()) < MIN_STANDARD_DEVIATION:
        return "blank: all pixels have nearly the same gray level"
    return ""
