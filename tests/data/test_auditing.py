"""The audit names what would make results on a dataset misleading."""

import itertools
import json
import shutil

import cv2
import numpy as np
import pytest

from falx.data.auditing import audit
from falx.data.catalog import build_catalog
from falx.data.outliers import find_outliers
from falx.data.shortcuts import probe_shortcuts
from falx.phantoms import make_phantom


def write(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), pixels)


@pytest.fixture
def data(phantoms, tmp_path):
    return shutil.copytree(phantoms, tmp_path / "data", ignore=shutil.ignore_patterns("*.csv"))


def named(catalog, sets):
    paths = catalog.usable().table["path"].to_numpy()
    return [{str(paths[row]) for row in rows} for rows in sets]


def test_a_clean_set_has_no_copies_conflicts_or_leaks(data):
    found = audit(build_catalog(data))
    assert found.counts == {"no": 30, "yes": 30}
    assert found.distinct == 60
    assert (found.unreadable, found.identical, found.groups) == ((), (), ())
    assert (found.conflicts, found.leaks) == ((), ())


def test_identical_files_near_duplicates_and_conflicts_are_told_apart(data):
    files = sorted((data / "yes").glob("*.png"))
    shutil.copy(files[0], data / "yes" / "same.png")
    half = cv2.resize(
        cv2.imread(str(files[1]), 0), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA
    )
    write(data / "no" / "near.jpg", half)
    catalog = build_catalog(data)
    found = audit(catalog)
    first, second = f"yes/{files[0].name}", f"yes/{files[1].name}"
    assert named(catalog, found.identical) == [{first, "yes/same.png"}]
    assert {frozenset(names) for names in named(catalog, found.groups)} == {
        frozenset({first, "yes/same.png"}),
        frozenset({second, "no/near.jpg"}),
    }
    assert named(catalog, found.conflicts) == [{second, "no/near.jpg"}]
    assert found.distinct == 60


def test_labels_of_a_patient_may_differ_but_those_of_near_duplicates_may_not(data, tmp_path):
    files = sorted(data.rglob("*.png"))
    copy = data / "no" / "copy.jpg"
    write(copy, cv2.imread(str(files[-1]), 0))
    table = tmp_path / "table.csv"
    rows = [f"{file},{file.parent.name},P{number % 10}" for number, file in enumerate(files)]
    table.write_text("\n".join(["path,label,patient", *rows, f"{copy},no,P9"]))
    catalog = build_catalog(table)
    found = audit(catalog)
    assert found.distinct == 10
    assert named(catalog, found.conflicts) == [{f"data/yes/{files[-1].name}", "data/no/copy.jpg"}]


def test_leaks_between_predefined_parts_are_counted(data, tmp_path):
    files = sorted(data.rglob("*.png"))
    for number, file in enumerate(files):
        part = "Training" if number % 3 else "Testing"
        write(tmp_path / "set" / part / file.parent.name / file.name, cv2.imread(str(file), 0))
    train = sorted((tmp_path / "set" / "Training" / "yes").iterdir())
    shutil.copy(train[0], tmp_path / "set" / "Testing" / "yes" / "identical.png")
    image = cv2.imread(str(train[1]), 0)
    write(
        tmp_path / "set" / "Testing" / "yes" / "near.png",
        np.clip(image * 0.9, 0, 255).astype(np.uint8),
    )
    found = audit(build_catalog(tmp_path / "set"))
    (leak,) = found.leaks
    assert (leak.part, leak.other, leak.total, leak.identical) == ("test", "train", 22, 1)
    assert len(leak.rows) == 2


def test_an_image_of_another_organ_is_an_outlier_with_its_reason(data):
    abdomen = np.zeros((96, 140), np.uint8)
    cv2.ellipse(abdomen, (70, 48), (66, 34), 0, 0, 360, 120, cv2.FILLED)
    cv2.circle(abdomen, (70, 70), 9, 250, cv2.FILLED)
    write(data / "yes" / "abdomen.png", abdomen)
    catalog = build_catalog(data).usable()
    outliers = find_outliers(catalog.table)
    names = [catalog.table["path"].iat[item.row] for item in outliers]
    reason = outliers[names.index("yes/abdomen.png")].reason
    assert reason.startswith("1.90 times as wide as high, usually")
    assert all(first.score >= second.score for first, second in itertools.pairwise(outliers))


def test_a_set_that_gives_its_classes_away_by_size_is_alarming(tmp_path):
    for number in range(60):
        tumor = bool(number % 2)
        pixels = make_phantom(number, tumor=False, size=112 if tumor else 96).pixels
        write(tmp_path / ("yes" if tumor else "no") / f"{number}.png", pixels)
    usable = build_catalog(tmp_path).usable()
    properties, _ = probe_shortcuts(usable.table, usable.labels, usable.groups, classes=2)
    assert properties.probe == "file properties"
    assert properties.auc > 0.95
    assert properties.alarming


def test_a_mark_outside_the_head_is_found_by_the_probe_of_the_background(tmp_path):
    for number in range(60):
        tumor = bool(number % 2)
        pixels = np.pad(make_phantom(number, tumor=False, size=96).pixels, 16)
        if tumor:
            pixels[-10:-4, 4:16] = 200
        write(tmp_path / ("yes" if tumor else "no") / f"{number}.png", pixels)
    usable = build_catalog(tmp_path).usable()
    _, background = probe_shortcuts(usable.table, usable.labels, usable.groups, classes=2)
    assert background.auc > 0.9
    assert background.alarming


def test_phantoms_have_no_shortcut(data):
    assert not any(shortcut.alarming for shortcut in audit(build_catalog(data)).shortcuts)


def test_few_groups_are_probed_in_fewer_folds_and_without_an_interval(data):
    for file in sorted((data / "yes").iterdir())[4:]:
        file.unlink()
    found = audit(build_catalog(data)).shortcuts
    assert [probe.probe for probe in found] == [
        "file properties", "the background outside the head",
    ]  # fmt: skip
    assert all(0 <= probe.auc <= 1 and np.isnan(probe.low) for probe in found)


def test_a_class_of_one_group_cannot_be_probed(data):
    for file in sorted((data / "yes").iterdir())[1:]:
        file.unlink()
    assert audit(build_catalog(data)).shortcuts == ()


def test_everything_is_ready_for_json(data):
    (data / "yes" / "broken.png").write_text("no picture")
    shutil.copy(next((data / "no").glob("*.png")), data / "no" / "copy.png")
    content = json.loads(json.dumps(audit(build_catalog(data)).as_dict()))
    assert content["slices"] == 61
    assert content["unreadable"][0]["path"] == "yes/broken.png"
    assert len(content["identical"]) == 1
    assert "no/copy.png" in content["identical"][0]
    assert {probe["probe"] for probe in content["shortcuts"]} == {
        "file properties",
        "the background outside the head",
    }


def test_an_audit_shows_itself(data):
    shutil.copy(data / "yes" / "00001.png", data / "no" / "<b>copy & more.png")
    folder = data.rename(data.with_name("<b>data"))
    found = audit(build_catalog(folder))
    html = found._repr_html_()
    assert "&lt;b&gt;data" in html
    assert "<b>" not in html
    assert "<tr><td>slices of no</td><td>31</td></tr>" in html
    assert "<tr><td>sets of identical slices</td><td>1</td></tr>" in html
    assert repr(found).startswith("Audit('<b>data': 31 slices of no, 30 slices of yes, 60 groups, ")
    assert "\n" not in repr(found)
