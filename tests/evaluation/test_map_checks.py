"""What is checked of heat maps, on which slices, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from falx.console import show_map_checks
from falx.data.catalog import build_catalog
from falx.data.read import read_slices
from falx.detect.detector import KERAS_FILE, Detector, load
from falx.detect.rules import Rules
from falx.evaluation import map_checks, map_words
from falx.evaluation.deletion import Course, Curve, DeletionScores
from falx.evaluation.intervals import Estimate
from falx.evaluation.map_checks import MapChecks, check_maps, sample_groups
from falx.evaluation.map_figures import deletion_insertion
from falx.evaluation.randomization import STAGES, RandomizationScores, score_randomization
from falx.evaluation.results import Results
from falx.image.render import render
from falx.model.network import build_network
from falx.recipe import load_recipe

SMALL = {"rendering.size": "96", "backbone.width": "0.35"}
VIEWS = np.random.default_rng(0).integers(0, 256, (6, 96, 96), np.uint8)
NO, YES = Estimate(0.1, -0.1, 0.2), Estimate(0.2, 0.1, 0.3)


def scores(over_random: Estimate, over_other: Estimate, insertion: Estimate = YES):
    curve = Curve((Estimate(0.9, 0.8, 1), Estimate(0.2, 0.1, 0.3)), Estimate(0.5, 0.4, 0.6))
    ways = (Course(curve, curve, curve, over_random, each) for each in (over_other, insertion))
    return DeletionScores(12, 10, *ways)


def randomized(last: Estimate) -> RandomizationScores:
    return RandomizationScores(12, dict(zip(STAGES, (YES, YES, last), strict=True)))


def said(deletion=None, randomization=None) -> str:
    found = map_words.checks(MapChecks(12, 30, deletion, randomization), ("no", "yes"))
    return " ".join(found["sentences"])


def test_the_sample_has_one_of_each_group_before_a_second_of_any():
    groups = np.repeat(np.arange(10), 5)
    for most in (1, 10, 15, 50, 80):
        rows = sample_groups(groups, most, np.random.default_rng(most))
        assert len(set(rows)) == len(rows) == min(most, 50)
        assert np.ptp(np.bincount(groups[rows], minlength=10)) <= 1
        assert (np.diff(rows) > 0).all()


def test_sampling_none_is_fine():
    assert not len(sample_groups(np.zeros(0, int), 5, np.random.default_rng(0)))
    assert not len(sample_groups(np.zeros(9, int), 0, np.random.default_rng(0)))


@pytest.mark.parametrize("classes", [2, 4])
def test_maps_of_a_random_network_are_others_and_the_same_seed_gives_the_same(classes):
    recipe = load_recipe("lite").changed(SMALL)

    def found(seed):
        network = build_network(recipe, classes, seed=1)
        return score_randomization(network, VIEWS, [1] * 6, range(6), seed=seed)

    once = found(0)
    assert list(once.correlation) == list(STAGES)
    assert once.n == 6
    for value in once.correlation.values():
        assert -1 <= value.value <= 1
    assert found(0) == once
    assert found(1) != once


def test_a_network_that_answers_by_mirror_images_too_is_checked_by_both_sides():
    recipe = load_recipe("lite").changed(SMALL)

    def found(views, mirrored):
        network = build_network(recipe, 2, seed=1)
        scored = score_randomization(network, views, [1] * 6, range(6), mirrored=mirrored)
        return [value.value for value in scored.correlation.values()]

    turned = VIEWS[:, :, ::-1]
    assert found(turned, True) == pytest.approx(found(VIEWS, True), abs=0.01)
    assert found(turned, False) != pytest.approx(found(VIEWS, False), abs=0.01)


def test_the_check_takes_the_maps_that_the_detector_shows(run, results, monkeypatch):
    asked = []
    monkeypatch.setattr(
        map_checks, "score_randomization", lambda *_, mirrored, **__: asked.append(mirrored)
    )
    detector = load(run)
    both = Detector(replace(detector.settings, mirrored=True), detector._engine)
    for each in (detector, both):
        check_maps(each, results, run / "detector" / KERAS_FILE, 2)
    assert asked == [False, True]


@pytest.fixture
def results(run, phantoms):
    """What a detector said of phantoms, half of them called positive."""
    detector = load(run)
    usable = build_catalog(phantoms).usable()
    views = np.stack([
        render(read_slices(phantoms / path)[0].pixels, detector.settings.rendering)
        for path in usable.table["path"]
    ])  # fmt: skip
    p, distances = detector.answers(views)
    return Results.of(
        usable, np.arange(60), np.full(60, "test"), p, distances,
        rules=Rules(threshold=float(np.median(p[:, 1]))), views=views,
    )  # fmt: skip


def test_only_slices_called_positive_are_checked(run, results):
    positive = int((results.predicted == "yes").sum())
    checks = check_maps(load(run), results, run / "detector" / KERAS_FILE, 4)
    assert (checks.n, checks.of) == (4, positive)
    assert (checks.randomization.n, checks.deletion.n) == (4, 4)
    start, *_, end = checks.deletion.deletion.by_map.points
    assert start.value >= results.threshold >= end.value


def test_what_can_not_be_checked_is_left_out(run, results):
    assert check_maps(load(run), results, run / "nowhere", 0) is None
    assert check_maps(load(run), results, run / "nowhere", 4).randomization is None
    same = replace(results, rules=Rules(threshold=0.0))
    assert check_maps(load(run), same, run / "nowhere", 4).deletion is None


def test_of_several_classes_all_slices_are_checked_each_for_its_answer(results):
    classes = ("glioma", "meningioma", "no tumor")

    class Bright:
        """Answers by how bright a view is, and shows all of it as evidence."""

        def probabilities(self, views):
            level = views.mean(axis=(1, 2))
            code = np.digitize(level, edges)
            return np.eye(3)[code] * 0.7 + 0.1

        def evidence(self, views, asked, maps):
            assert maps == "mirrored"
            assert (self.probabilities(views).argmax(axis=1) == asked).all()
            return np.ones((len(views), 2, 2))

    levels = results.views.mean(axis=(1, 2))
    edges = np.quantile(levels, [1 / 3, 2 / 3])
    three = replace(results, classes=classes, probabilities=Bright().probabilities(results.views))
    checks = check_maps(Bright(), three, Path("nowhere"), 12)
    assert (checks.n, checks.of) == (12, 60)
    start, *_, end = checks.deletion.deletion.by_map.points
    assert (start.value, end.value) == (pytest.approx(0.8), pytest.approx(0.1))
    words = map_words.checks(checks, classes)["sentences"][0]
    assert words == "Checked on 12 of 60 slices, drawn at random."


def test_the_terminal_shows_both_checks(capsys):
    show_map_checks(MapChecks(12, 30, scores(YES, NO), randomized(NO)))
    shown = capsys.readouterr().out
    assert "12 of 30 slices" in shown
    assert shown.count("0.200 (0.100 to 0.300)") >= 3
    assert "with random weights, all" in shown


def test_what_the_areas_mean_is_said():
    assert "more so than on what the map of another slice shows" in said(scores(YES, YES))
    assert "sure in one way only" in said(scores(YES, NO))
    assert "the map of another slice does as well" in said(scores(YES, NO, insertion=NO))
    assert "can't be told from chance" in said(scores(NO, NO, insertion=NO))


def test_a_map_that_does_not_change_has_not_passed():
    assert "Passed: " in said(randomization=randomized(Estimate(0.1, 0, 0.2)))
    assert "Not passed: " in said(randomization=randomized(Estimate(0.45, 0.3, 0.6)))
    assert "But a random head" not in said(randomization=randomized(Estimate(0.1, 0, 0.2)))
    head = RandomizationScores(
        12, dict(zip(STAGES, (Estimate(0.6, 0.5, 0.7), NO, NO), strict=True))
    )
    assert "But a random head alone leaves much of their order (0.60)" in said(randomization=head)
    assert randomized(Estimate(0.1, 0, 0.2)).as_dict()["passed"] is True


def test_what_was_left_out_is_said():
    assert "Deletion was left out: all slices got the same answer" in said()
    assert "Randomization was left out" in said()
    assert "Checked on 12 of 30 slices called “yes”" in said()


def test_the_figure_shows_three_orders_in_two_panels():
    figure = deletion_insertion(scores(YES, YES))
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == [
            "by its map", "by another's map", "in random order"
        ]  # fmt: skip
        np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.9, 0.2])
        assert len(axes.collections) == 3
