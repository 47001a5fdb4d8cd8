"""How gray levels enter a network."""

from __future__ import annotations

import numpy as np

INPUT_SCALING = {"zero_one": (1 / 255, 0.0), "minus_one_one": (1 / 127.5, -1.0)}
"""Scale and offset of gray levels [0, 255], inside the network."""


def network_input(views: np.ndarray) -> np.ndarray:
    """Views uint8 (n, size, size) as the network takes them: float32 (n, size, size, 1)."""
    return views[..., None].astype(np.float32)
