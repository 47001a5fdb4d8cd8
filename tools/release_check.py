"""Build the distributions, look into them, and use them in empty environments.

Run as `make release-check`, or `python tools/release_check.py`, by a Python with `build`. Tracked
files alone are built, as they are in the working tree. What was done is said line by line; the
first thing that is wrong ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
MAX_MB = 20.0
MAX_IMPORT_SECONDS = 0.5
"""Of processor time, for `import falx` without the start of Python: it imports nothing heavy."""
NEEDED = (
    "py.typed",
    "detect/shipped/network.bin",
    "detect/shipped/detector.json",
    "detect/shipped/seen.npz",
    "model/mobilenet_v2_phantom.weights.h5",
    "recipe/best.yaml",
    "reporting/pages/templates/report.html.j2",
    "exporting/page/index.html",
)
"""Files that a package without them would miss only when they are used."""
BESIDE = {"PKG-INFO", "pyproject.toml", "setup.cfg", "README.md", "LICENSE", "MANIFEST.in"}
"""Files of the source distribution beside src/."""

HEAD = """
import cv2, numpy
image = numpy.zeros((160, 160), numpy.uint8)
cv2.ellipse(image, (80, 80), (55, 70), 0, 0, 360, 190, -1)
cv2.ellipse(image, (80, 80), (48, 63), 0, 0, 360, 110, -1)
cv2.imwrite("head.png", image)
"""
IMPORT = """
import time
start = time.process_time()
import falx
print(time.process_time() - start, falx.__version__, falx.__file__)
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the folder in which its commands run.

    Attributes:
        home: of the environment.
        work: the working directory; outside of the repository.
    """

    home: Path
    work: Path

    def program(self, name: str) -> Path:
        return self.home / ("Scripts" if os.name == "nt" else "bin") / name

    def run(self, name: str, *words: object, code: int = 0) -> str:
        """What a program of the environment prints; it must end with that exit code."""
        # Nothing of the caller decides what is imported or found.
        own = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "FALX_", "KERAS_", "VIRTUAL_ENV"))
        }
        done = subprocess.run(
            [self.program(name), *map(str, words)],
            cwd=self.work,
            env=own | {"FALX_CACHE": str(self.work / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            shown = " ".join([name, *map(str, words)])
            stop(f"'{shown}' ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout if code == 0 else done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder to work in, and to leave; must not exist")
    parser.add_argument("--constraint", type=Path, help="versions to install, as for pip")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="falx-release-"))
    place.mkdir(parents=True, exist_ok=arguments.keep is None)
    try:
        pins = ["--constraint", arguments.constraint.resolve()] if arguments.constraint else []
        wheel, sdist = build(place.resolve())
        check_bare(install(place.resolve(), "bare", str(wheel), pins))
        check_full(install(place.resolve(), "full", f"{sdist}[export]", pins))
    finally:
        if arguments.keep is None:
            shutil.rmtree(place, ignore_errors=True)
    say("All is well.")


def build(place: Path) -> tuple[Path, Path]:
    """Wheel and source distribution of the tracked files, looked into."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    for name in tracked:
        target = place / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    command = [sys.executable, "-m", "build", "--outdir", place / "dist", place / "source"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        stop(f"The build failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    (wheel,), (sdist,) = (list((place / "dist").glob(each)) for each in ("*.whl", "*.tar.gz"))
    package = {name.removeprefix("src/") for name in tracked if name.startswith("src/falx/")}
    for needed in NEEDED:
        if f"falx/{needed}" not in package:
            stop(f"src/falx/{needed} is not tracked; mend the list in {Path(__file__).name}.")
    with ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.endswith("/")}
    said = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    compare("the wheel", names - said, package)
    with tarfile.open(sdist) as opened:
        members = [each.name.split("/", 1)[1] for each in opened.getmembers() if each.isfile()]
    rest = {name for name in members if not name.startswith("src/falx.egg-info/")} - BESIDE
    compare("the source distribution", rest, {f"src/{name}" for name in package})
    for file in (wheel, sdist):
        size = file.stat().st_size / 1e6
        if size > MAX_MB:
            stop(f"{file.name} has {size:.1f} MB; at most {MAX_MB:.0f} MB are expected.")
        say(f"Built {file.name}: {size:.1f} MB, every file of the package and no other")
    return wheel, sdist


def install(place: Path, name: str, what: str, pins: list[object]) -> Environment:
    """An empty environment with a distribution, and an empty folder to use it in."""
    work = place / f"{name}-work"
    work.mkdir()
    begun = time.perf_counter()
    venv.create(place / name, with_pip=True)
    environment = Environment(place / name, work)
    # Compiling every module would take longer than all that is run.
    environment.run("python", "-m", "pip", "install", "--quiet", "--no-compile", *pins, what)
    environment.run("python", "-m", "pip", "check")
    listed = json.loads(environment.run("python", "-m", "pip", "list", "--format", "json"))
    size = sum(file.stat().st_size for file in (place / name).rglob("*") if file.is_file()) / 1e6
    seconds = time.perf_counter() - begun
    say(
        f"Installed {Path(what).name} into an empty environment in {seconds:.0f} s: {len(listed)} "
        f"packages, {size:.0f} MB"
    )
    return environment


def check_bare(environment: Environment) -> None:
    """Without extras falx imports fast, predicts, and says what other commands need."""
    check_import(environment)
    environment.run("python", "-c", HEAD)
    found = json.loads(environment.run("falx", "predict", "head.png", "--json", "-"))
    (slice_,) = found["slices"]
    say(f"falx predict by the detector that ships: {slice_['status']}")
    environment.run("falx", "--help")
    environment.run("falx", "doctor")
    for words in (("train", "slices"), ("audit", "slices"), ("export", "run", "--to", "onnx")):
        remark = environment.run("falx", *words, code=2)
        if "pip install" not in remark:
            stop(f"falx {words[0]} without its extra says: {remark}")
    say("falx train, audit and export name the extra that they need")


def check_full(environment: Environment) -> None:
    """With all extras falx audits, trains, predicts and exports."""
    check_import(environment)
    environment.run("falx", "phantom", "slices", "--slices", 120, "--size", 96)
    environment.run("falx", "audit", "slices", "--html", "audit.html")
    say("falx phantom and falx audit: 120 slices, audit.html")
    environment.run(
        "falx", "train", "slices", "--recipe", "best", "--weights", "phantom", "--out", "run"
    )
    if not (environment.work / "run" / "report.html").is_file():
        stop("falx train wrote no report.html.")
    lines = environment.run("falx", "predict", "run", "slices/yes", "--csv", "-").splitlines()
    say(f"falx train by recipe best, and falx predict by its detector: {len(lines) - 1} slices")
    environment.run("falx", "card", "run")
    for runtime in ("openvino", "onnx"):
        environment.run("falx", "export", "run", "--to", runtime, "--out", runtime)
        say(f"falx export --to {runtime}: {names_of(environment.work / runtime)}")


def check_import(environment: Environment) -> None:
    seconds, version, file = environment.run("python", "-c", IMPORT).split(maxsplit=2)
    if not Path(file.strip()).is_relative_to(environment.home):
        stop(f"falx was imported from {file}, not from the environment.")
    if float(seconds) > MAX_IMPORT_SECONDS:
        stop(f"import falx took {seconds} s of processor time, more than {MAX_IMPORT_SECONDS} s.")
    say(f"import falx {version} took {float(seconds):.2f} s of processor time")


def compare(what: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Check that a distribution holds the files that it should, and no others."""
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unexpected:
        stop(f"{what} lacks {missing} and should not hold {unexpected}.")


def names_of(folder: Path) -> str:
    return ", ".join(sorted(file.name for file in folder.iterdir()))


def say(line: str) -> None:
    print(line, flush=True)


def stop(why: str) -> None:
    sys.exit(f"Release check failed: {why}")


if __name__ == "__main__":
    main()
