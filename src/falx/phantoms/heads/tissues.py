"""The tissues of a head, and their gray levels in MR sequences or at random."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

_LEVELS = {
    #               t1    t2    flair contrast pd
    "air":         (0.00, 0.00, 0.00, 0.00, 0.00),
    "white":       (0.60, 0.34, 0.42, 0.60, 0.55),
    "cortex":      (0.44, 0.48, 0.56, 0.46, 0.70),
    "striatum":    (0.48, 0.43, 0.52, 0.49, 0.64),
    "thalamus":    (0.52, 0.41, 0.50, 0.53, 0.62),
    "pallidum":    (0.56, 0.28, 0.42, 0.56, 0.54),
    "brainstem":   (0.55, 0.37, 0.46, 0.56, 0.60),
    "cord":        (0.52, 0.38, 0.45, 0.53, 0.60),
    "csf":         (0.14, 0.95, 0.08, 0.14, 0.62),
    "ventricle":   (0.13, 0.97, 0.07, 0.13, 0.62),
    "choroid":     (0.30, 0.65, 0.35, 0.82, 0.60),
    "vein":        (0.22, 0.20, 0.16, 0.92, 0.25),
    "artery":      (0.18, 0.06, 0.10, 0.80, 0.12),
    "eye":         (0.14, 0.97, 0.12, 0.14, 0.60),
    "optic_nerve": (0.48, 0.42, 0.48, 0.50, 0.60),
    "muscle":      (0.36, 0.18, 0.28, 0.42, 0.45),
    "fat":         (0.95, 0.62, 0.60, 0.95, 0.75),
    "skin":        (0.50, 0.35, 0.40, 0.55, 0.50),
    "mucosa":      (0.38, 0.80, 0.66, 0.88, 0.70),
    "bone":        (0.05, 0.04, 0.05, 0.05, 0.05),
    "marrow":      (0.68, 0.42, 0.36, 0.70, 0.45),
}  # fmt: skip
"""Mean gray level of each tissue, relative to the brightest."""

TISSUES = tuple(_LEVELS)
CODES = {name: code for code, name in enumerate(TISSUES)}

_BRAIN = ("white", "cortex", "striatum", "thalamus", "pallidum", "brainstem")
_AROUND = ("csf", "ventricle", "choroid", "vein", "artery")
BRAIN = [CODES[name] for name in _BRAIN]
INTRACRANIAL = np.array([name in (*_BRAIN, *_AROUND) for name in TISSUES])
"""Whether each tissue lies within the skull."""

_TEXTURE = {"muscle": 0.16, "fat": 0.10, "skin": 0.15, "mucosa": 0.25, "marrow": 0.2}
"""Deviation of gray levels within a tissue, relative to its mean; 0.03 elsewhere."""
TEXTURE = np.array([_TEXTURE.get(name, 0.03) for name in TISSUES], np.float32)

_SEQUENCES = ("t1", "t2", "flair", "contrast", "pd")

_PATHOLOGIES = {
    #              t1    t2    flair contrast pd
    "edema":      (0.40, 0.78, 0.78, 0.38, 0.76),
    "glioma":     (0.42, 0.70, 0.76, 0.74, 0.78),
    "low_grade":  (0.38, 0.80, 0.86, 0.38, 0.80),
    "ring":       (0.52, 0.62, 0.80, 0.98, 0.80),
    "necrosis":   (0.20, 0.88, 0.40, 0.20, 0.64),
    "meningioma": (0.48, 0.56, 0.66, 0.96, 0.76),
    "pituitary":  (0.46, 0.56, 0.62, 0.80, 0.74),
    "gland":      (0.50, 0.50, 0.58, 0.85, 0.66),
    "gliosis":    (0.38, 0.72, 0.80, 0.38, 0.74),
    "infarct":    (0.22, 0.86, 0.24, 0.22, 0.60),
    "cyst":       (0.14, 0.94, 0.10, 0.14, 0.60),
    "cavity":     (0.16, 0.94, 0.14, 0.16, 0.60),
    "blood":      (0.78, 0.14, 0.66, 0.72, 0.30),
    "rim":        (0.36, 0.20, 0.40, 0.66, 0.40),
}  # fmt: skip
"""Mean gray level of pathologies; "rim" is the wall of a cavity or the hemosiderin around blood."""

_VARIATION = 0.07
"""Relative standard deviation of gray levels between phantoms."""


def draw_levels(rng: Generator, appearance: str) -> tuple[np.ndarray, dict[str, float]]:
    """The gray level of each tissue, float32 (tissues,), and of each pathology.

    An appearance "random" has the levels of no sequence, so that only shape can be learned from it
    (domain randomization: Billot et al., SynthSeg, Medical Image Analysis, 2023).
    """
    if appearance == "random":
        return _random_levels(rng)
    column = _SEQUENCES.index(appearance)
    tissues = np.array([levels[column] for levels in _LEVELS.values()])
    pathologies = {name: levels[column] for name, levels in _PATHOLOGIES.items()}
    # White and gray matter differ more in some scans than in others.
    contrast, middle = rng.uniform(0.5, 1.15), (tissues[1] + tissues[2]) / 2
    tissues[BRAIN] = middle + contrast * (tissues[BRAIN] - middle)
    tissues *= rng.normal(1, _VARIATION, len(tissues))
    fat = [CODES[name] for name in ("fat", "marrow")]
    # Suppressed, or brighter than anything else.
    tissues[fat] *= rng.uniform(0.15, 0.5) if rng.random() < 0.3 else rng.uniform(0.7, 1.8)
    enhancement = rng.uniform(0.55, 1.1)
    for name in ("vein", "artery", "choroid", "mucosa"):
        if appearance == "contrast":
            tissues[CODES[name]] *= rng.uniform(0.6, 1.1)
    levels = {}
    for name, level in pathologies.items():
        value = level * rng.normal(1, _VARIATION)
        if appearance == "contrast" and name in ("glioma", "ring", "meningioma", "pituitary"):
            value = middle + enhancement * max(value - middle, 0.1)
        levels[name] = float(value)
    # Windowed to the brain, or to the brightest fat, which leaves the brain dark.
    scale = max(float(tissues[fat].max()), 1.0) if rng.random() < 0.6 else 1.0
    levels = {name: level / scale for name, level in levels.items()}
    return (tissues / scale).clip(0).astype(np.float32), levels


def _random_levels(rng: Generator) -> tuple[np.ndarray, dict[str, float]]:
    tissues = rng.uniform(0.05, 0.9, len(TISSUES))
    tissues[CODES["air"]] = 0
    white = tissues[CODES["white"]]
    levels = {}
    for name in _PATHOLOGIES:
        # A lesion as bright as the brain would be invisible.
        contrast = rng.uniform(0.2, 0.45) * (1 if rng.random() < 0.5 else -1)
        levels[name] = float(white + (contrast if 0 <= white + contrast <= 1 else -contrast))
    return tissues.astype(np.float32), levels
