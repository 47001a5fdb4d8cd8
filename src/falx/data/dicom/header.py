"""What the header of a DICOM file says, as plain values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from falx.data.geometry import Orientation, orientation_of
from falx.data.slices import Acquisition

_NO_AGENT = re.compile(
    r"\W*|(no|without|not)\b.*|none\b.*|n\W?a?\W*|un(known|specified)\W*|false|0", re.IGNORECASE
)
"""What is written in place of a contrast agent where none was given."""


@dataclass(frozen=True)
class Header:
    """The elements of a file that hold for all its frames."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    patient: str
    study: str
    series: str
    uid: str
    instance: int | None


@dataclass(frozen=True)
class Frame:
    """How one frame was acquired and lies in the patient.

    Attributes:
        position: along the normal, in mm; NaN where unknown.
        spacing: between rows and between columns as stored; equal where the file does not say.
        millimeters: whether `spacing` is in mm.
    """

    acquisition: Acquisition
    orientation: Orientation
    position: float
    spacing: tuple[float, float]
    millimeters: bool


def header_of(dataset: Dataset) -> Header:
    """The header of an image.

    Raises:
        AttributeError, ValueError, TypeError: an element is missing or no number.
    """
    instance = dataset.get("InstanceNumber")
    return Header(
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=int(dataset.get("NumberOfFrames") or 1),
        samples=int(dataset.SamplesPerPixel),
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.BitsStored),
        photometric=str(dataset.PhotometricInterpretation),
        patient=str(dataset.get("PatientID") or ""),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        uid=str(dataset.get("SOPInstanceUID") or ""),
        instance=None if instance in (None, "") else int(instance),
    )


def frame_of(dataset: Dataset, number: int) -> Frame:
    """The acquisition and geometry of a frame, its own or the shared one.

    Raises:
        ValueError, TypeError: an element is no number.
    """
    spacing, millimeters = _spacing(dataset, number)
    cosines = _numbers(dataset, number, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    corner = _numbers(dataset, number, "PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = orientation_of(cosines[:3], cosines[3:]) if cosines else Orientation()
    position = orientation.position_of(corner) if corner and orientation.plane else math.nan
    return Frame(
        acquisition=_acquisition(dataset, number),
        orientation=orientation,
        position=position,
        spacing=spacing,
        millimeters=millimeters,
    )


def functional_group(dataset: Dataset, number: int, name: str) -> Dataset | None:
    """A functional group of a frame of an enhanced image, its own or the shared one, or None."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for groups in (*frames[number : number + 1], *shared[:1]):
        sequence = groups.get(name)
        if sequence:
            return sequence[0]
    return None


def text(dataset: Dataset, name: str) -> str:
    """An element as text without spaces around it, or an empty string."""
    value = dataset.get(name)
    return "" if value is None else str(value).strip()


def _acquisition(dataset: Dataset, number: int) -> Acquisition:
    frame_type = functional_group(dataset, number, "MRImageFrameTypeSequence")
    types = (frame_type.get("FrameType") if frame_type else None) or dataset.get("ImageType") or ()
    values = list(types) if isinstance(types, MultiValue | list | tuple) else [types]
    component = (frame_type or dataset).get("ComplexImageComponent")
    if component in ("PHASE", "REAL", "IMAGINARY"):
        values.append(component)
    anatomy = functional_group(dataset, number, "FrameAnatomySequence")
    region = (anatomy.get("AnatomicRegionSequence") if anatomy else None) or ()
    part = text(dataset, "BodyPartExamined") or (text(region[0], "CodeMeaning") if region else "")
    sop_class = UID(text(dataset, "SOPClassUID"))
    return Acquisition(
        modality=text(dataset, "Modality").upper(),
        body_part=part.upper(),
        image_type=tuple(str(value).strip().upper() for value in values),
        description=text(dataset, "SeriesDescription"),
        contrast=_shows_contrast(dataset, number),
        sop_class=sop_class.name if sop_class.keyword else "",
    )


def _shows_contrast(dataset: Dataset, number: int) -> bool:
    """Whether a contrast agent is named, and not said to be absent from a frame."""
    usage = functional_group(dataset, number, "ContrastBolusUsageSequence")
    if usage and text(usage, "ContrastBolusAgentAdministered").upper() == "NO":
        return False
    agents = [text(dataset, "ContrastBolusAgent")]
    for agent in dataset.get("ContrastBolusAgentSequence") or ():
        agents.append(text(agent, "CodeMeaning") or text(agent, "CodeValue"))
    return any(agent and not _NO_AGENT.fullmatch(agent) for agent in agents)


def _numbers(
    dataset: Dataset, number: int, group: str, name: str, count: int
) -> tuple[float, ...] | None:
    """An element of so many numbers, of the frame or of the file; None without it."""
    own = functional_group(dataset, number, group)
    values = (own.get(name) if own else None) or dataset.get(name)
    if values is None or not isinstance(values, MultiValue | list) or len(values) != count:
        return None
    numbers = tuple(float(value) for value in values)
    return numbers if all(map(math.isfinite, numbers)) else None


def _spacing(dataset: Dataset, number: int) -> tuple[tuple[float, float], bool]:
    """Distance between rows and between columns, and whether it is in mm."""
    measures = functional_group(dataset, number, "PixelMeasuresSequence") or dataset
    for name in ("PixelSpacing", "PixelAspectRatio"):
        pair = measures.get(name) or dataset.get(name)
        if pair is not None and len(pair) == 2:
            return (float(pair[0]), float(pair[1])), name == "PixelSpacing"
    return (1.0, 1.0), False
