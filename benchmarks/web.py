"""The page of `falx export --to web` in Chromium, offline, against `falx predict`.

    falx export RUN --to web --out PAGE
    python benchmarks/web.py PAGE RUN IMAGES [--screenshots FOLDER]

Says by how much probabilities, heat maps and views differ, how long an image takes in the browser,
and what is in the folder. Chromium must be on the PATH.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from falx.data.read import find_files, read_slices
from falx.detect.detector import load
from falx.image.render import render

SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LOOKS = {
    "light": ("light", 1200, 800),
    "dark": ("dark", 1200, 800),
    "phone": ("light", 390, 844),
}
ANSWERS = """
falx.answers.map(({answer, problem}) => problem ? {problem} : {
    foreign: answer.status === "foreign",
    probabilities: Object.values(answer.probabilities ?? {}),
    shares: [...(answer.evidence?.shares ?? [])],
    view: [...answer.view],
    milliseconds: answer.milliseconds,
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--screenshots", type=Path, help="of the first three images")
    given = parser.parse_args()
    files = find_files(given.images)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=SWITCHES
        )
        page = opened(browser, given.page, *LOOKS["light"])
        loading = page.evaluate("performance.now()")
        classify(page, files)
        answers = page.evaluate(ANSWERS)
        if given.screenshots:
            given.screenshots.mkdir(parents=True, exist_ok=True)
            for name, look in LOOKS.items():
                shown = opened(browser, given.page, *look)
                classify(shown, files[:3])
                shown.screenshot(path=given.screenshots / f"{name}.png", full_page=True)
        browser.close()
    compare(given.run, files, answers)
    print(f"milliseconds until the page is ready: {loading:.0f}")
    for file in sorted(given.page.rglob("*"), key=lambda file: -file.stat().st_size):
        if file.is_file():
            print(f"{file.stat().st_size:12,} {file.relative_to(given.page)}")


def opened(browser: Browser, folder: Path, scheme: str, width: int, height: int) -> Page:
    page = browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": height}
    ).new_page()
    page.goto((folder / "index.html").resolve().as_uri())
    page.wait_for_function("document.getElementById('status').textContent === 'Ready.'")
    return page


def classify(page: Page, files: list[Path]) -> None:
    page.set_input_files("#files", files)
    page.wait_for_function(f"falx.answers.length === {len(files)}", timeout=0)


def compare(run: Path, files: list[Path], answers: list[dict]) -> None:
    detector = load(run)
    steps, shares, chances, milliseconds = [], [], [], []
    foreign = 0
    for file, answer in zip(files, answers, strict=True):
        if "problem" in answer:
            print(f"{file.name}: {answer['problem']}")
            continue
        pixels = read_slices(file)[0].pixels
        view = render(pixels, detector.settings.rendering).astype(int)
        (finding,) = detector.predict(file).slices
        steps.append(np.subtract(answer["view"], view.ravel()))
        milliseconds.append(answer["milliseconds"])
        if answer["foreign"] != (finding.status == "foreign"):
            print(f"{file.name}: foreign to one and not to the other")
        elif answer["foreign"]:
            foreign += 1
        else:
            chances.append(np.subtract(answer["probabilities"], [*finding.probabilities.values()]))
            shares.append(np.subtract(answer["shares"], finding.heat_map.values.ravel()))
    print(f"{len(steps)} of {len(files)} images, {foreign} of them foreign to both")
    if not steps:
        return
    print("the largest difference of")
    if chances:
        print(f"  a probability: {np.abs(chances).max():.1e}")
        print(f"  a share in a heat map: {np.abs(shares).max():.1e}")
    print(f"  a grey level in a view, of 255: {np.abs(steps).max()}")
    low, middle, high = np.percentile(milliseconds, [5, 50, 95])
    print(f"milliseconds an image: {middle:.0f} (5 to 95 %: {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
