"""Small volumes and DICOM series of a noisy head, made for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)
"""ImageOrientationPatient of a slice that is stored as it is shown."""


def head(shape: tuple[int, int, int] = (48, 56, 40), *, seed: int = 0) -> np.ndarray:
    """A noisy ellipsoid in axes right, anterior, superior, int16 with values of 0 to 1200.

    It is brighter to the right, to the front and above, so that no flip of it looks like another.
    """
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum((axis / 0.85) ** 2 for axis in axes) < 1
    brightness = 500 + 100 * axes[0] + 150 * axes[1] + 200 * axes[2]
    noise = np.random.default_rng(seed).normal(0, 15, shape)
    return np.clip(inside * brightness + np.abs(noise), 0, 1200).astype(np.int16)


def tumor(shape: tuple[int, int, int] = (48, 56, 40)) -> np.ndarray:
    """A mask of a ball at the left rear of that head, a little above its middle: bool."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    center = (-0.3, -0.3, 0.2)
    return sum(((axis - at) / 0.25) ** 2 for axis, at in zip(axes, center, strict=True)) < 1


def nifti(volume: np.ndarray, affine: np.ndarray | Sequence[float] = (1, 1, 1)) -> bytes:
    """A NIfTI file.

    Args:
        affine: or the sizes of a voxel, for axes to the right, anterior and superior.
    """
    affine = np.asarray(affine, float)
    if affine.ndim == 1:
        affine = np.diag([*affine, 1])
    return nibabel.Nifti1Image(volume, affine).to_bytes()


def write_nifti(
    file: Path, volume: np.ndarray, affine: np.ndarray | Sequence[float] = (1, 1, 1)
) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(nifti(volume, affine))
    return file


def dicom(
    stored: np.ndarray,
    orientation: Sequence[float] = AXIAL,
    corner: Sequence[float] = (0, 0, 0),
    **elements: Any,
) -> Dataset:
    """An MR slice.

    Args:
        stored: uint16 (rows, columns); 4096 becomes white.
        corner: ImagePositionPatient.
        elements: others, or to replace these; those that are None are left out.
    """
    dataset = Dataset()
    defaults: dict[str, Any] = {
        "SOPClassUID": MRImageStorage, "SOPInstanceUID": generate_uid(), "Modality": "MR",
        "PatientID": "P1", "PatientName": "Made^Up", "PatientBirthDate": "", "PatientSex": "",
        "StudyInstanceUID": "1.2.3", "StudyID": "", "StudyDate": "", "StudyTime": "",
        "AccessionNumber": "", "ReferringPhysicianName": "", "SeriesInstanceUID": "1.2.3.4",
        "SeriesNumber": 1, "InstanceNumber": 1, "FrameOfReferenceUID": "1.2.3.5",
        "PositionReferenceIndicator": "", "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "Rows": stored.shape[0], "Columns": stored.shape[1], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "PixelSpacing": [1, 1], "SliceThickness": 1,
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0,
        "ImageOrientationPatient": [f"{float(each):.12g}" for each in orientation],
        "ImagePositionPatient": [f"{float(each):.12g}" for each in corner],
        "WindowCenter": 2048, "WindowWidth": 4096, "VOILUTFunction": "LINEAR_EXACT",
        "PixelData": np.ascontiguousarray(stored, np.uint16).tobytes(),
    }  # fmt: skip
    for name, value in (defaults | elements).items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def content(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def series(volume: np.ndarray, thickness: float = 1, **elements: Any) -> list[Dataset]:
    """The axial slices of a volume with axes to the right, anterior and superior, from below."""
    uids = {"SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    return [
        dicom(
            3 * volume[::-1, ::-1, number].T,
            corner=(0, 0, number * thickness),
            **({"InstanceNumber": number + 1, "SliceThickness": thickness} | uids | elements),
        )
        for number in range(volume.shape[2])
    ]


def write(folder: Path, datasets: Sequence[Dataset], names: Sequence[str] | None = None) -> Path:
    """Save datasets as files of a folder, by default under their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        name = names[number] if names else f"{number:03d}.dcm"
        (folder / name).write_bytes(content(dataset))
    return folder


def segmentation(images: Sequence[Dataset], outlines: np.ndarray) -> Dataset:
    """A DICOM segmentation by highdicom, without frames where it is empty.

    Args:
        outlines: bool (images, rows, columns), as the images are stored.
    """
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    description = SegmentDescription(
        segment_number=1,
        segment_label="tumor",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )
    return Segmentation(
        source_images=list(images),
        pixel_array=outlines.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[description],
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="falx",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    )
