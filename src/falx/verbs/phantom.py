"""`phantom`: synthetic slices or volumes, with the masks of their tumors."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from falx.declaration import takes
from falx.errors import BadInput
from falx.phantoms import find_anatomies, write_phantoms, write_volumes
from falx.progress import Listener, silent
from falx.runs.options import PhantomOptions


@takes(PhantomOptions)
def phantom(
    out: str | Path, *, listener: Listener = silent, **options: Unpack[PhantomOptions]
) -> Path:
    """Generate synthetic slices or volumes with and without tumors, and masks of the tumors.

    Args:
        out: the folder to create; `train` and `audit` take it as it is. Masks of slices go beside
            it, to OUT-masks, those of volumes into it.
        listener: receives progress.
        options: see falx.runs.options.PhantomOptions.

    Returns:
        The folder.

    Raises:
        BadInput: the folder is in use or can't be written, a number is out of range, or label maps
            are missing or can't be used.
    """
    folder, seed, size = Path(out), options["seed"], options["size"]
    anatomies = find_anatomies(Path(options["anatomy"])) if options["anatomy"] else None
    if options["volumes"] is None:
        write_phantoms(
            folder, options["slices"], seed=seed, size=size, anatomies=anatomies, listener=listener
        )
    elif anatomies is None:
        raise BadInput("Volumes are drawn of whole heads; name label maps with --anatomy.")
    else:
        write_volumes(
            folder, options["volumes"], anatomies, seed=seed, size=size, listener=listener
        )
    return folder
