"""The options of all verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypedDict

from falx.declaration import Option
from falx.detect.rules import Rules
from falx.exporting.choices import ExportPrecision
from falx.recipe import Precision, Recipe
from falx.runs.shared_options import (
    WEIGHTS,
    CacheGb,
    JsonFile,
    Out,
    Positive,
    Resume,
    Seed,
    TumorArea,
    TumorMargin,
)


class AuditOptions(TypedDict, total=False):
    """What `audit` takes."""

    crossval: Annotated[
        str | Path | None,
        Option(
            "Run folder of a cross-validation of DATA; shows its label issues.", shell=Path | None
        ),
    ]
    positive: Positive
    tumor_area: TumorArea
    tumor_margin: TumorMargin
    json: JsonFile
    html: Annotated[str | Path | None, Option("Page with thumbnails to write.", shell=Path | None)]


class TrainingOptions(TypedDict, total=False):
    """What every training takes."""

    recipe: Annotated[
        str | Path | Recipe | None,
        Option(
            "Training configuration: 'localized', 'best', 'lite', 'paper', 'demo', or a YAML file; "
            "by default 'localized', if one of two classes means no tumor and neither weights nor "
            "a dataset to pretrain on are named, else 'best'.",
            shell=str | None,
            by_content=True,
        ),
    ]
    changes: Annotated[
        Mapping[str, object] | None,
        Option(
            "FIELD=VALUE; overrides a field of the recipe, such as head.dropout=0.3.",
            flag="--set",
            shell=list[str] | None,
            by_content=True,
        ),
    ]
    weights: Annotated[
        str | Path | None,
        Option(
            f"{WEIGHTS}; by default those that the recipe names.",
            shell=str | None,
            by_content=True,
        ),
    ]
    seed: Seed
    positive: Positive
    operating_point: Annotated[
        str | float,
        Option(
            "Decision threshold for two classes: a fixed probability such as 0.5, or a criterion "
            "for choosing it on validation slices: 'youden' or, for example, 'sensitivity=0.95'.",
            Rules.operating_point,
            shell=str,
        ),
    ]
    alpha: Annotated[
        float,
        Option(
            "Conformal miscoverage rate: prediction sets hold the true class for a fraction "
            "1 - alpha of slices.",
            Rules.alpha,
        ),
    ]
    precision: Annotated[
        Precision,
        Option(
            "Number format of convolutions; bf16 is faster where the processor supports it.", "fp32"
        ),
    ]
    pretrain_on: Annotated[
        str | Path | None,
        Option(
            "Another labeled dataset, of any classes, on which the backbone is pretrained first; "
            "its slices that share a group with a slice of DATA are left out.",
            shell=Path | None,
            by_content=True,
        ),
    ]
    tumor_area: TumorArea
    tumor_margin: TumorMargin
    cache_gb: CacheGb
    out: Out
    resume: Resume


class TrainOptions(TrainingOptions, total=False):
    """What `train` takes."""

    split: Annotated[
        str | Path | Sequence[float],
        Option(
            "Percentages of train, validation and test part, split by group; 'random' (70/15/15, "
            "ignores groups); 'predefined' (the parts that DATA defines); or a CSV file.",
            "70/15/15",
            shell=str,
            by_content=True,
        ),
    ]
    compare_random_split: Annotated[
        bool,
        Option(
            "Train once more on a random split, to show how much leakage inflates metrics.",
            default=False,
        ),
    ]
    tensorboard: Annotated[
        bool, Option("Write TensorBoard logs.", default=False, reproducible=False)
    ]


class CrossvalOptions(TrainingOptions, total=False):
    """What `crossval` takes."""

    folds: Annotated[int, Option("Number of folds.", 5, minimum=2)]
    repeats: Annotated[
        int, Option("Number of repeats, each with other folds and seeds.", 1, minimum=1)
    ]
    jobs: Annotated[
        int | None,
        Option(
            "Folds trained in parallel, each with about a gigabyte of memory; by default one per "
            "core, up to 8, and 1 when called from Python.",
            minimum=1,
        ),
    ]
    leave_one_source_out: Annotated[
        bool,
        Option(
            "Of several datasets, test each with networks trained on the others: a fold for each.",
            default=False,
        ),
    ]


class EvaluateOptions(TypedDict, total=False):
    """What `evaluate` takes."""

    masks: Annotated[
        str | Path | None,
        Option(
            "Folder of tumor masks, each at the relative path of its image, or DICOM "
            "segmentations; heat maps are compared with them. Masks beside the images are found "
            "without.",
            shell=Path | None,
        ),
    ]
    faithfulness_slices: Annotated[
        int,
        Option(
            "Number of slices on which to measure the faithfulness of heat maps; 0 skips it.",
            30,
            minimum=0,
        ),
    ]
    robustness: Annotated[
        bool,
        Option(
            "Also test on corrupted slices (blur, noise, borders and others, at three strengths).",
            default=False,
        ),
    ]
    binary: Annotated[
        bool,
        Option("Merge the classes into two: no tumor, and any tumor.", default=False),
    ]
    tumor_area: TumorArea
    tumor_margin: TumorMargin
    cache_gb: CacheGb
    out: Out


class PredictOptions(TypedDict, total=False):
    """What `predict` takes."""

    csv: Annotated[
        str | Path | None,
        Option(
            "File to write a row per slice into, as CSV; - for standard output.", shell=Path | None
        ),
    ]
    json: Annotated[
        str | Path | None,
        Option(
            "File to write all results into, as JSON; - for standard output.", shell=Path | None
        ),
    ]
    heat_maps: Annotated[
        str | Path | None,
        Option("Folder to draw heat maps into.", flag="--heatmaps", shell=Path | None),
    ]
    strict: Annotated[
        bool, Option("Fail if anything was left out; the command then exits with 3.", default=False)
    ]


class PhantomOptions(TypedDict, total=False):
    """What `phantom` takes."""

    slices: Annotated[
        int, Option("Slices to generate, half of them with a tumor.", 200, short="-n", minimum=2)
    ]
    volumes: Annotated[
        int | None, Option("Volumes to generate instead, half of them with a tumor.", minimum=2)
    ]
    anatomy: Annotated[
        str | Path | None,
        Option(
            "Folder with label maps of whole heads (NIfTI) to draw slices of; by default, heads "
            "are procedural.",
            shell=Path | None,
        ),
    ]
    size: Annotated[int, Option("Width and height in pixels.", 224, minimum=64, maximum=1024)]
    seed: Seed


class AdaptOptions(TypedDict, total=False):
    """What `adapt` takes."""

    unlabeled: Annotated[
        bool,
        Option(
            "LOCAL has no labels: out-of-distribution detection is fitted to it, and nothing is "
            "tested.",
            False,
            flag="--unlabeled",
        ),
    ]
    prior_shift: Annotated[
        bool,
        Option(
            "With --unlabeled: also move the logits by the estimated frequency of classes, which "
            "is right only where nothing else differs.",
            False,
            flag="--prior-shift",
        ),
    ]
    tumor_area: TumorArea
    tumor_margin: TumorMargin
    cache_gb: CacheGb
    out: Out


class DemoOptions(TypedDict, total=False):
    """What `demo` takes."""

    slices: Annotated[int, Option("Phantoms to train on.", 1200, short="-n", minimum=60)]
    seed: Seed
    out: Out


class PretrainOptions(TypedDict, total=False):
    """What `pretrain` takes."""

    anatomy: Annotated[
        str | Path | None,
        Option(
            "Folder with label maps of whole heads (NIfTI) to draw phantoms of; by default, heads "
            "are procedural.",
            shell=Path | None,
        ),
    ]
    validate_on: Annotated[
        Sequence[str | Path] | None,
        Option(
            "Dataset to score every round on; it is not trained on, nor is what is near it. May be "
            "given several times.",
            shell=list[Path] | None,
        ),
    ]
    slices: Annotated[
        int, Option("Views to train on, phantoms and slices.", 32_000, short="-n", minimum=1)
    ]
    size: Annotated[int, Option("Width and height of the views in pixels.", 192)]
    batch_size: Annotated[int, Option("Views per batch, a multiple of 8.", 16, minimum=8)]
    learning_rate: Annotated[float, Option("Peak learning rate.", 3e-4)]
    weights: Annotated[str | Path, Option(f"{WEIGHTS}.", "imagenet", shell=str)]
    seed: Seed
    out: Out
    resume: Resume


class ExportOptions(TypedDict, total=False):
    """What `export` takes."""

    precision: Annotated[
        ExportPrecision,
        Option("Number format of weights and activations; int8-weights: of weights only.", "fp32"),
    ]
    data: Annotated[
        str | Path | None,
        Option(
            "Folder of the slices of the run, if they were moved since; of a detector without a "
            "run, labeled slices to check exports on.",
            shell=Path | None,
        ),
    ]
    force: Annotated[
        bool, Option("Keep an export that fails the parity check, marked as such.", default=False)
    ]
    cache_gb: CacheGb
    out: Out


class BenchOptions(TypedDict, total=False):
    """What `bench` takes."""

    rounds: Annotated[
        int, Option("Processes to time for each export and thread count.", 3, minimum=1)
    ]
    seconds: Annotated[
        float,
        Option(
            "Duration of each latency and throughput measurement, in seconds.", 1.0, minimum=0.1
        ),
    ]
    data: Annotated[
        str | Path | None,
        Option(
            "Folder of the slices of the run, if they were moved since; of a detector without a "
            "run, labeled slices to check exports on.",
            shell=Path | None,
        ),
    ]
    cache_gb: CacheGb
    out: Out
