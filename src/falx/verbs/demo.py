"""`demo`: the whole of falx without any data, and on nobody's weights but its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from falx import defaults
from falx.data.phantom import write_phantoms
from falx.errors import BadInput
from falx.progress import Listener, silent
from falx.runfolder import check_free, stamped
from falx.verbs.basis import check_seed
from falx.verbs.evaluate import Evaluated, evaluate
from falx.verbs.train import Trained, train

_OTHERS = 400


@dataclass(frozen=True)
class Demonstrated:
    """What `demo` hands back: a training, and its detector on phantoms of another seed."""

    trained: Trained
    others: Evaluated


def demo(
    out: str | Path | None = None,
    *,
    n: int = defaults.DEMO_SLICES,
    seed: int = 0,
    listener: Listener = silent,
) -> Demonstrated:
    """Draw phantoms, train on them from the phantom weights, and test on others.

    A stopped call goes on where it was, if it names the same folder.

    Args:
        out: the run folder to be made. Beside it lie its slices (`<out>-slices`), those of the test
            (`<out>-others`) and its report (`<out>-on-others`), which also holds the heat maps to
            the masks of the tumors.
        n: how many slices to train on.
        seed: of the slices and of the training; the others have the next.

    Raises:
        BadInput: a folder exists, or holds other phantoms.
    """
    check_seed(seed)
    run = Path(out) if out else stamped("demo")
    check_free(run, "the demo")
    slices, others, report = (
        run.with_name(f"{run.name}-{part}") for part in ("slices", "others", "on-others")
    )
    check_free(report, "the demo")
    _draw(slices, n, seed, listener)
    _draw(others, _OTHERS, seed + 1, listener)
    trained = train(slices, recipe="demo", weights="phantom", seed=seed, out=run, listener=listener)
    masks = others.with_name(f"{others.name}-masks")
    return Demonstrated(trained, evaluate(run, others, masks=masks, out=report, listener=listener))


def _draw(folder: Path, n: int, seed: int, listener: Listener) -> None:
    """Draw phantoms, unless an earlier call of the same demo has done so."""
    if not folder.exists():
        write_phantoms(folder, n, seed=seed, listener=listener)
        return
    table = folder / "phantoms.csv"
    seeds = pd.read_csv(table)["seed"].tolist() if table.is_file() else []
    if seeds != [seed] * n:
        raise BadInput(f"'{folder}' holds other slices; name another folder with --out.")
