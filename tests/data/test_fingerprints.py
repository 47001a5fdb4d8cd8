"""Fingerprints find copies of slices that a detector has seen, and only those."""

import cv2
import numpy as np
import pytest

from falx.data.catalog import build_catalog
from falx.data.fingerprints import FILE, Fingerprints, fingerprints
from falx.errors import BrokenRun


@pytest.fixture(scope="module")
def catalog(phantoms):
    return build_catalog(phantoms).usable()


@pytest.fixture(scope="module")
def seen(catalog):
    """Of every second slice."""
    return fingerprints(catalog.table.iloc[::2])


def test_slices_that_were_seen_are_found_and_others_are_not(catalog, seen) -> None:
    found = seen.among(catalog.table)
    assert found[::2].all()
    assert not found[1::2].any()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[:, ::-1],
        lambda image: cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA),
        lambda image: np.clip(1.2 * image.astype(float) + 6, 0, 255).astype(np.uint8),
        lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [1, 40])[1], cv2.IMREAD_GRAYSCALE),
    ],
    ids=["mirrored", "resized", "brightened", "compressed"],
)
def test_copies_are_found(catalog, seen, change, tmp_path) -> None:
    for row in range(0, 40, 2):
        image = cv2.imread(str(catalog.file(row)), cv2.IMREAD_GRAYSCALE)
        target = tmp_path / catalog.table["label"].iloc[row] / f"{row}.png"
        target.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(target), np.ascontiguousarray(change(image)))
    copies = build_catalog(tmp_path, min_classes=1).usable()
    assert seen.among(copies.table).mean() >= 0.8


def test_the_group_of_a_seen_slice_was_seen(catalog, seen) -> None:
    groups = np.arange(len(catalog)) // 2
    together = type(catalog)(catalog.root, catalog.classes, catalog.table.assign(group=groups))
    assert seen.seen(together).all()


def test_what_is_saved_is_loaded(seen, tmp_path) -> None:
    assert Fingerprints.load(tmp_path) is None
    seen.save(tmp_path)
    again = Fingerprints.load(tmp_path)
    np.testing.assert_array_equal(again.hashes, seen.hashes)
    np.testing.assert_array_equal(again.digests, seen.digests)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    with pytest.raises(BrokenRun, match="is missing or damaged"):
        Fingerprints.load(tmp_path)
