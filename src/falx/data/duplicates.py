"""Groups of slices: exact duplicates, near-duplicates, and slices of one patient.

Near-duplicates are slices whose perceptual hashes (Zauner 2010; 256 bits of the low frequencies
of a cosine transform) differ in at most `RADIUS` bits, for the whole slice or for the head alone.
The search compares all pairs exactly, block by block: bits as -1 and +1 make the Hamming distance
an inner product, so a matrix product does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from falx.image.crop import Box

BITS = 256
RADIUS = 40
_BLOCK = 4096


def perceptual_hash(pixels: np.ndarray, box: Box | None = None) -> str:
    """The perceptual hash of a slice, or of a box of it: 64 hexadecimal digits.

    Args:
        pixels: float32 (height, width), [0, 1].
    """
    part = pixels if box is None else box.of(pixels)
    levels = np.ascontiguousarray(np.rint(part * 255).astype(np.uint8))
    return str(imagehash.phash(Image.fromarray(levels), hash_size=16))


def near_pairs(hashes: Sequence[str], radius: int = RADIUS) -> np.ndarray:
    """Links between hashes that differ in at most `radius` bits: int64 (links, 2).

    They connect the same rows as all such pairs would, but most pairs of a large cluster are left
    out, so that memory stays flat. Rows with an equal hash are linked to the first of them. Time
    grows with the square of the number of distinct hashes; two cores compare about 10^10 pairs a
    minute.
    """
    values, first, inverse = np.unique(np.asarray(hashes), return_index=True, return_inverse=True)
    signs = _signs(values)
    pairs = [np.column_stack([first[inverse], np.arange(len(inverse))])]
    pairs += [first[_forest(block, len(values))] for block in _close_blocks(signs, radius)]
    links = np.concatenate(pairs)
    return links[links[:, 0] != links[:, 1]]


def equal_pairs(keys: Sequence[str]) -> np.ndarray:
    """Pairs of rows with the same non-empty key, each linked to its first: int64 (pairs, 2)."""
    column = pd.Series(keys, dtype="str")
    keyed = column[column != ""]
    first = keyed.index.to_series().groupby(keyed).transform("min")
    pairs = np.column_stack([first.to_numpy(np.int64), keyed.index.to_numpy(np.int64)])
    return pairs[pairs[:, 0] != pairs[:, 1]].reshape(-1, 2)


def components(n: int, *pairs: np.ndarray) -> np.ndarray:
    """The connected component of each of n rows: int64 (n,), numbered from 0 by first row."""
    edges = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _forest(pairs: np.ndarray, n: int) -> np.ndarray:
    """The fewest links that connect the same of n rows: each component's rows to its first."""
    if len(pairs) <= n:
        return pairs
    labels = components(n, pairs)
    first = np.unique(labels, return_index=True)[1]
    links = np.column_stack([first[labels], np.arange(n)])
    return links[links[:, 0] != links[:, 1]]


def _signs(values: np.ndarray) -> np.ndarray:
    """Hexadecimal hashes as float32 (n, 256) of -1 and +1."""
    digits = np.frombuffer(bytes.fromhex("".join(values)), np.uint8).reshape(len(values), -1)
    return np.unpackbits(digits, axis=1).astype(np.float32) * 2 - 1


def _close_blocks(signs: np.ndarray, radius: int) -> Iterator[np.ndarray]:
    min_agreement = signs.shape[1] - 2 * radius
    for top in range(0, len(signs), _BLOCK):
        for left in range(top, len(signs), _BLOCK):
            agreement = signs[top : top + _BLOCK] @ signs[left : left + _BLOCK].T
            rows, columns = np.nonzero(agreement >= min_agreement)
            pairs = np.column_stack([rows + top, columns + left])
            yield pairs[pairs[:, 0] < pairs[:, 1]]
