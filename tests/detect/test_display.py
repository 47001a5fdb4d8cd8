"""Findings are a sequence, show themselves, and leave as a table, CSV and JSON."""

import base64
import io
import json
import math
from dataclasses import replace
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import falx
import small_scans
from falx.detect.finding import Finding, Findings, LeftOut
from falx.detect.overlay import overlay_of
from falx.errors import BadInput
from falx.notice import NOTICE
from falx.phantoms import make_phantom

ODD = "<b>scan & co<b>.png"


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """Of a volume of six slices that show something, a file with an odd name, an array, and no image."""
    folder = tmp_path_factory.mktemp("files")
    volume = small_scans.write_nifti(
        folder / "head.nii.gz", small_scans.head((64, 72, 8)), (1, 1, 8)
    )
    levels = make_phantom(3, tumor=True, size=96).pixels
    odd = folder / ODD
    cv2.imwrite(str(odd), levels)
    (folder / "notes.png").write_text("no image")
    shipped = falx.load()
    # Phantoms are far from its training slices; with a label, the study has a strongest slice.
    detector = shipped.with_rules(replace(shipped.settings.rules, ood_threshold=None))
    return detector.predict([volume, odd, levels, folder / "notes.png"], maps="flip_tta")


def pictures(html):
    """The pictures inside a page, decoded."""
    parts = html.split('src="data:image/png;base64,')[1:]
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(part.split('"')[0]), np.uint8), -1)
        for part in parts
    ]


def test_findings_are_a_sequence(findings):
    assert len(findings) == 8 == len(list(findings))
    assert findings[0] is findings.slices[0]
    assert findings[-1] is findings.slices[7]
    assert findings[6:] == findings.slices[6:]
    assert list(findings) == list(findings.slices)
    with pytest.raises(IndexError):
        _ = findings[8]


def test_a_table_is_what_csv_holds(findings):
    table = findings.to_pandas()
    read = pd.read_csv(io.StringIO(findings.to_csv()))
    assert len(table) == 8 + 1
    # CSV is rounded.
    assert list(table.columns) == list(read.columns)
    for name in table.columns:
        if pd.api.types.is_numeric_dtype(read[name]):
            ours = pd.to_numeric(table[name]).to_numpy(float)
            np.testing.assert_allclose(ours, read[name].to_numpy(float), atol=6e-4)
        else:
            assert table[name].notna().tolist() == read[name].notna().tolist(), name
            assert table[name].dropna().tolist() == read[name].dropna().tolist(), name


def test_files_hold_what_is_given_as_text(findings, tmp_path, capsys):
    for write, name in ((findings.to_csv, "a.csv"), (findings.to_json, "a.json")):
        text = write()
        assert write(tmp_path / "new" / name) is None
        assert write(str(tmp_path / name)) is None
        assert (tmp_path / "new" / name).read_text("utf-8") == text
        assert (tmp_path / name).read_text("utf-8") == text
        capsys.readouterr()
        assert write("-") is None
        assert capsys.readouterr().out == text
    content = json.loads(findings.to_json())
    assert len(content["slices"]) == 8
    assert content["slices"][0]["probability"] == findings[0].probability
    assert (len(content["studies"]), len(content["left_out"])) == (1, 1)


def test_findings_show_tables_and_overlays(findings):
    html = findings._repr_html_()
    assert "&lt;b&gt;scan &amp; co&lt;b&gt;.png" in html
    assert "<b>" not in html
    assert "8 slices: " in html
    assert "1 study; 1 left out" in html
    assert escape(findings.left_out[0].problem) in html
    assert NOTICE in html
    # That of the study's strongest slice.
    (shown,) = pictures(html)
    np.testing.assert_array_equal(shown, overlay_of(findings.studies[0].strongest))


def test_a_slice_shows_its_overlay(findings):
    for finding in (findings[6], findings[7]):
        (shown,) = pictures(finding._repr_html_())
        np.testing.assert_array_equal(shown, overlay_of(finding))
        np.testing.assert_array_equal(finding.overlay(), shown[..., ::-1])
    html = findings[6]._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_the_overlay_of_an_array_is_that_of_its_file(findings):
    of_file, of_array = findings[6], findings[7]
    renamed = replace(of_array, path=of_file.path)
    np.testing.assert_array_equal(renamed.overlay(), of_file.overlay())
    assert of_array.overlay().dtype == np.uint8


def test_a_slice_whose_file_is_gone_says_so(tmp_path):
    finding = Finding(tmp_path / "gone.png", 0, "refer", 1.0, label="yes", probability=0.5)
    html = finding._repr_html_()
    assert pictures(html) == []
    assert "gone.png" in html
    assert "does not exist" in html
    with pytest.raises(falx.FalxError):
        finding.overlay()


def test_a_file_with_fewer_slices_than_before_says_so(findings):
    with pytest.raises(BadInput, match="changed while falx was using it"):
        replace(findings[6], index=3).overlay()


def test_many_slices_are_cut_short():
    one = Finding(Path("a.png"), 0, "out_of_distribution", math.inf)
    html = Findings(("no", "yes"), (one,) * 23)._repr_html_()
    assert html.count("<tr>") == 1 + 20
    assert "and 3 more" in html


def test_a_representation_is_a_line(findings):
    shown = [findings, findings[0], findings.studies[0], findings.studies[0].series[0]]
    assert all("\n" not in repr(each) and len(repr(each)) < 300 for each in shown)
    assert repr(findings).startswith("Findings(8 slices: ")
    made = Finding(
        Path("a.png"),
        2,
        "refer",
        1.0,
        label="yes",
        probability=0.756,
        probabilities={"no": 0.244, "yes": 0.756},
    )
    assert repr(made) == "Finding(yes, p(yes) 0.76, refer, 'a.png', index 2)"
    outside = replace(made, status="out_of_distribution", label=None)
    assert repr(outside) == "Finding(out of distribution, 'a.png', index 2)"
    assert repr(Findings(("no", "yes"), (made, outside), (), (LeftOut(Path("b"), "no"),))) == (
        "Findings(2 slices: 1 out of distribution, 1 refer; 1 left out)"
    )
    assert repr(Findings(("no", "yes"), (made,), (), ())) == "Findings(1 slice: 1 refer)"
