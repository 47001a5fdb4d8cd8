"""The page of `falx export --to web` in Chromium, offline, compared with `falx predict`.

    falx export RUN --to web --out PAGE
    python benchmarks/web.py PAGE RUN IMAGES [--screenshots FOLDER]

Prints the largest differences of probabilities, heat maps and views, the time for an image in the
browser, and the files of the folder. Chromium must be on the PATH.
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
RESULTS = """
falx.results.map(({finding, problem}) => problem ? {problem} : {
    out_of_distribution: finding.status === "out_of_distribution",
    probabilities: Object.values(finding.probabilities ?? {}),
    evidence: [...(finding.evidence?.values ?? [])],
    view: [...finding.view],
    milliseconds: finding.milliseconds,
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", nargs="+")
    parser.add_argument("--screenshots", type=Path, help="of the first three images")
    arguments = parser.parse_args()
    files = find_files(arguments.images)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=SWITCHES
        )
        page = opened(browser, arguments.page, *LOOKS["light"])
        loading = page.evaluate("performance.now()")
        classify(page, files)
        results = page.evaluate(RESULTS)
        if arguments.screenshots:
            arguments.screenshots.mkdir(parents=True, exist_ok=True)
            for name, look in LOOKS.items():
                shown = opened(browser, arguments.page, *look)
                classify(shown, files[:3])
                shown.screenshot(path=arguments.screenshots / f"{name}.png", full_page=True)
        browser.close()
    compare(arguments.run, files, results)
    print(f"milliseconds until the page is ready: {loading:.0f}")
    for file in sorted(arguments.page.rglob("*"), key=lambda file: -file.stat().st_size):
        if file.is_file():
            print(f"{file.stat().st_size:12,} {file.relative_to(arguments.page)}")


def opened(browser: Browser, folder: Path, scheme: str, width: int, height: int) -> Page:
    page = browser.new_context(
        offline=True, color_scheme=scheme, viewport={"width": width, "height": height}
    ).new_page()
    page.goto((folder / "index.html").resolve().as_uri())
    page.wait_for_function("document.getElementById('status').textContent === 'Ready.'")
    return page


def classify(page: Page, files: list[Path]) -> None:
    page.set_input_files("#files", files)
    page.wait_for_function(f"falx.results.length === {len(files)}", timeout=0)


def compare(run: Path, files: list[Path], results: list[dict]) -> None:
    detector = load(run)
    levels, evidence, probabilities, milliseconds = [], [], [], []
    rejected = 0
    for file, result in zip(files, results, strict=True):
        if "problem" in result:
            print(f"{file.name}: {result['problem']}")
            continue
        pixels = read_slices(file)[0].pixels
        view = render(pixels, detector.settings.rendering).astype(int)
        (finding,) = detector.predict(file).slices
        levels.append(np.subtract(result["view"], view.ravel()))
        milliseconds.append(result["milliseconds"])
        if result["out_of_distribution"] != (finding.status == "out_of_distribution"):
            print(f"{file.name}: out-of-distribution for one and not for the other")
        elif result["out_of_distribution"]:
            rejected += 1
        else:
            probabilities.append(
                np.subtract(result["probabilities"], [*finding.probabilities.values()])
            )
            evidence.append(np.subtract(result["evidence"], finding.heat_map.values.ravel()))
    print(f"{len(levels)} of {len(files)} images, {rejected} of them out-of-distribution")
    if not levels:
        return
    print("the largest difference of")
    if probabilities:
        print(f"  a probability: {np.abs(probabilities).max():.1e}")
        print(f"  a value in a heat map: {np.abs(evidence).max():.1e}")
    print(f"  a gray level in a view, of 255: {np.abs(levels).max()}")
    low, middle, high = np.percentile(milliseconds, [5, 50, 95])
    print(f"milliseconds per image: {middle:.0f} (5 to 95 %: {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
