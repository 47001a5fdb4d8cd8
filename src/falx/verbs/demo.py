"""`demo`: the whole of falx without any data or weights."""

from __future__ import annotations

from pathlib import Path

from falx import defaults
from falx.data.phantom import write_phantoms
from falx.errors import BadInput
from falx.progress import Listener, silent
from falx.runfolder import stamped
from falx.verbs.train import Trained, train


def demo(
    out: str | Path | None = None,
    *,
    n: int = defaults.DEMO_SLICES,
    seed: int = 0,
    listener: Listener = silent,
) -> Trained:
    """Draw synthetic slices, train a small network on them from random weights, and report.

    Args:
        out: the folder to be made; the slices go beside it, into `<out>-slices`.
        n: how many slices to draw.

    Raises:
        BadInput: the folder exists.
    """
    run = Path(out) if out else stamped("demo")
    if run.exists():
        raise BadInput(f"'{run}' exists already; name another folder with --out or remove it.")
    slices = run.with_name(f"{run.name}-slices")
    if not slices.exists():
        write_phantoms(slices, n, seed=seed, listener=listener)
    return train(slices, recipe="demo", weights="random", seed=seed, out=run, listener=listener)
