"""Slices that cross-validations misclassify repeatedly, drawn large, and scores without some.

    python benchmarks/label_noise.py RUN... [--png FILE] [--without PATH...]

Runs are folders that falx crossval made of the same slices. Prints each slice that the first run
misclassifies in at least half of its repeats, with the number of repeats in every run, and draws
them from their files. `--without` leaves slices out of the scores, with their whole groups; the
networks that predicted the others were trained on them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.errors import FalxError
from falx.evaluation.evaluation import Evaluation
from falx.evaluation.metrics import Scores
from falx.evaluation.predictions import Predictions
from falx.runs.reading import open_run
from falx.runs.run import Run

TILE, CAPTION, COLUMNS = 360, 24, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--png", type=Path)
    parser.add_argument("--without", nargs="+", default=[])
    arguments = parser.parse_args()
    try:
        runs = {str(folder): read_run(folder) for folder in arguments.runs}
        predictions = {name: run.evaluation.predictions for name, run in runs.items()}
        first = next(iter(predictions.values()))
        paths = first.table["path"]
        if not all(paths.equals(each.table["path"]) for each in predictions.values()):
            sys.exit("The runs are of different slices; name runs of the same.")
        rows = [row for row in first.wrong if 2 * first.times_wrong[row] >= first.repeats]
        print_misclassified(predictions, rows)
        if arguments.png and rows:
            draw(next(iter(runs.values())), rows, arguments.png)
        for name, run in runs.items():
            print_scores(name, "all slices", run.scores)
            if arguments.without:
                scores = scores_without(predictions[name], arguments.without)
                print_scores(name, "without those named", scores)
    except FalxError as error:
        sys.exit(str(error))


def read_run(folder: Path) -> Run:
    run = open_run(folder)
    if not run.evaluation.predictions.is_cross_validated:
        sys.exit(f"'{folder}' is no cross-validation.")
    return run


def print_misclassified(runs: dict[str, Predictions], rows: list[int]) -> None:
    table = next(iter(runs.values())).table
    print(f"{'slice':24} label  " + "  ".join(runs))
    for row in rows:
        counts = "  ".join(
            f"{each.times_wrong[row]} of {each.repeats}".rjust(len(name))
            for name, each in runs.items()
        )
        print(f"{table['path'].iat[row]:24} {table['label'].iat[row]:6} {counts}")


def scores_without(predictions: Predictions, paths: list[str]) -> Scores:
    """Scores on the slices that share no group with any of those named."""
    named = predictions.table["path"].isin(paths).to_numpy()
    if named.sum() < len(paths):
        sys.exit(f"Not all of {', '.join(paths)} are slices of the data.")
    kept = np.flatnonzero(~np.isin(predictions.groups, predictions.groups[named]))
    return Evaluation(predictions.take(kept), None).scores


def print_scores(name: str, which: str, scores: Scores) -> None:
    found = scores.estimates
    print(
        f"{name}, {which} (n = {scores.n}): accuracy {found['accuracy']}, AUC {found['roc_auc']}, "
        f"log loss {found['log_loss']}"
    )


def draw(run: Run, rows: list[int], file: Path) -> None:
    """Draw slices as they are in their files, `COLUMNS` in a row."""
    tiles = [tile(run, row) for row in rows]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    lines = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(file), np.vstack(lines))


def tile(run: Run, row: int) -> np.ndarray:
    """One slice with a caption: uint8 (TILE + CAPTION, TILE)."""
    predictions = run.evaluation.predictions
    file = run.catalog.usable().file(int(predictions.rows[row]))
    index = int(predictions.table["index"].iat[row])
    pixels = next(each.pixels for each in read_slices(file) if each.index == index)
    scale = TILE / max(pixels.shape)
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    resized = cv2.resize(np.rint(pixels * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    result = np.zeros((TILE + CAPTION, TILE), np.uint8)
    result[CAPTION : CAPTION + size[1], : size[0]] = resized
    path, times = predictions.table["path"].iat[row], predictions.times_wrong[row]
    caption = f"{path}, {times} of {predictions.repeats}"
    return cv2.putText(result, caption, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,), 1)


if __name__ == "__main__":
    main()
