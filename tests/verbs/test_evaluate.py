"""A detector is tested on other data; slices that it was trained on are found and left out."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest

import falx
import small_scans
from falx.data.catalog import build_catalog
from falx.errors import BadInput, UnreadableImage
from falx.evaluation.calibration import apply_temperature
from falx.phantoms import write_phantoms
from falx.runs.reading import open_run
from falx.serialization import to_json
from falx.training.setup import open_cache
from falx.training.views import render_views
from helpers import head_slices, write_nifti, write_series


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Slices that the run has never seen."""
    folder = tmp_path_factory.mktemp("others") / "others"
    write_phantoms(folder, 24, seed=9, size=96)
    return folder


def test_other_data_has_no_leakage(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out")
    found = done.evaluation
    assert (done.scores.n, found.n_leaked, found.without_leakage) == (24, 0, None)
    names = {path.name for path in done.folder.iterdir()}
    assert names == {
        "predictions.csv", "errors.csv", "metrics.json", "run.json", "environment.json",
        "catalog.parquet", "recipe.yaml", "figures", "report.html",
    }  # fmt: skip


def test_too_few_slices_are_not_checked_as_a_set(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out", faithfulness_slices=0)
    found = json.loads((done.folder / "metrics.json").read_text())["site_check"]
    assert (found["outcome"], found["slices"], found["p_value"]) == ("not checked", 24, None)


def test_slices_that_differ_as_a_set_are_told_from_those_of_training(
    run, phantoms, others, tmp_path
):
    """Dimmed and blurred ones do, unseen ones like those of training don't."""
    for number, file in enumerate(sorted(others.rglob("*.png"))):
        image = cv2.GaussianBlur(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (0, 0), 2) // 2
        for suffix, turned in (("a", image), ("b", image[:, ::-1])):
            target = tmp_path / "data" / file.parent.name / f"{number}{suffix}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), turned)
    done = falx.evaluate(run, tmp_path / "data", out=tmp_path / "out", faithfulness_slices=0)
    assert done.evaluation.site.is_different
    entry = json.loads((done.folder / "metrics.json").read_text())["site_check"]
    assert entry["sentence"] == done.evaluation.site.sentence
    assert open_run(done.folder).evaluation.site == done.evaluation.site
    assert "These slices are unlike those of training, as a set." in (
        done.folder / "report.html"
    ).read_text("utf-8")
    same = falx.evaluate(run, phantoms, out=tmp_path / "same", faithfulness_slices=0)
    # Only the test part is compared: the others leaked.
    assert (
        same.evaluation.site.slices == len(same.evaluation.predictions) - same.evaluation.n_leaked
    )


def test_the_predictions_are_those_of_the_detector(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out")
    table = pd.read_csv(done.folder / "predictions.csv").set_index("path")["p_yes"]
    for one in falx.load(run).predict(others).slices:
        name = f"{one.path.parent.name}/{one.path.name}"
        assert table[name] == pytest.approx(one.probability, abs=2e-6)


def test_slices_that_leaked_are_counted_and_left_out_of_a_second_score(
    run, phantoms, others, tmp_path
):
    data = tmp_path / "data"
    shutil.copytree(others, data)
    split = pd.read_csv(run / "split.csv")
    for path in split.loc[split["part"] == "train", "path"].head(5):
        shutil.copy(phantoms / path, (data / path).with_name("copy-" + (data / path).name))
    done = falx.evaluate(run, data, out=tmp_path / "out")
    assert done.evaluation.n_leaked == 5
    assert done.scores.n == 29
    assert done.evaluation.without_leakage.scores.n == 24
    metrics = json.loads((done.folder / "metrics.json").read_text())
    assert metrics["without_leakage"]["n"] == 24


def test_a_class_that_the_detector_does_not_know_is_refused(run, others, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(others, data)
    (data / "yes").rename(data / "stroke")
    with pytest.raises(falx.FalxError, match="'stroke', which the detector does not know"):
        falx.evaluate(run, data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_robustness_is_measured_where_it_is_asked_for(run, others, tmp_path):
    done = falx.evaluate(run, others, robustness=True, faithfulness_slices=0, out=tmp_path / "out")
    scores = done.evaluation.robustness
    assert scores.n == scores.eligible == 24
    assert scores.uncorrupted.roc_auc.value == pytest.approx(done.scores.estimates["roc_auc"].value)
    table = pd.read_csv(done.folder / "robustness.csv")
    assert table["corruption"].tolist()[0] == "none"
    assert len(table) == 1 + len(scores.rows)
    assert table["roc_auc"].tolist() == pytest.approx(scores.table["roc_auc"].tolist())
    entry = json.loads((done.folder / "metrics.json").read_text())["robustness"]
    assert entry == to_json(scores)
    assert (done.folder / "figures" / "robustness.png").is_file()
    page = (done.folder / "report.html").read_text("utf-8")
    assert "<h3>Robustness</h3>" in page
    assert "skull stripping, 3" in page
    assert "--robustness" in done.record.command


def test_robustness_needs_slices_of_every_class(run, others, tmp_path, caplog):
    shutil.copytree(others / "yes", tmp_path / "data" / "yes")
    done = falx.evaluate(run, tmp_path / "data", robustness=True, out=tmp_path / "out")
    assert done.evaluation.robustness is None
    assert "Robustness was not measured" in caplog.text
    assert not (done.folder / "robustness.csv").exists()


def test_a_detector_without_its_run_can_still_be_evaluated(run, others, tmp_path):
    shutil.copytree(run / "detector", tmp_path / "detector")
    done = falx.evaluate(tmp_path / "detector", others, out=tmp_path / "out")
    assert (done.scores.n, done.evaluation.n_leaked) == (24, None)
    page = (done.folder / "report.html").read_text("utf-8")
    assert "Leakage could not be checked." in page


def test_data_of_one_class_can_be_tested_on(run, others, tmp_path):
    shutil.copytree(others / "yes", tmp_path / "data" / "yes")
    done = falx.evaluate(run, tmp_path / "data", out=tmp_path / "out")
    assert done.scores.n == 12
    assert (done.folder / "report.html").is_file()


def test_heat_maps_are_compared_with_masks(run, others, tmp_path):
    masks = others.with_name("others-masks")
    done = falx.evaluate(run, others, masks=masks, out=tmp_path / "out")
    assert done.evaluation.localization.n == 12
    entry = json.loads((done.folder / "metrics.json").read_text())["localization"]
    assert entry == to_json(done.evaluation.localization)
    assert "Pointing game" in (done.folder / "report.html").read_text()


def with_rule(run, folder, **rule):
    """The detector of a run, with another rule."""
    shutil.copytree(run / "detector", folder)
    settings = json.loads((folder / "detector.json").read_text())
    settings["rules"] |= rule
    (folder / "detector.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def decided(run, others, tmp_path):
    """A detector that calls half of the slices positive."""
    found = [one.probability for one in falx.load(run).predict(others).slices]
    return with_rule(run, tmp_path / "detector", threshold=float(np.median(found)))


def test_masks_are_of_no_use_where_their_slices_are_all_out_of_distribution(run, others, tmp_path):
    rejecting = with_rule(run, tmp_path / "detector", ood_threshold=0.0)
    masks = others.with_name("others-masks")
    with pytest.raises(
        BadInput, match="All 12 slices with a tumor and a mask are out-of-distribution"
    ):
        falx.evaluate(rejecting, others, masks=masks, out=tmp_path / "out")


def test_faithfulness_is_measured_without_masks(decided, others, tmp_path):
    done = falx.evaluate(decided, others, faithfulness_slices=5, out=tmp_path / "out")
    measured = done.evaluation.faithfulness
    assert measured.n == 5
    assert 10 <= measured.eligible <= 14
    entry = json.loads((done.folder / "metrics.json").read_text())["faithfulness"]
    assert entry == to_json(measured)
    assert set(entry) == {"n", "eligible", "deletion", "randomization"}
    assert (done.folder / "figures" / "deletion_and_insertion.png").is_file()
    page = (done.folder / "report.html").read_text("utf-8")
    assert "random sample of 5 of" in page
    assert "--faithfulness-slices 5" in page


def test_faithfulness_can_be_left_out(decided, others, tmp_path):
    done = falx.evaluate(decided, others, faithfulness_slices=0, out=tmp_path / "out")
    assert done.evaluation.faithfulness is None
    assert "faithfulness" not in json.loads((done.folder / "metrics.json").read_text())


def test_without_the_keras_network_nothing_is_randomized(decided, others, tmp_path):
    (decided / "network.keras").unlink()
    done = falx.evaluate(decided, others, faithfulness_slices=4, out=tmp_path / "out")
    assert done.evaluation.faithfulness.randomization is None
    assert done.evaluation.faithfulness.deletion is not None
    assert "came without its Keras network" in (done.folder / "report.html").read_text("utf-8")


def test_masks_that_are_not_there_are_one_sentence(run, others, tmp_path):
    with pytest.raises(BadInput, match="is no folder; name one that holds masks"):
        falx.evaluate(run, others, masks=tmp_path / "nowhere", out=tmp_path / "out")
    with pytest.raises(BadInput, match=r"holds no mask of an image of '.*others'; a mask lies in"):
        falx.evaluate(run, others, masks=tmp_path, out=tmp_path / "out")


def test_a_mask_of_another_size_is_named(run, others, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(others.with_name("others-masks"), masks)
    file = sorted((masks / "yes").iterdir())[0]
    cv2.imwrite(str(file), np.ones((9, 9), np.uint8))
    sentence = f"{file.name}' has slices of 9 x 9 pixels, and its image of 96 x 96; mend or remove"
    with pytest.raises(UnreadableImage, match=sentence):
        falx.evaluate(run, others, masks=masks, out=tmp_path / "out")


def test_masks_are_ones_or_any_other_gray_and_empty_ones_are_left_out(run, others, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(others.with_name("others-masks"), masks)
    first, *rest = sorted((masks / "yes").iterdir())
    cv2.imwrite(str(first), np.zeros((96, 96), np.uint8))
    for file in rest:
        cv2.imwrite(str(file), np.minimum(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), 1))
    done = falx.evaluate(run, others, masks=masks, out=tmp_path / "out")
    assert done.evaluation.localization.n == 11


def test_a_slice_is_never_its_own_mask(run, others, tmp_path):
    table = tmp_path / "table" / "slices.csv"
    table.parent.mkdir()
    files = sorted(others.glob("*/*.png"))
    pd.DataFrame({"path": files, "label": [file.parent.name for file in files]}).to_csv(table)
    with pytest.raises(BadInput, match="holds no mask of an image of"):
        falx.evaluate(run, table, masks=others, out=tmp_path / "out")
    with pytest.raises(BadInput, match="holds no mask of an image of"):
        falx.evaluate(run, others, masks=others, out=tmp_path / "out")


TUMOR = slice(6, 9)
"""The slices of a head that a mask outlines a tumor in."""


def outlines(head):
    """A disk of 12 pixels in three slices of a head, uint8."""
    mask = np.zeros(head.shape, np.uint8)
    for slice_ in mask[TUMOR]:
        cv2.circle(slice_, (40, 50), 12, 1, cv2.FILLED)
    return mask


@pytest.fixture
def accepting(run, tmp_path):
    """A detector that rejects nothing as out of distribution."""
    return with_rule(run, tmp_path / "accepting", ood_threshold=None)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """A head as yes/1.nii.gz and one as no/2.nii.gz, the mask of the first in a folder beside."""
    folder = tmp_path_factory.mktemp("volumes")
    for name in ("data/yes", "data/no", "masks/yes"):
        (folder / name).mkdir(parents=True)
    head = head_slices(tumor=True)
    write_nifti(folder / "data" / "yes" / "1.nii.gz", head)
    write_nifti(folder / "masks" / "yes" / "1.nii.gz", outlines(head))
    write_nifti(folder / "data" / "no" / "2.nii.gz", head_slices(seed=5))
    return folder


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """The same as DICOM series, and a DICOM segmentation of the first."""
    folder = tmp_path_factory.mktemp("segmented")
    head = head_slices(tumor=True)
    files = write_series(folder / "data" / "yes" / "1", head, PatientID="A")
    uids = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.8"}
    write_series(folder / "data" / "no" / "2", head_slices(seed=5), PatientID="B", **uids)
    images = [pydicom.dcmread(file) for file in files]
    (folder / "masks").mkdir()
    small_scans.segmentation(images, outlines(head)).save_as(folder / "masks" / "seg.dcm")
    return folder


@pytest.mark.parametrize("kind", ["volumes", "segmented"])
def test_heat_maps_of_volumes_are_compared_with_nifti_masks_and_dicom_segmentations(
    accepting, kind, request, tmp_path
):
    folder = request.getfixturevalue(kind)
    done = falx.evaluate(
        accepting, folder / "data", masks=folder / "masks", faithfulness_slices=0,
        out=tmp_path / "out",
    )  # fmt: skip
    # Masks say which slices of the volume show its tumor.
    assert done.catalog.usable().counts == {"no": 29, "yes": 3}
    assert not done.catalog.table["weak_label"].any()
    assert done.scores.n == 32
    assert done.evaluation.localization.n == 3
    assert done.evaluation.occlusion.outlined == 3


def test_a_nifti_mask_and_a_dicom_segmentation_of_the_same_tumor_score_the_same(
    accepting, volumes, segmented, tmp_path
):
    nifti, dicom = (
        falx.evaluate(
            accepting, folder / "data", masks=folder / "masks", faithfulness_slices=0,
            out=tmp_path / folder.name,
        ).evaluation.localization
        for folder in (volumes, segmented)
    )  # fmt: skip
    assert nifti.energy_inside_chance == pytest.approx(dicom.energy_inside_chance, rel=0.01)
    # Volumes are scaled to gray levels as a whole, DICOM slices by their window.
    assert nifti.energy_inside.value == pytest.approx(dicom.energy_inside.value, abs=0.1)


def test_masks_beside_the_images_are_found_without_naming_them(accepting, volumes, tmp_path):
    data = tmp_path / "patients"
    for number, label in ((1, "yes"), (2, "no")):
        (data / f"p{number}").mkdir(parents=True)
        shutil.copy(
            volumes / "data" / label / f"{number}.nii.gz", data / f"p{number}" / "t1.nii.gz"
        )
    head = head_slices()
    write_nifti(data / "p1" / "t1_seg.nii.gz", outlines(head))
    write_nifti(data / "p2" / "t1_seg.nii.gz", np.zeros(head.shape, np.uint8))
    done = falx.evaluate(accepting, data, faithfulness_slices=0, out=tmp_path / "out")
    assert done.catalog.usable().counts == {"no": 29, "yes": 3}
    assert done.evaluation.localization.n == 3


def test_masks_that_nobody_named_are_no_reason_to_fail(run, volumes, tmp_path, caplog):
    rejecting = with_rule(run, tmp_path / "rejecting", ood_threshold=1e-6)
    (tmp_path / "patients" / "p1").mkdir(parents=True)
    image = tmp_path / "patients" / "p1" / "t1.nii.gz"
    shutil.copy(volumes / "data" / "yes" / "1.nii.gz", image)
    write_nifti(image.with_name("t1_seg.nii.gz"), outlines(head_slices()))
    done = falx.evaluate(
        rejecting, tmp_path / "patients", faithfulness_slices=0, out=tmp_path / "out"
    )
    assert done.evaluation.localization is None
    assert "there is no heat map to compare with a mask." in caplog.text


def test_a_volume_mask_of_another_size_is_one_sentence(accepting, volumes, tmp_path):
    (tmp_path / "masks" / "yes").mkdir(parents=True)
    mask = outlines(np.zeros((16, 48, 64), np.uint8))
    write_nifti(tmp_path / "masks" / "yes" / "1.nii.gz", mask)
    sentence = (
        r"1\.nii\.gz' has slices of 64 x 48 pixels, and its image of 96 x 96; mend or remove it"
    )
    with pytest.raises(UnreadableImage, match=sentence):
        falx.evaluate(accepting, volumes / "data", masks=tmp_path / "masks", out=tmp_path / "out")


def test_gray_levels_are_no_mask(accepting, volumes, tmp_path):
    (tmp_path / "masks" / "yes").mkdir(parents=True)
    half = np.full((16, 96, 96), 0.5, np.float32)
    write_nifti(tmp_path / "masks" / "yes" / "1.nii.gz", half)
    with pytest.raises(UnreadableImage, match=r"1\.nii\.gz' holds gray levels, not labels"):
        falx.evaluate(accepting, volumes / "data", masks=tmp_path / "masks", out=tmp_path / "out")


def test_a_segmentation_of_other_images_is_no_mask_of_these(accepting, segmented, tmp_path):
    uids = {"StudyInstanceUID": "1.7", "SeriesInstanceUID": "1.6"}
    files = write_series(tmp_path / "other", head_slices(), **uids)
    images = [pydicom.dcmread(file) for file in files]
    (tmp_path / "masks").mkdir()
    segmentation = small_scans.segmentation(images, outlines(head_slices()))
    segmentation.save_as(tmp_path / "masks" / "seg.dcm")
    with pytest.raises(BadInput, match="holds no mask of an image of"):
        falx.evaluate(accepting, segmented / "data", masks=tmp_path / "masks", out=tmp_path / "out")


def test_masks_without_any_tumor_are_one_sentence(accepting, volumes, tmp_path):
    (tmp_path / "masks" / "yes").mkdir(parents=True)
    write_nifti(tmp_path / "masks" / "yes" / "1.nii.gz", np.zeros((16, 96, 96), np.uint8))
    with pytest.raises(BadInput, match="No slice has both a tumor and a mask"):
        falx.evaluate(accepting, volumes / "data", masks=tmp_path / "masks", out=tmp_path / "out")


def test_masks_are_of_no_use_to_a_detector_of_several_classes(phantoms, others, quick, tmp_path):
    trained = falx.train(
        _in_three_classes(phantoms, tmp_path / "kinds"), changes=quick, out=tmp_path / "run",
    )  # fmt: skip
    kinds = _in_three_classes(others, tmp_path / "others")
    masks = tmp_path / "masks" / "glioma"
    masks.mkdir(parents=True)
    for file in (tmp_path / "others" / "glioma").iterdir():
        shutil.copy(others.with_name("others-masks") / "yes" / file.name, masks)
    with pytest.raises(
        BadInput, match="Masks are of one class, and the detector has more than two"
    ):
        falx.evaluate(trained.folder, kinds, masks=masks.parent, out=tmp_path / "out")


def _in_three_classes(data, folder):
    """A copy with half of the tumors as one kind and half as another."""
    for path in sorted(data.glob("*/*.png")):
        kind = "notumor"
        if path.parent.name == "yes":
            kind = "glioma" if int(path.stem) % 4 < 2 else "pituitary"
        (folder / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / kind / path.name)
    return folder


def test_classes_of_the_data_can_be_folded_into_two(run, others, tmp_path):
    kinds = _in_three_classes(others, tmp_path / "kinds")
    done = falx.evaluate(run, kinds, out=tmp_path / "out", binary=True, faithfulness_slices=0)
    plain = falx.evaluate(run, others, out=tmp_path / "plain", faithfulness_slices=0)
    assert done.scores.classes == ("no", "yes")
    assert done.scores.confusion.tolist() == plain.scores.confusion.tolist()
    for name in ("coverage", "referred", "selective_accuracy"):
        assert getattr(done.reliability, name).value == getattr(plain.reliability, name).value
    assert "all of kinds, folded into tumor and no tumor" in (
        done.folder / "report.html"
    ).read_text("utf-8")


def test_classes_of_the_detector_can_be_folded_into_two(phantoms, others, quick, tmp_path):
    trained = falx.train(
        _in_three_classes(phantoms, tmp_path / "kinds"),
        changes=quick,
        out=tmp_path / "run",
    )
    done = falx.evaluate(trained.folder, others, out=tmp_path / "out", binary=True)
    assert done.scores.classes == ("notumor", "yes")
    assert done.evaluation.faithfulness is None
    views = render_views(
        build_catalog(others).usable(), falx.load(trained.folder).settings.rendering, open_cache(1)
    )
    probabilities = falx.load(trained.folder).probabilities(views.plain)
    table = pd.read_csv(done.folder / "predictions.csv")
    np.testing.assert_allclose(
        table[["p_notumor", "p_yes"]], np.c_[probabilities[:, 0], probabilities[:, 1:].sum(1)]
    )
    temperature = falx.load(trained.folder).settings.rules.temperature
    uncalibrated = apply_temperature(probabilities, 1 / temperature)[:, 0]
    truth = (table["label"] == "notumor").to_numpy()
    assert done.reliability.before["brier"].value == pytest.approx(
        np.mean((uncalibrated - truth) ** 2)
    )
    read = falx.open_run(done.folder)
    assert read.reliability.before["brier"].value == pytest.approx(
        done.reliability.before["brier"].value
    )


def test_border_only_predictions_and_tumor_occlusion_are_reported(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out", masks=f"{others}-masks")
    metrics = json.loads((done.folder / "metrics.json").read_text("utf-8"))
    border_only, occlusion = done.evaluation.border_only, done.evaluation.occlusion
    assert metrics["border_only"]["roc_auc"]["value"] == border_only.roc_auc.value
    assert metrics["occlusion"]["n"] == occlusion.n
    assert (border_only.n, occlusion.outlined) == (24, 12)
    page = (done.folder / "report.html").read_text("utf-8")
    assert "With all but the border of each view blank" in page
    assert f"On {occlusion.n} slices with an outlined tumor" in page
