"""How long the search for near-duplicates takes, against a loop over pairs in Python.

    python benchmarks/duplicates.py --slices 100000

The slices are random hashes with a near-duplicate for every tenth, so that every pair must be
compared. The peer is ImageHash's own subtraction on a sample of the pairs, extrapolated to all.
"""

from __future__ import annotations

import argparse
import itertools
import time

import imagehash
import numpy as np

from falx.data.duplicates import BITS, near_pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=100_000)
    slices = parser.parse_args().slices
    hashes = random_hashes(slices)
    begun = time.perf_counter()
    found = len(near_pairs(hashes))
    seconds = time.perf_counter() - begun
    pairs = slices * (slices - 1) / 2
    peer = seconds_per_pair(hashes) * pairs
    print(f"{slices:,} slices: {found:,} pairs in {seconds:.0f} s; a loop would take "
          f"{peer / 3600:.1f} hours, {peer / seconds:,.0f} times as long")  # fmt: skip


def random_hashes(n: int) -> list[str]:
    """Hashes as falx keeps them, every tenth within ten bits of the one before."""
    rng = np.random.default_rng(0)
    bits = rng.random((n, BITS)) < 0.5
    duplicates = np.arange(9, n, 10)
    bits[duplicates] = bits[duplicates - 1]
    bits[duplicates[:, None], rng.integers(0, BITS, (len(duplicates), 10))] ^= True
    return [row.tobytes().hex() for row in np.packbits(bits, axis=1)]


def seconds_per_pair(hashes: list[str]) -> float:
    """What ImageHash needs for one comparison."""
    sample = [imagehash.hex_to_hash(text) for text in hashes[:300]]
    begun = time.perf_counter()
    compared = sum(one - other >= 0 for one, other in itertools.combinations(sample, 2))
    return (time.perf_counter() - begun) / compared


if __name__ == "__main__":
    main()
