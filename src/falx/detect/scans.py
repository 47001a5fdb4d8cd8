"""From files and images to views: decoded, placed in volumes, rendered, a series at a time."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from falx.data.in_memory import image_sources, is_series
from falx.data.read import read_slices
from falx.data.series import group_by_series
from falx.data.slices import Slice
from falx.data.suitability import why_unusable
from falx.data.volumes import REPEATED, place
from falx.detect.finding import LeftOut
from falx.detect.pooling import SeriesHeader
from falx.errors import UnreadableImage
from falx.image.crop import Box, background_level, head_box, head_extent
from falx.image.render import Region, render_levels, to_levels
from falx.parallel import cores
from falx.progress import Listener, Progress
from falx.recipe import Rendering

_FILES_AHEAD, _BYTES_AHEAD = 64, 2**23
"""Files that are decoded before their turn, and their size in all: many slices, but few volumes."""

FURTHER = "falx answers for the first volume of a series"
"""Why other volumes of a file are left out."""

_NO_PIXELS = np.zeros((1, 1), np.float32)


@dataclass(frozen=True, eq=False)
class Item:
    """A view and its source.

    Attributes:
        series: of its slice; None for a single slice.
        is_lost: whether its file should name a series and does not, so that it can't be told what
            it belongs to.
        level: relative height in its volume; NaN for a slice of none.
        head_region: see falx.data.volumes.Region.
        shape: of the slice.
        region: of the slice, that the view shows.
        levels: of the slice, uint8 (height, width), where it is of no file.
    """

    path: Path
    index: int
    study: str
    series: SeriesHeader | None
    is_lost: bool
    plane: str
    level: float
    head_region: str
    shape: tuple[int, int]
    region: Region
    view: np.ndarray
    levels: np.ndarray | None = None


def rendered(
    files: Sequence[Path], rendering: Rendering, left_out: list[LeftOut], listener: Listener
) -> Iterator[Item]:
    """The rendered slices of files, those of a series together; threads decode ahead.

    Args:
        left_out: receives what is not rendered, with the reason.
    """
    with ThreadPoolExecutor(cores()) as executor:
        sources = group_by_series(files, executor)
        in_order = [file for source in sources for file in source]
        decoded = _decoded_ahead(in_order, executor, listener)
        for source in sources:
            # No name keeps what was decoded while the next series is.
            yield from _items(list(islice(decoded, len(source))), rendering, left_out, executor)


def rendered_images(
    images: Sequence[tuple[str, Any]],
    rendering: Rendering,
    left_out: list[LeftOut],
    listener: Listener,
) -> Iterator[Item]:
    """The rendered slices of images that Python holds, those of a DICOM series together.

    Args:
        images: each with what it is called in messages; see falx.data.in_memory.image_sources.
        left_out: receives what is not rendered, with the reason.
        listener: receives progress.

    Raises:
        BadInput: one is no image, or its gray levels can't be known.
    """
    with ThreadPoolExecutor(cores()) as executor:
        sources: dict[object, list[_Contents]] = {}
        waits = any(is_series(image) for _, image in images)
        for done, (name, image) in enumerate(images, 1):
            for contents in _image_contents(name, image, left_out):
                sources.setdefault(contents.series or len(sources), []).append(contents)
            listener(Progress("Predicting", done, len(images)))
            if not waits:
                yield from _image_items(sources, rendering, left_out, executor)
                sources = {}
        yield from _image_items(sources, rendering, left_out, executor)


def _image_contents(name: str, image: Any, left_out: list[LeftOut]) -> list[_Contents]:
    """What is found in an image, by source."""
    try:
        return [_contents(slices[0].path, slices) for slices in image_sources(image, name)]
    except UnreadableImage as error:
        left_out.append(LeftOut(Path(name), str(error)))
        return []


def _image_items(
    sources: Mapping[object, Sequence[_Contents]],
    rendering: Rendering,
    left_out: list[LeftOut],
    executor: Executor,
) -> Iterator[Item]:
    """The rendered slices of images, each with its gray levels, which are in no file."""
    for contents in sources.values():
        yield from _items(contents, rendering, left_out, executor, keeps_levels=True)


def rendered_slices(
    slices: Sequence[Slice], rendering: Rendering, heads: Sequence[Box] | None = None
) -> list[Item]:
    """Decoded slices, each rendered by itself, in the same order.

    Args:
        heads: box of the head in each, where it is known from its volume.
    """
    n_in_file = Counter(slice_.path for slice_ in slices)
    placed = (
        _Placed(each, heads[number] if heads else each.head)
        for number, each in enumerate(map(_decoded, slices))
    )
    return [
        _item(each, rendering, n_in_file[each.decoded.about.path] > 1, False) for each in placed
    ]


@dataclass(frozen=True, eq=False)
class _Decoded:
    """A slice in 8 bits: those of a series are kept until the box of its head is known.

    Attributes:
        about: the slice without its pixels.
        levels: uint8 (height, width).
        head: box of the slice alone.
        extent: see falx.image.crop.head_extent.
    """

    about: Slice
    levels: np.ndarray
    background: float
    head: Box
    extent: tuple[Box, float] | None


@dataclass(frozen=True, eq=False)
class _Contents:
    """What was found in a file: the slices that can be used, and of the others, why they can't.

    `series` names the DICOM series that it belongs to; empty without one.
    """

    path: Path
    usable: tuple[_Decoded, ...]
    problems: tuple[str, ...]
    frames: int
    further_volumes: int
    series: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Placed:
    """A slice with the box of the head, its own or that of its volume, and where it lies there."""

    decoded: _Decoded
    head: Box
    level: float = math.nan
    region: str = ""


def _decoded_ahead(
    files: Sequence[Path], executor: Executor, listener: Listener
) -> Iterator[_Contents | LeftOut]:
    """What is found in each file, in order, with no more decoded ahead than the limits allow."""
    sizes = [_size(file) for file in files]
    waiting: deque[Future[_Contents | LeftOut]] = deque()
    submitted = 0
    for done in range(len(files)):
        while submitted < len(files) and (
            not waiting
            or (len(waiting) < _FILES_AHEAD and sum(sizes[done : submitted + 1]) <= _BYTES_AHEAD)
        ):
            waiting.append(executor.submit(_decode, files[submitted]))
            submitted += 1
        wait([waiting[0]])
        listener(Progress("Predicting", done + 1, len(files)))
        yield waiting.popleft().result()


def _size(file: Path) -> int:
    """In bytes; 0 where the file can't be opened, which is told when it is read."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _decode(file: Path) -> _Contents | LeftOut:
    try:
        slices = read_slices(file)
    except UnreadableImage as error:
        return LeftOut(file, str(error))
    return _contents(file, slices)


def _contents(file: Path, slices: Sequence[Slice]) -> _Contents:
    problems, first = [why_unusable(slice_) for slice_ in slices], slices[0]
    return _Contents(
        path=file,
        usable=tuple(
            _decoded(slice_)
            for slice_, problem in zip(slices, problems, strict=True)
            if not problem
        ),
        problems=tuple(filter(None, problems)),
        frames=first.frames,
        further_volumes=first.further_volumes,
        series=(first.patient, first.study, first.series) if first.series else (),
    )


def _decoded(slice_: Slice) -> _Decoded:
    pixels = slice_.pixels
    return _Decoded(
        about=replace(slice_, pixels=_NO_PIXELS),
        levels=to_levels(pixels),
        background=background_level(pixels),
        head=head_box(pixels),
        extent=head_extent(pixels) if math.isfinite(slice_.position) else None,
    )


def _items(
    decoded: Sequence[_Contents | LeftOut],
    rendering: Rendering,
    left_out: list[LeftOut],
    executor: Executor,
    *,
    keeps_levels: bool = False,
) -> list[Item]:
    """The rendered slices of one source, volume by volume and from the lowest up."""
    left_out += [each for each in decoded if isinstance(each, LeftOut)]
    contents = [each for each in decoded if isinstance(each, _Contents)]
    usable = [each for of_file in contents for each in of_file.usable]
    volumes = _volumes(usable)
    several, by_plane = len(usable) > 1, len(volumes) > 1
    placed: list[_Placed] = []
    repeated: list[_Decoded] = []
    for members in volumes:
        kept, again = _placed(members)
        placed += kept
        repeated += again
    left_out += _left_out(contents, repeated)
    items = list(executor.map(lambda each: _item(each, rendering, several, by_plane), placed))
    if not keeps_levels:
        return items
    return [
        replace(item, levels=each.decoded.levels) for item, each in zip(items, placed, strict=True)
    ]


def _left_out(contents: Iterable[_Contents], repeated: Iterable[_Decoded]) -> Iterator[LeftOut]:
    """What is left out of the files of one source, once for each file and reason."""
    n_repeated = Counter(each.about.path for each in repeated)
    for each in contents:
        file, n_slices = each.path, len(each.usable) + len(each.problems)
        reasons = Counter(each.problems)
        reasons[REPEATED] = n_repeated[file]
        for reason, n in (+reasons).items():
            if n == n_slices:
                yield LeftOut(file, f"'{file}' is left out: {reason}.")
            else:
                problem = f"{n} of {n_slices} slices of '{file}' are left out: {reason}."
                yield LeftOut(file, problem, n)
        if n := each.further_volumes:
            volumes = f"{n} further volume{'s' * (n > 1)} of '{file}' {'are' if n > 1 else 'is'}"
            yield LeftOut(file, f"{volumes} left out: {FURTHER}.", n * each.frames)


def _volumes(decoded: Sequence[_Decoded]) -> list[list[_Decoded]]:
    """Slices of one plane and size together; those of unknown position are none's."""
    volumes: dict[object, list[_Decoded]] = {}
    for each in decoded:
        placed = math.isfinite(each.about.position)
        volumes.setdefault((placed, each.about.plane, each.levels.shape), []).append(each)
    return list(volumes.values())


def _placed(members: Sequence[_Decoded]) -> tuple[list[_Placed], list[_Decoded]]:
    """The slices of a volume, by one box and ascending, and those that repeat a position.

    A single slice, and slices of unknown position, stay as they are.
    """
    if len(members) < 2 or not math.isfinite(members[0].about.position):
        return [_Placed(each, each.head) for each in members], []
    placement = place(
        np.array([each.about.position for each in members]),
        np.array([each.extent[1] if each.extent else 0.0 for each in members]),
        [each.extent[0] if each.extent else None for each in members],
        axial=members[0].about.plane == "axial",
        order=np.array([each.about.instance or 0 for each in members]),
    )
    ascending = [int(row) for row in np.argsort(placement.levels, kind="stable")]
    placed = [
        _Placed(
            members[row],
            placement.head or members[row].head,
            float(placement.levels[row]),
            placement.regions[row],
        )
        for row in ascending
        if not placement.repeated[row]
    ]
    return placed, [members[int(row)] for row in np.flatnonzero(placement.repeated)]


def _item(placed: _Placed, rendering: Rendering, several: bool, by_plane: bool) -> Item:
    """The item of a slice.

    Args:
        several: whether its file or series has others.
        by_plane: whether slices of its series that lie in other planes are a series of their own.
    """
    each, about = placed.decoded, placed.decoded.about
    view, region = render_levels(each.levels, each.background, rendering, placed.head)
    in_file = str(about.path) if several else ""
    return Item(
        path=about.path,
        index=about.index,
        study=about.study or about.patient or about.series or in_file,
        series=_header(about, about.series or in_file, by_plane),
        is_lost=about.format == "dicom" and bool(about.plane) and not (about.series or in_file),
        plane=about.plane,
        level=placed.level,
        head_region=placed.region,
        shape=each.levels.shape,
        region=region,
        view=view,
    )


def _header(about: Slice, series: str, by_plane: bool) -> SeriesHeader | None:
    if not series:
        return None
    part = f", {about.plane}" if by_plane and about.plane else ""
    name = about.acquisition.description or (series if about.series else about.path.name)
    return SeriesHeader(
        series=series + part,
        name=name + part,
        plane=about.plane,
        contrast=about.acquisition.contrast,
        original="DERIVED" not in about.acquisition.image_type,
    )
