"""`card`: a model card of a run, from what the run folder holds; the data may be gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from falx.data.auditing import audit
from falx.errors import BadInput
from falx.reporting.card.document import write_document
from falx.reporting.card.model_card import model_card
from falx.reporting.report import Report
from falx.runs.reading import open_run

NAME = "card"


@dataclass(frozen=True)
class CardFiles:
    """The files of a card, which say the same."""

    markdown: Path
    html: Path


def card(run: str | Path, *, out: str | Path | None = None) -> CardFiles:
    """Write card.md and card.html; a card that was filled in by hand is not replaced.

    Args:
        run: the folder of a training or of a cross-validation.
        out: the folder to write into, made if it is not there; by default the run folder.

    Raises:
        BrokenRun: the run folder is damaged.
        BadInput: it is an evaluation, or `out` is a file, or holds a card that says something else.
    """
    found = open_run(run)
    if found.kind == "evaluation":
        raise BadInput(
            f"'{run}' is an evaluation; a card is written of the run that was evaluated."
        )
    folder = Path(out) if out else found.folder
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"'{folder}' is a file; name a folder with --out.")
    check = found.evaluation.label_check if found.kind == "cross-validation" else None
    document = model_card(Report(found, audit(found.catalog, label_check=check)))
    return CardFiles(*write_document(document, folder, NAME))
