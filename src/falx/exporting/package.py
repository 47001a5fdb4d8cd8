"""What lies beside an exported network, so that it can be used without falx."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

from falx.detect import rules
from falx.detect.detector import NETWORK_FILE, Settings, network_sha256
from falx.detect.rules import Rules
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

`{file}` tells {classes} apart. It was exported by falx from a trained network. How closely it
answers as that one is in `parity.json`, and slice by slice in `parity.csv`.

    pip install {package} numpy opencv-python-headless
    python classify.py IMAGE...

## What it takes

`{input}`: float32 (batch, {size}, {size}, 1), grey levels from 0 to 255. Scaling is part of the
network. A slice becomes such a square in these steps, which `classify.py` has as code:

1. Grey levels from 0 to 1: color by ITU-R BT.601, transparency over black.
2. {cropping}
3. {aspect}
4. To {size} x {size} pixels: by area where the square is larger than that, else bilinear; levels
   times 255, rounded.

## What it gives

- `logits`: float32 (batch, k), {logits}.
- `heat_maps`: float32 (batch, rows, columns, k): what each place adds to each logit.
- `probabilities`: float32 (batch, {count}), in the order {classes}. {rule}
- `distances`: float32 (batch,), from the slices that it was trained on. {limit}

{referral}
"""


def write_package(folder: Path, to: Target, file: Path, settings: Settings) -> None:
    """Write labels.json, README.md and classify.py, or the page around the network.

    An OpenVINO network also becomes a detector that `falx predict` takes.

    Args:
        file: the network, in the folder.
        settings: of the detector that it belongs to.
    """
    if to == "web":
        # Only a page needs npm.
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
    """One file that renders and classifies, made of the very code that falx uses."""
    modules = (crop, render, runtimes, rules, standalone)
    parts = [_parts(module) for module in modules]
    imports = sorted({line for found, _ in parts for line in found}, key=_import_order)
    bodies = "\n\n\n".join([_RENDERING, *(body for _, body in parts)])
    doc = inspect.getdoc(standalone)
    return f'"""{doc}\n"""\n\n' + "\n".join(imports) + f"\n\n\n{bodies}\n"


def _parts(module: ModuleType) -> tuple[list[str], str]:
    """The imports of a module but for those of falx, and the rest without its docstring."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    foreign = [
        ast.unparse(node)
        for node in imports
        if not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("falx"))
    ]
    # Code begins after the last import, whatever comments stand before it.
    return foreign, "\n".join(lines[imports[-1].end_lineno or 0 :]).strip()


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
        cropping=_cropping(rendering),
        aspect=_aspect(rendering),
        logits=f"one, of `{classes[1]}`" if two else "one a class",
        limit=_limit(settings.rules),
        referral=_referral(settings.rules),
        rule=f"From {settings.rules.threshold:g} of `{classes[1]}` up, a slice is called so."
        if two
        else "The largest names the class.",
    )


def _limit(given: Rules) -> str:
    if given.limit is None:
        return "There is no limit."
    return f"Beyond {given.limit:.4g} an image is foreign: it is given no class."


def _referral(given: Rules) -> str:
    return (
        f"A class stays possible from a probability of {given.inclusion:.4g} up; the true one "
        f"falls below it on {given.error:.0%} of slices like those that it was validated on. Where "
        "the label is not the one possible class, a person is to look: `classify.py` says `refer`."
    )


def _cropping(rendering: Rendering) -> str:
    if rendering.crop == "none":
        return "All of the slice is kept."
    return (
        "Cut to the box around the head: the largest thing that differs from the grey of the "
        "slice's rim."
    )


def _aspect(rendering: Rendering) -> str:
    if rendering.aspect == "stretch":
        return "Stretched to a square."
    return "Padded to a square with the grey of the slice's rim."
