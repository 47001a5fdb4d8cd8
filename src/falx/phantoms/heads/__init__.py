"""Whole heads: slices and volumes of label maps, deformed at random, with lesions in space.

After Billot et al., SynthSeg: Segmentation of brain MRI scans of any contrast and resolution
without retraining, Medical Image Analysis 86, 2023: label maps are deformed, and tissues get gray
levels by sequence or at random. Lesions, planes, vessels and artifacts are added here.
"""

from falx.phantoms.heads import painting, parameters

__all__ = ["painting", "parameters"]
