"""Groups of slices: exact duplicates, near-duplicates, and slices of one patient.

Near-duplicates are found in two stages. Slices that share keypoints are candidates (see
falx.data.keypoints); candidates are near-duplicates if their thumbnails, once aligned, correlate in
detail by at least `MIN_SIMILARITY` (see falx.data.alignment).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from falx.data.alignment import Look, decode_thumbnail, similarity
from falx.data.keypoints import Candidates, Keypoints, find_candidates

MIN_SIMILARITY = 0.75
MAX_REFUSALS = 3
"""Candidates that link the same two sets of near-duplicates and are compared in vain, at most."""
_LOOKS_AT_HAND = 4096


def near_pairs(
    thumbnails: Sequence[str], keypoints: Sequence[str], volumes: Sequence[str] | None = None
) -> np.ndarray:
    """Links between near-duplicates: int64 (links, 2).

    They connect each set of near-duplicates; most pairs of a large set are left out. The sets do
    not depend on the order of the slices.

    Args:
        thumbnails: of each slice, by falx.data.alignment.encode_thumbnail.
        keypoints: of each slice, encoded.
        volumes: of each slice, or ""; neighbors in a volume are alike and not compared.
    """
    looks = list(zip(thumbnails, keypoints, volumes or [""] * len(thumbnails), strict=True))
    # Looks are compared in an order of their own, so that the order of the slices can't matter.
    distinct = sorted(set(looks))
    row = {look: i for i, look in reversed(list(enumerate(looks)))}
    rows = np.array([row[look] for look in distinct], np.int64)
    links = rows[_verified(distinct, _candidates(distinct))]
    alike = equal_pairs([look[0] + look[1] if look[1] else "" for look in looks])
    return np.concatenate([alike, links])


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


def _candidates(looks: Sequence[tuple[str, str, str]]) -> Candidates:
    """Pairs that share keypoints and are not of one volume, those that share most first."""
    found = find_candidates([points for _, points, _ in looks])
    _, volumes = np.unique([volume for *_, volume in looks], return_inverse=True)
    single = np.array([volume == "" for *_, volume in looks], bool)
    one, other = found.pairs.T
    kept = np.flatnonzero(single[one] | (volumes[one] != volumes[other]))
    order = kept[np.lexsort((other[kept], one[kept], -np.abs(found.votes[kept])))]
    return Candidates(found.pairs[order], found.votes[order])


def _verified(looks: Sequence[tuple[str, str, str]], candidates: Candidates) -> np.ndarray:
    """Candidates that are near-duplicates, as many as connect each set of them: int64 (links, 2).

    First the strongest candidates that connect all that could be connected are compared, then the
    strongest one between any two sets that are still apart, and so on.
    """
    open_ = candidates
    links = refused = np.empty((0, 2), np.int64)
    chosen = _spanning(open_, len(looks))
    while len(chosen):
        same = _compared(looks, open_.pairs[chosen], open_.votes[chosen])
        links = np.concatenate([links, open_.pairs[chosen[same]]])
        refused = np.concatenate([refused, open_.pairs[chosen[~same]]])
        labels = components(len(looks), links)
        keys = _keys(labels, open_.pairs)
        counted, refusals = np.unique(_keys(labels, refused), return_counts=True)
        hopeless = np.isin(keys, counted[refusals >= MAX_REFUSALS])
        apart = labels[open_.pairs[:, 0]] != labels[open_.pairs[:, 1]]
        kept = apart & ~hopeless
        kept[chosen] = False
        open_ = Candidates(open_.pairs[kept], open_.votes[kept])
        chosen = np.sort(np.unique(keys[kept], return_index=True)[1])
    return links


def _spanning(candidates: Candidates, n: int) -> np.ndarray:
    """Which candidates form the spanning forest of first candidates: int64, sorted."""
    rank = np.arange(1, len(candidates.pairs) + 1)
    rows, columns = candidates.pairs.T
    tree = minimum_spanning_tree(coo_array((rank, (rows, columns)), shape=(n, n)))
    return np.sort(tree.data.astype(np.int64)) - 1


def _keys(labels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """One number for each pair of sets that the pairs link: int64 (pairs,)."""
    ends = np.sort(labels[pairs], axis=1)
    keys: np.ndarray = ends[:, 0] * (len(labels) + 1) + ends[:, 1]
    return keys


def _compared(
    looks: Sequence[tuple[str, str, str]], pairs: np.ndarray, votes: np.ndarray
) -> np.ndarray:
    """Which pairs are near-duplicates: bool (pairs,)."""

    @lru_cache(_LOOKS_AT_HAND)
    def look(row: int) -> Look:
        thumbnail, points, _ = looks[row]
        return Look(decode_thumbnail(thumbnail), Keypoints.decode(points))

    def same(one: int, other: int, vote: int) -> bool:
        seen = look(other).mirrored() if vote < 0 else look(other)
        return similarity(look(one), seen, MIN_SIMILARITY) >= MIN_SIMILARITY

    # Pairs of one slice in a row, so that it is at hand; threads would wait for one another.
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    results = np.empty(len(pairs), bool)
    ordered = np.column_stack([pairs, votes])[order].tolist()
    results[order] = [same(one, other, vote) for one, other, vote in ordered]
    return results
