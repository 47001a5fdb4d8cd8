"""What `falx fetch` expects of a published dataset is what these slices are."""

import shutil

from falx.data.publications import contents_digest, find_publication


def test_the_digest_of_navoneel_is_that_of_its_slices(navoneel, tmp_path):
    entry = find_publication("navoneel")
    for name in entry.folders:
        shutil.copytree(navoneel / name, tmp_path / name)
    assert contents_digest(tmp_path) == entry.contents
