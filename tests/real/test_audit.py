"""What is known to be wrong with the public sets is found."""

import hashlib
import random
import shutil
from collections import Counter

import pytest

from falx.data.auditing import audit
from falx.data.catalog import build_catalog


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def found(navoneel):
    return audit(build_catalog(navoneel))


def test_every_file_of_navoneel_can_be_read(found):
    assert found.counts == {"no": 98, "yes": 155}
    assert found.unreadable == ()


def test_the_identical_files_are_those_of_equal_content(found, navoneel):
    copies = Counter(map(digest, navoneel.glob("*/*")))
    sets = sorted(n for n in copies.values() if n > 1)
    assert sorted(map(len, found.identical)) == sets
    assert (len(sets), sum(sets) - len(sets)) == (22, 25)


def test_about_two_hundred_images_are_distinct(found):
    assert 195 <= found.distinct <= 210


def test_the_ct_of_the_abdomen_is_among_the_first_five_named(found):
    paths = found.catalog.usable().table["path"]
    assert "yes/Y248.JPG" in [paths.iat[item.row] for item in found.outliers[:5]]


def test_the_classes_can_be_told_from_file_facts_alone(found):
    facts = found.shortcuts[0]
    assert facts.probe == "file properties"
    assert facts.alarming
    assert 0.75 < facts.auc < 0.95


def test_leakage_across_a_random_split_is_counted(msoud, tmp_path):
    """A part of msoud, split at random as its makers did."""
    generator = random.Random(0)
    digests = {"Training": Counter(), "Testing": Counter()}
    for folder in sorted(msoud.iterdir()):
        files = sorted(folder.iterdir())[:250]
        generator.shuffle(files)
        for number, file in enumerate(files):
            part = "Testing" if number < 50 else "Training"
            target = tmp_path / part / folder.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
            digests[part][digest(file)] += 1
    (leak,) = audit(build_catalog(tmp_path)).leaks
    identical = sum(n for key, n in digests["Testing"].items() if key in digests["Training"])
    assert (leak.part, leak.other, leak.total) == ("test", "train", 200)
    assert leak.identical == identical > 0
    assert len(leak.rows) >= 30
