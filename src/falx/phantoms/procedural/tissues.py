"""Gray levels of tissues, as in MR sequences or at random."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

TISSUES = ("scalp", "bone", "marrow", "csf", "gray", "white", "vessel")

PATHOLOGIES = (
    "edema", "glioma", "ring", "necrosis", "meningioma", "pituitary",
    "gliosis", "infarct", "cyst", "blood",
)  # fmt: skip

_SEQUENCES = {
    "t1": (
        (0.75, 0.06, 0.40, 0.12, 0.36, 0.56, 0.14),
        (0.38, 0.28, 0.66, 0.18, 0.66, 0.62, 0.40, 0.17, 0.13, 0.80),
    ),
    "t2": (
        (0.50, 0.04, 0.26, 0.88, 0.46, 0.30, 0.06),
        (0.80, 0.74, 0.62, 0.90, 0.72, 0.66, 0.72, 0.84, 0.90, 0.12),
    ),
    "flair": (
        (0.55, 0.05, 0.24, 0.09, 0.44, 0.33, 0.10),
        (0.74, 0.76, 0.84, 0.40, 0.78, 0.70, 0.72, 0.16, 0.10, 0.66),
    ),
    "contrast": (
        (0.75, 0.06, 0.38, 0.11, 0.33, 0.44, 0.88),
        (0.28, 0.62, 0.94, 0.15, 0.90, 0.84, 0.34, 0.14, 0.12, 0.62),
    ),
    "pd": (
        (0.55, 0.06, 0.28, 0.52, 0.62, 0.48, 0.12),
        (0.76, 0.78, 0.80, 0.62, 0.76, 0.74, 0.74, 0.58, 0.54, 0.30),
    ),
}
"""Mean gray level of each of TISSUES and of PATHOLOGIES, [0, 1]."""


def draw_levels(rng: Generator, appearance: str) -> dict[str, float]:
    """The gray level of each tissue and pathology, [0, 1].

    A "random" appearance has levels of no particular sequence, so that only shape can be learned
    from it (domain randomization: Billot et al., SynthSeg, 2023).
    """
    if appearance == "random":
        tissues, pathologies = _random_levels(rng)
    else:
        tissues, pathologies = (np.array(means) for means in _SEQUENCES[appearance])
        # Fat is suppressed in some sequences and saturated in others.
        tissues[0] = np.clip(tissues[0] * rng.uniform(0.3, 1.3), 0.15, 1)
        tissues[2] *= rng.uniform(0.4, 1.5)
    levels = np.concatenate([tissues, pathologies])
    levels = np.clip(levels * rng.normal(1, 0.09, levels.size), 0.02, 1)
    return dict(zip((*TISSUES, *PATHOLOGIES), levels.tolist(), strict=True))


def _random_levels(rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    tissues = rng.uniform(0.05, 0.9, len(TISSUES))
    white = tissues[TISSUES.index("white")]
    # A lesion as bright as the brain would be invisible.
    contrast = rng.uniform(0.22, 0.45, len(PATHOLOGIES))
    sign = np.where(rng.random(len(PATHOLOGIES)) < 0.5, -1, 1)
    sign = np.where(white + sign * contrast > 1, -1, np.where(white + sign * contrast < 0, 1, sign))
    return tissues, white + sign * contrast
