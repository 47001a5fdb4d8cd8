"""From images that Python holds to slices: arrays, and images of Pillow, pydicom and nibabel.

An image gives the gray levels that its file would. None of these libraries is imported: who has an
image of one has imported it.
"""

from __future__ import annotations

import copy
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.raster import UNIT, gray_levels, upright, white_level
from falx.data.slices import Limits, Slice
from falx.errors import BadInput, UnreadableImage

_EXIF_ORIENTATION = 274
_CLASSES = _PIL, _DICOM, _NIBABEL = (
    ("PIL.Image", "Image"),
    ("pydicom", "Dataset"),
    ("nibabel.spatialimages", "SpatialImage"),
)
_WHITE = 255
_CHANNELS = (1, 3, 4)
_TAKEN = "a path, a NumPy array, or an image of Pillow, pydicom or nibabel"
_OF_A_VOLUME = "of a volume, give the nibabel image or the path, which know what is black and up"
_PIL_MODES = {
    "1": "L",
    "CMYK": "RGB",
    "HSV": "RGB",
    "LAB": "RGB",
    "La": "LA",
    "PA": "RGBA",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
}
"""Modes of Pillow that are converted, and into what."""


def image_sources(image: Any, name: str) -> list[list[Slice]]:
    """The slices of an image, those that belong together in one list.

    Args:
        image: an array uint8, uint16, or float in [0, 1]: a gray slice (height, width) or
            (height, width, 1), a color one (height, width, 3 or 4), RGB, or a stack of these,
            (n, ...), whose slices are independent; a `PIL.Image.Image`; a `pydicom.Dataset`; a
            nibabel image, which is a volume; or anything that NumPy makes such an array of.
        name: what it is called in messages.

    Raises:
        BadInput: it is none of these, or its gray levels can't be known.
        UnreadableImage: it is damaged, no image, or beyond the limits.
    """
    if _is_a(image, *_PIL):
        path = Path(getattr(image, "filename", "") or name)
        array = _pil_array(image, name)
        white = white_level(array) if array.dtype == np.uint16 else _WHITE
        return [[_array_slice(array, path, white)]]
    if _is_a(image, *_DICOM):
        from falx.data import dicom

        # Reading completes the header.
        path = Path(str(getattr(image, "filename", "") or name))
        return [dicom.read_dataset(path, copy.deepcopy(image), Limits())]
    if _is_a(image, *_NIBABEL):
        return [_nibabel_slices(image, name)]
    if isinstance(image, str | bytes | Path) or not (
        hasattr(image, "__array__") or isinstance(image, np.ndarray)
    ):
        raise BadInput(f"'{name}' is of type {type(image).__name__}; give {_TAKEN}.")
    return [[slice_] for slice_ in _array_slices(np.asarray(image), name)]


def is_image(value: Any) -> bool:
    """Whether a value is an image of Pillow, pydicom or nibabel."""
    return any(_is_a(value, *each) for each in _CLASSES)


def is_series(value: Any) -> bool:
    """Whether a value is a DICOM dataset, which may belong together with others."""
    return _is_a(value, *_DICOM)


def is_stack(array: np.ndarray) -> bool:
    """Whether an array holds several slices, (n, height, width) or with channels behind."""
    return array.ndim - _is_colored(array) > 2


def _is_colored(array: np.ndarray) -> bool:
    return array.ndim > 2 and array.shape[-1] in _CHANNELS


def _is_a(image: Any, module: str, name: str) -> bool:
    """Whether an image is of a class of a library, which is imported if it is."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(image, getattr(loaded, name))


def _array_slices(array: np.ndarray, name: str) -> list[Slice]:
    if array.ndim >= 2 and array.size:
        height, width = array.shape[-3:-1] if _is_colored(array) else array.shape[-2:]
        Limits().check(Path(name), width, height, len(array) if is_stack(array) else 1)
    array = _checked(array, name)
    white = UNIT if array.dtype == np.float32 else white_level(array)
    colored = _is_colored(array)
    if array.ndim == (3 if colored else 2):
        return [_array_slice(array, Path(name), white)]
    if array.ndim != (4 if colored else 3):
        raise BadInput(
            f"'{name}' has the shape {array.shape}; give (height, width), (n, height, width), or "
            "either with three color channels at the end."
        )
    if not len(array):
        raise BadInput(f"'{name}' is a stack of no slices, {array.shape}; give at least one.")
    return [_array_slice(each, Path(f"{name}[{i}]"), white) for i, each in enumerate(array)]


def _checked(array: np.ndarray, name: str) -> np.ndarray:
    """An array uint8, uint16 or float32 in [0, 1]."""
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind != "f":
        raise BadInput(
            f"'{name}' is an array of {array.dtype}; convert it to uint8, uint16, or float in "
            f"[0, 1]; {_OF_A_VOLUME}."
        )
    if not np.isfinite(array).all():
        raise BadInput(f"'{name}' has values that are not numbers; replace them.")
    if array.size and (array.min() < 0 or array.max() > 1):
        raise BadInput(
            f"The values of '{name}' reach from {array.min():g} to {array.max():g}, and which are "
            "black and white can't be known; scale them to [0, 1], or convert them to uint8 or "
            f"uint16; {_OF_A_VOLUME}."
        )
    return array.astype(np.float32)


def _array_slice(array: np.ndarray, path: Path, white: int) -> Slice:
    """A slice of an array (height, width) or (height, width, channels), RGB."""
    if array.ndim == 3 and array.shape[2] >= 3:
        array = array[..., [2, 1, 0, *range(3, array.shape[2])]]
    Limits().check(path, array.shape[1], array.shape[0])
    pixels, color = gray_levels(array, white)
    return Slice(pixels, path, format="array", color=color)


def _pil_array(image: Any, name: str) -> np.ndarray:
    """The stored values of an image of Pillow, upright: uint8, uint16 or float32."""
    try:
        mode = _PIL_MODES.get(image.mode, image.mode)
        if mode == "P":
            mode = "RGBA" if "transparency" in image.info else "RGB"
        array = np.asarray(image if mode == image.mode else image.convert(mode))
        orientation = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    # What Pillow raises on damaged files, which it opens without decoding them, and on closed ones.
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableImage(
            f"'{name}' is an image that Pillow can't decode ({error}); open it anew."
        ) from error
    if mode == "I":
        # Some versions of Pillow open a PNG of 16 bits so.
        if array.min() < 0 or array.max() > np.iinfo(np.uint16).max:
            raise BadInput(f"'{name}' has values beyond 16 bits; scale them to [0, 1].")
        array = array.astype(np.uint16)
    return upright(array.astype(array.dtype.newbyteorder("=")), orientation)


def _nibabel_slices(image: Any, name: str) -> list[Slice]:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    from falx.data import nifti

    path = Path(image.get_filename() or name)
    try:
        content = nibabel.Nifti1Image.from_image(image).to_bytes()
    # What nibabel raises on damaged files, which it opens without reading them.
    except (OSError, ValueError, EOFError, zlib.error, ImageFileError) as error:
        raise UnreadableImage(
            f"'{path}' is an image that nibabel can't read ({error}); copy it anew."
        ) from error
    return nifti.read(path, content, Limits())
