"""Random seeds that every library takes."""

from __future__ import annotations

from falx.errors import BadInput

MAX_SEED = 2**31 - 1


def check_seed(seed: int) -> None:
    """Check that every library takes a seed.

    Raises:
        BadInput: it does not.
    """
    if not 0 <= seed <= MAX_SEED:
        raise BadInput(f"A seed must be from 0 to {MAX_SEED}, got {seed}.")
