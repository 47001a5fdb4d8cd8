"""`pretrain`: a backbone from phantoms alone, and how it was made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import keras
import pandas as pd

from falx.declaration import command_line, recorded, takes
from falx.environment import environment, version
from falx.logs import log_to_file
from falx.model.weights import find_weights, save_weights
from falx.pretraining.phantoms import BACKBONE, PretrainingConfig, pretrain_on_phantoms
from falx.progress import Listener, silent
from falx.reporting.figures import style
from falx.reporting.figures.pretraining import pretraining_curves
from falx.runs.folder import CHECKPOINTS, final_path, run_folder
from falx.runs.options import PretrainOptions
from falx.serialization import write_json

WEIGHTS_FILE = "backbone.weights.h5"


@dataclass(frozen=True)
class PretrainingResult:
    """What `pretrain` leaves behind.

    Attributes:
        folder: whole, with backbone.weights.h5, history.csv, pretraining.png and pretraining.json.
        history: see falx.pretraining.phantoms.pretrain_on_phantoms.
    """

    folder: Path
    history: pd.DataFrame


@takes(PretrainOptions)
def pretrain(
    *, listener: Listener = silent, **options: Unpack[PretrainOptions]
) -> PretrainingResult:
    """Train MobileNetV2 on an endless stream of phantoms; a stopped call is resumed.

    Args:
        listener: receives progress.
        options: see falx.runs.options.PretrainOptions.

    Raises:
        FalxError: what was asked for can't be done.
    """
    config = PretrainingConfig(
        options["slices"],
        options["size"],
        options["batch_size"],
        options["low_resolution_fraction"],
        options["learning_rate"],
        options["seed"],
    )
    weights = find_weights(str(options["weights"]), BACKBONE)
    request = {
        "falx": version("falx"),
        "config": asdict(config),
        "weights": weights.sha256 or weights.name,
        "backend": keras.backend.backend(),
    }
    out = Path(options["out"]) if options["out"] else None
    with (
        run_folder(out, "pretrain", request, resume=options["resume"]) as folder,
        log_to_file(folder / "log.jsonl"),
    ):
        file = str(weights.file) if weights.file else None
        backbone, history = pretrain_on_phantoms(
            config, file, folder=folder / CHECKPOINTS, listener=listener
        )
        save_weights(backbone, folder / WEIGHTS_FILE)
        history.to_csv(folder / "history.csv", index=False)
        style.save(pretraining_curves(history), folder / "pretraining.png")
        write_json(folder / "pretraining.json", {
            "command": command_line("pretrain", [], PretrainOptions, options),
            "options": recorded(PretrainOptions, options),
            "weights": {"name": weights.name, "sha256": weights.sha256},
            "backend": keras.backend.backend(),
            **environment(),
            **_outcome(history),
        })  # fmt: skip
    return PretrainingResult(final_path(folder), history)


def _outcome(history: pd.DataFrame) -> dict[str, Any]:
    """How long it took, and the scores of the last round."""
    last = history.iloc[-1].to_dict()
    return {
        "seconds": round(float(history["seconds"].sum()), 1),
        "result": {name: round(float(value), 6) for name, value in last.items()},
    }
