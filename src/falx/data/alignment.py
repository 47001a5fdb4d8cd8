"""Whether two slices show the same image: thumbnails are aligned and compared in detail.

Matched keypoints give a first affine map, the enhanced correlation coefficient refines it
(Evangelidis and Psarakis, IEEE TPAMI 2008), and the fine structure of both is correlated where they
overlap: heads of different people agree in outline, not in sulci.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from falx.data.keypoints import Keypoints
from falx.image.standardize import locally_standardized

SIZE = 48
"""Side of a thumbnail in pixels."""
_COARSE, _FINE = SIZE / 12, SIZE / 30
"""Neighborhoods of the structure that is aligned, and of that which is compared, in pixels."""
MIN_KEYPOINTS = 8
"""That must lie alike in both slices."""
_MAX_BITS = 48
"""Of 192, in which two descriptions of one keypoint differ at most."""
_TOLERANCE = 1.5
"""Distance at which keypoints still lie alike, in pixels of the thumbnail."""
_MIN_AREA, _MAX_AREA = 0.4, 2.5
"""Of a slice on the other, in multiples of it; the overlap covers at least the first of both."""
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
_EVERYWHERE = np.full((SIZE, SIZE), 255, np.uint8)
_BLUR = 3


@dataclass(frozen=True)
class Look:
    """What a slice looks like.

    Attributes:
        pixels: the slice squeezed into a square, float32 (48, 48), [0, 1].
        keypoints: of the slice.
    """

    pixels: np.ndarray
    keypoints: Keypoints

    @cached_property
    def fine(self) -> np.ndarray:
        """The fine structure, which is compared: float32 (48, 48)."""
        return locally_standardized(self.pixels, _FINE)

    def mirrored(self) -> Look:
        """The look of the slice with left and right exchanged."""
        places = self.keypoints.places.copy()
        places[:, 0] = 255 - places[:, 0]
        return Look(
            np.ascontiguousarray(self.pixels[:, ::-1]), Keypoints(places, ~self.keypoints.bits)
        )


def encode_thumbnail(pixels: np.ndarray) -> str:
    """A slice squeezed into 48 x 48 pixels, as a JPEG in base 64.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    small = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    levels = np.rint(small * 255).astype(np.uint8)
    _, content = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return base64.b64encode(content.tobytes()).decode()


def decode_thumbnail(text: str) -> np.ndarray:
    """What `encode_thumbnail` wrote: float32 (48, 48), [0, 1]."""
    content = np.frombuffer(base64.b64decode(text), np.uint8)
    levels = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.float32)
    return levels / np.float32(255)


def similarity(one: Look, other: Look, enough: float = 1.0) -> float:
    """Correlation of the fine structure of two slices where they overlap once aligned, [-1, 1].

    -1 if too few keypoints agree on how the slices lie.

    Args:
        enough: value from which on the alignment is not refined.
    """
    start = _keypoint_transform(one.keypoints, other.keypoints)
    if start is None:
        return -1.0
    rough = _correlation(one.fine, other.fine, start)
    if rough >= enough:
        return rough
    coarse, coarse_other = (locally_standardized(look.pixels, _COARSE) for look in (one, other))
    refined = _refined(coarse, coarse_other, start)
    return max(rough, _correlation(one.fine, other.fine, refined))


def _keypoint_transform(one: Keypoints, other: Keypoints) -> np.ndarray | None:
    """The affine map of thumbnail pixels on which most matched keypoints agree, if enough do."""
    if min(len(one.bits), len(other.bits)) < MIN_KEYPOINTS:
        return None
    packed, others = (np.packbits(keypoints.bits, axis=1) for keypoints in (one, other))
    distances, nearest = cv2.batchDistance(
        packed, others, cv2.CV_32S, None, None, cv2.NORM_HAMMING, 1
    )
    rows = np.flatnonzero(distances[:, 0] <= _MAX_BITS)
    if len(rows) < MIN_KEYPOINTS:
        return None
    places = one.places[rows] * (SIZE / 255) - 0.5
    others = other.places[nearest[rows, 0]] * (SIZE / 255) - 0.5
    transform, agree = cv2.estimateAffine2D(places, others, ransacReprojThreshold=_TOLERANCE)
    if transform is None or agree.sum() < MIN_KEYPOINTS:
        return None
    return np.asarray(transform, np.float32)


def _refined(image: np.ndarray, other: np.ndarray, start: np.ndarray) -> np.ndarray:
    try:
        _, transform = cv2.findTransformECC(
            image, other, start.copy(), cv2.MOTION_AFFINE, _CRITERIA, _EVERYWHERE, _BLUR
        )
    except cv2.error:
        # It did not converge, so the slices do not match from there.
        return start
    return np.asarray(transform, np.float32)


def _correlation(image: np.ndarray, other: np.ndarray, transform: np.ndarray) -> float:
    if not _MIN_AREA <= np.linalg.det(transform[:, :2]) <= _MAX_AREA:
        return -1.0
    warped = cv2.warpAffine(
        other,
        transform,
        (SIZE, SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float("nan"),
    )
    inside = np.isfinite(warped)
    if inside.mean() < _MIN_AREA:
        return -1.0
    values, others = image[inside], warped[inside]
    values, others = values - values.mean(), others - others.mean()
    spread = np.sqrt((values * values).sum() * (others * others).sum())
    return float((values * others).sum() / max(spread, np.finfo(np.float32).tiny))
