"""An export can be used without falx, by the script beside it."""

import json
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

import falx
from falx.detect.rules import Rules
from falx.detect.settings import Settings
from falx.exporting.formats import FORMATS
from falx.exporting.package import classify_script, write_package
from falx.exporting.quantize import prepared
from falx.model.network import build_network
from falx.model.weights import find_weights
from falx.phantoms import make_phantom
from falx.recipe import Rendering, load_recipe
from helpers import exportable_model

# Orientation 6: the first row is the right side.
EXIF_TURNED = (
    b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
)


def settings(classes=("no", "yes"), **rendering):
    return Settings(
        classes, Rendering(size=64, **rendering), Rules(threshold=0.4), False, "demo", ""
    )


def network(classes=2):
    recipe = load_recipe("demo").changed({"rendering.size": "64"})
    weights = find_weights("phantom", recipe.backbone)
    return build_network(recipe, classes, str(weights.file))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Phantoms as files: gray and colored, PNG and JPEG, transparent, upright and rotated."""
    folder = tmp_path_factory.mktemp("images")
    pixels = [
        (255 * make_phantom(np.random.default_rng(seed), tumor=True, size=120).pixels).astype(
            np.uint8
        )
        for seed in range(3)
    ]
    cv2.imwrite(str(folder / "gray.png"), pixels[0])
    cv2.imwrite(str(folder / "tall.jpg"), pixels[1][:, 20:80])
    color = cv2.applyColorMap(pixels[2], cv2.COLORMAP_BONE)
    cv2.imwrite(str(folder / "color.png"), color)
    alpha = np.dstack([color, np.full(color.shape[:2], 200, np.uint8)])
    cv2.imwrite(str(folder / "transparent.png"), alpha)
    turned = cv2.imencode(".jpg", pixels[0][:, :70])[1].tobytes()
    (folder / "turned.jpg").write_bytes(turned[:2] + EXIF_TURNED + turned[2:])
    return folder


def run_script(folder, *names):
    return subprocess.run(
        [sys.executable, "-W", "error", folder / "classify.py", *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_the_script_agrees_with_falx(name, images, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    file = folder / FORMATS[name].file
    FORMATS[name].write(exportable_model(network()), file, "fp32", np.empty((0, 64, 64), np.uint8))
    write_package(folder, name, file, settings())
    names = sorted(str(path) for path in images.iterdir())
    done = subprocess.run(
        [sys.executable, "-W", "error", folder / "classify.py", *names],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    if name == "openvino":
        reference = falx.load(folder)
    else:
        whole = tmp_path / "openvino" / "network.xml"
        whole.parent.mkdir()
        FORMATS["openvino"].write(
            exportable_model(network()), whole, "fp32", np.empty((0, 64, 64), np.uint8)
        )
        write_package(whole.parent, "openvino", whole, settings())
        reference = falx.load(whole.parent)
    findings = reference.predict(names).slices
    assert [line[0] for line in lines] == [str(finding.path) for finding in findings]
    for line, finding in zip(lines, findings, strict=True):
        assert line[1:3] == [finding.status, finding.label]
        assert line[4] == f"yes {finding.probability:.4f}"


def test_the_script_needs_no_falx():
    script = classify_script()
    assert "import falx" not in script
    assert "from falx" not in script
    compile(script, "classify.py", "exec")


def test_the_script_names_what_it_can_not_read_and_goes_on(images, tmp_path):
    deep = tmp_path / "deep.png"
    cv2.imwrite(str(deep), np.zeros((9, 9), np.uint16))
    file = tmp_path / "network.onnx"
    FORMATS["onnx"].write(
        exportable_model(network()), file, "fp32", np.empty((0, 64, 64), np.uint8)
    )
    write_package(tmp_path, "onnx", file, settings())
    gone = tmp_path / "gone.png"
    done = run_script(tmp_path, deep, gone, images / "gray.png")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == f"{deep}: not an 8-bit image; use falx predict"
    assert second.startswith(f"{gone}: ")
    assert "No such file" in second
    assert done.stdout.startswith(f"{images / 'gray.png'}\t")
    assert run_script(tmp_path).stderr == "usage: python classify.py IMAGE...\n"


def test_labels_and_readme_describe_inputs_and_outputs(tmp_path):
    file = tmp_path / "network.onnx"
    file.write_bytes(b"")
    write_package(tmp_path, "onnx", file, settings(("a", "b", "c"), crop="none", aspect="stretch"))
    about = json.loads((tmp_path / "labels.json").read_text())
    assert about["classes"] == ["a", "b", "c"]
    assert about["rendering"] == {"size": 64, "crop": "none", "aspect": "stretch"}
    readme = (tmp_path / "README.md").read_text()
    assert "No cropping." in readme
    assert "Stretched to a square." in readme
    assert "The label is the class with the highest." in readme
    assert falx.__doc__.splitlines()[2] in readme


def test_the_readme_states_the_rules(tmp_path):
    rules = Rules(threshold=0.4, alpha=0.1, conformal_threshold=0.25, ood_threshold=17.0)
    file = tmp_path / "network.onnx"
    file.write_bytes(b"")
    write_package(tmp_path, "onnx", file, replace(settings(), rules=rules))
    readme = (tmp_path / "README.md").read_text()
    assert "The label is `yes` from a probability of 0.4 up." in readme
    assert "Beyond 17, an image is out of distribution and has no label." in readme
    assert "at least 0.25; it contains the true class of 90% of slices" in readme


def test_an_openvino_export_in_8_bits_is_a_detector(images, tmp_path):
    blobs = np.random.default_rng(0).integers(0, 256, (8, 64, 64), np.uint8)
    file = tmp_path / "network.xml"
    FORMATS["openvino"].write(exportable_model(prepared(network(), blobs)), file, "int8", blobs)
    write_package(tmp_path, "openvino", file, settings())
    findings = falx.load(tmp_path).predict(images)
    assert len(findings.slices) == 5
    assert all(finding.heat_map is not None for finding in findings.slices)
