"""What a report says of heat maps: rows of its tables, and what they mean in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from falx.evaluation.cells import Cell, cell_of
from falx.evaluation.templates import count, interval, number, signed

if TYPE_CHECKING:
    from falx.evaluation.deletion import Course, DeletionScores
    from falx.evaluation.explain import MapScores
    from falx.evaluation.map_checks import MapChecks
    from falx.evaluation.randomization import RandomizationScores

_GLOSSES = {
    "deletion": "area while places are taken away; lower is truer",
    "insertion": "area while places are given back; higher is truer",
}


def against_masks(maps: MapScores | None) -> dict[str, Any] | None:
    """Scores against masks as rows: name, what it means, value, and what chance would give."""
    if maps is None:
        return None
    rows = (
        ("Pointing game", "slices whose peak lies on the tumor", maps.pointing,
         maps.pointing_chance),
        ("Distance", "from the peak to the tumor, in sides of the view; lower is better",
         maps.distance, maps.distance_chance),
        ("Evidence inside", "share of the evidence that lies inside the tumor", maps.inside,
         maps.inside_chance),
    )  # fmt: skip
    return {
        "n": count(maps.n, "slice"),
        "rows": [(*words, cell_of(value), number(chance)) for *words, value, chance in rows],
    }


def checks(found: MapChecks | None, classes: Sequence[str]) -> dict[str, Any] | None:
    """What was checked without masks: sentences, and the rows of both tables."""
    if found is None:
        return None
    deletion, randomization = found.deletion, found.randomization
    return {
        "n": count(found.n, "slice"),
        "sentences": list(_sentences(found, classes)),
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


def _sentences(found: MapChecks, classes: Sequence[str]) -> Iterator[str]:
    called = f" called “{classes[1]}”" if len(classes) == 2 else ""
    yield f"Checked on {count(found.n)} of {count(found.of, 'slice')}{called}, drawn at random."
    if found.deletion is None:
        yield (
            "Deletion was left out: all slices got the same answer, so none can take the place of "
            "what is deleted."
        )
    else:
        yield _deletion_words(found.deletion)
    if found.randomization is None:
        yield "Randomization was left out: the detector came without its Keras network."
    else:
        yield _randomization_words(found.randomization)


def _deletion_words(scores: DeletionScores) -> str:
    own, random = scores.deletion.by_map.area.value, scores.deletion.by_random.area.value
    courses = scores.deletion, scores.insertion
    opening = (
        "As places give way to those of the most alike slice that was answered otherwise, the "
        f"answer's probability falls: the area under it is {number(own, 2)} where places go in the "
        f"order of the map, and {number(random, 2)} where they go at random. "
    )
    if not any(course.over_random.low > 0 for course in courses):
        return f"{opening}Maps can't be told from chance: don't read them as reasons."
    if not any(course.over_other.low > 0 for course in courses):
        return (
            f"{opening}That is better than chance, but the map of another slice does as well: maps "
            "know where evidence lies as a rule, and nothing of the slice at hand."
        )
    verdict = "The answer hangs on what the maps show"
    if all(course.over_other.low > 0 for course in courses):
        return f"{opening}{verdict}, more so than on what the map of another slice shows."
    return f"{opening}{verdict}; that a slice's own map beats another's is sure in one way only."


def _randomization_words(scores: RandomizationScores) -> str:
    head, *_, last = scores.correlation.values()
    alike = f"rank correlation {number(last.value, 2)}, {interval(last, 2)}"
    if scores.passed:
        passed = f"Passed: maps of a network of random weights are others ({alike})."
        if not scores.outlasts_head:
            return passed
        return (
            f"{passed} But a random head alone leaves much of their order "
            f"({number(head.value, 2)}): they show in part where features are strong, whatever "
            "these say."
        )
    return (
        f"Not passed: maps of a network of random weights are much the same ({alike}), so maps "
        "show little that was learned."
    )


def _areas(course: Course) -> tuple[Cell, ...]:
    areas = (course.by_map.area, course.by_random.area, course.by_other.area)
    gains = (course.over_random, course.over_other)
    return (
        *map(cell_of, areas),
        *(Cell(signed(gain.value), interval(gain)) for gain in gains),
    )
