"""Contact sheets: slices in rows, such as training views, samples and errors."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from falx.errors import BadInput
from falx.figures import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
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
        axes = figure.add_axes((x / width, y / height, _CELL / width, _CELL / height))
        _picture(axes, image, caption, mark)
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


def _picture(axes: Axes, image: npt.NDArray[Any], caption: str, mark: bool | None) -> None:
    height, width = image.shape
    white = 255 if image.dtype == np.uint8 else 1
    axes.imshow(image, cmap="gray", vmin=0, vmax=white, interpolation="antialiased")
    half = max(height, width) / 2
    axes.set_xlim(width / 2 - 0.5 - half, width / 2 - 0.5 + half)
    axes.set_ylim(height / 2 - 0.5 + half, height / 2 - 0.5 - half)
    axes.set(xticks=[], yticks=[], facecolor="#EDEDED")
    ink = style.INK if mark is None else style.BLUE if mark else style.VERMILLION
    axes.spines[:].set(visible=mark is not None, color=ink, linewidth=1.6)
    text = "\n".join(_shorten(line) for line in caption.split("\n"))
    axes.annotate(
        f"\N{BALLOT X} {text}" if mark is False else text,
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -4),
        textcoords="offset points",
        va="top",
        fontsize=7,
        color=ink,
        linespacing=1.25,
        parse_math=False,
    )


def _shorten(line: str) -> str:
    if len(line) <= _LETTERS:
        return line
    half = (_LETTERS - 1) // 2
    return f"{line[:half]}\N{HORIZONTAL ELLIPSIS}{line[-half:]}"
