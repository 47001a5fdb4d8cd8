"""The slices that cross-validations get wrong, drawn large, and the numbers without some of them.

python benchmarks/ceiling.py RUN... [--png FILE] [--without PATH...]

Runs are folders that falx crossval made of the same slices. Prints, for each slice that the first
run got wrong in half of its repeats or more, in how many repeats of each run it was, and draws them
from their files. `--without` leaves slices out, with all their copies, of the numbers only: the
networks that answer for the others had them in training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.errors import FalxError
from falx.evaluation.folds import OutOfFold
from falx.evaluation.metrics import Scores, score_repeats
from falx.verbs.saved_run import load_run

TILE, CAPTION, COLUMNS = 360, 24, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--png", type=Path)
    parser.add_argument("--without", nargs="+", default=[])
    given = parser.parse_args()
    try:
        runs = {str(run): outcome(run) for run in given.runs}
        first = next(iter(runs.values()))
        paths = first.usable.table["path"]
        if not all(paths.equals(run.usable.table["path"]) for run in runs.values()):
            sys.exit("The runs are of different slices; name runs of the same.")
        rows = [row for row in first.worst() if 2 * first.wrong[row] >= first.repeats]
        tell_wrong(runs, rows)
        if given.png and rows:
            draw(first, rows, given.png)
        for name, run in runs.items():
            tell(name, "all slices", run.scores())
            if given.without:
                tell(name, "without those named", scores_without(run, given.without))
    except FalxError as error:
        sys.exit(str(error))


def outcome(run: Path) -> OutOfFold:
    tested = load_run(run).tested
    if not isinstance(tested, OutOfFold):
        sys.exit(f"'{run}' is no cross-validation.")
    return tested


def tell_wrong(runs: dict[str, OutOfFold], rows: list[int]) -> None:
    first = next(iter(runs.values()))
    print(f"{'slice':24} label  " + "  ".join(runs))
    for row in rows:
        times = "  ".join(
            f"{run.wrong[row]} of {run.repeats}".rjust(len(name)) for name, run in runs.items()
        )
        table = first.usable.table
        print(f"{table['path'].iat[row]:24} {table['label'].iat[row]:6} {times}")


def scores_without(run: OutOfFold, names: list[str]) -> Scores:
    """Numbers over the slices that share no group with any of those named."""
    usable = run.usable
    named = usable.table["path"].isin(names).to_numpy()
    if named.sum() < len(names):
        sys.exit(f"Not all of {', '.join(names)} are slices of the data.")
    kept = np.flatnonzero(~np.isin(usable.groups, usable.groups[named]))
    return score_repeats(
        usable.labels[kept],
        list(run.probabilities[:, kept]),
        usable.groups[kept],
        usable.classes,
        threshold=[each[kept] for each in run.thresholds],
    )


def tell(name: str, which: str, scores: Scores) -> None:
    found = scores.estimates
    print(
        f"{name}, {which} (n = {scores.n}): accuracy {found['accuracy']}, AUC {found['roc_auc']}, "
        f"log loss {found['log_loss']}"
    )


def draw(run: OutOfFold, rows: list[int], file: Path) -> None:
    """Draw slices as they are in their files, several a line."""
    tiles = [tile(run, row) for row in rows]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    lines = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(file), np.vstack(lines))


def tile(run: OutOfFold, row: int) -> np.ndarray:
    index = int(run.usable.table["index"].iat[row])
    pixels = next(s.pixels for s in read_slices(run.usable.file(row)) if s.index == index)
    scale = TILE / max(pixels.shape)
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    shown = cv2.resize(np.rint(pixels * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    result = np.zeros((TILE + CAPTION, TILE), np.uint8)
    result[CAPTION : CAPTION + size[1], : size[0]] = shown
    words = f"{run.usable.table['path'].iat[row]}, {run.wrong[row]} of {run.repeats}"
    return cv2.putText(result, words, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,), 1)


if __name__ == "__main__":
    main()
