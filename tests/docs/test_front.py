"""What a visitor sees first agrees with the package: citation and badges."""

import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import falx

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == falx.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == [{"name": "The falx developers"}]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("license", PROJECT["license"]),
        (
            "python",
            " | ".join(
                each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each
            ),
        ),
    ],
)
def test_a_badge_says_what_the_package_declares(name, words):
    badge = ElementTree.parse(ROOT / "docs" / "badges" / f"{name}.svg").getroot()
    texts = [each.text for each in badge.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1] == words
    assert f"docs/badges/{name}.svg" in (ROOT / "README.md").read_text("utf-8")
