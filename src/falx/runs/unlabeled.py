"""What unlabeled slices of a place can change of a detector: what it knows, and the prior.

Without labels, neither can be tested for whether it helps. The Mahalanobis reference and its
threshold become those of the place, as if every slice there were in-distribution; the prior is
estimated, and moves the logits only where that is asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.catalog import Catalog
from falx.data.placing import planes_of
from falx.data.split import Split
from falx.detect.rules import Rules, predicted_codes, statuses
from falx.detect.site_reference import SiteReference
from falx.errors import BadInput
from falx.exporting.direct import LinearHead
from falx.exporting.linear_detector import RECIPE_FILE, is_adapted
from falx.model.reference import MahalanobisReference
from falx.recipe import load_recipe
from falx.runs.local_data import LocalData
from falx.training.ood import (
    NO_OOD_THRESHOLD,
    OOD_RATE,
    fit_mahalanobis,
    ood_threshold,
    out_of_fold_distances,
)
from falx.training.prior_shift import estimate_prior, shifted, with_prior
from falx.training.site import site_reference

logger = logging.getLogger(__name__)

MIN_GROUPS = 5
"""Of fewer, the OOD threshold can't be estimated on slices of others."""

_REJECTED = "out_of_distribution"


@dataclass(frozen=True, eq=False)
class UnlabeledAdaptation:
    """A detector before and after it was adapted to unlabeled slices of a place.

    Attributes:
        classes: of the detector.
        slices, groups: numbers of them.
        prior: estimated frequency of each class, float (classes,); None where it can't be.
        no_prior: why it can't be.
        is_prior_applied: whether the logits were moved by it.
        before, after: fraction of slices with each status, and, of those not rejected, with the
            label of any class but the first ("positive"), by name. `after` lacks rejected ones,
            since the threshold is a quantile of the distances of these very slices.
        rejected_by_construction: the fraction of these slices beyond the new OOD threshold.
    """

    classes: tuple[str, ...]
    slices: int
    groups: int
    prior: np.ndarray | None
    is_prior_applied: bool
    before: dict[str, float]
    after: dict[str, float]
    rejected_by_construction: float
    no_prior: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What adaptation.json says of it."""
        return {
            "slices": self.slices, "groups": self.groups,
            "prior": None
            if self.prior is None
            else dict(zip(self.classes, map(float, self.prior), strict=True)),
            "prior_applied": self.is_prior_applied, "before": self.before, "after": self.after,
            "rejected_by_construction": self.rejected_by_construction, "validated": False,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class UnlabeledParts:
    """What replaces parts of a detector that is adapted to unlabeled slices."""

    head: LinearHead
    rules: Rules
    reference: MahalanobisReference
    site: SiteReference


def why_no_prior(place: Path) -> str:
    """Why `estimate_prior` can't hold for a detector; "" where it can.

    Args:
        place: the folder of a detector with a linear head.

    Raises:
        BrokenRun: the folder is damaged.
    """
    if is_adapted(place):
        return "its logits were adapted before"
    if load_recipe(place / RECIPE_FILE).class_weights != "balanced":
        return "its recipe does not balance classes"
    return ""


def check_unlabeled(usable: Catalog) -> None:
    """See that there are enough patients (groups).

    Raises:
        BadInput: there are not.
    """
    total = len(np.unique(usable.groups))
    if total < MIN_GROUPS:
        raise BadInput(
            f"An adaptation without labels needs slices of at least {MIN_GROUPS} patients "
            f"(groups); there are {total}: add more."
        )


def adapt_unlabeled(
    head: LinearHead,
    rules: Rules,
    classes: tuple[str, ...],
    local: LocalData,
    measured: tuple[np.ndarray, np.ndarray],
    *,
    prior_shift: bool,
    no_prior: str,
    seen: np.ndarray | None,
) -> tuple[UnlabeledAdaptation, UnlabeledParts]:
    """The new parts of a detector, and what they change.

    Args:
        classes: of the detector.
        local: unlabeled slices.
        measured: probabilities (n, classes) and distances (n,) by the detector as it is.
        prior_shift: whether to move the logits by the estimated prior.
        no_prior: of `why_no_prior`; the prior is not estimated.
        seen: which slices the detector has been trained on, bool (n,); None where unknown. Their
            probabilities are overconfident, so the site check does not compare with them.
    """
    groups, (probabilities, distances) = local.usable.groups, measured
    prior = None if no_prior else estimate_prior(probabilities)
    everything = np.ones(len(groups), bool)
    apart = out_of_fold_distances(local.ood_features, local.corrupted, groups, everything)
    limit = ood_threshold(apart, groups)
    if limit is None:
        logger.warning("Of the local slices, %s.", NO_OOD_THRESHOLD)
    reference = fit_mahalanobis(np.concatenate([local.ood_features, local.corrupted]))
    new = replace(rules, ood_threshold=limit, planes=planes_of(local.usable.table))
    after = probabilities
    if prior_shift and prior is not None:
        # Rules for studies are for other probabilities.
        after, head, new = shifted(after, prior), with_prior(head, prior), replace(new, study=None)
    known = everything if seen is None else seen
    split = Split(np.flatnonzero(known), np.flatnonzero(~known), np.arange(0))
    site = site_reference(local.views.plain, groups, split, after[split.validation], apart, seed=0)
    fractions = _fractions(after, apart, new)
    del fractions[_REJECTED]
    found = UnlabeledAdaptation(
        classes, len(groups), len(np.unique(groups)), prior, prior_shift,
        _fractions(probabilities, distances, rules), fractions,
        0.0 if limit is None else OOD_RATE, no_prior,
    )  # fmt: skip
    return found, UnlabeledParts(head, new, reference, site)


def _fractions(probabilities: np.ndarray, distances: np.ndarray, rules: Rules) -> dict[str, float]:
    """The fraction of slices with each status, and of positive ones among those not rejected."""
    limit = np.inf if rules.ood_threshold is None else rules.ood_threshold
    found = statuses(probabilities, distances, rules.threshold, rules.conformal_threshold, limit)
    known = found != _REJECTED
    positive = predicted_codes(probabilities[known], rules.threshold) > 0
    names = ("answer", "refer", _REJECTED)
    return {
        **{name: float((found == name).mean()) for name in names},
        "positive": float(positive.mean()) if known.any() else float("nan"),
    }
