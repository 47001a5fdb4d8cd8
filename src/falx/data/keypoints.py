"""Keypoints of a slice, and the search for pairs of slices that share some.

SIFT finds corners and blobs at any scale and describes each by the gradients around it, in a frame
that turns with them (Lowe, IJCV 2004), so a description survives resizing, cropping, rotation and
text elsewhere. Signs of random projections shorten it to bits (Charikar, STOC 2002); 32 bits make a
word, and slices that share words are candidates, as in text retrieval (Sivic and Zisserman, ICCV
2003). The projections are odd under reflection, so a mirrored copy has every bit inverted: words
are compared up to inversion, and votes counted with sign tell mirrored copies from upright ones.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import csr_array, hstack

from falx.image.standardize import locally_standardized

SIDE = 128
"""Pixels of the square that slices are squeezed into, as copies often are: SIFT is not invariant to
scaling the sides unequally."""
MAX_KEYPOINTS = 64
BITS = 192
WORD_BITS = 32
WORDS = 12
"""Of a keypoint: 6 of neighboring bits, 6 of every sixth bit."""
MIN_VOTES = 4
"""Words that candidates share at least; inverted and upright ones cancel out."""

_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, np.r_[0, 7:0:-1]].ravel()
"""Where each of SIFT's 4 x 4 x 8 sums goes when the slice is mirrored."""
_PROJECTION = np.random.default_rng(0).standard_normal((128, BITS)).astype(np.float32)
_BLOCK = 512
_MAX_WORK = 10**8
"""Pairs of equal words that are counted at most, for each of the 12: the rarest come first."""


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of a slice, strongest first.

    Attributes:
        places: column and row, as fractions of the slice's width and height in steps of 1/255:
            uint8 (keypoints, 2).
        bits: bool (keypoints, 192); all inverted if the slice is mirrored.
    """

    places: np.ndarray
    bits: np.ndarray

    def encode(self) -> str:
        """As text, 26 bytes a keypoint in base 64."""
        content = np.hstack([self.places, np.packbits(self.bits, axis=1)])
        return base64.b64encode(content.tobytes()).decode()

    @classmethod
    def decode(cls, text: str) -> Keypoints:
        """What `encode` wrote."""
        content = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, 2 + BITS // 8)
        return cls(content[:, :2], np.unpackbits(content[:, 2:], axis=1).astype(bool))


def find_keypoints(pixels: np.ndarray) -> Keypoints:
    """The strongest keypoints of a slice, at most 64.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    shrinks = min(pixels.shape) > SIDE
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=interpolation)
    standardized = locally_standardized(small, SIDE / 12)
    levels = np.clip(standardized * 42 + 128, 0, 255).astype(np.uint8)
    sift = cv2.SIFT.create(nfeatures=MAX_KEYPOINTS, contrastThreshold=0.02, edgeThreshold=12)
    found, sums = sift.detectAndCompute(levels, None)
    if sums is None:
        return Keypoints(np.empty((0, 2), np.uint8), np.empty((0, BITS), bool))
    # More than asked for are found where the last ones are equally strong.
    order = np.argsort([-point.response for point in found], kind="stable")[:MAX_KEYPOINTS]
    places = np.array([found[i].pt for i in order]) * (255 / SIDE)
    root = np.sqrt(sums[order] / np.maximum(sums[order].sum(axis=1, keepdims=True), 1e-6))
    bits = (root - root[:, _MIRRORED]) @ _PROJECTION > 0
    return Keypoints(np.clip(np.rint(places), 0, 255).astype(np.uint8), bits)


@dataclass(frozen=True)
class Candidates:
    """Pairs of slices that share words.

    Attributes:
        pairs: int64 (pairs, 2), the first row below the second.
        votes: shared words, negative for pairs of which one is mirrored: int64 (pairs,).
    """

    pairs: np.ndarray
    votes: np.ndarray


def find_candidates(encoded: Sequence[str]) -> Candidates:
    """All pairs of slices that share at least 4 words.

    Time grows with the square of the number of slices until 10^9 pairs of equal words; from there
    on, the most frequent words are left out. Memory is flat.
    """
    matrix = _word_matrix(encoded)
    other = matrix.T.tocsr()
    pairs, votes = [np.empty((0, 2), np.int64)], [np.empty(0, np.int64)]
    for top in range(0, len(encoded), _BLOCK):
        shared = (matrix[top : top + _BLOCK] @ other).tocoo()
        rows, columns = shared.row.astype(np.int64) + top, shared.col.astype(np.int64)
        kept = (np.abs(shared.data) >= MIN_VOTES) & (rows < columns)
        order = np.flatnonzero(kept)[np.lexsort((columns[kept], rows[kept]))]
        pairs.append(np.column_stack([rows[order], columns[order]]))
        votes.append(shared.data[order].astype(np.int64))
    return Candidates(np.concatenate(pairs), np.concatenate(votes))


def _word_matrix(encoded: Sequence[str]) -> csr_array:
    """Which slice has which word: int32 (slices, words); -1 for a word that is inverted."""
    counts, words, signs = [], [], []
    for top in range(0, len(encoded), _BLOCK):
        block = [Keypoints.decode(text).bits for text in encoded[top : top + _BLOCK]]
        counts += [len(bits) for bits in block]
        numbers, sign = _words(np.concatenate(block))
        words.append(numbers)
        signs.append(sign)
    rows = np.repeat(np.arange(len(encoded)), counts)
    # One word of the keypoints after the other: sorting all at once would take much memory.
    parts = []
    for i in range(WORDS if encoded else 0):
        numbers, sign = (np.concatenate([block[:, i] for block in part]) for part in (words, signs))
        parts.append(_one_word_matrix(rows, numbers, sign, len(encoded)))
    return hstack(parts, format="csr") if parts else csr_array((0, 0), dtype=np.int32)


def _one_word_matrix(
    rows: np.ndarray, words: np.ndarray, signs: np.ndarray, slices: int
) -> csr_array:
    columns, _ = pd.factorize(words)
    frequency = np.bincount(columns)
    by_frequency = np.bincount(frequency, minlength=2)
    work = np.cumsum(by_frequency * np.arange(len(by_frequency), dtype=np.float64) ** 2)
    most = int(np.searchsorted(work, _MAX_WORK, side="right")) - 1
    kept = np.flatnonzero((frequency[columns] > 1) & (frequency[columns] <= most))
    shape = slices, len(frequency)
    return csr_array((signs[kept].astype(np.int32), (rows[kept], columns[kept])), shape=shape)


def _words(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words of keypoints, uint32 (n, 12), and whether they are upright or inverted, int8 1, -1.

    Args:
        bits: bool (n, 192).
    """
    neighbors = bits.reshape(-1, WORDS // 2, WORD_BITS)
    every_sixth = bits.reshape(-1, WORD_BITS, WORDS // 2).transpose(0, 2, 1)
    chosen = np.concatenate([neighbors, every_sixth], axis=1)
    words = np.packbits(chosen, axis=2).view(">u4")[:, :, 0].astype(np.uint32)
    inverted = words >= 2**31
    return np.where(inverted, ~words, words), np.where(inverted, -1, 1).astype(np.int8)
