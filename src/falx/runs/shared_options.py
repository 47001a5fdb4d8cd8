"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from falx.data.mask_rule import MaskRule
from falx.declaration import Option
from falx.seeds import MAX_SEED

Out = Annotated[
    str | Path | None,
    Option(
        "Folder to create; by default one below runs/, named by the time.",
        shell=Path | None,
        reproducible=False,
    ),
]
Seed = Annotated[int, Option("Random seed.", default=0, minimum=0, maximum=MAX_SEED)]
Resume = Annotated[
    bool | None,
    Option(
        "--resume fails unless there is an unfinished run of this command to resume; --no-resume "
        "starts over; by default, one is resumed if there is one.",
        flag="--resume/--no-resume",
        reproducible=False,
    ),
]
CacheGb = Annotated[
    float,
    Option(
        "Maximum size of the disk cache of preprocessed slices and features, in gigabytes.",
        default=8.0,
        reproducible=False,
    ),
]
WEIGHTS = (
    "Initial backbone weights: 'phantom' (pretrained on synthetic slices), 'imagenet', 'falx' (of "
    "the detector that ships with falx), 'random', or a file"
)


TumorArea = Annotated[
    float,
    Option(
        "Where masks outline tumors: area in mm2 from which a slice counts as one with a tumor; a "
        "slice with less is left out.",
        MaskRule.tumor_area,
        minimum=0,
    ),
]
TumorMargin = Annotated[
    float,
    Option(
        "Where masks outline tumors: distance in mm within which a slice without one, but next to "
        "one with, is left out.",
        MaskRule.tumor_margin,
        minimum=0,
    ),
]


JsonFile = Annotated[
    str | Path | None,
    Option("JSON file to write all results into; - for standard output.", shell=Path | None),
]
Positive = Annotated[str | None, Option("Which of two classes is the positive one.")]
