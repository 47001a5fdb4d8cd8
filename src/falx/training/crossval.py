"""Cross-validation: every slice predicted by networks that never saw it or its group.

Folds are trained one after another, or side by side in processes of their own. Each leaves a file
when it is done, so a run that was stopped goes on with the folds that are missing.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import Split, check_classes, fold_splits
from falx.errors import BadInput, UnusableTraining
from falx.parallel import cores, end_with_parent, stop
from falx.progress import Listener, Progress, silent
from falx.training.checkpoint import whole_file
from falx.training.fit import Trainer
from falx.training.reference import familiar_limit, fit_reference
from falx.training.setup import Setup

TASK = "Folds"
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation.

    Attributes:
        repeat: from 1.
        number: from 1, within the repeat.
        split: its test part is the fold.
        seed: of the training.
    """

    repeat: int
    number: int
    split: Split
    seed: int

    @property
    def name(self) -> str:
        """Such as "repeat 2, fold 3"."""
        return f"repeat {self.repeat}, fold {self.number}"


@dataclass(frozen=True)
class FoldResult:
    """What the training of a fold gave.

    Attributes:
        probabilities: of its test rows, float64 (test, classes).
        validation: of its validation rows, likewise.
        distances: of its test rows, float64 (test,), from those that were trained or validated on.
        limit: see falx.training.reference.familiar_limit.
        history: see falx.training.fit.Trainer.train.
    """

    probabilities: np.ndarray
    validation: np.ndarray
    distances: np.ndarray
    limit: float | None
    history: pd.DataFrame


def make_folds(catalog: Catalog, *, folds: int, repeats: int, seed: int) -> list[Fold]:
    """The folds of all repeats; repeat r is drawn and trained with the seed r - 1 above the first.

    Raises:
        BadInput: fewer than two folds, or no repeat.
        UnusableData: a class has fewer groups than folds, or is not in every part of a fold.
    """
    if folds < 2 or repeats < 1:
        raise BadInput(f"A cross-validation takes two folds and a repeat, not {folds}, {repeats}.")
    labels, groups, found = catalog.labels, catalog.groups, []
    for repeat in range(repeats):
        splits = fold_splits(labels, groups, folds=folds, seed=seed + repeat)
        for number, split in enumerate(splits, start=1):
            check_classes(split, labels, catalog.classes)
            found.append(Fold(repeat + 1, number, split, seed + repeat))
    return found


def train_folds(
    setup: Setup,
    folds: Sequence[Fold],
    folder: Path,
    *,
    jobs: int = 1,
    listener: Listener = silent,
) -> list[FoldResult]:
    """Train every fold that has not left its file in `folder` yet.

    Args:
        folder: where folds leave their files.
        jobs: processes side by side, each with its share of the cores.

    Raises:
        FalxError: a training can't be done.
    """
    missing = [fold for fold in folds if not _file(folder, fold).exists()]
    if jobs < 1:
        raise BadInput(f"--jobs must be at least 1, got {jobs}.")
    if missing:
        trainer = setup.trainer(listener)
        trainer.prepare(np.arange(len(setup.catalog)), seed=missing[0].seed)
        jobs = min(jobs, len(missing))
        # What does not come out even is trained here, with all cores for one fold.
        beside = len(missing) // jobs * jobs if jobs > 1 else 0
        if beside:
            _train_beside(setup, missing[:beside], folds, folder, jobs, listener)
        _train_here(setup, trainer, missing[beside:], folds, folder, listener)
    return [_load(_file(folder, fold)) for fold in folds]


def _train_here(
    setup: Setup,
    trainer: Trainer,
    some: Sequence[Fold],
    folds: Sequence[Fold],
    folder: Path,
    listener: Listener,
) -> None:
    for fold in some:
        listener(_progress(folds, folder, fold.name))
        _train_fold(setup.catalog, trainer, fold, folder)
    listener(_progress(folds, folder))


def _progress(folds: Sequence[Fold], folder: Path, remark: str = "") -> Progress:
    done = sum(_file(folder, fold).exists() for fold in folds)
    return Progress(TASK, done, len(folds), remark)


def _train_beside(
    setup: Setup,
    some: Sequence[Fold],
    folds: Sequence[Fold],
    folder: Path,
    jobs: int,
    listener: Listener,
) -> None:
    threads = max(1, cores() // jobs)
    # A forked TensorFlow hangs, so processes begin anew.
    with (
        tempfile.TemporaryFile() as errors,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
    ):
        with _errors_to(errors):
            futures = [
                pool.submit(_work, setup, some[job::jobs], folder, threads) for job in range(jobs)
            ]
        try:
            while wait(futures, timeout=_POLL_SECONDS).not_done and not _failed(futures):
                listener(_progress(folds, folder, f"{jobs} side by side"))
            for future in futures:
                if future.done():
                    future.result()
        except BrokenProcessPool as error:
            raise UnusableTraining(
                f"A process that trained folds ended before its time ({_last_words(errors)}); run "
                "the same command again, with fewer --jobs if memory is short: the folds that are "
                "done are kept."
            ) from error
        except BaseException:
            stop(pool)
            raise


def _failed(futures: Sequence[Future[None]]) -> bool:
    return any(future.done() and future.exception() for future in futures)


@contextmanager
def _errors_to(file: BinaryIO) -> Iterator[None]:
    """Send standard error to a file: processes begun inside the block keep it."""
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _last_words(errors: BinaryIO) -> str:
    """The last error that processes named, if any did."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").splitlines()
    named = [line.strip() for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return named[-1] if named else "it left no message"


def _work(setup: Setup, folds: Sequence[Fold], folder: Path, threads: int) -> None:
    """What one process does: some folds, with some threads."""
    end_with_parent()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    trainer = setup.trainer()
    for fold in folds:
        _train_fold(setup.catalog, trainer, fold, folder)


def _train_fold(catalog: Catalog, trainer: Trainer, fold: Fold, folder: Path) -> None:
    split = fold.split
    history = trainer.train(split.train, split.validation, seed=fold.seed)
    seen = np.concatenate([split.train, split.validation])
    features = trainer.reference_features(np.arange(len(catalog)))
    distances = fit_reference(features[seen]).distances(features[split.test])
    limit = familiar_limit(features[seen], catalog.groups[seen])
    text = history.to_json(orient="split", double_precision=15)
    with whole_file(_file(folder, fold)) as stream:
        np.savez(
            stream,
            probabilities=trainer.probabilities(split.test),
            validation=trainer.probabilities(split.validation),
            distances=distances,
            limit=np.array(np.nan if limit is None else limit),
            history=np.array(text),
        )


def _load(file: Path) -> FoldResult:
    with np.load(file) as arrays:
        history = pd.DataFrame(**json.loads(str(arrays["history"])))
        names = ("probabilities", "validation", "distances")
        limit = None if np.isnan(arrays["limit"]) else float(arrays["limit"])
        return FoldResult(**{name: arrays[name] for name in names}, limit=limit, history=history)


def _file(folder: Path, fold: Fold) -> Path:
    return folder / f"repeat-{fold.repeat}-fold-{fold.number}.npz"
