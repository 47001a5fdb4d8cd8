"""`pretrain`: a backbone and its localization head, from phantoms and slices, and how they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import keras
import pandas as pd

from falx import phantoms
from falx.data.catalog import Catalog
from falx.declaration import command_line, recorded, takes
from falx.environment import environment, version
from falx.figures import style
from falx.figures.pretraining import pretraining_curves
from falx.logs import log_to_file
from falx.model.weights import Weights, find_weights, save_weights
from falx.phantoms import find_anatomies
from falx.pretraining.localizing import (
    BACKBONE,
    PretrainingConfig,
    plain_backbone,
    pretrain_localization,
)
from falx.pretraining.mixture import Mixture
from falx.pretraining.sources import Source, find_sources, read_source
from falx.progress import Listener, silent
from falx.recipe import Rendering
from falx.runs.folder import CHECKPOINTS, final_path, run_folder
from falx.runs.options import PretrainOptions
from falx.serialization import write_json

WEIGHTS_FILE = "backbone.weights.h5"
LOCALIZER_FILE = "localizer.weights.h5"
"""The backbone with its localization head."""
_SEEN_FILE = "{name}.parquet"
"""The catalog of the slices of a dataset that were learned from."""
_VIEWS = "views"


@dataclass(frozen=True)
class PretrainingResult:
    """What `pretrain` leaves behind.

    Attributes:
        folder: whole, with backbone.weights.h5, localizer.weights.h5, a catalog of each
            dataset, history.csv, pretraining.png and pretraining.json.
        history: see falx.pretraining.localizing.pretrain_localization.
    """

    folder: Path
    history: pd.DataFrame


@takes(PretrainOptions)
def pretrain(
    data: Sequence[str | Path] = (),
    *,
    listener: Listener = silent,
    **options: Unpack[PretrainOptions],
) -> PretrainingResult:
    """Train MobileNetV2 to find tumors in phantoms, and in slices if any; a stopped call resumes.

    Args:
        data: datasets to learn from beside phantoms: a quarter of each batch is their slices, and
            another lesions that are painted into those without a tumor.
        listener: receives progress.
        options: see falx.runs.options.PretrainOptions.

    Raises:
        FalxError: what was asked for can't be done.
    """
    config = PretrainingConfig(
        options["slices"],
        options["size"],
        options["batch_size"],
        options["learning_rate"],
        options["seed"],
    )
    weights = find_weights(str(options["weights"]), BACKBONE)
    anatomies = find_anatomies(Path(options["anatomy"])) if options["anatomy"] else None
    learned, held = find_sources(
        [Path(path) for path in data],
        [Path(path) for path in options["validate_on"] or ()],
        listener=listener,
    )
    out = Path(options["out"]) if options["out"] else None
    request = _request(config, weights, learned, held, options)
    with (
        run_folder(out, "pretrain", request, resume=options["resume"]) as folder,
        log_to_file(folder / "log.jsonl"),
    ):
        sources, validation = (
            [_read(catalog, folder, config, listener) for catalog in each]
            for each in (learned, held)
        )
        part = config.batch_size // 4 if sources else 0
        mixture = Mixture(
            config.size, config.batch_size - 2 * part, part, part, tuple(sources), anatomies
        )
        localizing, history = pretrain_localization(
            config,
            mixture,
            str(weights.file) if weights.file else None,
            validation=validation,
            folder=folder / CHECKPOINTS,
            listener=listener,
        )
        save_weights(plain_backbone(localizing), folder / WEIGHTS_FILE)
        save_weights(localizing, folder / LOCALIZER_FILE)
        for catalog in learned:
            catalog.save(folder / _SEEN_FILE.format(name=catalog.root.name))
        history.to_csv(folder / "history.csv", index=False)
        style.save(pretraining_curves(history), folder / "pretraining.png")
        write_json(folder / "pretraining.json", {
            "command": command_line("pretrain", data, PretrainOptions, options),
            "options": recorded(PretrainOptions, options),
            "weights": {"name": weights.name, "sha256": weights.sha256},
            "data": [_described(catalog) for catalog in learned],
            "backend": keras.backend.backend(),
            **environment(),
            **_outcome(history),
        })  # fmt: skip
    return PretrainingResult(final_path(folder), history)


def _read(catalog: Catalog, folder: Path, config: PretrainingConfig, listener: Listener) -> Source:
    rendering = Rendering(size=config.size)
    return read_source(catalog, folder / CHECKPOINTS / _VIEWS, rendering, listener=listener)


def _request(
    config: PretrainingConfig,
    weights: Weights,
    learned: Sequence[Catalog],
    held: Sequence[Catalog],
    options: PretrainOptions,
) -> dict[str, Any]:
    """What a resumed pretraining must have in common with the one that began."""
    return {
        "falx": version("falx"),
        "phantoms": phantoms.VERSION,
        "anatomy": str(options["anatomy"] or ""),
        "config": asdict(config),
        "weights": weights.sha256 or weights.name,
        "data": [catalog.digest() for catalog in learned],
        "validation": [catalog.digest() for catalog in held],
        "backend": keras.backend.backend(),
    }


def _described(catalog: Catalog) -> dict[str, Any]:
    return {
        "name": catalog.root.name,
        "sha256": catalog.digest(),
        "slices": len(catalog),
        "classes": catalog.counts,
    }


def _outcome(history: pd.DataFrame) -> dict[str, Any]:
    """How long it took, and the scores of the last round."""
    last = history.iloc[-1].to_dict()
    return {
        "seconds": round(float(history["seconds"].sum()), 1),
        "result": {name: round(float(value), 6) for name, value in last.items()},
    }
