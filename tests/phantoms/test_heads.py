"""Slices and volumes of whole heads: drawn from label maps, the same with and without a tumor."""

from __future__ import annotations

from dataclasses import replace

import cv2
import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from falx.data.catalog import build_catalog
from falx.errors import BadInput
from falx.phantoms import KINDS, MIMICS, PLANE_NAMES, draw, find_anatomies, make_phantom, paint
from falx.phantoms.heads.pose import Pose, displacement, locate, to_anatomy
from falx.phantoms.heads.tissues import CODES, draw_levels
from falx.phantoms.heads.volumes import make_volume
from falx.phantoms.noise import CUBE, noise_cube, noise_quantile
from falx.phantoms.writing import write_phantoms, write_volumes
from label_maps import SPACING, write_head

REST = Pose(0, "axial", (0, 0, 0), (1, 1, 1), False, 0.0, False, 0.0, 0.0, 0.0, seed=1)


@pytest.fixture(scope="module")
def anatomies(tmp_path_factory):
    """Two copies of a head."""
    folder = tmp_path_factory.mktemp("heads")
    for name in ("a", "b"):
        write_head(folder / f"{name}.nii.gz")
    return find_anatomies(folder)


@pytest.fixture(scope="module")
def sample(anatomies):
    """120 slices, every second one with a tumor."""
    return [
        make_phantom((3, i), tumor=i % 2 == 1, size=96, anatomies=anatomies) for i in range(120)
    ]


def at_rest(anatomies, plane: str = "axial"):
    """A healthy slice through the middle of a head that lies straight, without any artifact."""
    drawn = draw(default_rng(2), False, anatomies)
    frame = replace(
        drawn.frame, offset=0.0, thickness=1.0, field_of_view=240.0, shift=(0.0, 0.0), wrap=0.0
    )
    clean = replace(
        drawn.acquisition, noise=0.0, bandwidth=1.0, blur=0.0008, coil=0.0, ghost=0.0, jpeg=0,
        bias_field=0.0, gamma=1.0, gain=1.0,
    )  # fmt: skip
    return replace(
        drawn, pose=replace(REST, plane=plane), frame=frame, acquisition=clean, lesions=(),
        marks=replace(drawn.marks, texts=(), frame=(0.0, 0.0, 0.0, 0.0)),
    )  # fmt: skip


class TestReadingLabelMaps:
    def test_soft_tissue_is_fat_below_the_skin_and_behind_the_eyes(self, anatomies) -> None:
        anatomy = anatomies[0]
        assert (anatomy.tissues == CODES["fat"]).any()
        assert (anatomy.spacing == SPACING).all()
        assert not anatomy.tissues[0].any()

    def test_lesions_start_where_their_tissue_is(self, anatomies) -> None:
        anatomy = anatomies[0]
        for place, tissue in (("white", "white"), ("surface", "csf")):
            voxels = anatomy.sites[place].astype(int)
            assert (anatomy.tissues[tuple(voxels.T)] == CODES[tissue]).all()
        # The sella lies below the chiasm.
        assert anatomy.sites["sella"][0][2] < anatomy.center[2] - 14

    def test_axial_planes_are_named_by_what_they_show(self, anatomies) -> None:
        names = [anatomies[0].plane_name(above) for above in (70, 24, -4, -40, -95)]
        assert names == ["high", "middle", "low", "base", "neck"]

    def test_a_table_says_what_other_numbers_stand_for(self, tmp_path) -> None:
        write_head(tmp_path / "head.nii.gz", renumbered={2: 900})
        with pytest.raises(BadInput, match=r"no known tissue \(900\); name them in a table"):
            find_anatomies(tmp_path)[0]
        tissues = {
            0: "air", 900: "white", 3: "cortex", 4: "ventricle", 10: "thalamus", 24: "csf",
            85: "optic_nerve", 506: "eye", 507: "soft_tissue", 511: "skin", 515: "bone",
        }  # fmt: skip
        rows = [f"{label},{tissue}" for label, tissue in tissues.items()]
        (tmp_path / "labels.csv").write_text("\n".join(["label,tissue", *rows]))
        assert (find_anatomies(tmp_path)[0].tissues == CODES["white"]).any()

    @pytest.mark.parametrize("row", ["2,brain", "two,white", "2"])
    def test_a_wrong_table_is_one_sentence(self, tmp_path, row) -> None:
        write_head(tmp_path / "head.nii.gz")
        (tmp_path / "labels.csv").write_text(f"label,tissue\n{row}\n")
        with pytest.raises(BadInput, match="line 2: expected a number in the column 'label'"):
            find_anatomies(tmp_path)

    def test_what_is_no_label_map_of_a_head_is_named(self, tmp_path) -> None:
        with pytest.raises(BadInput, match="is no folder"):
            find_anatomies(tmp_path / "none")
        with pytest.raises(BadInput, match="has no NIfTI files"):
            find_anatomies(tmp_path)
        gray = np.random.default_rng(0).random((8, 8, 8), np.float32)
        nib.save(nib.Nifti1Image(gray, np.eye(4)), tmp_path / "a.nii.gz")
        nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.uint8), np.eye(4)), tmp_path / "b.nii.gz")
        (tmp_path / "c.nii.gz").write_bytes(b"no image")
        found = find_anatomies(tmp_path)
        for index, reason in enumerate(("no label map", "no known tissue", "can't be read")):
            with pytest.raises(BadInput, match=reason):
                found[index]


class TestGeometry:
    @given(st.integers(0, 1000))
    @settings(max_examples=25, deadline=None)
    def test_locate_finds_where_a_point_of_the_anatomy_is_shown(self, seed) -> None:
        rng = default_rng(seed)
        pose = replace(
            REST, tilt=tuple(rng.normal(0, 8, 3)), scale=tuple(rng.uniform(0.9, 1.1, 3)),
            mirrored=bool(seed % 2), plane=("axial", "coronal", "sagittal")[seed % 3], warp=2.5,
            seed=seed,
        )  # fmt: skip
        point = rng.uniform(-60, 60, 3)
        shown = to_anatomy(pose) @ locate(pose, point)
        moved = shown + displacement(pose, shown[:, None])[:, 0]
        np.testing.assert_allclose(moved, point, atol=0.5)

    def test_a_head_at_rest_is_shown_as_a_radiologist_sees_it(self, anatomies) -> None:
        parameters = at_rest(anatomies)
        levels = np.zeros(len(parameters.levels))
        levels[CODES["eye"]] = 1.0
        eyes = paint(
            replace(
                parameters, levels=tuple(levels), frame=replace(parameters.frame, offset=-28.0)
            ),
            240, anatomies,
        ).pixels  # fmt: skip
        rows, columns = np.nonzero(eyes > 100)
        # Anterior is up, the eyes are 68 mm apart, and a pixel is a millimeter.
        assert rows.max() < 60
        assert np.ptp(columns) == pytest.approx(68 + 24, abs=4)

    def test_thick_slabs_show_partial_volume(self, anatomies) -> None:
        thin = at_rest(anatomies)
        thick = replace(thin, frame=replace(thin.frame, thickness=6.0))
        assert len(np.unique(paint(thick, 128, anatomies).pixels)) > len(
            np.unique(paint(thin, 128, anatomies).pixels)
        )


class TestOneSlice:
    def test_a_seed_gives_one_slice(self, anatomies) -> None:
        first, second = (
            make_phantom((1, 2), tumor=True, size=96, anatomies=anatomies) for _ in range(2)
        )
        assert first.parameters == second.parameters
        np.testing.assert_array_equal(first.pixels, second.pixels)
        np.testing.assert_array_equal(first.mask, second.mask)

    def test_a_mask_is_empty_exactly_without_a_tumor(self, sample) -> None:
        for made in sample:
            assert made.mask.any() == (made.label == "yes") == bool(made.parameters.kind)

    def test_everything_occurs(self, sample) -> None:
        drawn = [made.parameters for made in sample]
        assert {each.kind for each in drawn} == {"", *KINDS}
        assert {each.plane for each in drawn} <= set(PLANE_NAMES)
        assert {kind for each in drawn for kind in each.mimics} == set(MIMICS)

    def test_slices_without_a_tumor_lie_lower_and_higher_too(self, anatomies) -> None:
        offsets = {
            tumor: np.ptp([
                drawn.frame.offset
                for drawn in (draw(default_rng((5, i)), tumor, anatomies) for i in range(150))
                if drawn.pose.plane == "axial"
            ])
            for tumor in (False, True)
        }  # fmt: skip
        assert offsets[False] > offsets[True] + 10

    def test_the_rim_of_enhancing_tumors_is_bright_after_contrast(self) -> None:
        for seed in range(20):
            tissues, pathologies = draw_levels(default_rng(seed), "contrast")
            assert pathologies["ring"] > tissues[CODES["white"]]
            assert pathologies["necrosis"] < pathologies["ring"]


class TestNoShortcut:
    @pytest.mark.parametrize("seed", range(8))
    def test_far_from_the_tumor_both_classes_are_the_same_pixels(self, anatomies, seed) -> None:
        diseased = draw(default_rng(seed), True, anatomies)
        plain = replace(diseased.acquisition, ghost=0.0, jpeg=0)
        diseased = replace(diseased, acquisition=plain, frame=replace(diseased.frame, wrap=0.0))
        with_tumor = paint(diseased, 128, anatomies)
        without = paint(replace(diseased, tumors=()), 128, anatomies)
        changed = with_tumor.pixels != without.pixels
        assert changed.any()
        pixel = diseased.frame.field_of_view / 128
        reach = max(each.radius * max(each.axes) for each in diseased.tumors) * 2.4 * 1.6 / pixel
        near = cv2.dilate(
            with_tumor.mask.astype(np.uint8), np.ones((2 * round(reach) + 17,) * 2, np.uint8)
        )
        assert len(diseased.tumors) > 1 or not changed[near == 0].any()

    def test_drawing_a_tumor_changes_nothing_else(self, anatomies) -> None:
        same = 0
        for seed in range(30):
            healthy, diseased = (
                draw(default_rng(seed), tumor, anatomies) for tumor in (False, True)
            )
            same += replace(diseased, tumors=()) == healthy
            assert replace(diseased, tumors=(), frame=healthy.frame, plane=healthy.plane) == healthy
        # The others lie anywhere in the head.
        assert 12 < same < 28


class TestVolumes:
    def test_a_volume_shows_the_whole_head_with_the_tumor_where_the_mask_is(
        self, anatomies
    ) -> None:
        made = make_volume(default_rng(4), anatomies, tumor=True, size=64)
        assert made.values.shape == made.mask.shape
        assert made.mask.any()
        # Air at both ends.
        assert np.median(made.values[:, :, 0]) <= np.median(made.values)
        spacing = np.linalg.norm(made.affine[:3, :3], axis=0)
        frame = made.parameters.frame
        np.testing.assert_allclose(spacing, [frame.field_of_view / 64] * 2 + [frame.thickness])

    def test_a_written_set_is_a_dataset_of_volumes_with_masks(self, anatomies, tmp_path) -> None:
        write_volumes(tmp_path / "set", 4, anatomies, seed=2, size=64)
        catalog = build_catalog(tmp_path / "set")
        table = catalog.usable().table
        assert table["volume"].nunique() == 4
        assert set(table["label"]) == {"no_tumor", "tumor"}
        tumors = table[table["label"] == "tumor"]["path"].unique()
        assert set(tumors) <= {"head_001/image.nii.gz", "head_003/image.nii.gz"}

    def test_a_written_set_of_slices_has_the_same_layout(self, anatomies, tmp_path) -> None:
        write_phantoms(tmp_path / "set", 4, size=64, anatomies=anatomies)
        names = sorted(file.name for file in (tmp_path / "set").rglob("*.png"))
        assert names == ["00000.png", "00001.png", "00002.png", "00003.png"]

    def test_a_folder_in_use_is_kept(self, anatomies, tmp_path) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(BadInput, match="not an empty folder"):
            write_volumes(tmp_path, 2, anatomies)
        assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


class TestNoise:
    @pytest.mark.parametrize("exponent", [0.0, 2.0, 3.6])
    def test_the_field_has_unit_variance_and_its_quantiles_are_exceeded(self, exponent) -> None:
        cube = noise_cube(exponent)
        assert cube.shape == (CUBE**3,)
        assert cube.std() == pytest.approx(1, abs=1e-4)
        assert (cube > noise_quantile(exponent, 0.1)).mean() == pytest.approx(0.1, abs=0.001)
        assert not (cube > noise_quantile(exponent, 0.0)).any()
