"""`adapt`: a detector for another place, from a few patients of it, labeled or not."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd

from falx.data.catalog import Catalog, build_catalog
from falx.data.fingerprints import Fingerprints, fingerprints
from falx.data.mask_rule import MaskRule
from falx.data.split import Split
from falx.data.unlabeled import unlabeled_catalog
from falx.declaration import command_line, takes
from falx.detect.detector import Detector, detector_folder, load
from falx.detect.finding import class_probabilities
from falx.errors import BadInput
from falx.evaluation.binary import with_classes_of
from falx.evaluation.predictions import Predictions
from falx.exporting.linear_detector import (
    HEAD_FILE,
    RECIPE_FILE,
    check_logits,
    export_linear,
    load_head,
    with_last_layers,
)
from falx.progress import Listener, Progress, silent
from falx.reporting.pages.adaptation import write_adaptation_page, write_unlabeled_page
from falx.runs.adaptation import (
    Adaptation,
    LinearRules,
    check_groups,
    compare,
    fit,
)
from falx.runs.folder import check_free, new_folder, stamped
from falx.runs.inputs import PRETRAINING_FILE
from falx.runs.local_data import LocalData, read_local
from falx.runs.options import AdaptOptions
from falx.runs.unlabeled import (
    UnlabeledAdaptation,
    adapt_unlabeled,
    check_unlabeled,
    why_no_prior,
)
from falx.runs.writing import CATALOG_FILE, SPLIT_FILE
from falx.serialization import write_json
from falx.training.adaptation import Layers, logits_of
from falx.training.site import fit_site_reference
from falx.verbs.evaluate import leaked_from_training

logger = logging.getLogger(__name__)

_PARITY_SLICES = 32
ADAPTATION_FILE = "adaptation.json"
PAGE_FILE = "adaptation.html"


@dataclass(frozen=True)
class Adapted:
    """What `adapt` leaves behind: the folder, with adaptation.html and .json.

    Where something was gained, or there were no labels, it holds the new detector too, in
    detector/.
    """

    folder: Path
    adaptation: Adaptation | UnlabeledAdaptation


@takes(AdaptOptions)
def adapt(
    run: str | Path | None,
    local: str | Path,
    *,
    listener: Listener = silent,
    **options: Unpack[AdaptOptions],
) -> Adapted:
    """Adapt a detector to slices of a place: to labeled ones as far as that is a significant gain.

    Args:
        run: a run folder, or its `detector/`; None for the detector that ships with falx.
        local: labeled slices, as for `falx.evaluate`; with `unlabeled`, a folder of any.
        listener: receives progress.
        options: see falx.runs.options.AdaptOptions.

    Raises:
        BadInput: the detector has no linear head on a frozen backbone, or the slices have no label
            of their own, other classes, or too few groups.
        FalxError: run or data can't be used.
    """
    folder = Path(options["out"] or stamped(f"adapt-{Path(local).stem}"))
    check_free(folder, "the adapted detector")
    detector, place = load(run), detector_folder(run)
    old = _linear(detector, place)
    arguments = [str(each) for each in (run, local) if each is not None]
    command = command_line("adapt", arguments, AdaptOptions, options)
    if options["unlabeled"]:
        return _without_labels(Path(local), detector, place, folder, command, options, listener)
    if options["prior_shift"]:
        raise BadInput(
            "--prior-shift is for slices without labels; add --unlabeled, or leave it out: with "
            "labels, the intercept is fitted."
        )
    usable = _local_slices(Path(local), detector, place, options, listener)
    check_groups(usable)
    data = read_local(usable, place, cache_gb=options["cache_gb"], listener=listener)
    rows = np.arange(len(usable))
    probabilities, distances = detector.predict_views(data.views.plain)
    before = Predictions.of_detector(
        usable, rows, probabilities, distances, detector.settings.rules
    )
    adaptation = compare(old, data, before, lambda name: listener(Progress("Adapting", 0, 1, name)))
    listener(Progress("Adapting", 1, 1))
    title = f"{detector.settings.recipe} on {usable.root.name}"
    with new_folder(folder, "the adapted detector") as filling:
        if adaptation.taken:
            new = fit(adaptation.taken.candidate, old, data, rows)
            _write_detector(new, data, place, filling / "detector")
        content = _about(command, detector, usable) | {
            "taken": adaptation.taken.candidate if adaptation.taken else None,
            "before": adaptation.before.as_dict(),
            "attempts": [each.as_dict() for each in adaptation.attempts],
        }
        write_json(filling / ADAPTATION_FILE, content)
        write_adaptation_page(adaptation, title, command, filling / PAGE_FILE)
    return Adapted(folder, adaptation)


def _without_labels(
    local: Path,
    detector: Detector,
    place: Path,
    folder: Path,
    command: str,
    options: AdaptOptions,
    listener: Listener,
) -> Adapted:
    """Fit out-of-distribution detection to unlabeled slices, and the prior where asked for."""
    no_prior = why_no_prior(place)
    if no_prior and options["prior_shift"]:
        raise BadInput(
            f"--prior-shift can't be used, since the detector in '{place}' is one to which classes "
            f"need not be equally frequent: {no_prior}; adapt one that was trained with "
            "class_weights: balanced and not adapted, or leave out --prior-shift."
        )
    usable = unlabeled_catalog(local, listener=listener).usable()
    check_unlabeled(usable)
    data = read_local(usable, place, cache_gb=options["cache_gb"], labeled=False, listener=listener)
    settings, head = detector.settings, load_head(place)
    adaptation, new = adapt_unlabeled(
        head, settings.rules, settings.classes, data, detector.predict_views(data.views.plain),
        prior_shift=options["prior_shift"], no_prior=no_prior,
        seen=leaked_from_training(place, usable),
    )  # fmt: skip
    with new_folder(folder, "the adapted detector") as filling:
        network = with_last_layers(place, new.head, new.reference)
        export_linear(network, filling / "detector", classes=settings.classes, rules=new.rules)
        first = slice(_PARITY_SLICES)
        expected = logits_of(new.head, data.pooled[first])
        check_logits(filling / "detector", data.views.plain[first], expected)
        new.site.save(filling / "detector")
        _seen(place, usable).save(filling / "detector")
        content = _about(command, detector, usable) | {"unlabeled": adaptation.as_dict()}
        write_json(filling / ADAPTATION_FILE, content)
        title = f"{settings.recipe} on {usable.root.name}"
        write_unlabeled_page(adaptation, title, command, filling / PAGE_FILE)
    return Adapted(folder, adaptation)


def _about(command: str, detector: Detector, usable: Catalog) -> dict[str, Any]:
    """What adaptation.json says of how it was made."""
    return {
        "command": command,
        "detector": detector.settings.network_sha256,
        "data": {"name": usable.root.name, "sha256": usable.digest()},
    }


def _linear(detector: Detector, place: Path) -> LinearRules:
    """The head and the rules of a detector.

    Raises:
        BadInput: it has no linear head on a frozen backbone.
    """
    if not all((place / name).is_file() for name in (HEAD_FILE, RECIPE_FILE)):
        raise BadInput(
            f"The detector in '{place}' has no linear head on a frozen backbone, which is what "
            "falx adapt can fit anew; train one by falx train --recipe localized or best."
        )
    return LinearRules(Layers(load_head(place)), detector.settings.rules)


def _local_slices(
    local: Path, detector: Detector, place: Path, options: AdaptOptions, listener: Listener
) -> Catalog:
    """Usable slices that the detector has not seen, with labels of their own."""
    rule = MaskRule(options["tumor_area"], options["tumor_margin"])
    catalog = build_catalog(local, min_classes=1, masks=rule, listener=listener)
    usable = with_classes_of(catalog, detector.settings.classes).usable()
    if usable.table["weak_label"].any():
        raise BadInput(
            f"Slices of '{local}' have only the label of their volume; an adaptation needs labels "
            "of slices, such as masks of the tumors."
        )
    leaked = leaked_from_training(place, usable)
    if leaked is not None and leaked.any():
        logger.warning(
            "%d of %d slices are left out: they share a group with one that the detector has seen.",
            leaked.sum(), len(usable),
        )  # fmt: skip
        usable = replace(usable, table=usable.table[~leaked].reset_index(drop=True))
    return usable


def _write_detector(new: LinearRules, data: LocalData, place: Path, folder: Path) -> None:
    """Write the new detector, with what it compares other slices with and what it has seen."""
    assert new.reference is not None
    assert new.logits is not None
    layers = new.layers
    network = with_last_layers(place, layers.head, new.reference, layers.tumor_map)
    export_linear(network, folder, classes=data.usable.classes, rules=new.rules)
    first = np.arange(min(len(data.usable), _PARITY_SLICES))
    check_logits(folder, data.views.plain[first], layers.logits(data.slices.take(first)))
    _write_site_reference(new.logits, data, folder)
    _seen(place, data.usable).save(folder)


def _write_site_reference(logits: np.ndarray, data: LocalData, folder: Path) -> None:
    usable, rows = data.usable, np.arange(len(data.usable))
    nothing = rows[:0]
    fit_site_reference(
        data.views.plain, data.ood_features, data.corrupted, usable.groups,
        Split(nothing, rows, nothing), rows, class_probabilities(logits), seed=0,
    ).save(folder)  # fmt: skip


def _seen(place: Path, usable: Catalog) -> Fingerprints:
    """Of the local slices, and of those that the detector had seen, as far as that is known."""
    new, old = fingerprints(usable.table), Fingerprints.load(place)
    if old is None:
        old = fingerprints(_learned(place.parent, usable.table))
    return Fingerprints(
        np.concatenate([old.digests, new.digests]), np.concatenate([old.hashes, new.hashes])
    )


def _learned(home: Path, empty: pd.DataFrame) -> pd.DataFrame:
    """Rows of training, validation and pretraining of a run folder; none where it is not one."""
    tables = [empty.iloc[:0]]
    if (home / SPLIT_FILE).is_file() and (home / CATALOG_FILE).is_file():
        parts = pd.read_csv(home / SPLIT_FILE)["part"].to_numpy()
        tables.append(Catalog.load(home / CATALOG_FILE).usable().table[parts != "test"])
    if (home / PRETRAINING_FILE).is_file():
        tables.append(Catalog.load(home / PRETRAINING_FILE).usable().table)
    columns = [name for name in empty.columns if all(name in each for each in tables)]
    return pd.concat([each[columns] for each in tables[1:]] or [empty.iloc[:0]])
