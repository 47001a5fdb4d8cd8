"""A detector is tested on other data, and told apart from the slices that it was trained on."""

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

import falx
from falx.data.catalog import build_catalog
from falx.data.phantom import write_phantoms
from falx.errors import BadInput
from falx.evaluation.calibrate import tempered
from falx.training.setup import open_shelf
from falx.training.views import render_views


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Slices that the run has never seen."""
    folder = tmp_path_factory.mktemp("others") / "others"
    write_phantoms(folder, 24, seed=9, size=96)
    return folder


def test_other_data_has_no_twins(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out")
    assert (done.scores.n, done.twins, done.without_twins) == (24, 0, None)
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"predictions.csv", "errors.csv", "metrics.json", "figures", "report.html"}


def test_the_predictions_are_those_of_the_detector(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out")
    table = pd.read_csv(done.folder / "predictions.csv").set_index("path")["p_yes"]
    for one in falx.load(run).predict(others).slices:
        name = f"{one.path.parent.name}/{one.path.name}"
        assert table[name] == pytest.approx(one.probability, abs=2e-6)


def test_copies_of_training_slices_are_counted_and_left_out_of_a_second_score(
    run, phantoms, others, tmp_path
):
    data = tmp_path / "data"
    shutil.copytree(others, data)
    split = pd.read_csv(run / "split.csv")
    for path in split.loc[split["part"] == "train", "path"].head(5):
        shutil.copy(phantoms / path, (data / path).with_name("copy-" + (data / path).name))
    done = falx.evaluate(run, data, out=tmp_path / "out")
    assert done.twins == 5
    assert done.scores.n == 29
    assert done.without_twins.n == 24
    metrics = json.loads((done.folder / "metrics.json").read_text())
    assert metrics["without_twins"]["n"] == 24


def test_a_class_that_the_detector_does_not_know_is_refused(run, others, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(others, data)
    (data / "yes").rename(data / "stroke")
    with pytest.raises(falx.FalxError, match="'stroke', which the detector does not know"):
        falx.evaluate(run, data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_detector_without_its_run_can_still_be_evaluated(run, others, tmp_path):
    shutil.copytree(run / "detector", tmp_path / "detector")
    done = falx.evaluate(tmp_path / "detector", others, out=tmp_path / "out")
    assert (done.scores.n, done.twins) == (24, None)
    page = (done.folder / "report.html").read_text("utf-8")
    assert "Whether slices were trained on can&#39;t be told." in page


def test_data_of_one_class_can_be_tested_on(run, others, tmp_path):
    shutil.copytree(others / "yes", tmp_path / "data" / "yes")
    done = falx.evaluate(run, tmp_path / "data", out=tmp_path / "out")
    assert done.scores.n == 12
    assert (done.folder / "report.html").is_file()


def test_heat_maps_are_held_to_masks(run, others, tmp_path):
    masks = others.with_name("others-masks")
    done = falx.evaluate(run, others, masks=masks, out=tmp_path / "out")
    assert done.maps.n == 12
    entry = json.loads((done.folder / "metrics.json").read_text())["heat_maps"]
    assert entry == done.maps.as_dict()
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


def test_masks_are_of_no_use_where_their_slices_are_all_foreign(run, others, tmp_path):
    refusing = with_rule(run, tmp_path / "detector", limit=0.0)
    masks = others.with_name("others-masks")
    with pytest.raises(BadInput, match=r"a tumor and a mask \(12\) are foreign to the detector"):
        falx.evaluate(refusing, others, masks=masks, out=tmp_path / "out")


def test_heat_maps_are_checked_without_masks(decided, others, tmp_path):
    done = falx.evaluate(decided, others, map_slices=5, out=tmp_path / "out")
    assert done.checks.n == 5
    assert 10 <= done.checks.of <= 14
    entry = json.loads((done.folder / "metrics.json").read_text())["heat_map_checks"]
    assert entry == done.checks.as_dict()
    assert set(entry) == {"n", "of", "deletion_insertion", "randomization"}
    assert (done.folder / "figures" / "deletion_and_insertion.png").is_file()
    page = (done.folder / "report.html").read_text("utf-8")
    assert "Checked on 5 of" in page
    assert "--map-slices 5" in page


def test_checking_heat_maps_can_be_left_out(decided, others, tmp_path):
    done = falx.evaluate(decided, others, map_slices=0, out=tmp_path / "out")
    assert done.checks is None
    assert "heat_map_checks" not in json.loads((done.folder / "metrics.json").read_text())


def test_without_the_keras_network_nothing_is_randomized(decided, others, tmp_path):
    (decided / "network.keras").unlink()
    done = falx.evaluate(decided, others, map_slices=4, out=tmp_path / "out")
    assert done.checks.randomization is None
    assert done.checks.deletion is not None
    assert "came without its Keras network" in (done.folder / "report.html").read_text("utf-8")


def test_masks_that_are_not_there_are_one_sentence(run, others, tmp_path):
    with pytest.raises(BadInput, match="is no folder; name one that holds masks"):
        falx.evaluate(run, others, masks=tmp_path / "nowhere", out=tmp_path / "out")
    with pytest.raises(BadInput, match="No slice has both"):
        falx.evaluate(run, others, masks=tmp_path, out=tmp_path / "out")


def test_a_mask_of_another_size_is_named(run, others, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(others.with_name("others-masks"), masks)
    file = sorted((masks / "yes").iterdir())[0]
    cv2.imwrite(str(file), np.ones((9, 9), np.uint8))
    with pytest.raises(BadInput, match=f"{file.name}' is not of the size"):
        falx.evaluate(run, others, masks=masks, out=tmp_path / "out")


def test_masks_are_ones_or_any_other_gray_and_empty_ones_are_left_out(run, others, tmp_path):
    masks = tmp_path / "masks"
    shutil.copytree(others.with_name("others-masks"), masks)
    first, *rest = sorted((masks / "yes").iterdir())
    cv2.imwrite(str(first), np.zeros((96, 96), np.uint8))
    for file in rest:
        cv2.imwrite(str(file), np.minimum(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), 1))
    done = falx.evaluate(run, others, masks=masks, out=tmp_path / "out")
    assert done.maps.n == 11


def test_a_slice_is_never_its_own_mask(run, others, tmp_path):
    table = tmp_path / "table" / "slices.csv"
    table.parent.mkdir()
    files = sorted(others.glob("*/*.png"))
    pd.DataFrame({"path": files, "label": [file.parent.name for file in files]}).to_csv(table)
    with pytest.raises(BadInput, match="not below the data's folder"):
        falx.evaluate(run, table, masks=tmp_path, out=tmp_path / "out")


def _in_three_classes(data, folder):
    """A copy with half of the tumors as one kind and half as another."""
    for path in sorted(data.glob("*/*.png")):
        kind = "notumor"
        if path.parent.name == "yes":
            kind = "glioma" if int(path.stem) % 4 < 2 else "pituitary"
        (folder / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / kind / path.name)
    return folder


def test_data_that_tell_kinds_apart_are_asked_for_any_tumor(run, others, tmp_path):
    kinds = _in_three_classes(others, tmp_path / "kinds")
    done = falx.evaluate(run, kinds, out=tmp_path / "out", binary=True, map_slices=0)
    plain = falx.evaluate(run, others, out=tmp_path / "plain", map_slices=0)
    assert done.scores.classes == ("no", "yes")
    assert done.scores.confusion.tolist() == plain.scores.confusion.tolist()
    for name in ("coverage", "referred", "answered"):
        assert getattr(done.trust, name).value == getattr(plain.trust, name).value
    assert "all of kinds, asked for any tumor" in (done.folder / "report.html").read_text("utf-8")


def test_a_detector_of_kinds_is_asked_for_any_tumor(phantoms, others, short, tmp_path):
    trained = falx.train(
        _in_three_classes(phantoms, tmp_path / "kinds"),
        changes=short,
        weights="random",
        out=tmp_path / "run",
    )
    done = falx.evaluate(trained.folder, others, out=tmp_path / "out", binary=True)
    assert done.scores.classes == ("notumor", "yes")
    assert done.checks is None
    views = render_views(
        build_catalog(others).usable(), falx.load(trained.folder).settings.rendering, open_shelf(1)
    )
    given = falx.load(trained.folder).probabilities(views.plain)
    table = pd.read_csv(done.folder / "predictions.csv")
    np.testing.assert_allclose(
        table[["p_notumor", "p_yes"]], np.c_[given[:, 0], given[:, 1:].sum(1)]
    )
    temperature = falx.load(trained.folder).settings.rules.temperature
    raw = tempered(given, 1 / temperature)[:, 0]
    truth = (table["label"] == "notumor").to_numpy()
    assert done.trust.before["brier"].value == pytest.approx(np.mean((raw - truth) ** 2))


def test_what_hides_brain_and_tumor_is_told(run, others, tmp_path):
    done = falx.evaluate(run, others, out=tmp_path / "out", masks=f"{others}-masks")
    metrics = json.loads((done.folder / "metrics.json").read_text("utf-8"))
    assert metrics["border_alone"]["roc_auc"]["value"] == done.border.roc_auc.value
    assert metrics["hidden_tumors"]["n"] == done.hidden.n
    assert (done.border.n, done.hidden.of) == (24, 12)
    page = (done.folder / "report.html").read_text("utf-8")
    assert "With all but a frame of the view blank" in page
    assert f"On {done.hidden.n} slices with an outlined tumor" in page
