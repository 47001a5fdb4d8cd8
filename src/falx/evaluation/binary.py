"""Tumor or none, asked of detectors or data that tell kinds apart: classes folded into two."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from falx.data.catalog import Catalog
from falx.data.class_names import means_any, means_none
from falx.detect.rules import Rules
from falx.errors import BadInput

logger = logging.getLogger(__name__)

_ANY = "tumor"


def binary_classes(detector: tuple[str, ...], data: tuple[str, ...]) -> tuple[str, str]:
    """What the two classes are called: as by the detector, and any as by the data if need be.

    Args:
        detector, data: classes in order.

    Raises:
        BadInput: not one class of the detector means "no tumor", so that the others are not any; or
            the data have a class for any tumor and others that are no kinds of none.
    """
    nones = [name for name in detector if means_none(name)]
    if len(nones) != 1:
        raise BadInput(
            "--binary folds all classes but the one that means “no tumor”, and of the detector's "
            f"({', '.join(detector)}) {len(nones) or 'none'} are named so; leave --binary out."
        )
    if not any(map(means_none, data)):
        if len(data) > 1 and any(map(means_any, data)):
            raise BadInput(
                f"No class of the data ({', '.join(data)}) means “no tumor”, though one means any; "
                "rename the one that does to “no”."
            )
        logger.warning(
            "No class of the data means “no tumor”: all slices (%s) count as tumors.",
            ", ".join(data),
        )
    return nones[0], next(filter(means_any, (*detector, *data)), _ANY)


def binary_catalog(catalog: Catalog, classes: tuple[str, str]) -> Catalog:
    """A catalog with what means "no tumor" and all else as two classes."""
    none = catalog.table["label"].map(means_none)
    labels = np.where(none, *classes)
    return replace(catalog, classes=classes, table=catalog.table.assign(label=labels))


def binary_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Of the first class and of all others, from those of all classes (n, classes): (n, 2)."""
    none = probabilities[:, :1]
    return np.concatenate([none, 1 - none], axis=1)


def binary_rules(rules: Rules, classes: int) -> Rules:
    """The rules of a detector of so many classes, for two.

    There was no threshold to choose where there are more than two. A folded class is in the
    prediction set at least where one of its kinds was, so coverage is no lower than before.
    """
    return rules if classes == 2 else replace(rules, threshold=0.5, operating_point="0.5")


def with_classes_of(catalog: Catalog, classes: tuple[str, ...], *, advice: str = "") -> Catalog:
    """A catalog with the classes of a detector, by its names of "no tumor" and "tumor".

    Args:
        advice: what else can be done, to end the sentence of an error with.

    Raises:
        BadInput: it has a class that the detector does not know.
    """
    catalog = _renamed(catalog, classes)
    unknown = sorted(set(catalog.classes) - set(classes))
    if unknown:
        raise BadInput(
            f"The data hold the class '{unknown[0]}', which the detector does not know; it knows "
            f"{', '.join(classes)}. Rename the folders to match{advice}."
        )
    return Catalog(catalog.root, classes, catalog.table)


def _renamed(catalog: Catalog, classes: tuple[str, ...]) -> Catalog:
    """A catalog with the detector's names of "no tumor" and "tumor", where both have just these."""
    if len(classes) != 2 or not (means_none(classes[0]) and means_any(classes[1])):
        return catalog
    if not all(means_none(name) or means_any(name) for name in catalog.classes):
        return catalog
    return binary_catalog(catalog, (classes[0], classes[1]))
