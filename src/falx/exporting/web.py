"""A detector as a web page that classifies images in the browser, without a server.

The page renders slices with OpenCV.js, which is the same C++ code as in falx.image, and runs the
network on ONNX Runtime Web. Its scripts are not modules and its binaries are packed into scripts,
since a page opened as a file may load nothing else.
"""

from __future__ import annotations

import base64
import gzip
import html
import importlib.util
import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from string import Template

from falx.detect.settings import Settings
from falx.environment import version
from falx.exporting.npm import Package, fetch, member
from falx.notice import NOTICE
from falx.recipe import Rendering

RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
OPENCV = Package(
    "@techstark/opencv-js",
    "5.0.0-release.1",
    "PIm+eB0MFtieXoNC2GRao0dv/02sehG+Nv2nSW5D6pQm6J/4WqvDHm0RyoqOmGYQm67jdGiaOdIeTShCY3PIUg==",
)

_PAGE = resources.files("falx").joinpath("exporting", "page")


def write_web(network: Path, folder: Path, *, settings: Settings) -> None:
    """Write index.html and all that it needs into a folder.

    Args:
        network: an ONNX file.
        folder: made if it does not exist.
        settings: of the detector that the network belongs to.

    Raises:
        Offline: a package is not in falx's cache, and falx is offline.
        MissingExtra: npm is not installed, or can't fetch a package.
    """
    runtime, opencv = fetch_packages()
    for part in (folder, folder / "vendor", folder / "licenses"):
        part.mkdir(parents=True, exist_ok=True)
    _write_page(folder, settings)
    _pack(folder, "network.onnx", network.read_bytes())
    _write_runtime(folder, runtime)
    _write_opencv(folder, opencv)


def fetch_packages() -> tuple[Path, Path]:
    """The tarballs of ONNX Runtime Web and OpenCV.js, from falx's cache or by npm.

    Raises:
        Offline, MissingExtra: see `write_web`.
    """
    return fetch(RUNTIME), fetch(OPENCV)


def _write_page(folder: Path, settings: Settings) -> None:
    for file in _PAGE.iterdir():
        if file.name.endswith((".js", ".css")):
            (folder / file.name).write_bytes(file.read_bytes())
    texts = {
        "notice": NOTICE,
        "version": version("falx") or "",
        "recipe": settings.recipe,
        "classes": ", ".join(settings.classes),
        "rendering": _rendering(settings.rendering),
        "threshold": _threshold(settings),
    }
    page = Template(_PAGE.joinpath("index.html").read_text("utf-8"))
    filled = page.substitute({name: html.escape(text) for name, text in texts.items()})
    (folder / "index.html").write_text(filled, "utf-8")
    content = {
        "classes": settings.classes,
        "rules": asdict(settings.rules),
        "rendering": settings.rendering.model_dump(),
        "recipe": settings.recipe,
    }
    script = f"falx.settings = {json.dumps(content, indent=2)};\n"
    (folder / "settings.js").write_text(script, "utf-8")


def _rendering(rendering: Rendering) -> str:
    crop = "cropped to the head, " if rendering.crop == "head" else ""
    aspect = "padded" if rendering.aspect == "keep" else "stretched"
    return f"Slices are {crop}{aspect} to a square of {rendering.size} pixels"


def _threshold(settings: Settings) -> str:
    if len(settings.classes) > 2:
        return "The label is the class with the highest probability."
    positive, threshold = settings.classes[1], settings.rules.threshold
    return f"The label is {positive} from a probability of {threshold:g} up."


def _write_runtime(folder: Path, tarball: Path) -> None:
    vendor = folder / "vendor"
    (vendor / "ort.wasm.min.js").write_bytes(member(tarball, "dist/ort.wasm.min.js"))
    for kind in ("mjs", "wasm"):
        content = member(tarball, f"dist/ort-wasm-simd-threaded.{kind}")
        _pack(vendor, f"onnxruntime.{kind}", content)
    # The npm package has no license file; the Python package, of the same source, has both.
    spec = importlib.util.find_spec("onnxruntime")
    assert spec is not None
    assert spec.origin is not None
    for source, name in (("LICENSE", ""), ("ThirdPartyNotices.txt", "-notices")):
        content = Path(spec.origin).with_name(source).read_bytes()
        (folder / "licenses" / f"onnxruntime{name}.txt").write_bytes(content)


def _write_opencv(folder: Path, tarball: Path) -> None:
    (folder / "vendor" / "opencv.js").write_bytes(member(tarball, "dist/opencv.js"))
    (folder / "licenses" / "opencv.txt").write_bytes(member(tarball, "LICENSE"))


def _pack(folder: Path, name: str, content: bytes) -> None:
    """Write content as a script that falx.js unpacks: compressed, in base64."""
    packed = base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
    (folder / f"{name}.js").write_text(f'falx.packed["{name}"] = "{packed}";\n', "ascii")
