"""What several commands share: their options, and what they run in."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from falx import defaults
from falx.errors import BadInput
from falx.logs import native_silence
from falx.progress import Listener

if TYPE_CHECKING:
    from falx.evaluation.metrics import Scores

DataArgument = Annotated[
    Path, typer.Argument(help="A folder with a subfolder a class, or a CSV or Parquet file.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run folder, or its detector/.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The folder to be made, itself.")]
PositiveOption = Annotated[
    str | None, typer.Option("--positive", help="Which of two classes is the positive one.")
]
RecipeOption = Annotated[str, typer.Option("--recipe", help="Name of a recipe, or a YAML file.")]
WeightsOption = Annotated[
    str,
    typer.Option(
        "--weights", help="'imagenet', 'phantom', 'random', or the path of backbone weights."
    ),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=defaults.MOST_SEED, help="Decides every random draw."),
]
ChangesOption = Annotated[
    list[str] | None, typer.Option("--set", help="FIELD=VALUE; overrides the recipe.")
]
ResumeOption = Annotated[
    bool | None,
    typer.Option(
        "--resume/--no-resume",
        help="Demand an unfinished run of this command, or start over; by default go on where "
        "there is one.",
    ),
]
OperatingPointOption = Annotated[
    str,
    typer.Option(
        help="What the threshold of two classes is chosen for: a probability, youden, or "
        "sensitivity=0.95."
    ),
]
ErrorOption = Annotated[
    float, typer.Option(help="Share of slices whose true class may be held impossible.")
]
PrecisionOption = Annotated[
    Literal["fp32", "bf16"],
    typer.Option(help="Arithmetic of convolutions; bf16 is faster where the processor has it."),
]
BankOption = Annotated[
    float, typer.Option("--bank-gb", help="The most that views and features may take on disk.")
]


PretrainOnOption = Annotated[
    Path | None,
    typer.Option(
        "--pretrain-on",
        help="Another dataset, of any classes, that the backbone learns first; what is near DATA "
        "in it is left out.",
    ),
]


@contextmanager
def training(feature: str, *, resumes: bool = True) -> Iterator[Listener]:
    """What every verb that needs Keras runs in: its extra, a silent start, a bar.

    Args:
        resumes: whether it goes on where it was stopped.
    """
    from falx import console
    from falx.extras import needs

    with needs("train", feature):
        with native_silence():
            # Only to have it loaded here: what it loads talks meanwhile.
            import keras  # noqa: F401
        try:
            with console.progress(narrated=True) as listener:
                yield listener
        except KeyboardInterrupt:
            # Typer would end without a word.
            rest = "the same command goes on from the last checkpoint, if one was written"
            fail(f"Stopped; {rest if resumes else 'nothing was written'}.", code=130)


def warn_of_chance(scores: Scores) -> None:
    from falx import console

    auc = scores.estimates["roc_auc"]
    if not auc.low > 0.5:
        console.warn(
            f"This test can't tell the detector from chance: its AUC is {auc}; train on more "
            "slices, with pretrained weights, or longer."
        )


def tell_classes(counts: Mapping[str, int]) -> None:
    """Which classes were found, and which of two is the positive one."""
    from falx import console

    found = ", ".join(f"{name} ({count})" for name, count in counts.items())
    positive = f"; {list(counts)[1]} is the positive class" if len(counts) == 2 else ""
    console.say(f"Classes: {found}{positive}")


def tell_pretraining(about: Mapping[str, Any] | None) -> None:
    if about:
        from falx import console
        from falx.evaluation.sentences import pretraining_words

        console.say(pretraining_words(about))


def pairs(changes: list[str]) -> dict[str, str]:
    pairs = {}
    for change in changes:
        field, equals, value = change.partition("=")
        if not equals or not field:
            raise BadInput(f"--set takes FIELD=VALUE, such as head.dropout=0.3, not '{change}'.")
        pairs[field.strip()] = value
    return pairs


def fail(message: str, code: int = 2) -> NoReturn:
    from falx import console

    logging.getLogger(__name__).debug("failed", exc_info=True)
    console.complain(message)
    sys.exit(code)
