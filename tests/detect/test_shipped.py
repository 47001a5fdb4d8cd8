"""A detector ships with falx, with all that a run leaves, and says what it has seen."""

from pathlib import Path

import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.data.fingerprints import Fingerprints
from falx.detect.detector import SHIPPED, load
from falx.exporting.arrays import read_convolutions
from falx.recipe import load_recipe


@pytest.fixture(scope="module")
def detector():
    return load()


def test_it_answers_for_slices_with_where_the_tumor_is(detector, phantoms) -> None:
    found = detector.predict(phantoms / "yes").slices
    assert {each.status for each in found} <= {"answer", "refer", "out_of_distribution"}
    told = [each for each in found if each.label == "tumor"]
    assert told
    assert any(each.heat_map.regions for each in told)
    assert detector.settings.classes == ("no tumor", "tumor")


def test_noise_is_out_of_distribution(detector) -> None:
    size = detector.settings.rendering.size
    views = np.random.default_rng(0).integers(0, 256, (4, size, size), np.uint8)
    _, distances = detector.predict_views(views)
    assert (distances > detector.settings.rules.ood_threshold).all()


def test_it_can_answer_for_studies_and_check_the_site(detector) -> None:
    assert detector.settings.rules.study is not None
    assert detector.site_reference is not None


def test_training_can_start_from_it() -> None:
    recipe = load_recipe(SHIPPED / "recipe.yaml")
    assert recipe.backbone.localization
    assert "tumor_map" in read_convolutions(SHIPPED / "network.xml", localization=True)


def test_its_card_is_the_page_in_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "detector.md"
    assert (SHIPPED / "card.md").read_text("utf-8") == page.read_text("utf-8")


def test_it_is_small() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 5.5e6


def test_it_has_seen_no_phantom_of_the_tests(phantoms) -> None:
    seen = Fingerprints.load(SHIPPED)
    assert len(seen) > 4000
    assert not seen.among(build_catalog(phantoms).usable().table).any()
