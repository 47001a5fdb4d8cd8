"""In the browser, from a folder and offline, a slice gets the same finding as in Python."""

import base64
import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from falx.data.read import read_slices
from falx.detect.detector import load
from falx.detect.rules import Rules
from falx.exporting.detector_folder import export_detector
from falx.exporting.formats import FORMATS
from falx.exporting.web import write_web
from falx.image.render import render_with_region
from falx.model.network import build_network
from falx.model.weights import find_weights
from falx.notice import NOTICE
from falx.phantoms import make_phantom
from falx.recipe import Rendering, load_recipe
from helpers import exportable_model

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FOUR = ("glioma", "meningioma", "notumor", "<pituitary> & more")
RENDERINGS = [
    Rendering(size=size, crop=crop, aspect=aspect)
    for size, crop, aspect in (
        (64, "head", "keep"),
        (224, "head", "stretch"),
        (96, "none", "keep"),
        (160, "none", "stretch"),
    )
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm, which brings the runtime, is missing"),
    pytest.mark.skipif(not CHROMIUM, reason="Chromium, which opens the page, is missing"),
]


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The cache of all tests, for fixtures of wider scope than the one that sets it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FALX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


def make(folder, classes, cache):
    """A detector and its page: pretrained weights below a random head."""
    recipe = load_recipe("demo").changed({"rendering.size": "96"})
    weights = find_weights("phantom", recipe.backbone)
    network = build_network(recipe, len(classes), str(weights.file))
    head = network.get_layer("logits")
    # So that slices differ.
    head.kernel.assign(10 * head.kernel)
    export_detector(
        exportable_model(network),
        folder / "detector",
        recipe=recipe,
        classes=classes,
        rules=Rules(threshold=0.45),
        parity_views=noise(4, 96, 96),
    )
    detector = load(folder)
    file = folder / "network.onnx"
    FORMATS["onnx"].write(exportable_model(network), file, "fp32", noise(1, 96, 96))
    write_web(file, folder / "page", settings=detector.settings)
    return detector, folder / "page"


@pytest.fixture(scope="module")
def made(cache, tmp_path_factory):
    return make(tmp_path_factory.mktemp("two"), ("no", "yes"), cache)


@pytest.fixture(scope="module")
def detector(made):
    return made[0]


@pytest.fixture(scope="module")
def site(made):
    return made[1]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def opened(browser):
    """Open a page, offline, from its folder; there may be no console messages."""
    messages = []

    def open_(site):
        page = browser.new_context(offline=True).new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto((site / "index.html").as_uri())
        page.wait_for_function("document.getElementById('status').textContent === 'Ready.'")
        return page

    yield open_
    assert messages == []


@pytest.fixture(scope="module")
def shared_page(opened, site):
    return opened(site)


@pytest.fixture
def page(shared_page):
    """The page without a card."""
    if shared_page.is_visible("#clear"):
        shared_page.click("#clear")
    return shared_page


@pytest.fixture(scope="module")
def slices(tmp_path_factory):
    """Twenty phantoms of many shapes, as PNG and JPEG, in gray and in color."""
    folder = tmp_path_factory.mktemp("slices")
    shapes = [(96, 96), (301, 224), (180, 420), (224, 224), (700, 523)]
    for number in range(20):
        height, width = shapes[number % 5]
        gray = make_phantom([7, number], tumor=number % 2 == 1).pixels
        image = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)
        if number % 4 > 1:
            # Tinted, as screenshots are.
            image = np.stack([image, image // 2, 255 - image // 3], axis=-1)
        kind = "jpg" if number >= 10 else "png"
        cv2.imwrite(str(folder / f"{number:02d}.{kind}"), image)
    return folder


def classified(page, files):
    """The page's results, file by file."""
    before = page.evaluate("falx.results.length")
    page.set_input_files("#files", files)
    page.wait_for_function(f"falx.results.length === {before + len(files)}", timeout=120_000)
    return page.evaluate(
        """(before) => falx.results.slice(before).map(({name, finding, problem}) => ({
            name, problem, ...finding && {
                status: finding.status,
                label: finding.label,
                probability: finding.probability,
                probabilities: finding.probabilities,
                region: finding.region,
                view: [...finding.view],
                evidence: finding.evidence && [...finding.evidence.values],
            }}))""",
        before,
    )


def rendered(page, file, rendering):
    """The view of a file and its region, by the page."""
    found = page.evaluate(
        """async ([content, rendering]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const {view, region} = falx.render(await falx.readSlice(new Blob([bytes])), rendering);
            return [[...view], region];
        }""",
        [base64.b64encode(file.read_bytes()).decode(), rendering.model_dump()],
    )
    return np.array(found[0], np.uint8).reshape(rendering.size, rendering.size), found[1]


def largest_step(one, other):
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def test_twenty_slices_get_the_findings_of_python(page, detector, slices):
    expected = detector.predict(slices).slices
    results = classified(page, [one.path for one in expected])
    assert len(results) == 20
    size = detector.settings.rendering.size
    for one, result in zip(expected, results, strict=True):
        assert result["name"] == one.path.name
        assert (result["status"], result["label"]) == (one.status, one.label)
        assert result["probability"] == pytest.approx(one.probability, abs=1e-3)
        assert result["probabilities"] == pytest.approx(one.probabilities, abs=1e-3)
        assert result["region"] == vars(one.heat_map.region)
        view, _ = render_with_region(read_slices(one.path)[0].pixels, detector.settings.rendering)
        assert largest_step(np.reshape(result["view"], (size, size)), view) <= 1
        np.testing.assert_allclose(result["evidence"], one.heat_map.values.ravel(), atol=1e-3)
    probabilities = [one.probability for one in expected]
    assert max(probabilities) - min(probabilities) > 0.05, (
        "the slices must differ for this to be a test"
    )


@pytest.mark.parametrize("rendering", RENDERINGS, ids=lambda each: f"{each.crop}-{each.aspect}")
def test_every_rendering_shows_the_same(page, slices, rendering):
    for file in sorted(slices.iterdir()):
        view, region = rendered(page, file, rendering)
        expected, expected_region = render_with_region(read_slices(file)[0].pixels, rendering)
        assert largest_step(view, expected) <= 1, file
        assert region == vars(expected_region), file


@pytest.mark.parametrize("rendering", RENDERINGS, ids=lambda each: f"{each.crop}-{each.aspect}")
def test_a_frame_is_left_out_as_in_python(page, slices, tmp_path, rendering):
    source = read_slices(min(slices.iterdir()))[0].pixels
    for number, (top, bottom, left, right) in enumerate([(9, 30, 20, 12), (0, 0, 60, 60)]):
        framed = np.pad(source, ((top, bottom), (left, right)), constant_values=1.0)
        framed = cv2.GaussianBlur(framed, (0, 0), 1.5) if number else framed
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), np.rint(framed * 255).astype(np.uint8))
        view, region = rendered(page, file, rendering)
        expected, expected_region = render_with_region(read_slices(file)[0].pixels, rendering)
        assert largest_step(view, expected) <= 1
        assert region == vars(expected_region)


def png(folder, image):
    file = folder / "image.png"
    cv2.imwrite(str(file), image)
    return file


def turned(folder):
    """A JPEG that EXIF states to lie on its side."""
    _, content = cv2.imencode(".jpg", np.arange(60 * 40, dtype=np.uint8).reshape(60, 40))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    start = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    file = folder / "image.jpg"
    file.write_bytes(content.tobytes()[:2] + start + content.tobytes()[2:])
    return file


ODD = {
    "blank": lambda folder: png(folder, np.zeros((80, 80), np.uint8)),
    "all of one gray level": lambda folder: png(folder, np.full((80, 70), 131, np.uint8)),
    "noise": lambda folder: png(folder, noise(301, 207)),
    "colored noise": lambda folder: png(folder, noise(107, 201, 3)),
    "a line": lambda folder: png(folder, noise(1, 300)),
    "a pixel": lambda folder: png(folder, noise(1, 1)),
    "half transparent": lambda folder: png(folder, noise(90, 70, 4)),
    "on its side": turned,
}


@pytest.mark.parametrize("what", ODD)
def test_odd_images_show_the_same(page, tmp_path, what):
    rendering = Rendering(size=64)
    file = ODD[what](tmp_path)
    view, region = rendered(page, file, rendering)
    expected, expected_region = render_with_region(read_slices(file)[0].pixels, rendering)
    assert largest_step(view, expected) <= 1
    assert region == vars(expected_region)


def test_four_classes_are_classified_as_well(opened, cache, slices, tmp_path):
    """And the name of a class can't become markup."""
    detector, site = make(tmp_path, FOUR, cache)
    page = opened(site)
    expected = detector.predict([slices / "03.png", slices / "14.jpg"]).slices
    results = classified(page, [one.path for one in expected])
    for one, result in zip(expected, results, strict=True):
        assert result["label"] == one.label
        assert result["probabilities"] == pytest.approx(one.probabilities, abs=1e-3)
        np.testing.assert_allclose(result["evidence"], one.heat_map.values.ravel(), atol=1e-3)
    assert page.locator(".card dt").all_inner_texts() == [f"p({name})" for name in FOUR] * 2
    assert f"Classes: {', '.join(FOUR)}." in page.locator("footer").inner_text()


def test_a_card_shows_the_finding(page, detector, slices):
    (one,) = detector.predict(slices / "05.png").slices
    classified(page, [one.path])
    card = page.locator(".card")
    assert card.locator(".name").inner_text() == "05.png"
    assert card.locator(".answer").inner_text() == one.label
    assert card.locator(".value").inner_text() == f"{one.probability:.3f}"
    meter = card.get_by_role("meter", name="Probability of yes")
    assert float(meter.get_attribute("aria-valuenow")) == pytest.approx(one.probability, abs=1e-3)
    assert card.locator(".time").inner_text().endswith(" ms")
    assert card.get_by_role("img").count() == 2
    assert page.locator("#count").inner_text() == f"1 file: 1 {one.label}"
    assert page.locator(".notice").inner_text() == NOTICE


def cut_off(file, slices):
    file.write_bytes((slices / "10.jpg").read_bytes()[:-900])


def sixteen_bits(file, slices):
    cv2.imwrite(str(file), np.full((40, 40), 40_000, np.uint16))


PROBLEMS = {
    "empty.png": (lambda file, _: file.write_bytes(b""), "This file is empty"),
    "text.jpg": (lambda file, _: file.write_text("no image"), "This is not a JPEG, PNG"),
    "cut.jpg": (cut_off, "This JPEG was cut off"),
    "cut.png": (lambda f, s: f.write_bytes((s / "01.png").read_bytes()[:-9]), "This PNG was cut"),
    "deep.png": (sixteen_bits, "This PNG has 16 bits a pixel, which browsers cut to 8"),
    "scan.dcm": (lambda file, _: file.write_bytes(b"\0" * 128 + b"DICM" * 9), "This is a DICOM"),
    "scan.nii.gz": (lambda file, _: file.write_bytes(b"\x1f\x8b" * 9), "This is a NIfTI file"),
    "scan.tif": (lambda file, _: file.write_bytes(b"II*\0" * 9), "This is a TIFF file"),
    "huge.png": (
        lambda file, _: cv2.imwrite(str(file), np.zeros((9000, 16), np.uint8)),
        "This image has 16 x 9000 pixels, more than",
    ),
    "damaged.png": (
        lambda f, s: f.write_bytes((s / "01.png").read_bytes().replace(b"IDAT", b"IDOT")),
        "This PNG is damaged",
    ),
}


def test_a_file_that_can_not_be_used_says_so_on_its_card(page, slices, tmp_path):
    for name, (make, _) in PROBLEMS.items():
        make(tmp_path / name, slices)
    files = [*(tmp_path / name for name in PROBLEMS), slices / "01.png"]
    results = classified(page, files)
    for result, (_, sentence) in zip(results, PROBLEMS.values(), strict=False):
        assert result["problem"].startswith(sentence)
        assert result["problem"].endswith(".")
    assert results[-1]["label"]
    assert page.locator(".card .problem").all_inner_texts() == [
        result["problem"] for result in results[:-1]
    ]


def test_results_can_be_saved(page, detector, slices, tmp_path):
    (tmp_path / 'a, "b".png').write_text("no image")
    (one,) = detector.predict(slices / "12.jpg").slices
    classified(page, [one.path, tmp_path / 'a, "b".png'])
    with page.expect_download() as download:
        page.get_by_role("button", name="Download results (CSV)").click()
    with open(download.value.path(), newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "path", "index", "status", "label", "probability", "p_no", "p_yes", "distance", "study",
        "problem",
    ]  # fmt: skip
    assert (rows[0]["status"], rows[0]["label"]) == (one.status, one.label)
    assert float(rows[0]["distance"]) == pytest.approx(one.distance, rel=1e-3)
    assert float(rows[0]["p_no"]) == pytest.approx(one.probabilities["no"], abs=1e-3)
    assert rows[1]["path"] == 'a, "b".png'
    assert rows[1]["problem"].startswith("This is not a JPEG")


def test_nothing_may_connect(browser, site):
    """Not even a page that is online, and not even to a file beside it."""
    page = browser.new_context().new_page()
    page.goto((site / "index.html").as_uri())
    for attempt in (
        "fetch('style.css')",
        "fetch('http://127.0.0.1:9')",
        "new Promise((_, reject) => { new WebSocket('ws://127.0.0.1:9').onerror = reject; })",
        "Object.assign(new Image(), { src: 'http://127.0.0.1:9/a.png' }).decode()",
    ):
        blocked = page.evaluate(
            """async (attempt) => {
                const blocked = new Promise((resolve) =>
                    document.addEventListener("securitypolicyviolation", resolve, {once: true}));
                await eval(attempt).then(() => { throw new Error("it went through"); }, () => {});
                return (await blocked).effectiveDirective;
            }""",
            attempt,
        )
        assert blocked in ("connect-src", "img-src")


def test_the_folder_holds_the_page_its_parts_and_their_licenses(site, detector):
    files = {str(file.relative_to(site)) for file in site.rglob("*") if file.is_file()}
    assert {"index.html", "settings.js", "network.onnx.js", "preprocess.js"} < files
    assert {file for file in files if file.startswith("licenses")} == {
        "licenses/onnxruntime.txt", "licenses/onnxruntime-notices.txt", "licenses/opencv.txt",
    }  # fmt: skip
    settings = (site / "settings.js").read_text().removeprefix("falx.settings = ")
    assert json.loads(settings.rstrip(";\n"))["classes"] == list(detector.settings.classes)
