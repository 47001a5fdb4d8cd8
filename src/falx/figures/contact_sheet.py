"""Contact sheets: slices in rows, such as training views, samples and errors."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Normalize
from matplotlib.image import BboxImage
from matplotlib.patches import Rectangle
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, TransformedBbox

from falx.errors import BadInput
from falx.figures import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

_CELL, _GAP = 1.5, 0.08  # inches: side of a picture, space between two
_LETTERS = 26  # that fit under a picture


def contact_sheet(
    images: Sequence[npt.NDArray[Any]],
    captions: Sequence[str],
    columns: int = 6,
    title: str = "",
    marks: Sequence[bool] | None = None,
) -> Figure:
    """Pictures in rows, each fitted into a square with its caption below.

    Args:
        images: gray, (height, width) of any size; uint8, or float in [0, 1].
        captions: one for each; lines that are too long lose their middle.
        columns: pictures in a row.
        title: above all.
        marks: whether each was classified correctly; captions are then blue, else red with a cross.

    Raises:
        BadInput: no images, a wrong number of captions or marks, or another kind of image.
    """
    _check_sheet(images, captions, columns, marks)
    lines = max(len(caption.splitlines()) for caption in captions)
    across = min(columns, len(images))
    down = math.ceil(len(images) / across)
    step, pitch = _CELL + _GAP, _CELL + _GAP + 0.14 * lines + 0.06
    head = 0.38 if title else _GAP
    width, height = across * step + _GAP, down * pitch + head
    figure = style.sheet(width, height, arranged=False)
    if title:
        figure.text(_GAP / width, 1 - 0.1 / height, title, va="top", fontsize=style.TITLE,
                    fontweight="bold", color=style.INK, parse_math=False)  # fmt: skip
    for i, (image, caption, mark) in enumerate(zip_longest(images, captions, marks or ())):
        row, column = divmod(i, across)
        x, y = _GAP + column * step, height - head - row * pitch - _CELL
        cell = Bbox.from_bounds(x / width, y / height, _CELL / width, _CELL / height)
        _picture(figure, cell, image, caption, mark)
    return figure


def _check_sheet(
    images: Sequence[npt.NDArray[Any]],
    captions: Sequence[str],
    columns: int,
    marks: Sequence[bool] | None,
) -> None:
    if not images or columns < 1:
        raise BadInput(f"Needs images and `columns` of 1 or more; got {len(images)} and {columns}.")
    if len(captions) != len(images) or (marks is not None and len(marks) != len(images)):
        raise BadInput(
            f"`captions` and `marks` must have one entry for each of {len(images)} images."
        )
    for i, image in enumerate(images):
        gray = image.ndim == 2 and image.size > 0
        unit = image.dtype.kind == "f" and gray and image.min() >= 0 and image.max() <= 1
        if not gray or not (image.dtype == np.uint8 or unit):
            raise BadInput(
                f"`images` must be (height, width), uint8 or float in [0, 1]; number {i} is "
                f"{image.dtype} of shape {image.shape}."
            )


def _picture(
    figure: Figure, cell: Bbox, image: npt.NDArray[Any], caption: str, mark: bool | None
) -> None:
    """Draw a picture with frame and caption; axes of its own would take four times as long.

    Args:
        cell: the square that it is fitted into, in fractions of the figure.
    """
    ink = style.INK if mark is None else style.BLUE if mark else style.VERMILLION
    square: dict[str, Any] = {"xy": cell.p0, "width": cell.width, "height": cell.height}
    figure.add_artist(Rectangle(**square, facecolor="#EDEDED", edgecolor="none"))
    scales = [side / max(image.shape) for side in reversed(image.shape)]
    box = TransformedBbox(cell.shrunk(*scales).anchored("C", cell), figure.transSubfigure)
    norm = Normalize(0, 255 if image.dtype == np.uint8 else 1)
    shown = BboxImage(box, cmap="gray", norm=norm, interpolation="antialiased", zorder=1)
    shown.set_data(image)
    figure.add_artist(shown)
    if mark is not None:
        figure.add_artist(Rectangle(**square, fill=False, edgecolor=ink, linewidth=1.6))
    text = "\n".join(_shorten(line) for line in caption.split("\n"))
    figure.add_artist(
        Annotation(
            f"\N{BALLOT X} {text}" if mark is False else text,
            cell.p0,
            xycoords="figure fraction",
            xytext=(0, -4),
            textcoords="offset points",
            va="top",
            fontsize=7,
            color=ink,
            linespacing=1.25,
            parse_math=False,
        )
    )


def _shorten(line: str) -> str:
    if len(line) <= _LETTERS:
        return line
    half = (_LETTERS - 1) // 2
    return f"{line[:half]}\N{HORIZONTAL ELLIPSIS}{line[-half:]}"
