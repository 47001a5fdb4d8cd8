"""Heat maps in a report: the rows of its tables, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from falx.evaluation.regions import LARGE
from falx.reporting.formatting import Cell, cell_of, count, interval, number, signed, span_of
from falx.statistics import Estimate

if TYPE_CHECKING:
    from falx.evaluation.deletion import DeletionScores, PerturbationCurves
    from falx.evaluation.faithfulness import FaithfulnessScores
    from falx.evaluation.localization import LocalizationScores
    from falx.evaluation.randomization import RandomizationScores
    from falx.evaluation.regions import RegionScores

_GLOSSES = {
    "deletion": "area under the curve as pixels are deleted; lower is more faithful",
    "insertion": "area under the curve as pixels are inserted; higher is more faithful",
}


def localization_rows(
    scores: LocalizationScores,
) -> tuple[tuple[str, str, Estimate, float], ...]:
    """Name, gloss, value, and value by chance."""
    return (
        (
            "Pointing game",
            "fraction of heat maps whose peak lies on the tumor",
            scores.pointing_game,
            scores.pointing_game_chance,
        ),
        (
            "Peak in the hull",
            "fraction whose peak lies within the convex hull of a tumor, core included",
            scores.within_hull,
            scores.within_hull_chance,
        ),
        (
            "Peak distance",
            "from the peak to the tumor, relative to the side of the view; lower is better",
            scores.peak_distance,
            scores.peak_distance_chance,
        ),
        (
            "Energy inside",
            "fraction of the evidence that lies inside the tumor (energy-based pointing game)",
            scores.energy_inside,
            scores.energy_inside_chance,
        ),
    )


def localization_table(
    scores: LocalizationScores | None, regions: RegionScores | None
) -> dict[str, Any] | None:
    """Scores against masks for the page."""
    if scores is None:
        return None
    return {
        "n": count(scores.n, "slice"),
        "rows": [
            *(
                (name, gloss, cell_of(value), number(chance))
                for name, gloss, value, chance in localization_rows(scores)
            ),
            *((name, gloss, cell_of(value), "") for name, gloss, value in region_rows(regions)),
        ],
    }


def region_rows(scores: RegionScores | None) -> tuple[tuple[str, str, Estimate], ...]:
    """Name, gloss and value of what the map of a localization head finds."""
    if scores is None:
        return ()
    rows = [
        (
            f"Lesions found in slices, {count(rate, 'false positive')} a slice",
            f"{count(scores.lesions, 'lesion')} in {count(scores.slices, 'slice')}",
            value,
        )
        for rate, value in scores.sensitivity_in_slices.items()
    ]
    for lesions, kind, found in (
        (scores.volume_lesions, "Lesions", scores.sensitivity_in_volumes),
        (scores.large_lesions, f"Lesions of {LARGE:.0f} mm or more", scores.sensitivity_large),
    ):
        gloss = f"{count(lesions, 'lesion')} in {count(scores.volumes, 'volume')}"
        rows += [
            (f"{kind} found in volumes, {count(rate, 'false positive')} a volume", gloss, value)
            for rate, value in found.items()
            if lesions
        ]
    return tuple(rows)


def faithfulness_table(
    scores: FaithfulnessScores | None, classes: Sequence[str]
) -> dict[str, Any] | None:
    """What was measured without masks: sentences, and the rows of both tables."""
    if scores is None:
        return None
    deletion, randomization = scores.deletion, scores.randomization
    return {
        "n": count(scores.n, "slice"),
        "sentences": list(_sentences(scores, classes)),
        "areas": [
            (name.capitalize(), gloss, _areas(getattr(deletion, name)))
            for name, gloss in _GLOSSES.items()
            if deletion
        ],
        "randomized": [
            (name.capitalize(), cell_of(value))
            for name, value in (randomization.correlation if randomization else {}).items()
        ],
    }


def _sentences(scores: FaithfulnessScores, classes: Sequence[str]) -> Iterator[str]:
    predicted = f" predicted “{classes[1]}”" if len(classes) == 2 else ""
    yield (
        f"Measured on a random sample of {count(scores.n)} of {count(scores.eligible, 'slice')}"
        f"{predicted}."
    )
    if scores.deletion is None:
        yield (
            "Deletion was not measured: all slices got the same prediction, so there is no other "
            "slice to take replacement pixels from."
        )
    else:
        yield _deletion_words(scores.deletion)
    if scores.randomization is None:
        yield "Randomization was not measured: the detector came without its Keras network."
    else:
        yield _randomization_words(scores.randomization)


def _deletion_words(scores: DeletionScores) -> str:
    own, random = scores.deletion.by_map.area.value, scores.deletion.by_random.area.value
    both = scores.deletion, scores.insertion
    opening = (
        "Each deleted pixel is replaced by the same pixel of the nearest slice with another "
        f"prediction. The area under the deletion curve is {number(own, 2)} in the order of the "
        f"map and {number(random, 2)} in random order. "
    )
    if all(math.isnan(curves.gain_over_random.low) for curves in both):
        return f"{opening}Without confidence intervals, no conclusion can be drawn."
    if not any(curves.gain_over_random.low > 0 for curves in both):
        return f"{opening}Not significantly better than chance: don't read maps as explanations."
    if not any(curves.gain_over_other.low > 0 for curves in both):
        return (
            f"{opening}Better than chance, but no better than the map of another slice: maps show "
            "the average location, nothing specific to the slice."
        )
    verdict = "Predictions rest on what the maps show"
    if all(curves.gain_over_other.low > 0 for curves in both):
        return f"{opening}{verdict}, more than on what another slice's map shows."
    return (
        f"{opening}{verdict}; a slice's own map is significantly better than another's in only one "
        "of deletion and insertion."
    )


def _randomization_words(scores: RandomizationScores) -> str:
    head, *_, last = scores.correlation.values()
    if scores.passed is None:
        return (
            "The rank correlation with maps of a fully randomized network is "
            f"{number(last.value, 2)}; without a confidence interval, the sanity check has no "
            "result."
        )
    similarity = f"rank correlation {number(last.value, 2)}, {interval(last, 2)}"
    if scores.passed:
        passed = f"Sanity check passed: maps of a fully randomized network differ ({similarity})."
        if not scores.survives_random_head:
            return passed
        return (
            f"{passed} But maps stay similar when only the head is randomized "
            f"({number(head.value, 2)}): in part they show where features are strong, whatever the "
            "head makes of them."
        )
    return (
        f"Sanity check failed: maps of a fully randomized network are similar ({similarity}), so "
        "maps show little of what was learned."
    )


def _areas(curves: PerturbationCurves) -> tuple[Cell, ...]:
    areas = (curves.by_map.area, curves.by_random.area, curves.by_other.area)
    gains = (curves.gain_over_random, curves.gain_over_other)
    return (
        *map(cell_of, areas),
        *(Cell(signed(gain.value), span_of(gain)) for gain in gains),
    )
