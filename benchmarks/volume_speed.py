"""Seconds and memory that `falx predict` takes for a volume and a DICOM series, beside a peer.

    python benchmarks/volume_speed.py RUN

Writes a NIfTI volume of 256 x 256 x 180 voxels and a DICOM series of 384 files of 512 x 384 pixels,
drawn from a falx phantom, and predicts each in a process of its own, from process start to answer.
The peer does what a short script does: it decodes with nibabel or pydicom, resizes every slice, and
runs the same network on one slice at a time; it neither crops, nor places, nor explains.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

VOLUME, SERIES = (256, 256, 180), (384, 512, 384)
ROUNDS = 3

PEER = """
import sys
from pathlib import Path
import cv2, numpy as np
from openvino import Core
network = Core().compile_model(sys.argv[1], "CPU")
path = Path(sys.argv[2])
if path.is_dir():
    import pydicom
    planes = (pydicom.dcmread(file).pixel_array for file in sorted(path.iterdir()))
else:
    import nibabel
    planes = np.moveaxis(np.asarray(nibabel.load(path).dataobj), 2, 0)
size = network.input(0).partial_shape[1].get_length()
for plane in planes:
    levels = np.clip(plane / max(float(np.percentile(plane, 99.5)), 1) * 255, 0, 255)
    view = cv2.resize(levels.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    network(view[None, ..., None])
"""


def head(shape: tuple[int, int, int]) -> np.ndarray:
    """An ellipsoid with texture, uint16 (x, y, z), from a neck to its vertex."""
    rng = np.random.default_rng(0)
    axes = [np.linspace(-1, 1, size)[tuple(slice(None) if i == k else None for k in range(3))]
            for i, size in enumerate(shape)]  # fmt: skip
    x, y, z = axes
    inside = (x / 0.7) ** 2 + (y / 0.85) ** 2 + ((z + 0.1) / 1.0) ** 2 < 1
    texture = 600 + 200 * np.sin(9 * x) * np.cos(7 * y) * np.sin(8 * z)
    noise = rng.rayleigh(15, shape)
    return (inside * texture + noise).astype(np.uint16)


def write_volume(file: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(head(VOLUME).astype(np.int16), np.eye(4)), file)


def write_series(folder: Path) -> None:
    files, rows, columns = SERIES
    planes = np.moveaxis(head((columns, rows, files)), 2, 0)
    study, series = generate_uid(), generate_uid()
    folder.mkdir()
    for number, plane in enumerate(planes):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
        uid = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.Modality, dataset.InstanceNumber = "MR", number + 1
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [-96, -128, 0.5 * number]
        dataset.PixelSpacing = [0.5, 0.5]
        dataset.Rows, dataset.Columns = plane.T.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.PixelData = np.ascontiguousarray(plane.T[::-1]).tobytes()
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process and its children."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True
    )
    kilobytes = float(done.stdout) / (1024 if sys.platform == "darwin" else 1)
    return time.perf_counter() - began, kilobytes / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder, or the detector/ in it")
    run = parser.parse_args().run
    from falx.detect.detector import NETWORK_FILE, detector_folder

    network = detector_folder(run) / NETWORK_FILE
    with tempfile.TemporaryDirectory() as name:
        volume, series = Path(name) / "volume.nii.gz", Path(name) / "series"
        write_volume(volume)
        write_series(series)
        print(f"{'':34}{'falx s':>8}{'MB':>6}{'peer s':>8}{'MB':>6}{'ratio':>7}")
        for label, path in (
            ("volume of 256 x 256 x 180", volume),
            ("DICOM series of 384 files", series),
        ):
            ours, peers = [], []
            for _ in range(ROUNDS):
                ours.append(
                    measured([sys.executable, "-m", "falx.cli", "predict", str(run), str(path)])
                )
                peers.append(measured([sys.executable, "-c", PEER, str(network), str(path)]))
            (a, b), (c, d) = (
                map(statistics.median, zip(*each, strict=True)) for each in (ours, peers)
            )
            print(f"{label:34}{a:8.1f}{b:6.0f}{c:8.1f}{d:6.0f}{a / c:7.2f}")


if __name__ == "__main__":
    main()
