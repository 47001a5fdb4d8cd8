"""The audit page must show every slice that its verdicts are about, and say what to do."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from falx.data.auditing import Audit, audit
from falx.data.catalog import build_catalog
from falx.data.label_check import LabelCheck, LabelIssue
from falx.data.outliers import Outlier
from falx.data.shortcuts import Shortcut
from falx.reporting.pages import audit as module
from falx.reporting.pages.audit import THUMBNAIL, write_audit_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = "<script>alert(1)<b>.png"
DISCLAIMER = "Decision support for research, not a medical device."


def write_blobs(path: Path, seed: int, size: tuple[int, int] = (150, 120)) -> Path:
    """Write a picture (height, width) of blobs that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blobs = np.random.default_rng(seed).uniform(0, 255, (8, 8)).astype(np.float32)
    picture = cv2.resize(blobs, size[::-1], interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three distinct slices of each class."""
    for number in range(3):
        write_blobs(tmp_path / f"data/no/n{number}.png", number)
        write_blobs(tmp_path / f"data/yes/y{number}.png", 10 + number)
    return tmp_path / "data"


@pytest.fixture
def audited(tmp_path: Path) -> Callable[[Path], Audit]:
    return lambda folder: audit(build_catalog(folder, cache=tmp_path / "cache"))


@pytest.fixture
def written(read_page: Any, tmp_path: Path) -> Callable[[Audit], Any]:
    def write(found: Audit) -> Any:
        path = tmp_path / "audit.html"
        write_audit_page(found, path)
        return read_page(path)

    return write


def copy(source: Path, *targets: str) -> None:
    for target in targets:
        path = source.parents[1] / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())


def test_nothing_is_held_against_sound_data(data: Path, audited: Any, written: Any) -> None:
    text = written(audited(data)).text
    assert "6 usable slices, 6 of them distinct. Nothing here argues against training" in text
    assert "None: no two slices are copies or near-duplicates" in text
    assert "All files can be read; none is blank or too small." in text
    assert DISCLAIMER in text
    assert text.count(DISCLAIMER) == 1


def test_every_member_of_every_group_is_named(data: Path, audited: Any, written: Any) -> None:
    names = [f"no/copy {number}.png" for number in range(20)]
    copy(data / "no/n0.png", *names)
    copy(data / "yes/y1.png", "yes/again.png")
    text = written(audited(data)).section("Groups Copies", "Outliers The")
    for name in [*names, "no/n0.png", "yes/y1.png", "yes/again.png"]:
        assert text.count(f" {name} ") == 1
    assert "Identical files: 21 slices" in text
    assert "Identical files: 2 slices" in text


def test_conflicting_labels_come_first_and_are_marked(
    data: Path, audited: Any, written: Any
) -> None:
    copy(data / "no/n0.png", *(f"no/many {number}.png" for number in range(20)))
    copy(data / "no/n1.png", "yes/wrong.png", *(f"no/copy {number}.png" for number in range(9)))
    page = written(audited(data))
    text = page.section("Groups Copies", "Outliers The")
    first, second = (
        text.index("slices conflicting labels"),
        text.index("Identical files: 21 slices"),
    )
    assert first < second
    shown = text[first : text.index(" more ", first)]
    assert "no no/copy 0.png" in shown
    assert "yes yes/wrong.png" in shown, "the one that differs must not hide behind the others"
    assert "Address these before relying on any result: conflicting labels." in page.text


def test_near_duplicates_are_distinguished_from_copies(
    data: Path, audited: Any, written: Any
) -> None:
    copy(data / "no/n0.png", "no/copy.png")
    write_blobs(data / "no/larger.png", 0, (300, 240))
    text = written(audited(data)).text
    assert "Near-duplicates: 3 slices" in text
    assert "no/n0.png 120 × 150, copy A" in text
    assert "no/copy.png 120 × 150, copy A" in text
    assert "no/larger.png 240 × 300 " in text


def test_leakage_is_shown_on_both_sides(tmp_path: Path, audited: Any, written: Any) -> None:
    seeds = {"train/no/train0": 1, "train/yes/train1": 2, "test/no/test0": 3, "test/yes/test1": 4}
    for name, seed in seeds.items():
        write_blobs(tmp_path / f"data/{name}.png", seed)
    leaked = tmp_path / "data/test/no/leaked.png"
    leaked.write_bytes((tmp_path / "data/train/no/train0.png").read_bytes())
    page = written(audited(tmp_path / "data"))
    text = page.section("Leakage between predefined parts", "Groups Copies")
    assert "test slices that share a group with train: 1 of 3 (33 %)" in text
    assert "test/no/leaked.png test, 120 × 150" in text
    assert "train/no/train0.png train, 120 × 150" in text
    assert "test/yes/test1.png" not in text
    assert (
        "1 of 3 test slices (33 %) shares a group with a train slice; 1 is identical to one, byte "
        "for byte." in page.text
    )


def test_unusable_files_are_listed_with_reasons(data: Path, audited: Any, written: Any) -> None:
    (data / "no/broken.png").write_bytes(b"not an image at all")
    write_blobs(data / "no/tiny.png", 77, (12, 14))
    cv2.imwrite(str(data / "yes/blank.png"), np.full((90, 90), 9, np.uint8))
    page = written(audited(data))
    files = page.text[page.text.index("Left out of everything above.") :]
    assert "no/tiny.png no tiny: 14 x 12 pixels" in files
    assert "yes/blank.png yes blank: all pixels" in files
    assert "no/broken.png no" in files
    assert "3 slices are left out: 1 (" in page.text


def test_outliers_are_shown_with_their_reason(data: Path, audited: Any, written: Any) -> None:
    found = replace(audited(data), outliers=(Outlier(4, 2.7, "darker at the rim than usual"),))
    page = written(found)
    text = page.section("Outliers The", "Unusable files")
    assert "yes/y1.png 120 × 150 darker at the rim than usual" in text
    assert [image["alt"] for image in page.all("img")] == ["yes: yes/y1.png"]


def test_label_issues_are_shown_with_their_suggestion(
    data: Path, audited: Any, written: Any
) -> None:
    copy(data / "yes/y1.png", "yes/z1.png")
    check = LabelCheck(
        (LabelIssue(4, "no", 0.021, 4), LabelIssue(0, "yes", 0.3, 5)), checked=7, repeats=5
    )
    page = written(replace(audited(data), outliers=(), label_check=check))
    text = page.section("Label issues Confident", "Outliers None")
    assert (
        "yes/y1.png 120 × 150 suggested: no; p(yes) is 0.02, below another class in 4 of 5 "
        "repeats; same group as yes/z1.png" in text
    )
    assert "no/n0.png 120 × 150 suggested: yes; p(no) is 0.30" in text
    assert "A label issue is not proof of an error" in text
    assert "no: no/n0.png" in [image["alt"] for image in page.all("img")]
    assert "flags 2 of 7 labels as likely wrong." in page.text


def test_label_issues_are_spoken_of_only_where_labels_were_checked(
    data: Path, audited: Any, written: Any
) -> None:
    found = audited(data)
    assert "issue" not in written(found).text
    check = LabelCheck((), checked=6, repeats=1)
    text = written(replace(found, label_check=check)).section("Label issues None.", "Outliers")
    assert text == "Label issues None. "


def test_shortcuts_are_drawn_beside_chance(data: Path, audited: Any, written: Any) -> None:
    alarming = Shortcut("file properties", 0.85, 0.8, 0.9)
    quiet = Shortcut("the background outside the head", 0.55, 0.45, 0.65)
    page = written(replace(audited(data), shortcuts=(alarming, quiet)))
    assert "From file properties: 0.85 (0.80 to 0.90) alarming" in page.text
    assert "From the background outside the head: 0.55 (0.45 to 0.65) 0" in page.text
    lines = [(line["class"], line["x1"], line["x2"]) for line in page.all("line")]
    assert lines[:4] == [
        ("axis", "0", "100%"),
        ("tick", "50%", "50%"),
        ("tick", "65.0%", "65.0%"),
        ("reach", "80.0%", "90.0%"),
    ]
    assert [circle["cx"] for circle in page.all("circle")] == ["85.0%", "55.0%"]
    assert "before relying on any result: shortcut: file properties." in page.text
    assert "Save all images in the same way" in page.text


def test_classes_are_bars_to_scale(data: Path, audited: Any, written: Any) -> None:
    write_blobs(data / "yes/y3.png", 20)
    bars = [span["style"] for span in written(audited(data)).all("span") if "style" in span]
    assert bars == ["width:75.0%", "width:100.0%"]


def test_thumbnails_are_small_and_show_the_slice(data: Path, audited: Any, written: Any) -> None:
    wide = write_blobs(data / "no/wide.png", 5, (130, 260))
    copy(wide, "no/wide again.png")
    sources = [image["src"] for image in written(audited(data)).all("img")]
    assert len(sources) >= 2
    for source in sources:
        kind, content = source.split(",")
        assert kind == "data:image/jpeg;base64"
        picture = cv2.imdecode(
            np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_GRAYSCALE
        )
        assert max(picture.shape) <= THUMBNAIL
    original = cv2.imread(str(wide), cv2.IMREAD_GRAYSCALE)
    first = base64.b64decode(sources[0].split(",")[1])
    shown = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (56, 112)
    expected = cv2.resize(original, (112, 56), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - expected).mean() < 4


def test_each_file_is_read_once(
    data: Path, audited: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(data / "no/n0.png", "no/copy.png")
    found = replace(audited(data), outliers=(Outlier(0, 2.0, "darker"),))
    read: Counter[Path] = Counter()
    original = module.read_slices

    def counting(path: Path) -> Any:
        read[path] += 1
        return original(path)

    monkeypatch.setattr(module, "read_slices", counting)
    page = written(found)
    assert len(page.all("img")) == 3
    assert len(read) == 2
    assert set(read.values()) == {1}


def test_a_file_that_is_gone_leaves_its_name(data: Path, audited: Any, written: Any) -> None:
    copy(data / "no/n0.png", "no/copy.png")
    found = audited(data)
    (data / "no/copy.png").unlink()
    page = written(found)
    assert "no picture no no/copy.png" in page.text


def test_what_is_not_shown_is_counted(
    data: Path, audited: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(data / "no/n0.png", *(f"no/copy {number}.png" for number in range(9)))
    copy(data / "yes/y0.png", "yes/again.png")
    copy(data / "yes/y1.png", "yes/once more.png")
    for number in range(3):
        (data / f"no/broken{number}.png").write_bytes(b"no image")
    for limit, value in {
        "GROUPS_SHOWN": 1,
        "MEMBERS_SHOWN": 2,
        "NAMES_SHOWN": 3,
        "FILES_SHOWN": 1,
        "LABEL_ISSUES_SHOWN": 1,
    }.items():
        monkeypatch.setattr(module, limit, value)
    check = LabelCheck(
        (LabelIssue(0, "yes", 0.1, 1), LabelIssue(1, "yes", 0.2, 1)), checked=2, repeats=1
    )
    found = replace(audited(data), outliers=(), label_check=check)
    page = written(found)
    assert len(page.all("img")) == 3
    assert "2 more groups are not shown." in page.text
    assert "1 more are not shown; falx audit DATA --crossval RUN --json FILE" in page.text
    assert "8 more" in page.text
    assert "and 5 that falx audit DATA --json FILE lists." in page.text
    assert "2 more are not shown; falx audit DATA --json FILE lists them all." in page.text


def test_hostile_names_stay_text(data: Path, audited: Any, written: Any) -> None:
    copy(data / "no/n0.png", f"no/{HOSTILE}")
    (data / f"yes/{HOSTILE}").write_bytes(b"no image")
    page = written(audited(data))
    assert not page.all("script")
    assert f"no/{HOSTILE}" in page.text
    assert f"yes/{HOSTILE}" in page.text
    assert f"no: no/{HOSTILE}" in [image["alt"] for image in page.all("img")]


def test_nothing_beside_the_file_is_needed(
    data: Path, audited: Any, written: Any, tmp_path: Path
) -> None:
    copy(data / "no/n0.png", "no/copy.png")
    page = written(audited(data))
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/jpeg;base64,"))
    assert "url(" not in (tmp_path / "audit.html").read_text("utf-8")
    assert str(data.parent) not in (tmp_path / "audit.html").read_text("utf-8")


def test_the_page_is_accessible(data: Path, audited: Any, written: Any) -> None:
    copy(data / "no/n0.png", "no/copy.png")
    (data / "no/broken.png").write_bytes(b"no image")
    page = written(audited(data))
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 1
    links = {link["href"].removeprefix("#") for link in page.all("a")}
    assert links <= {attributes.get("id") for _, attributes in page.tags}
