"""`export`: a detector for another runtime, held to its network before it is kept."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from falx import defaults
from falx.data.catalog import Catalog
from falx.detect.detector import KERAS_FILE, NETWORK_FILE, Settings, detector_folder
from falx.environment import environment, version
from falx.errors import BadInput, BrokenRun, NotEqual
from falx.evaluation.parity import Parity, compare
from falx.exporting.choices import EIGHT_BITS, PRECISIONS, TARGETS, ExportPrecision, Target
from falx.exporting.detector import check_parity
from falx.exporting.formats import Format, format_of, size_of
from falx.exporting.graph import keras_runtime
from falx.exporting.package import write_package
from falx.exporting.quantize import prepared
from falx.exporting.runtimes import OUTPUTS, Answers, Runtime
from falx.exporting.tune import tuned
from falx.extras import check_installed
from falx.logs import native_silence
from falx.model.deployed import Deployed
from falx.model.reference import Reference
from falx.parallel import cores
from falx.progress import Listener, Progress, silent
from falx.runfolder import check_free, new_folder, stamped
from falx.training.setup import open_shelf
from falx.training.views import PLAIN, Views, render_views
from falx.verbs.saved_run import SavedRun, load_run

_CALIBRATION = 512
"""Views that 8-bit networks are measured on; more moved probabilities no less."""

_CHECKED = 512
"""Views that an export is held to its network on, and slices at most."""

_MOST_VIEWS = 8
_BATCH = 32


@dataclass(frozen=True)
class Attempt:
    """A way to write a network.

    Attributes:
        tuned: whether scales and offsets are tuned to 8 bits first (falx.exporting.tune).
    """

    precision: ExportPrecision
    tuned: bool = False

    def __str__(self) -> str:
        return f"{self.precision}, tuned" if self.tuned else self.precision


@dataclass(frozen=True)
class Exported:
    """What `export` hands back.

    Attributes:
        folder: with the network, labels.json, README.md, classify.py, parity.json and parity.csv,
            or with a page.
        attempt: how it was written: in the precision asked for, or in "int8-weights" where int8 is
            too far from the network.
        bytes: of the network.
        parity: what was found.
        before: attempts that were too far from the network.
    """

    folder: Path
    attempt: Attempt
    bytes: int
    parity: Parity
    before: tuple[tuple[Attempt, Parity], ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of how it came about, in sentences."""
        lost = [f"{attempt} was left, since {parity.problem}" for attempt, parity in self.before]
        if self.parity.problem:
            lost.append(f"kept although {self.parity.problem}")
        return tuple(f"{sentence[0].upper()}{sentence[1:]}." for sentence in lost)


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network, and the views that exports are made and checked on.

    Attributes:
        calibration: of training slices, uint8 (views, size, size).
        rows: of the slices of validation and test that exports are checked on.
        views: all plain ones of those, then all second ones, and so on.
        expected: what Keras says of them.
    """

    run: SavedRun
    settings: Settings
    deployed: Deployed
    calibration: np.ndarray
    rows: np.ndarray
    views: np.ndarray
    expected: Answers

    @cached_property
    def prepared(self) -> keras.Model:
        """The network with kernels on 255 steps, as 8-bit exports take it."""
        return prepared(self.deployed.network, self.calibration)

    @cached_property
    def tuned(self) -> keras.Model:
        """The prepared network, tuned to answer as the original in 8 bits."""
        return tuned(self.prepared, self.deployed.network, self.calibration)

    def write(self, format_: Format, file: Path, attempt: Attempt) -> None:
        """Write the network to a file."""
        network = self.deployed.network
        if attempt.precision in EIGHT_BITS:
            network = self.tuned if attempt.tuned else self.prepared
        deployed = replace(self.deployed, network=network)
        format_.write(deployed, file, attempt.precision, self.calibration)

    def parity(self, runtime: Runtime, precision: ExportPrecision) -> Parity:
        """Hold an export to the network."""
        usable = self.run.catalog.usable()
        return compare(
            self.expected,
            answers_of(runtime, self.views),
            usable.labels[self.rows],
            usable.groups[self.rows],
            usable.classes,
            rules=self.settings.rules,
            precision=precision,
        )


def export(
    run: str | Path,
    to: Target,
    *,
    precision: ExportPrecision = "fp32",
    out: str | Path | None = None,
    data: str | Path | None = None,
    force: bool = False,
    bank_gb: float = defaults.BANK_GB,
    listener: Listener = silent,
) -> Exported:
    """Write a trained network for another runtime, and prove that it answers alike.

    Args:
        run: the folder of a training.
        to: the format; "web" is a page that classifies images in the browser.
        precision: of weights and activations. Where int8 moves a slice's probability or the AUC too
            far, weights alone are stored in 8 bits, and the record says what int8 would have lost.
        out: the folder to be made; by default `runs/<time>-<format>-<precision>`.
        data: where the slices of the run lie, if no longer where it found them.
        force: keep an export that does not answer as its network; its record says so.
        bank_gb: the most that views may take on disk, in gigabytes.

    Raises:
        NotEqual: the export does not answer as the network.
        FalxError: run, data or options can't be used.
    """
    _check_choice("format", to, TARGETS)
    _check_choice("precision", precision, PRECISIONS)
    check_installed("export", "falx export")
    if to == "web":
        # Before minutes are spent: only a page needs npm.
        from falx.exporting.web import fetch_packages

        fetch_packages()
    target = Path(out) if out else stamped(f"{to}-{precision}")
    check_free(target, "the export")
    source = open_source(run, data=data, bank_gb=bank_gb, listener=listener)
    with new_folder(target, "the export") as filling:
        attempts = attempts_at(precision)
        if force:
            attempts = tuple(each for each in attempts if each.precision == precision)
        exported = write_export(source, filling, to, attempts, listener=listener)
        if exported.parity.problem and not force:
            raise NotEqual(
                f"The network for {to} in {exported.attempt} does not answer as the trained one: "
                f"{exported.parity.problem}; try another precision, or keep it with --force."
            )
    return replace(exported, folder=target)


def next_steps(folder: Path, to: Target) -> tuple[tuple[str, str], ...]:
    """What one does with an export, and the commands for it."""
    quoted = shlex.quote(str(folder))
    if to == "web":
        return (("Open in a browser", f"{quoted}/index.html"),)
    steps = [("Classify images without falx", f"python {quoted}/classify.py IMAGE...")]
    if to == "openvino":
        steps.append(("Classify images with falx", f"falx predict {quoted} IMAGE..."))
    return (*steps, ("Read how to use it", f"{quoted}/README.md"))


def open_source(
    run: str | Path,
    *,
    data: str | Path | None = None,
    bank_gb: float = defaults.BANK_GB,
    listener: Listener = silent,
) -> Source:
    """Read a run, render its slices, and ask its network about those that it was not trained on.

    Raises:
        FalxError: the run is no training, or its slices are gone.
    """
    if keras.backend.backend() != "tensorflow":
        raise BadInput("Exports need Keras on TensorFlow; unset KERAS_BACKEND.")
    found = load_run(Path(run))
    if found.split is None or found.settings is None:
        raise BadInput(f"'{run}' is a cross-validation, which keeps no network; export a training.")
    usable = found.catalog.usable()
    if data is not None:
        root = Path(data).parent if Path(data).is_file() else Path(data)
        usable = Catalog(root, usable.classes, usable.table)
    if not usable.file(0).is_file():
        raise BadInput(
            f"'{usable.file(0)}' is not there, and exports are checked on the slices of the run; "
            "say with --data in which folder they lie now."
        )
    recipe = found.recipe
    views = render_views(
        usable, recipe.rendering, open_shelf(bank_gb), recipe.augmentation, listener=listener
    )
    generator = np.random.default_rng(0)
    held_out = np.concatenate([found.split.validation, found.split.test])
    rows = _some_of_each(held_out, usable.labels[held_out], generator)
    checked = _views_of(views, rows, _CHECKED)
    deployed = _load_network(
        detector_folder(Path(run)), checked[:_BATCH], mirrored=found.settings.mirrored
    )
    expected = answers_of(keras_runtime(deployed), checked)
    if not all(np.isfinite(part).all() for part in vars(expected).values()):
        raise BrokenRun(
            f"The network of '{run}' gives answers that are not numbers, which no export can be "
            "held to; train again."
        )
    trained_on = generator.permutation(found.split.train)[:_CALIBRATION]
    return Source(
        run=found,
        settings=found.settings,
        deployed=deployed,
        calibration=_views_of(views, trained_on, _CALIBRATION),
        rows=rows,
        views=checked,
        expected=expected,
    )


def attempts_at(precision: ExportPrecision) -> tuple[Attempt, ...]:
    """Ways to write a network in a precision, each to be tried where the last is too far off."""
    if precision != "int8":
        return (Attempt(precision),)
    return Attempt("int8"), Attempt("int8", tuned=True), Attempt("int8-weights")


def write_export(
    source: Source,
    folder: Path,
    to: Target,
    attempts: Sequence[Attempt],
    *,
    listener: Listener = silent,
) -> Exported:
    """Fill a folder with an export: the first attempt that is close enough, else the last."""
    format_ = format_of(to)
    file = folder / format_.file
    tried: list[tuple[Attempt, Parity]] = []
    for attempt in attempts:
        task = f"Exporting {to} {attempt}"
        listener(Progress(task, 0, 1))
        source.write(format_, file, attempt)
        # Native code says what it delegates to.
        with native_silence():
            parity = source.parity(format_.open(file, cores()), attempt.precision)
        tried.append((attempt, parity))
        listener(Progress(task, 1, 1))
        if not parity.problem:
            break
    *before, (kept, parity) = tried
    size = size_of(file)
    write_package(folder, to, file, source.settings)
    record = _record(source, to, kept, size, parity, before)
    (folder / "parity.json").write_text(
        json.dumps(record, indent=2, allow_nan=False) + "\n", "utf-8"
    )
    _slices(source, parity).to_csv(folder / "parity.csv", index=False)
    return Exported(folder, kept, size, parity, tuple(before))


def answers_of(runtime: Runtime, views: np.ndarray) -> Answers:
    """What a runtime says of any number of views, a batch at a time."""
    batches = [runtime(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)]
    return Answers(
        *(np.concatenate([getattr(batch, name) for batch in batches]) for name in OUTPUTS)
    )


def _load_network(folder: Path, views: np.ndarray, *, mirrored: bool) -> Deployed:
    """The network of a detector, as Keras saved it.

    Raises:
        BrokenRun: it can't be read, or is not the one that the detector answers by.
    """
    file = folder / KERAS_FILE
    try:
        network = keras.saving.load_model(file)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrokenRun(
            f"'{file}' can't be read by Keras {keras.__version__}; copy the run anew, or train "
            "again."
        ) from error
    deployed = Deployed(network, Reference.load(folder), mirrored)
    check_parity(deployed, folder / NETWORK_FILE, views)
    return deployed


def _some_of_each(
    rows: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Some rows, sorted: all of them where they are few, else each class by its share."""
    share = min(1.0, _CHECKED / len(rows))
    chosen = [
        generator.permutation(rows[labels == label])[: math.ceil(share * (labels == label).sum())]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


def _views_of(views: Views, rows: np.ndarray, wanted: int) -> np.ndarray:
    """Plain views of some slices, then augmented ones, the same number of each slice."""
    each = min(max(wanted // len(rows), 1), _MOST_VIEWS)
    return np.concatenate([views.take(PLAIN + number, rows) for number in range(each)])


def _record(
    source: Source,
    to: Target,
    kept: Attempt,
    size: int,
    parity: Parity,
    tried: Sequence[tuple[Attempt, Parity]],
) -> dict[str, Any]:
    """What parity.json says."""
    package = format_of(to).package
    return {
        "format": to,
        "precision": kept.precision,
        "tuned": kept.tuned,
        "bytes": size,
        **parity.as_dict(),
        "tried_before": [{**asdict(attempt), **found.as_dict()} for attempt, found in tried],
        "slices_of": "validation and test",
        "network_sha256": source.settings.network_sha256,
        "runtime": {package: version(package)},
        "environment": environment(),
    }


def _slices(source: Source, parity: Parity) -> pd.DataFrame:
    """What parity.csv says: each slice, with its probabilities by Keras and by the export."""
    table = source.run.catalog.usable().table.iloc[source.rows]
    classes = source.settings.classes
    assert source.run.split is not None
    found = {"keras": parity.expected_probabilities, "export": parity.actual_probabilities}
    columns = {
        f"{who}_p_{name}": values[:, code]
        for who, values in found.items()
        for code, name in enumerate(classes)
    }
    parts = np.where(np.isin(source.rows, source.run.split.test), "test", "validation")
    named = table[["path", "index", "label"]].reset_index(drop=True)
    return named.assign(part=parts, **columns)


def _check_choice(what: str, given: str, choices: Sequence[str]) -> None:
    if given not in choices:
        raise BadInput(f"There is no {what} '{given}'; choose from {', '.join(choices)}.")
