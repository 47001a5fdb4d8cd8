"""Fingerprints of slices: which slices a detector has seen, without the slices.

A fingerprint is the SHA-256 of the file's content, and a perceptual hash of what it shows: the
signs of the lowest frequencies of the head (Zauner, Implementation and Benchmarking of Perceptual
Image Hash Functions, 2010). No picture can be recovered from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from falx.data.alignment import SIZE, decode_thumbnail
from falx.data.catalog import Catalog
from falx.serialization import read_arrays

FILE = "seen.npz"
MAX_BITS = 32
"""Of 255, in which the hashes of two copies of a slice differ at most; see
docs/elsewhere.md#fingerprints for how often other slices do."""

_SIDE, _FREQUENCIES = 64, 16
_DIGEST_BYTES = 16
_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Of some slices.

    Attributes:
        digests: first half of the SHA-256 of each file, uint8 (n, 16).
        hashes: of what each slice shows, packed bits uint8 (n, 32).
    """

    digests: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    def among(self, table: pd.DataFrame) -> np.ndarray:
        """Which usable rows of a catalog show one of these slices, or its mirror image: bool (n,).

        Copies that were resized, brightened or compressed are found; those that were cropped to a
        part of the head are not.
        """
        same = np.isin(_as_keys(_digests(table)), _as_keys(self.digests))
        found: np.ndarray = same | (self.distances(table) <= MAX_BITS)
        return found

    def distances(self, table: pd.DataFrame) -> np.ndarray:
        """The bits by which the nearest hash differs from each row's, mirrored or not: int (n,)."""
        hashes = fingerprints(table).hashes
        return np.minimum(_nearest(hashes, self.hashes), _nearest(_mirrored(hashes), self.hashes))

    def seen(self, catalog: Catalog) -> np.ndarray:
        """Which usable rows share a group with one that shows one of these slices: bool (n,)."""
        return np.isin(catalog.groups, catalog.groups[self.among(catalog.table)])

    def save(self, folder: Path) -> None:
        """Write seen.npz into a folder."""
        np.savez_compressed(folder / FILE, digests=self.digests, hashes=self.hashes)

    @classmethod
    def load(cls, folder: Path) -> Fingerprints | None:
        """Read what `save` wrote; None where the folder has none.

        Raises:
            BrokenRun: the file is damaged.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        return cls(**read_arrays(file, "digests", "hashes"))


def fingerprints(table: pd.DataFrame) -> Fingerprints:
    """The fingerprints of the usable rows of a catalog, in order."""
    hashes = [_hash(*each) for each in zip(table["thumbnail"], *_boxes(table), strict=True)]
    return Fingerprints(_digests(table), np.array(hashes, np.uint8).reshape(len(table), -1))


def _digests(table: pd.DataFrame) -> np.ndarray:
    digests = [list(bytes.fromhex(sha)[:_DIGEST_BYTES]) for sha in table["sha256"]]
    return np.array(digests, np.uint8).reshape(len(table), _DIGEST_BYTES)


def _boxes(table: pd.DataFrame) -> list[np.ndarray]:
    """Edges of the head in pixels of the thumbnail: top, left, bottom, right of each row."""
    sides = ("height", "width", "height", "width")
    edges = ("head_top", "head_left", "head_bottom", "head_right")
    return [
        (table[edge] / table[side] * SIZE).to_numpy(float)
        for edge, side in zip(edges, sides, strict=True)
    ]


def _hash(thumbnail: str, top: float, left: float, bottom: float, right: float) -> np.ndarray:
    """Signs of the lowest frequencies of a head, packed: uint8 (32,)."""
    pixels = decode_thumbnail(thumbnail)
    height, width = max(bottom - top, 1), max(right - left, 1)
    across, down = _SIDE / width, _SIDE / height
    # Centers of pixels lie at half numbers, so that a mirrored head is the mirror image.
    placed = np.array([[across, 0, (0.5 - left) * across - 0.5],
                       [0, down, (0.5 - top) * down - 0.5]])  # fmt: skip
    head = cv2.warpAffine(
        pixels, placed, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    low = cv2.dct(head)[:_FREQUENCIES, :_FREQUENCIES]
    return np.packbits(low.ravel() > 0)


def _mirrored(hashes: np.ndarray) -> np.ndarray:
    """The hashes of mirror images: odd horizontal frequencies change their sign."""
    odd = np.packbits(np.tile(np.arange(_FREQUENCIES) % 2, _FREQUENCIES).astype(bool))
    return hashes ^ odd


def _nearest(hashes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The number of bits by which each hash differs from the nearest known one: int (n,)."""
    if not len(known):
        return np.full(len(hashes), 8 * hashes.shape[1])
    nearest = [
        np.bitwise_count(hashes[start : start + _CHUNK, None] ^ known).sum(axis=2).min(axis=1)
        for start in range(0, len(hashes), _CHUNK)
    ]
    return np.concatenate(nearest) if nearest else np.zeros(0, np.int64)


def _as_keys(digests: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(digests).view(f"V{_DIGEST_BYTES}").ravel()
