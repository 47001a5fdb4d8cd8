"""`demo`: the whole of falx without any data, and on nobody's weights but its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import pandas as pd

from falx.declaration import takes
from falx.errors import BadInput
from falx.phantoms import write_phantoms
from falx.progress import Listener, silent
from falx.runs.folder import check_free, stamped
from falx.runs.options import DemoOptions
from falx.runs.run import Run
from falx.seeds import check_seed
from falx.verbs.evaluate import evaluate
from falx.verbs.train import train

_TEST_SLICES = 400


@dataclass(frozen=True)
class Demo:
    """A training on phantoms, and an evaluation of its detector on phantoms of another seed."""

    training: Run
    evaluation: Run


@takes(DemoOptions)
def demo(*, listener: Listener = silent, **options: Unpack[DemoOptions]) -> Demo:
    """Draw phantoms, train on them from the phantom weights, and test on others.

    A stopped call is resumed if it names the same folder. Beside the run folder lie its slices
    (`<out>-slices`), those of the test (`<out>-others`) and their report (`<out>-on-others`), which
    also compares heat maps with the masks of the tumors.

    Args:
        listener: receives progress.
        options: see falx.runs.options.DemoOptions; the test has the next seed.

    Raises:
        BadInput: a folder exists, or holds other phantoms.
    """
    n, seed = options["slices"], options["seed"]
    check_seed(seed)
    folder = Path(options["out"] or stamped("demo"))
    check_free(folder, "the demo")
    slices, others, report = (
        folder.with_name(f"{folder.name}-{part}") for part in ("slices", "others", "on-others")
    )
    check_free(report, "the demo")
    _draw(slices, n, seed, listener)
    _draw(others, _TEST_SLICES, seed + 1, listener)
    run = train(slices, recipe="demo", weights="phantom", seed=seed, out=folder, listener=listener)
    masks = others.with_name(f"{others.name}-masks")
    return Demo(run, evaluate(folder, others, masks=masks, out=report, listener=listener))


def _draw(folder: Path, n: int, seed: int, listener: Listener) -> None:
    """Draw phantoms, unless an earlier call of the same demo has done so."""
    if not folder.exists():
        write_phantoms(folder, n, seed=seed, listener=listener)
        return
    table = folder / "phantoms.csv"
    seeds = pd.read_csv(table)["seed"].tolist() if table.is_file() else []
    if seeds != [seed] * n:
        raise BadInput(f"'{folder}' holds other slices; name another folder with --out.")
