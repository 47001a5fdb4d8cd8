"""The workflow of a public forge names only targets, extras, files and versions that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
JOBS = WORKFLOW["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def commands(job):
    return [step["run"] for step in job["steps"] if "run" in step]


def systems(job):
    return job.get("strategy", {}).get("matrix", {}).get("os", [job["runs-on"]])


def test_it_runs_on_pushes_tags_and_pull_requests():
    # `on` is a boolean in YAML 1.1.
    assert WORKFLOW[True] == {
        "push": {"branches": ["main"], "tags": ["v*"]},
        "pull_request": None,
    }
    assert WORKFLOW["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_is_bounded_and_pins_the_actions_that_it_uses(name):
    job = JOBS[name]
    assert 0 < job["timeout-minutes"] <= 90
    assert set(job.get("needs", [])) <= set(JOBS)
    for step in job["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert "uses" not in step or re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


@pytest.mark.parametrize("name", JOBS)
def test_targets_extras_and_files_exist(name):
    for command in commands(JOBS[name]):
        for targets in re.findall(r"\bmake ([a-z -]+)", command):
            assert set(targets.split()) <= TARGETS
        for extras in re.findall(r'"\.\[([a-z,]+)\]"', command):
            assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
        for path in re.findall(r"\b(?:tests|tools)/[\w/.]+", command):
            assert (ROOT / path).exists()


@pytest.mark.parametrize("name", [name for name in JOBS if "windows-latest" in systems(JOBS[name])])
def test_windows_needs_neither_make_nor_a_posix_environment(name):
    for command in commands(JOBS[name]):
        assert not re.search(r"\bmake\b|\.venv/bin", command)
    assert JOBS[name]["defaults"]["run"]["shell"] == "bash"


def test_the_fast_suite_runs_on_every_system_and_version():
    matrix = JOBS["fast"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"]
    versions = [each.rsplit(" ", 1)[1] for each in PROJECT["classifiers"] if "Python :: 3." in each]
    assert set(versions) <= set(matrix["python"])
    assert PROJECT["requires-python"] == f">={matrix['python'][0]}"


def test_the_fast_suite_is_that_of_make():
    (suite,) = [command for command in commands(JOBS["fast"]) if "pytest" in command]
    assert suite.removeprefix("python") in (ROOT / "Makefile").read_text("utf-8")


def test_the_oldest_keras_is_the_one_that_the_project_allows():
    kinds = {each["keras"]: each["pins"] for each in JOBS["keras"]["strategy"]["matrix"]["include"]}
    (needed,) = [
        each for each in PROJECT["optional-dependencies"]["train"] if each.startswith("keras>")
    ]
    assert kinds["oldest"] == needed.replace(">=", "==") + ".0"
    assert kinds["newest"] == "keras"


def test_what_release_check_runs_is_there():
    recipe = (ROOT / "Makefile").read_text("utf-8").split("release-check: ")[1].splitlines()[1]
    assert (ROOT / re.findall(r"tools/\S+", recipe)[0]).is_file()


def test_what_is_uploaded_is_what_release_check_kept():
    """The tool leaves distributions in `dist` below the folder that it is to keep."""
    *_, check, upload = JOBS["release"]["steps"]
    assert commands(JOBS["release"]) == ['make release-check KEEP="$RUNNER_TEMP/release"']
    assert "release-check" in check["run"]
    assert upload["with"]["path"] == "${{ runner.temp }}/release/dist/"


def test_nothing_is_released_before_every_other_job_is_done():
    assert set(JOBS["release"]["needs"]) == set(JOBS) - {"release"}


@pytest.mark.skipif(not shutil.which("make"), reason="make is missing")
@pytest.mark.parametrize(("words", "passed"), [((), []), (("KEEP=a b",), ["--keep", "a b"])])
def test_make_passes_the_folder_to_keep(words, passed):
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "release-check", *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shlex.split(shown.stdout.splitlines()[-1])[2:] == passed
