"""How well fingerprints tell slices that were seen: python benchmarks/fingerprints.py SEEN OTHER.

Prints, for the slices of OTHER that share a group with one of SEEN and for those that don't, the
bits by which the nearest hash differs, and how many are found.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from falx.data.catalog import build_catalog, shares_group_with
from falx.data.fingerprints import fingerprints


def main() -> None:
    """Compare two datasets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seen", type=Path)
    parser.add_argument("other", type=Path)
    arguments = parser.parse_args()
    seen, other = (
        build_catalog(path, min_classes=1).usable() for path in (arguments.seen, arguments.other)
    )
    related = shares_group_with(seen.table, other.table)
    known = fingerprints(seen.table)
    found, bits = known.among(other.table), known.distances(other.table)
    for name, rows in (("sharing a group", related), ("others", ~related)):
        if rows.any():
            print(
                f"{name}: {rows.sum()} slices, {100 * found[rows].mean():.2f} % found; nearest "
                f"hash {bits[rows].min()} bits, median {np.median(bits[rows]):.0f}"
            )


if __name__ == "__main__":
    main()
