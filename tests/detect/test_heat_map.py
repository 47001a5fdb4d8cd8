"""Evidence is drawn where the network sees it, in pixels of the original slice."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falx.detect import overlay
from falx.detect.detector import load
from falx.detect.finding import Finding, evidence_for
from falx.detect.heat_map import HeatMap, upsample
from falx.detect.overlay import draw_overlay, write_overlays
from falx.errors import BadInput
from falx.image.crop import Box
from falx.image.render import Region, render_with_region
from falx.phantoms import make_phantom, write_phantoms
from falx.recipe import Rendering
from helpers import head_slices, write_nifti, write_series


def one_position(row, column, region, shape, positions=7):
    values = np.full((positions, positions), -1.0, np.float32)
    values[row, column] = 2.0
    return HeatMap(values, region, shape)


def test_the_peak_is_at_the_center_of_the_position():
    heat_map = one_position(2, 5, Region(0, 0, 70, 140), (70, 140))
    row, column = heat_map.peak
    assert (row, column) in {(r, c) for r in (24, 25) for c in (109, 110)}
    assert heat_map.on_slice().shape == (70, 140)
    assert heat_map.on_slice().max() == pytest.approx(2.0 * (2 / 3) ** 2, rel=0.01)


def test_the_extent_is_where_evidence_is_at_least_half_the_strongest():
    heat_map = one_position(3, 3, Region(0, 0, 70, 70), (70, 70))
    assert heat_map.extent == Box(28, 28, 42, 42)


WHOLE = Region(0, 0, 64, 64)


def cells(*likely, shape=(64, 64), region=WHOLE):
    """The map of a localization head with some cells of probability 0.9 and the others of 0.01."""
    values = np.full((8, 8), 0.01, np.float32)
    for row, column in likely:
        values[row, column] = 0.9
    return HeatMap(values, region, shape, localizes=True)


def test_adjacent_cells_with_tumor_are_one_region():
    first, second = cells((1, 1), (1, 2), (2, 3), (6, 6)).regions
    assert {first.box, second.box} == {Box(8, 8, 24, 32), Box(48, 48, 56, 56)}
    assert first.probability == second.probability == pytest.approx(0.9)


def test_without_a_likely_cell_or_a_localization_head_there_is_no_region():
    assert cells().regions == ()
    assert replace(cells((1, 1)), localizes=False).regions == ()


def test_a_region_is_given_in_pixels_of_the_slice_and_stays_inside():
    (region,) = cells((0, 7), shape=(100, 60), region=Region(-20, 0, 60, 80)).regions
    assert region.box == Box(0, 59, 1, 60)


def test_a_region_inside_the_slice_leaves_the_rest_without_evidence():
    heat_map = one_position(0, 0, Region(50, 20, 120, 90), (200, 100))
    assert heat_map.peak[0] in range(50, 60)
    assert heat_map.peak[1] in range(20, 30)
    assert heat_map.on_slice()[:50].max() == heat_map.on_slice()[:, :20].max() == 0


def test_a_region_beyond_the_slice_keeps_its_positions():
    heat_map = one_position(3, 3, Region(0, -20, 70, 50), (70, 30))
    row, column = heat_map.peak
    assert row in (34, 35)
    assert column in (14, 15)


def test_a_peak_can_lie_between_positions_nearer_to_the_stronger():
    values = np.zeros((7, 7), np.float32)
    values[3, 3:5] = 1.0
    row, column = HeatMap(values, Region(0, 0, 70, 70), (70, 70)).peak
    assert row in (34, 35)
    assert column in (39, 40)
    values[3, 4] = 0.5
    assert 35 < HeatMap(values, Region(0, 0, 70, 70), (70, 70)).peak[1] < 39


def test_even_evidence_is_even_and_fades_at_the_edge():
    even = upsample(np.full((7, 7), 0.3), Region(0, 0, 70, 70), (70, 70))
    np.testing.assert_allclose(even[15:-15, 15:-15], 0.3, rtol=1e-6)
    assert even.max() == pytest.approx(0.3)


def test_without_evidence_there_is_no_peak():
    heat_map = HeatMap(np.full((7, 7), -0.5, np.float32), Region(0, 0, 70, 70), (70, 70))
    assert heat_map.peak is None
    assert heat_map.extent is None
    assert not heat_map.on_slice().any()


@given(
    st.integers(60, 300), st.integers(60, 300), st.sampled_from(["head", "none"]),
    st.sampled_from(["keep", "stretch"]), st.integers(0, 6), st.integers(0, 6),
)  # fmt: skip
def test_evidence_is_drawn_at_the_pixels_that_its_position_covers(
    height, width, crop, aspect, row, column
):
    """A mark painted into the slice is at the same position of view and heat map."""
    pixels = np.zeros((height, width), np.float32)
    pixels[height // 5 : -height // 5, width // 5 : -width // 5] = 0.5
    rendering = Rendering(size=224, crop=crop, aspect=aspect)
    view, region = render_with_region(pixels, rendering)
    down, right = region.height / 7, region.width / 7
    y, x = region.top + (row + 0.5) * down, region.left + (column + 0.5) * right
    heat_map = one_position(row, column, region, pixels.shape)
    if 1 <= y < height - 1 and 1 <= x < width - 1:
        peak = heat_map.peak
        assert abs(peak[0] + 0.5 - y) <= 1
        assert abs(peak[1] + 0.5 - x) <= 1
    assert view.shape == (224, 224)


def test_of_one_logit_the_evidence_is_for_the_positive_class():
    heat_maps = np.random.default_rng(0).normal(size=(7, 7, 1))
    for label in (0, 1):
        np.testing.assert_array_equal(evidence_for(heat_maps, label), heat_maps[..., 0])


def test_of_several_logits_only_differences_count():
    heat_maps = np.random.default_rng(0).normal(size=(7, 7, 4))
    shifted = heat_maps + np.random.default_rng(1).normal(size=(7, 7, 1))
    np.testing.assert_allclose(evidence_for(heat_maps, 2), evidence_for(shifted, 2))


def test_every_finding_has_a_heat_map_of_its_slice(run, phantoms):
    for finding in load(run).predict(phantoms / "yes").slices[:5]:
        assert finding.heat_map.on_slice().shape == (96, 96)
        assert finding.heat_map.values.shape == (2, 2)


def test_an_image_shows_the_slice_beside_its_overlay():
    pixels = make_phantom(0, tumor=True, size=128).pixels.astype(np.float32) / 255
    image = draw_overlay(pixels, one_position(3, 3, Region(0, 0, 128, 128), (128, 128)))
    assert image.shape == (412, 384 + 12 + 384 + 12 + 60, 3)
    left, right = image[:384, :384].astype(int), image[:384, 396:780].astype(int)
    assert (left[..., 0] == left[..., 2]).all()
    difference = np.abs(left - right).sum(axis=2)
    assert difference[192, 192] > 0
    assert not difference[:40].any()


def test_without_evidence_the_overlay_is_the_slice():
    pixels = make_phantom(0, tumor=True, size=128).pixels.astype(np.float32) / 255
    none = HeatMap(np.zeros((7, 7), np.float32), Region(0, 0, 128, 128), (128, 128))
    image = draw_overlay(pixels, none)
    np.testing.assert_array_equal(image[:384, :384], image[:384, 396:780])
    assert image[384:].any()


def test_overlays_are_numbered_in_the_order_of_the_findings(run, tmp_path):
    write_phantoms(tmp_path / "some", 4, size=64)
    findings = load(run).predict(tmp_path / "some").slices
    write_overlays(findings, tmp_path / "maps")
    names = [f"{n:04d}-{one.path.stem}.png" for n, one in enumerate(findings, start=1)]
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == names
    assert cv2.imread(str(tmp_path / "maps" / names[0])).shape[0] == 384 + 2 * 28


def finding(file, **about):
    return Finding(file, status="answer", distance=1.0, label="yes", probability=0.9123,
                   probabilities={"no": 0.0877, "yes": 0.9123}, **about)  # fmt: skip


@pytest.fixture
def captions(monkeypatch):
    """The captions that are drawn, in order."""
    drawn = []

    def listen(pixels, heat_map, caption):
        drawn.append(caption)
        return draw_overlay(pixels, heat_map, caption)

    monkeypatch.setattr(overlay, "draw_overlay", listen)
    return drawn


def test_an_overlay_of_a_volume_says_which_slice_it_is_of(captions, tmp_path):
    file = write_nifti(tmp_path / "t1.nii", head_slices())
    findings = [
        finding(file, index=7, level=0.4667, region="brain"),
        replace(finding(file, index=15), status="refer"),
        Finding(file, 2, "out_of_distribution", 9.0, level=0.1333, region="skull base"),
    ]
    write_overlays(findings, tmp_path / "maps")
    assert captions == [
        "t1.nii, index 7 (slice 8 of 16), level 0.47, brain\nyes, p(yes) 0.912",
        "t1.nii, index 15 (slice 16 of 16)\nyes, p(yes) 0.912, refer",
        "t1.nii, index 2 (slice 3 of 16), level 0.13, skull base\nout of distribution, no label",
    ]


def test_an_overlay_of_a_file_of_one_slice_says_its_level_where_that_is_known(captions, tmp_path):
    first, second = write_series(tmp_path / "series", head_slices()[7:9])
    findings = [finding(first, index=0, level=0.5, region="brain"), finding(second, index=0)]
    write_overlays(findings, tmp_path / "maps")
    assert captions == [
        f"{first.name}, level 0.50, brain\nyes, p(yes) 0.912",
        f"{second.name}\nyes, p(yes) 0.912",
    ]


def test_each_line_of_a_caption_is_drawn_below_the_other():
    pixels = make_phantom(0, tumor=True, size=128).pixels.astype(np.float32) / 255
    image = draw_overlay(pixels, None, "one\ntwo")
    assert image.shape[0] == 384 + 2 * 28
    assert image[384:412].any()
    assert image[412:].any()


def test_overlays_are_not_mixed_with_older_ones(run, tmp_path):
    write_phantoms(tmp_path / "some", 2, size=64)
    findings = load(run).predict(tmp_path / "some").slices
    write_overlays(findings, tmp_path / "maps")
    with pytest.raises(BadInput, match="not empty; name another"):
        write_overlays(findings, tmp_path / "maps")


def test_a_file_in_the_way_of_the_folder_is_reported(run, tmp_path):
    write_phantoms(tmp_path / "some", 2, size=64)
    (tmp_path / "maps").touch()
    with pytest.raises(BadInput, match="a file is in its way"):
        write_overlays(load(run).predict(tmp_path / "some").slices, tmp_path / "maps")
