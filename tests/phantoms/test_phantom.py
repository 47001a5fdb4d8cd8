"""Phantoms: reproducible from a seed, and distinguished only by their tumors."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from falx import phantoms
from falx.errors import BadInput
from falx.image.crop import head_mask
from falx.phantoms import Phantom, draw, make_phantom, paint, write_phantoms
from falx.phantoms.acquisition import Acquisition
from falx.phantoms.procedural.lesions import REACH
from falx.phantoms.procedural.parameters import Lesion, Parameters
from falx.phantoms.procedural.planes import PLANES
from falx.progress import Progress

SEEDS = range(12)
MIMICS = {"infarct", "cyst", "hemorrhage", "gliosis"}


@pytest.fixture(scope="module")
def sample() -> list[Phantom]:
    """200 small phantoms, every second one with a tumor."""
    return [make_phantom((7, i), tumor=i % 2 == 1, size=96) for i in range(200)]


def draws_with_tumor(n: int) -> list[Parameters]:
    """Parameters of slices with a tumor."""
    drawn = [draw(default_rng((11, i)), True) for i in range(n)]
    assert all(isinstance(each, Parameters) for each in drawn)
    return drawn


def ideal(acquisition: Acquisition) -> Acquisition:
    """The same acquisition without noise, blur or limited bandwidth."""
    return replace(acquisition, noise=0.0, bandwidth=1.0, blur=0.0008)


def tree(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by relative path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


class TestOneSlice:
    def test_same_seed_same_slice(self) -> None:
        first, second = (make_phantom((3, 5), tumor=True) for _ in range(2))
        assert first.parameters == second.parameters
        np.testing.assert_array_equal(first.pixels, second.pixels)
        np.testing.assert_array_equal(first.mask, second.mask)

    def test_parameters_replay_the_slice(self) -> None:
        made = make_phantom(4, tumor=True, size=128)
        again = paint(made.parameters, 128)
        np.testing.assert_array_equal(made.pixels, again.pixels)
        np.testing.assert_array_equal(made.mask, again.mask)

    def test_other_seed_other_slice(self) -> None:
        assert not np.array_equal(
            make_phantom(0, tumor=False).pixels, make_phantom(1, tumor=False).pixels
        )

    @pytest.mark.parametrize("size", [64, 101, 224, 320])
    @pytest.mark.parametrize("tumor", [False, True])
    def test_arrays_are_as_documented(self, size: int, tumor: bool) -> None:
        made = make_phantom(2, tumor=tumor, size=size)
        assert made.pixels.shape == made.mask.shape == (size, size)
        assert made.pixels.dtype == np.uint8
        assert made.mask.dtype == np.bool_
        assert made.label == ("yes" if tumor else "no")

    def test_too_small_a_size_is_refused(self) -> None:
        with pytest.raises(BadInput, match="at least 64 pixels, got 63"):
            make_phantom(0, tumor=False, size=63)

    def test_mask_is_empty_exactly_without_a_tumor(self, sample: list[Phantom]) -> None:
        assert all(made.mask.any() == (made.label == "yes") for made in sample)

    def test_even_the_smallest_tumor_has_a_mask_in_the_smallest_image(self) -> None:
        for seed in range(40):
            drawn = draw(default_rng(seed), True)
            assert drawn.tumor is not None
            body = replace(drawn.tumor.body, radius=0.09, roughness=0.3)
            small = replace(drawn.placement, length=0.30)
            assert paint(
                replace(drawn, tumor=replace(drawn.tumor, body=body), placement=small), 64
            ).mask.any()

    def test_tumor_lies_inside_the_head(self, sample: list[Phantom]) -> None:
        for made in sample:
            head = head_mask(made.pixels.astype(np.float32) / 255)
            assert not (made.mask & ~head).any()

    def test_head_has_a_margin_in_most_slices_and_is_cropped_closely_in_some(
        self, sample: list[Phantom]
    ) -> None:
        shares = np.array(
            [head_mask(made.pixels.astype(np.float32) / 255).mean() for made in sample]
        )
        assert shares.min() > 0.2
        assert np.median(shares) < 0.6
        assert 0.02 < np.mean(shares > 0.65) < 0.3

    def test_size_scales_the_slice_and_nothing_else(self) -> None:
        drawn = draw(default_rng(8), True)
        drawn = replace(drawn, acquisition=replace(drawn.acquisition, noise=0.0))
        small, large = paint(drawn, 112), paint(drawn, 224)
        shrunk = cv2.resize(large.pixels, (112, 112), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(small.pixels.ravel(), shrunk.ravel())[0, 1] > 0.98


class TestNoShortcut:
    @pytest.mark.parametrize("seed", SEEDS)
    def test_drawing_a_tumor_changes_no_other_parameter(self, seed: int) -> None:
        healthy, diseased = draw(default_rng(seed), False), draw(default_rng(seed), True)
        assert healthy.tumor is None
        assert diseased.tumor is not None
        assert replace(diseased, tumor=None) == healthy

    @pytest.mark.parametrize("seed", SEEDS)
    def test_far_from_the_tumor_both_classes_are_the_same_pixels(self, seed: int) -> None:
        """Noise included; a half and some pixels allow for elastic warp and blur."""
        healthy, diseased = (make_phantom(seed, tumor=tumor) for tumor in (False, True))
        drawn = diseased.parameters
        assert drawn.tumor is not None
        reach = REACH * drawn.tumor.body.radius * drawn.placement.length * 224
        rows, columns = np.nonzero(diseased.mask)
        y, x = np.mgrid[:224, :224]
        far = np.hypot(y - rows.mean(), x - columns.mean()) > 1.5 * reach + 8
        assert far.mean() > 0.2
        np.testing.assert_array_equal(healthy.pixels[far], diseased.pixels[far])

    @pytest.mark.parametrize("seed", SEEDS)
    def test_tumor_is_visible(self, seed: int) -> None:
        healthy, diseased = (make_phantom(seed, tumor=tumor) for tumor in (False, True))
        change = np.abs(healthy.pixels.astype(float) - diseased.pixels)[diseased.mask]
        assert change.mean() > 5

    def test_gray_levels_alone_do_not_distinguish_the_classes(self, sample: list[Phantom]) -> None:
        labels = np.array([made.label == "yes" for made in sample])
        facts = [
            (p.mean(), p.std(), p.max(), *np.histogram(p, 16, (0, 256))[0] / p.size)
            for p in (made.pixels for made in sample)
        ]
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
        probabilities = cross_val_predict(
            model, np.array(facts), labels, cv=5, method="predict_proba"
        )
        assert roc_auc_score(labels, probabilities[:, 1]) < 0.8

    def test_margins_do_not_distinguish_the_classes(self, sample: list[Phantom]) -> None:
        labels = np.array([made.label == "yes" for made in sample])
        border = [
            np.r_[made.pixels[:4].ravel(), made.pixels[-4:].ravel()].mean() for made in sample
        ]
        share = [(made.pixels > 30).mean() for made in sample]
        for fact in (border, share):
            assert abs(roc_auc_score(labels, fact) - 0.5) < 0.15

    def test_both_classes_have_lesions_that_are_not_tumors(self, sample: list[Phantom]) -> None:
        for label in ("no", "yes"):
            heads = [made.parameters.head for made in sample if made.label == label]
            assert 0.15 < np.mean([bool(head.mimics) for head in heads]) < 0.45
            assert {mimic.kind for head in heads for mimic in head.mimics} == MIMICS

    @pytest.mark.parametrize("kind", sorted(MIMICS))
    def test_a_lesion_that_is_not_a_tumor_is_visible(self, kind: str) -> None:
        changes = []
        for seed in SEEDS:
            drawn = draw(default_rng(seed), False)
            mimic = Lesion(kind, 0.3, 0.2, 0.15, 1.0, 0.0, 0.05, 1.0, seed)
            plain, marked = (
                paint(replace(drawn, head=replace(drawn.head, mimics=mimics)))
                for mimics in ((), (mimic,))
            )
            changes.append(np.abs(plain.pixels.astype(float) - marked.pixels).max())
        assert np.median(changes) > 30

    def test_both_classes_have_hyperintensities(self, sample: list[Phantom]) -> None:
        for label in ("no", "yes"):
            heads = [made.parameters.head for made in sample if made.label == label]
            assert 0.25 < np.mean([bool(head.hyperintensities) for head in heads]) < 0.65
            assert max(head.ventricles for head in heads) > 1.5


class TestVariety:
    def test_every_plane_appearance_and_kind_occurs(self, sample: list[Phantom]) -> None:
        drawn = [made.parameters for made in sample]
        assert {d.head.plane for d in drawn} == set(PLANES)
        assert {d.acquisition.appearance for d in drawn} == set(phantoms.APPEARANCES)
        assert {d.tumor.body.kind for d in drawn if d.tumor} == {
            "glioma", "meningioma", "pituitary"
        }  # fmt: skip

    def test_pituitary_tumors_lie_where_the_gland_is(self) -> None:
        tumors = [(drawn.head.plane, drawn.tumor) for drawn in draws_with_tumor(300) if drawn.tumor]
        sellar = [(plane, tumor.body) for plane, tumor in tumors if tumor.body.kind == "pituitary"]
        assert sellar
        for plane, body in sellar:
            sella = PLANES[plane].sella
            assert sella is not None
            assert np.hypot(body.x - sella[0], body.y - sella[1]) < 0.05

    def test_only_gliomas_have_a_necrotic_core(self) -> None:
        kinds = {drawn.tumor.body.kind for drawn in draws_with_tumor(300) if drawn.tumor.necrosis}
        assert kinds == {"glioma"}

    @pytest.mark.parametrize("seed", SEEDS)
    def test_a_tumor_displaces_its_surroundings_and_nothing_far_away(self, seed: int) -> None:
        drawn = draw(default_rng(seed), True)
        assert drawn.tumor is not None
        without, with_effect = (
            paint(
                replace(
                    drawn,
                    acquisition=ideal(drawn.acquisition),
                    tumor=replace(drawn.tumor, mass_effect=mass_effect, edema=0.0),
                )
            )
            for mass_effect in (0.0, 0.5)
        )
        np.testing.assert_array_equal(without.mask, with_effect.mask)
        mask = without.mask.astype(np.uint8)
        reach = round(REACH * drawn.tumor.body.radius * drawn.placement.length * 224)
        around = cv2.dilate(mask, np.ones((9, 9))) > mask
        near = cv2.dilate(mask, np.ones((4 * reach + 1, 4 * reach + 1))) > 0
        change = np.abs(without.pixels.astype(float) - with_effect.pixels)
        assert change[around].max() > 5
        assert not change[~near].any()

    def test_tumors_differ_in_size(self, sample: list[Phantom]) -> None:
        areas = [made.mask.mean() for made in sample if made.label == "yes"]
        assert max(areas) > 5 * min(areas)


class TestWrittenSet:
    def test_folder_table_and_masks_agree(self, tmp_path: Path) -> None:
        write_phantoms(tmp_path / "set", 7, seed=3, size=64)
        with (tmp_path / "set" / "phantoms.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["label"] for row in rows] == ["no", "yes"] * 3 + ["no"]
        for row in rows:
            made = make_phantom((3, int(row["index"])), tumor=row["label"] == "yes", size=64)
            pixels = cv2.imread(str(tmp_path / "set" / row["path"]), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(pixels, made.pixels)
            mask = tmp_path / "set-masks" / row["path"]
            assert mask.exists() == (row["label"] == "yes") == bool(row["kind"])
            if mask.exists():
                read = cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
                np.testing.assert_array_equal(read == 255, made.mask)

    def test_subfolders_are_the_two_classes(self, tmp_path: Path) -> None:
        write_phantoms(tmp_path / "set", 4, size=64)
        folders = {item.name for item in (tmp_path / "set").iterdir() if item.is_dir()}
        assert folders == {"yes", "no"}
        assert {item.name for item in tmp_path.iterdir()} == {"set", "set-masks"}

    def test_a_longer_set_begins_with_the_shorter(self, tmp_path: Path) -> None:
        write_phantoms(tmp_path / "short", 2, size=64)
        write_phantoms(tmp_path / "long", 4, size=64)
        short, long = tree(tmp_path / "short"), tree(tmp_path / "long")
        assert all(long[path] == short[path] for path in short if path.endswith(".png"))

    def test_listener_hears_every_slice(self, tmp_path: Path) -> None:
        heard: list[Progress] = []
        write_phantoms(tmp_path / "set", 3, size=64, listener=heard.append)
        assert [(step.done, step.total) for step in heard] == [(1, 3), (2, 3), (3, 3)]

    def test_empty_folder_is_filled(self, tmp_path: Path) -> None:
        (tmp_path / "set").mkdir()
        write_phantoms(tmp_path / "set", 2, size=64)
        assert (tmp_path / "set" / "phantoms.csv").exists()

    @pytest.mark.parametrize("taken", ["set", "set-masks"])
    def test_folder_in_use_is_refused_and_kept(self, tmp_path: Path, taken: str) -> None:
        (tmp_path / taken).mkdir()
        (tmp_path / taken / "mine.txt").write_text("mine")
        with pytest.raises(BadInput, match="not an empty folder"):
            write_phantoms(tmp_path / "set", 2, size=64)
        assert tree(tmp_path) == {f"{taken}/mine.txt": b"mine"}

    def test_file_in_place_of_the_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "set").write_text("mine")
        with pytest.raises(BadInput, match="not an empty folder"):
            write_phantoms(tmp_path / "set", 2, size=64)

    @pytest.mark.parametrize(
        ("n", "seed", "size", "rule"),
        [(1, 0, 64, "at least 2"), (2, -1, 64, "negative"), (2, 0, 63, "at least 64 pixels")],
    )
    def test_numbers_out_of_range_leave_no_trace(
        self, tmp_path: Path, n: int, seed: int, size: int, rule: str
    ) -> None:
        with pytest.raises(BadInput, match=rule):
            write_phantoms(tmp_path / "deep" / "set", n, seed=seed, size=size)
        assert not any(tmp_path.iterdir())

    def test_interrupted_set_leaves_nothing_behind(self, tmp_path: Path) -> None:
        def interrupt(step: Progress) -> None:
            if step.done == 2:
                raise KeyboardInterrupt("stopped")

        with pytest.raises(KeyboardInterrupt, match="stopped"):
            write_phantoms(tmp_path / "set", 4, size=64, listener=interrupt)
        assert not any(tmp_path.iterdir())

    def test_unwritable_place_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BadInput, match="can't be written"):
            write_phantoms(tmp_path / "file" / "set", 2, size=64)
