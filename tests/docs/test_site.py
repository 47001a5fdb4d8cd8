"""The documentation site: it builds without a warning, follows the code, and loads nothing."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.main import get_command

import falx
from falx.cli import app
from falx.recipe.loading import field_names

ROOT = Path(__file__).parents[2]
GENERATED = {f"docs/reference/{name}.md" for name in ("command-line", "library", "recipes")}
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Loads(HTMLParser):
    """Addresses that a page loads when it is opened; links to follow are not among them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if values.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(values.get(LOADED.get(tag, ""), "") or "")


def documents() -> list[Path]:
    names = ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "SECURITY")
    return [*(ROOT / f"{name}.md" for name in names), *(ROOT / "docs").rglob("*.md")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "WARNING" not in done.stderr, done.stderr[-4000:]
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        addresses = Loads(page.read_text("utf-8")).addresses
        assert any(addresses)
        away = [each for each in addresses if re.match(r"(https?:)?//", each)]
        assert not away, page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text("utf-8"))


@pytest.mark.slow
def test_the_reference_holds_every_name_command_and_field(site):
    library = (site / "reference" / "library.html").read_text("utf-8")
    for name in falx.__all__:
        assert re.search(rf'id="falx\.{name}"', library), name
    commands = (site / "reference" / "command-line.html").read_text("utf-8")
    for name, command in get_command(app).commands.items():
        assert f'id="falx-{name}"' in commands
        flags = [flag for each in command.params for flag in each.opts if flag.startswith("-")]
        assert [flag for flag in flags if flag not in commands] == []
    recipes = (site / "reference" / "recipes.html").read_text("utf-8")
    for field in field_names():
        assert f"<code>{field.rpartition('.')[2]}</code>" in recipes, field


def test_every_link_to_a_file_of_the_project_leads_somewhere():
    checked = 0
    for document in documents():
        text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if re.match(r"\w+:", target):
                continue
            place = (document.parent / target).resolve()
            known = place.exists() or str(place.relative_to(ROOT)) in GENERATED
            assert known, f"{document.name}: {target}"
            checked += 1
    assert checked > 100
