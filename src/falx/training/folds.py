"""Cross-validation: every slice is predicted by a network that did not train on it or its group.

Folds are trained one after another or in parallel processes. Each completed fold is saved to a
file, so a resumed run only trains the missing ones.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog
from falx.data.split import Split, check_classes, fold_splits, source_splits
from falx.errors import BadInput, UnusableData, UnusableTraining
from falx.logs import redirect_stderr
from falx.parallel import cores, exit_with_parent, terminate_workers
from falx.progress import Listener, Progress, silent
from falx.training.disk_cache import atomic_write
from falx.training.ood import fit_mahalanobis, fit_ood_threshold
from falx.training.setup import TrainingSetup
from falx.training.trainer import Trainer
from falx.training.views import CORRUPTED
from falx.training.weak_labels import learnable

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
    """The result of training one fold.

    Attributes:
        probabilities: of the test rows, float64 (test, classes).
        distances: Mahalanobis distances float64 (test,) of the test rows from the training and
            validation rows.
        validation_probabilities, validation_distances: the same of the validation rows.
        learnable: which validation rows have a label of their own, or may have that of their volume
            (see falx.training.weak_labels), bool (validation,).
        ood_threshold: see falx.training.ood.fit_ood_threshold.
        history: see falx.training.trainer.Trainer.train.
    """

    probabilities: np.ndarray
    distances: np.ndarray
    validation_probabilities: np.ndarray
    validation_distances: np.ndarray
    learnable: np.ndarray
    ood_threshold: float | None
    history: pd.DataFrame


def make_folds(catalog: Catalog, *, folds: int, repeats: int, seed: int) -> list[Fold]:
    """The folds of all repeats; repeat r is split and trained with seed + r - 1.

    Raises:
        BadInput: fewer than two folds, or no repeat.
        UnusableData: a class has fewer groups than folds, or is missing in a part of a fold.
    """
    if folds < 2 or repeats < 1:
        raise BadInput(
            f"A cross-validation needs at least 2 folds and 1 repeat, got {folds} and {repeats}."
        )
    labels, groups, planned = catalog.labels, catalog.groups, []
    # Twice the folds, and some more, so that each stratum is in every validation part as well.
    strata = catalog.strata(2 * (folds + 1))
    for repeat in range(repeats):
        splits = fold_splits(strata, groups, folds=folds, seed=seed + repeat)
        for number, split in enumerate(splits, start=1):
            check_classes(split, labels, catalog.classes)
            planned.append(Fold(repeat + 1, number, split, seed + repeat))
    return planned


def make_source_folds(catalog: Catalog, *, repeats: int, seed: int) -> list[Fold]:
    """The folds of leave-one-source-out: fold k tests source k, trained on the others.

    Repeats differ in the validation part and the seed of the training.

    Raises:
        BadInput: there is no repeat.
        UnusableData: without a source, a class is missing in training or validation.
    """
    if repeats < 1:
        raise BadInput(f"A cross-validation needs at least 1 repeat, got {repeats}.")
    names, labels, planned = catalog.source_names, catalog.labels, []
    for repeat in range(repeats):
        splits = source_splits(labels, catalog.groups, catalog.sources, seed=seed + repeat)
        for number, (name, split) in enumerate(zip(names, splits, strict=True), start=1):
            try:
                check_classes(split, labels, catalog.classes, parts=("train", "validation"))
            except UnusableData as error:
                raise UnusableData(
                    f"Without '{name}', and without the slices that share a group with one of it, "
                    "too few of a class are left to train on; add a dataset."
                ) from error
            planned.append(Fold(repeat + 1, number, split, seed + repeat))
    return planned


def train_folds(
    setup: TrainingSetup,
    folds: Sequence[Fold],
    folder: Path,
    *,
    jobs: int = 1,
    listener: Listener = silent,
) -> list[FoldResult]:
    """Train every fold that has no file in `folder` yet.

    Args:
        folder: of the results.
        jobs: number of parallel processes; they share the cores.

    Raises:
        FalxError: a training fails.
    """
    missing = [fold for fold in folds if not _file(folder, fold).exists()]
    if jobs < 1:
        raise BadInput(f"--jobs must be at least 1, got {jobs}.")
    if missing:
        trainer = setup.trainer(listener)
        trainer.prepare(np.arange(len(setup.catalog)), seed=missing[0].seed)
        jobs = min(jobs, len(missing))
        # Folds that would leave processes idle are trained here, each with all cores.
        parallel = len(missing) // jobs * jobs if jobs > 1 else 0
        if parallel:
            _train_in_parallel(setup, missing[:parallel], folds, folder, jobs, listener)
        _train_sequentially(setup, trainer, missing[parallel:], folds, folder, listener)
    return [_load(_file(folder, fold)) for fold in folds]


def _train_sequentially(
    setup: TrainingSetup,
    trainer: Trainer,
    missing: Sequence[Fold],
    folds: Sequence[Fold],
    folder: Path,
    listener: Listener,
) -> None:
    for fold in missing:
        listener(_progress(folds, folder, fold.name))
        _train_fold(setup.catalog, trainer, fold, folder)
    listener(_progress(folds, folder))


def _train_in_parallel(
    setup: TrainingSetup,
    missing: Sequence[Fold],
    folds: Sequence[Fold],
    folder: Path,
    jobs: int,
    listener: Listener,
) -> None:
    threads = max(1, cores() // jobs)
    # TensorFlow hangs after a fork, so processes are spawned.
    with (
        tempfile.TemporaryFile() as errors,
        ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
    ):
        # Processes inherit standard error when they are started.
        with redirect_stderr(errors):
            futures = [
                pool.submit(_train_in_process, setup, missing[job::jobs], folder, threads)
                for job in range(jobs)
            ]
        try:
            while wait(futures, timeout=_POLL_SECONDS).not_done and not _any_failed(futures):
                listener(_progress(folds, folder, f"{jobs} in parallel"))
            for future in futures:
                if future.done():
                    future.result()
        except BrokenProcessPool as error:
            raise UnusableTraining(
                f"A process that trained folds was terminated ({_last_error(errors)}); run the "
                "same command again, with fewer --jobs if memory is short: completed folds are "
                "kept."
            ) from error
        except BaseException:
            terminate_workers(pool)
            raise


def _any_failed(futures: Sequence[Future[None]]) -> bool:
    return any(future.done() and future.exception() for future in futures)


def _last_error(stream: BinaryIO) -> str:
    """The last exception in the standard error of processes, if there is one."""
    stream.seek(0)
    lines = stream.read().decode(errors="replace").splitlines()
    errors = [line.strip() for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return errors[-1] if errors else "without a message"


def _train_in_process(
    setup: TrainingSetup, folds: Sequence[Fold], folder: Path, threads: int
) -> None:
    """Train some folds in a process of its own, with some threads."""
    exit_with_parent()
    if setup.backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    trainer = setup.trainer()
    for fold in folds:
        _train_fold(setup.catalog, trainer, fold, folder)


def _progress(folds: Sequence[Fold], folder: Path, detail: str = "") -> Progress:
    done = sum(_file(folder, fold).exists() for fold in folds)
    return Progress(TASK, done, len(folds), detail)


def _train_fold(catalog: Catalog, trainer: Trainer, fold: Fold, folder: Path) -> None:
    split = fold.split
    train, validation = learnable(catalog, trainer, split, seed=fold.seed)
    history = trainer.train(train, validation, seed=fold.seed)
    seen = np.concatenate([train, validation])
    features = trainer.ood_features(np.arange(len(catalog)))
    corrupted = trainer.ood_features(seen, CORRUPTED)
    reference = fit_mahalanobis(np.concatenate([features[seen], corrupted]))
    ood_threshold = fit_ood_threshold(features[seen], corrupted, catalog.groups[seen])
    with atomic_write(_file(folder, fold)) as stream:
        np.savez(
            stream,
            probabilities=trainer.probabilities(split.test),
            distances=reference.distances(features[split.test]),
            validation_probabilities=trainer.probabilities(split.validation),
            validation_distances=reference.distances(features[split.validation]),
            learnable=np.isin(split.validation, validation),
            ood_threshold=np.array(np.nan if ood_threshold is None else ood_threshold),
            history=np.array(history.to_json(orient="split", double_precision=15)),
        )


def _load(file: Path) -> FoldResult:
    with np.load(file) as arrays:
        threshold = float(arrays["ood_threshold"])
        return FoldResult(
            probabilities=arrays["probabilities"],
            distances=arrays["distances"],
            validation_probabilities=arrays["validation_probabilities"],
            validation_distances=arrays["validation_distances"],
            learnable=arrays["learnable"],
            ood_threshold=None if np.isnan(threshold) else threshold,
            history=pd.DataFrame(**json.loads(str(arrays["history"]))),
        )


def _file(folder: Path, fold: Fold) -> Path:
    return folder / f"repeat-{fold.repeat}-fold-{fold.number}.npz"
