"""What exports are made from and checked on: a trained network, and views of its slices."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from falx.data.catalog import Catalog, build_catalog
from falx.data.split import Split, split_by_group
from falx.deployment.parity import Parity, compare
from falx.detect.detector import NETWORK_FILE, detector_folder
from falx.detect.settings import SETTINGS_FILE, Settings
from falx.errors import BadInput, BrokenRun
from falx.evaluation.binary import with_classes_of
from falx.exporting.choices import EIGHT_BITS, ExportPrecision
from falx.exporting.detector_folder import check_parity
from falx.exporting.formats import Format
from falx.exporting.graph import keras_runtime
from falx.exporting.keras_network import load_keras
from falx.exporting.linear_detector import RECIPE_FILE
from falx.exporting.quantize import prepared
from falx.exporting.runtimes import OUTPUTS, Outputs, Runtime
from falx.exporting.tune import tuned
from falx.model.exportable import ExportableModel
from falx.model.reference import MahalanobisReference
from falx.progress import Listener, silent
from falx.recipe import Recipe, load_recipe
from falx.runs.reading import open_run
from falx.runs.writing import RECORD_FILE
from falx.training.setup import open_cache
from falx.training.views import PLAIN, Views, render_views

_CALIBRATION_VIEWS = 512
"""Views for the calibration of 8-bit networks; more did not help."""

_PARITY_VIEWS = 512
"""Views, and at most as many slices, on which an export is compared with its network."""

_MAX_VIEWS_PER_SLICE = 8
_BATCH = 32


@dataclass(frozen=True, eq=False)
class ExportSource:
    """A trained network, and the views that exports are made and checked on.

    Attributes:
        usable: the slices of the run.
        split: of the run.
        settings: of the detector.
        model: what is exported.
        calibration: views of training slices, uint8 (views, size, size).
        rows: of the validation and test slices that exports are checked on.
        views: all plain ones of those, then all second ones, and so on.
        expected: the outputs of Keras for them.
    """

    usable: Catalog
    split: Split
    settings: Settings
    model: ExportableModel
    calibration: np.ndarray
    rows: np.ndarray
    views: np.ndarray
    expected: Outputs

    @cached_property
    def prepared(self) -> keras.Model:
        """The network with kernels on 255 steps, as 8-bit exports take it."""
        return prepared(self.model.network, self.calibration)

    @cached_property
    def tuned(self) -> keras.Model:
        """The prepared network, tuned to give the outputs of the original in 8 bits."""
        return tuned(self.prepared, self.model.network, self.calibration)

    def write(
        self, format_: Format, file: Path, precision: ExportPrecision, *, tuned: bool
    ) -> None:
        """Write the network to a file.

        Args:
            tuned: whether an 8-bit network is tuned first.
        """
        network = self.model.network
        if precision in EIGHT_BITS:
            network = self.tuned if tuned else self.prepared
        format_.write(replace(self.model, network=network), file, precision, self.calibration)

    def parity(self, runtime: Runtime, precision: ExportPrecision) -> Parity:
        """Compare an export with the network."""
        return compare(
            self.expected,
            outputs_of(runtime, self.views),
            self.usable.labels[self.rows],
            self.usable.groups[self.rows],
            self.usable.classes,
            rules=self.settings.rules,
            precision=precision,
        )


def open_source(
    run: str | Path | None,
    *,
    data: str | Path | None,
    cache_gb: float,
    listener: Listener = silent,
) -> ExportSource:
    """Read a run, render its slices, and run its network on some that it was not trained on.

    Args:
        run: the folder of a training; or of another detector, as `falx adapt` makes, or None for
            the one that ships with falx.
        data: where the slices of the training lie now, if not where the run found them; of another
            detector, labeled slices, of which a part calibrates 8-bit networks.
        cache_gb: maximum size of the cache of views.
        listener: receives progress.

    Raises:
        FalxError: there is no detector, or its slices are gone, or none were named.
    """
    if keras.backend.backend() != "tensorflow":
        raise BadInput("Exports need Keras on TensorFlow; unset KERAS_BACKEND.")
    if run is not None and _is_of_run(Path(run)):
        usable, split, recipe, settings = _of_training(run, data)
        folder = detector_folder(run)
    else:
        folder = detector_folder(run)
        usable, split, recipe, settings = _of_detector(folder, data, listener)
    views = render_views(
        usable, recipe.rendering, open_cache(cache_gb), recipe.augmentation, listener=listener
    )
    generator = np.random.default_rng(0)
    held_out = np.concatenate([split.validation, split.test])
    rows = _stratified_sample(held_out, usable.labels[held_out], generator)
    checked = _views_of(views, rows, _PARITY_VIEWS)
    model = _load_model(folder, checked[:_BATCH], flip_tta=settings.flip_tta)
    expected = outputs_of(keras_runtime(model), checked)
    if not all(np.isfinite(part).all() for part in vars(expected).values()):
        raise BrokenRun(
            f"The network of '{folder}' gives outputs that are not finite, so no export can be "
            "compared with it; train again."
        )
    calibration_rows = generator.permutation(split.train)[:_CALIBRATION_VIEWS]
    return ExportSource(
        usable=usable,
        split=split,
        settings=settings,
        model=model,
        calibration=_views_of(views, calibration_rows, _CALIBRATION_VIEWS),
        rows=rows,
        views=checked,
        expected=expected,
    )


def outputs_of(runtime: Runtime, views: np.ndarray) -> Outputs:
    """The outputs of a runtime for any number of views, a batch at a time."""
    batches = [runtime(views[start : start + _BATCH]) for start in range(0, len(views), _BATCH)]
    return Outputs(
        *(np.concatenate([getattr(batch, name) for batch in batches]) for name in OUTPUTS)
    )


def _is_of_run(folder: Path) -> bool:
    """Whether a folder is a run, or the `detector/` of one."""
    home = folder.absolute().parent if (folder / SETTINGS_FILE).is_file() else folder
    return (home / RECORD_FILE).is_file()


def _of_training(
    run: str | Path, data: str | Path | None
) -> tuple[Catalog, Split, Recipe, Settings]:
    """The slices of a training, where they lie now, its split, recipe and detector."""
    found = open_run(run)
    if found.split is None or found.settings is None or found.recipe is None:
        raise BadInput(f"'{run}' is no training, so it has no network; export a training.")
    usable = found.catalog.usable()
    if data is not None:
        root = Path(data).parent if Path(data).is_file() else Path(data)
        usable = Catalog(root, usable.classes, usable.table)
    if not usable.file(0).is_file():
        raise BadInput(
            f"'{usable.file(0)}' is not there, and exports are checked on the slices of the run; "
            "say with --data in which folder they lie now."
        )
    return usable, found.split, found.recipe, found.settings


def _of_detector(
    folder: Path, data: str | Path | None, listener: Listener
) -> tuple[Catalog, Split, Recipe, Settings]:
    """Labeled slices for a detector that keeps none: half calibrate, by group, and half check."""
    if not (folder / RECIPE_FILE).is_file():
        raise BadInput(f"'{folder}' was taken out of its run; name the folder of the run.")
    if data is None:
        raise BadInput(
            f"The detector in '{folder}' keeps no slices to check an export on; name labeled ones "
            "with --data."
        )
    settings = Settings.load(folder)
    catalog = build_catalog(data, min_classes=1, listener=listener)
    usable = with_classes_of(catalog, settings.classes).usable()
    split = split_by_group(usable.labels, usable.groups, shares=(0.5, 0.25, 0.25))
    return usable, split, load_recipe(folder / RECIPE_FILE), settings


def _load_model(folder: Path, views: np.ndarray, *, flip_tta: bool) -> ExportableModel:
    """The network of a detector, as Keras saved it.

    Raises:
        BrokenRun: it can't be read, or is not the one that the detector runs.
    """
    network = load_keras(folder)
    model = ExportableModel(network, MahalanobisReference.load(folder), flip_tta)
    check_parity(model, folder / NETWORK_FILE, views)
    return model


def _stratified_sample(
    rows: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Some rows, sorted: all of them where they are few, else the same fraction of each class."""
    fraction = min(1.0, _PARITY_VIEWS / len(rows))
    chosen = [
        generator.permutation(rows[labels == label])[
            : math.ceil(fraction * (labels == label).sum())
        ]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


def _views_of(views: Views, rows: np.ndarray, wanted: int) -> np.ndarray:
    """Plain views of some slices, then augmented ones, the same number of each slice."""
    each = min(max(wanted // len(rows), 1), _MAX_VIEWS_PER_SLICE)
    return np.concatenate([views.take(PLAIN + number, rows) for number in range(each)])
