"""The style of falx's figures: one palette, one set of sizes, no global state.

Colors are those of Okabe and Ito (Color Universal Design, 2008), which readers with any color
vision can distinguish; each has its own line style and marker, for print in black and white.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

BLUE, VERMILLION = "#0072B2", "#D55E00"
INK, QUIET, RULE = "#222222", "#666666", "#D9D9D9"

COLORS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

SHADES = LinearSegmentedColormap.from_list(
    "falx", [(0, "#FFFFFF"), (0.5, "#7DB4D6"), (0.8, BLUE), (1, "#004F7C")]
)

TITLE, BODY, SMALL = 11.0, 9.0, 8.0  # points
LINE, HAIRLINE = 1.8, 0.8
DPI = 160

_SHOWN = 96
"""Pixels of a screen to the inch; a notebook shows a figure at its size in inches."""

Place = Literal["lower left", "lower right"]


class Sheet(Figure):
    """A figure that shows itself in a notebook, whether or not pyplot is in use there."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        stream = io.BytesIO()
        save(self, stream)
        width, height = (round(inches * _SHOWN) for inches in self.get_size_inches())
        return stream.getvalue(), {"width": width, "height": height}


def save(figure: Figure, path: Path | IO[bytes]) -> None:
    """Write a figure as PNG at 160 dots per inch; the same numbers give the same bytes."""
    # Level 6, which is usual, takes two to three times as long for pictures that are no smaller.
    how = {"compress_level": 3}
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=how)


def line(i: int) -> dict[str, Any]:
    """The color and line style of line `i`; they repeat after the last."""
    return {
        "color": COLORS[i % len(COLORS)],
        "linestyle": LINES[i % len(LINES)],
        "linewidth": LINE,
    }


def sheet(width: float, height: float, *, arranged: bool = True) -> Sheet:
    """An empty white figure, in inches, without a window; `arranged` lays its axes out."""
    figure = Sheet(figsize=(width, height), dpi=DPI, facecolor="white")
    if arranged:
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes, *, title: str = "", x: str = "", y: str = "", gap: float = 8) -> Axes:
    """Style axes: the title on the left, two spines, unobtrusive ticks."""
    axes.set_title(
        title, loc="left", fontsize=TITLE, fontweight="bold", color=INK, pad=gap, parse_math=False
    )
    axes.set_xlabel(x, fontsize=BODY, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=BODY, color=INK, parse_math=False)
    axes.tick_params(labelsize=SMALL, color=QUIET, labelcolor=INK, length=3, width=HAIRLINE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=QUIET, linewidth=HAIRLINE)
    return axes


def unit_square(axes: Axes) -> None:
    """Both axes from 0 to 1 at one scale, with room for lines that run along the frame."""
    quarters = [0, 0.25, 0.5, 0.75, 1]
    names = [f"{quarter:g}" for quarter in quarters]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks(quarters, names)
    axes.set_yticks(quarters, names)


def note(axes: Axes, x: float, y: float, text: str, *, boxed: bool = False, **how: Any) -> Text:
    """Small gray text at a position in the data; `boxed` keeps lines from crossing it."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if boxed else None
    style: dict[str, Any] = {"fontsize": SMALL, "color": QUIET, "parse_math": False, "bbox": box}
    return axes.text(x, y, text, **(style | how))


def key(axes: Axes, title: str, place: Place, *, entries: bool) -> None:
    """A legend inside the axes; without `entries` its title alone."""
    handles, names = axes.get_legend_handles_labels()
    found = axes.legend(
        handles if entries else [],
        names if entries else [],
        title=title,
        loc=place,
        fontsize=SMALL,
        title_fontsize=BODY,
        labelcolor=INK,
        alignment="left",
        frameon=True,
        framealpha=1,
        edgecolor="none",
        handlelength=3.4,
    )
    found.set_zorder(4)
    for text in found.get_texts():
        text.set_parse_math(False)


def key_below(figure: Figure, handles: Sequence[Artist]) -> None:
    """One legend for all panels, in a row below them."""
    figure.legend(
        handles,
        [str(handle.get_label()) for handle in handles],
        loc="outside lower center",
        ncols=len(handles),
        fontsize=SMALL,
        labelcolor=INK,
        frameon=False,
        handlelength=3.4,
    )
