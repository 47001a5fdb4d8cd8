"""The commands of the tutorial and of the how-to pages run as they stand, page after page."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from helpers import head_slices, write_series

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))
MOST_NOT_RUN = 4
_FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\S*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        place: page and line, for messages.
        reason: why it is not run; "" for one that is.
    """

    place: str
    language: str
    code: str
    reason: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(
            f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}",
            found["language"],
            textwrap.dedent(found["code"]),
            found["reason"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


def run_page(page: Path, folder: Path) -> None:
    """Run the blocks of a page in order: Bash in processes, Python in one namespace."""
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.reason or not block.language:
            continue
        if block.language == "python":
            with chdir(folder):
                exec(compile(block.code, block.place, "exec"), namespace)
        else:
            run_bash(block, folder)


def run_bash(block: Block, folder: Path) -> None:
    """Run a block with the installed `falx`, without a network."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=folder,
        env={**os.environ, "PATH": path, "FALX_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def write_pacs(folder: Path) -> None:
    """A DICOM series of each of twelve patients, half of them with a tumor, and a table of labels."""
    rows = []
    for number in range(12):
        patient, tumor = f"P{number:02d}", number % 2 == 1
        files = write_series(
            folder / "pacs" / patient,
            head_slices(10, tumor=tumor, seed=number),
            PatientID=patient,
            StudyInstanceUID=f"1.1.{number + 1}",
            SeriesInstanceUID=f"1.2.{number + 1}",
        )
        rows += [(file.relative_to(folder).as_posix(), "yes" if tumor else "no") for file in files]
        rows[-1] = (rows[-1][0], "no")
    pd.DataFrame(rows, columns=["path", "label"]).to_csv(folder / "pacs.csv", index=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the tutorial has run, with `pacs` beside it."""
    folder = tmp_path_factory.mktemp("site")
    write_pacs(folder)
    run_page(TUTORIAL, folder)
    return folder


def test_all_blocks_are_of_a_known_language_and_few_are_not_run():
    found = [block for page in (TUTORIAL, *HOW_TO) for block in blocks(page)]
    fences = sum(page.read_text("utf-8").count("```") for page in (TUTORIAL, *HOW_TO))
    assert fences == 2 * len(found)
    assert {block.language for block in found} == {"bash", "python", ""}
    skipped = [block for block in found if block.reason]
    assert len(skipped) <= MOST_NOT_RUN, [block.place for block in skipped]
    assert all(block.language for block in skipped)
    assert sum(bool(block.language) for block in found) - len(skipped) > 20


def test_the_installed_command_is_there():
    assert shutil.which("falx", path=str(Path(sys.executable).parent))


@pytest.mark.slow
def test_the_tutorial_leaves_what_it_says(folder):
    assert (folder / "audit.html").is_file()
    assert (folder / "my-run" / "report.html").is_file()
    assert len(pd.read_csv(folder / "findings.csv")) == len(list((folder / "maps").iterdir())) == 30
    assert (folder / "on-others" / "report.html").is_file()
    assert (folder / "my-export" / "network.onnx").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_page_runs(page, folder):
    run_page(page, folder)


@pytest.mark.slow
def test_every_file_that_commands_leave_is_described(folder):
    text = (DOCS / "reference" / "files.md").read_text("utf-8")
    left = [
        path
        for out in folder.iterdir()
        if out.is_dir() and out.name not in ("pacs", "slices", "others", "maps")
        for path in out.rglob("*")
        if path.is_file() and path.parent.name != "figures" and "masks" not in out.name
    ]
    assert len(left) > 50
    missing = {path.name for path in left if f"`{path.name}`" not in text}
    assert not missing
