"""The files beside an exported network that make it usable without falx."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

from falx.detect import rules
from falx.detect.detector import NETWORK_FILE, network_sha256
from falx.detect.rules import Rules
from falx.detect.settings import Settings
from falx.exporting import runtimes, standalone
from falx.exporting.choices import Target
from falx.exporting.formats import FORMATS
from falx.image import crop, render
from falx.notice import NOTICE
from falx.recipe import Rendering

_RENDERING = '''@dataclass(frozen=True)
class Rendering:
    """How a slice becomes the square that the network sees."""

    size: int
    crop: str
    aspect: str'''

_README = """# {recipe}, for {title}

{notice}

`{file}` classifies brain MRI slices as {classes}. It was exported by falx from a trained network;
`parity.json` and, slice by slice, `parity.csv` compare the two.

    pip install {package} numpy opencv-python-headless
    python classify.py IMAGE...

## Input

`{input}`: float32 (batch, {size}, {size}, 1), gray levels from 0 to 255. Scaling is part of the
network. Preprocessing, which `classify.py` implements:

1. Gray levels from 0 to 1: color by ITU-R BT.601, transparency over black.
2. {cropping}
3. {aspect}
4. Resized to {size} x {size} pixels: by area if the square is larger, else bilinear; levels times
   255, rounded.

## Outputs

- `logits`: float32 (batch, k), {logits}.
- `heat_maps`: float32 (batch, rows, columns, k), {heat_maps}.
- `probabilities`: float32 (batch, {count}), in the order {classes}. {threshold}
- `distances`: float32 (batch,), Mahalanobis distances from the training slices. {ood_threshold}

{referral}
"""


def write_package(folder: Path, to: Target, file: Path, settings: Settings) -> None:
    """Write labels.json, README.md and classify.py, or the web page with the network.

    An OpenVINO network also becomes a detector for `falx predict`.

    Args:
        file: the network, in the folder.
        settings: of the detector that it belongs to.
    """
    if to == "web":
        # Only a web page needs npm.
        from falx.exporting.web import write_web

        write_web(file, folder, settings=settings)
        file.unlink()
        return
    about = {
        "format": to,
        "file": file.name,
        "classes": settings.classes,
        "rules": asdict(settings.rules),
        "rendering": settings.rendering.model_dump(),
        "notice": NOTICE,
    }
    (folder / "labels.json").write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(_readme(to, settings), "utf-8")
    (folder / "classify.py").write_text(classify_script(), "utf-8")
    if file.name == NETWORK_FILE:
        replace(settings, network_sha256=network_sha256(folder)).save(folder)


def classify_script() -> str:
    """A script that renders and classifies, assembled from falx's own source."""
    modules = (crop, render, runtimes, rules, standalone)
    parts = [_parts(module) for module in modules]
    imports = sorted({line for found, _ in parts for line in found}, key=_import_order)
    bodies = "\n\n\n".join([_RENDERING, *(body for _, body in parts)])
    doc = inspect.getdoc(standalone)
    return f'"""{doc}\n"""\n\n' + "\n".join(imports) + f"\n\n\n{bodies}\n"


def _parts(module: ModuleType) -> tuple[list[str], str]:
    """The imports of a module except those of falx, and its code after them."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    third_party = [
        ast.unparse(node)
        for node in imports
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("falx"))
    ]
    # The code begins after the last import.
    return third_party, "\n".join(lines[imports[-1].end_lineno or 0 :]).strip()


def _import_order(line: str) -> tuple[bool, bool, str]:
    third_party = line.startswith(("import cv2", "import numpy"))
    return (not line.startswith("from __future__"), third_party, line)


def _readme(to: Target, settings: Settings) -> str:
    format_, rendering, classes = FORMATS[to], settings.rendering, settings.classes
    two = len(classes) == 2
    return _README.format(
        recipe=settings.recipe,
        title=format_.title,
        notice=NOTICE,
        file=format_.file,
        package=format_.package,
        input=runtimes.INPUT,
        size=rendering.size,
        classes=", ".join(f"`{name}`" for name in classes),
        count=len(classes),
        heat_maps="the probability of each cell of 8 x 8 pixels to hold tumor"
        if settings.localizes
        else "the contribution of each position to each logit",
        cropping=_cropping(rendering),
        aspect=_aspect(rendering),
        logits=f"that of `{classes[1]}`" if two else "one per class",
        ood_threshold=_ood_threshold(settings.rules),
        referral=_referral(settings.rules),
        threshold=f"The label is `{classes[1]}` from a probability of "
        f"{settings.rules.threshold:g} up."
        if two
        else "The label is the class with the highest.",
    )


def _ood_threshold(rules: Rules) -> str:
    if rules.ood_threshold is None:
        return "No distance is rejected."
    return f"Beyond {rules.ood_threshold:.4g}, an image is out of distribution and has no label."


def _referral(rules: Rules) -> str:
    return (
        "The prediction set of a slice contains the classes with a probability of at least "
        f"{rules.conformal_threshold:.4g}; it contains the true class of {1 - rules.alpha:.0%} of "
        "slices like those of the validation (split conformal prediction). Unless it contains the "
        "label alone, `classify.py` prints `refer`: a person should read the slice."
    )


def _cropping(rendering: Rendering) -> str:
    if rendering.crop == "none":
        return "No cropping."
    return (
        "Cropped to the box around the head: the largest component that differs from the gray "
        "level of the slice's rim."
    )


def _aspect(rendering: Rendering) -> str:
    if rendering.aspect == "stretch":
        return "Stretched to a square."
    return "Padded to a square with the gray level of the slice's rim."
