"""`pretrain`: a backbone from phantoms alone, and how it was made."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import pandas as pd

import falx
from falx import defaults
from falx.environment import environment
from falx.evaluation import figures
from falx.evaluation.pretraining import pretraining as pretraining_figure
from falx.logs import logged_to
from falx.model.weights import Weights, find_weights, save_weights
from falx.progress import Listener, silent
from falx.runfolder import CHECKPOINTS, final_path, run_folder
from falx.training.pretrain import BACKBONE, Course
from falx.training.pretrain import pretrain as learn

WEIGHTS_FILE = "backbone.weights.h5"


@dataclass(frozen=True)
class Pretrained:
    """What `pretrain` hands back.

    Attributes:
        folder: whole, with backbone.weights.h5, history.csv, pretraining.png and pretraining.json.
        history: see falx.training.pretrain.pretrain.
    """

    folder: Path
    history: pd.DataFrame


def pretrain(
    out: str | Path | None = None,
    *,
    slices: int = defaults.PRETRAINING_SLICES,
    size: int = defaults.PRETRAINING_SIZE,
    batch: int = defaults.PRETRAINING_BATCH,
    small_share: float = defaults.PRETRAINING_SMALL_SHARE,
    rate: float = defaults.PRETRAINING_RATE,
    seed: int = 0,
    weights: str = "random",
    resume: bool | None = None,
    listener: Listener = silent,
) -> Pretrained:
    """Train MobileNetV2 on an endless stream of phantoms; a stopped call goes on where it was.

    Args:
        out: the folder to be made; by default `runs/<time>-pretrain`.
        slices: phantoms to learn from, each seen in several views; rounded up to whole rounds.
        size: side of the views of the last steps, in pixels.
        small_share: share of the steps, the first, whose views are smaller, 0.6 of that.
        batch: phantoms a step.
        rate: the highest learning rate; less is better where the weights are good already.
        weights: what to begin with: "random", "imagenet", "phantom", or a path.
        resume: see falx.runfolder.run_folder.

    Raises:
        FalxError: what was asked for can't be done.
    """
    course = Course(slices, size, batch, small_share, rate, seed)
    found = find_weights(weights, BACKBONE)
    request = {
        "falx": falx.__version__,
        "course": asdict(course),
        "weights": found.sha256 or found.name,
        "backend": keras.backend.backend(),
    }
    command = ["falx", "pretrain"]
    for name, value in asdict(course).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    command += ["--weights", weights]
    with (
        run_folder(Path(out) if out else None, "pretrain", request, resume=resume) as folder,
        logged_to(folder / "log.jsonl"),
    ):
        file = str(found.file) if found.file else None
        backbone, history = learn(course, file, folder=folder / CHECKPOINTS, listener=listener)
        save_weights(backbone, folder / WEIGHTS_FILE)
        history.to_csv(folder / "history.csv", index=False)
        figures.save(pretraining_figure(history), folder / "pretraining.png")
        about = _about(course, found, history, shlex.join(command))
        (folder / "pretraining.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return Pretrained(final_path(folder), history)


def _about(
    course: Course, weights: Weights, history: pd.DataFrame, command: str
) -> dict[str, object]:
    """How a backbone was made; ready for JSON."""
    last = history.iloc[-1].to_dict()
    return {
        **environment(),
        "backend": keras.backend.backend(),
        "command": command,
        "course": asdict(course),
        "weights": {"name": weights.name, "sha256": weights.sha256},
        "seconds": round(float(history["seconds"].sum()), 1),
        "result": {name: round(float(value), 6) for name, value in last.items()},
    }
