"""Tumor or none, asked of detectors or data that tell kinds apart: classes folded into two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from falx.data.catalog import Catalog
from falx.data.class_names import means_none
from falx.detect.rules import Rules
from falx.errors import BadInput

_ANY = "tumor"


def binary_classes(detector: tuple[str, ...], data: tuple[str, ...]) -> tuple[str, str]:
    """What the two classes are called: as by whoever has two, the detector first.

    Args:
        detector, data: classes in order.

    Raises:
        BadInput: the first of either does not mean "no tumor", so that nothing stands against it.
    """
    for whose, classes in (("detector", detector), ("data", data)):
        if not means_none(classes[0]):
            raise BadInput(
                f"--binary folds all classes but the one that means “no tumor”, and the {whose} "
                f"name none so ({', '.join(classes)}); rename one, such as to “no”."
            )
    two = next((names for names in (detector, data) if len(names) == 2), (detector[0], _ANY))
    return two[0], two[1]


def binary_catalog(catalog: Catalog, classes: tuple[str, str]) -> Catalog:
    """A catalog with the first class and all others as two."""
    labels = np.where(catalog.table["label"] == catalog.classes[0], *classes)
    return replace(catalog, classes=classes, table=catalog.table.assign(label=labels))


def binary_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Of the first class and of all others, from those of all classes (n, classes): (n, 2)."""
    none = probabilities[:, :1]
    return np.concatenate([none, 1 - none], axis=1)


def binary_rules(rules: Rules, classes: int) -> Rules:
    """The rules of a detector of so many classes, for two.

    There was no threshold to choose where there are more than two. A class stays possible at least
    where one of its kinds did, so no more slices lose theirs than the error that was asked for.
    """
    return rules if classes == 2 else replace(rules, threshold=0.5, operating_point="0.5")
