"""The audit as a page: its verdicts in words, then the slices themselves.

The page of a large dataset stays small enough to open: what is not shown is counted.
"""

from __future__ import annotations

import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.data.shortcuts import FAR_ABOVE_CHANCE, Shortcut
from falx.errors import UnreadableImage
from falx.reporting.formatting import count, first_few, listed, number, with_interval
from falx.reporting.pages.rendering import IntervalMark, data_uri, mark, write_page
from falx.reporting.words.audit import LABEL_ISSUES_ADVICE, Verdict, verdicts
from falx.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from falx.data.auditing import Audit, Leak, Rows

GROUPS_SHOWN = 200
MEMBERS_SHOWN = 7
NAMES_SHOWN = 100
PAIRS_SHOWN = 60
FILES_SHOWN = 500
LABEL_ISSUES_SHOWN = 200
THUMBNAIL = 112
_QUALITY = 80
_THREADS = 4
_KINDS = {"patient": "One patient", "study": "One study", "path": "One file"}


@dataclass(frozen=True)
class _Thumb:
    """A slice as the page shows it; `copy` is a letter that byte-identical files share."""

    name: str
    label: str
    about: str
    picture: str
    copy: str = ""


@dataclass(frozen=True)
class _Group:
    kind: str
    size: int
    conflict: bool
    shown: tuple[_Thumb, ...]
    named: tuple[str, ...]
    unnamed: int


@dataclass(frozen=True)
class _Leak:
    leak: Leak
    share: float
    pairs: tuple[tuple[_Thumb, _Thumb], ...]


@dataclass(frozen=True)
class _Bar:
    label: str
    slices: int
    width: float


@dataclass(frozen=True)
class _Probe:
    name: str
    figure: str
    mark: IntervalMark | None
    alarming: bool


def write_audit_page(audit: Audit, path: Path) -> None:
    """Write an audit as one HTML file that holds its pictures.

    Args:
        audit: what was found.
        path: the file to write; it is replaced if it exists.
    """
    table = audit.catalog.usable().table
    groups = _in_order(audit, table)
    pairs = [_pairs(table, leak) for leak in audit.leaks]
    pictures = _pictures(audit, _rows_shown(audit, groups, pairs))
    found = verdicts(audit)
    write_page(
        path,
        "audit.html.j2",
        name=audit.catalog.name,
        lede=_lede(audit, found),
        verdicts=found,
        bars=_bars(audit.counts),
        probes=[_probe(shortcut) for shortcut in audit.shortcuts],
        alarm_above=FAR_ABOVE_CHANCE,
        leaks=[
            _Leak(leak, len(leak.rows) / max(1, leak.total), _thumb_pairs(shown, table, pictures))
            for leak, shown in zip(audit.leaks, pairs, strict=True)
        ],
        groups=[_group(rows, table, pictures) for rows in groups],
        groups_hidden=len(audit.groups) - len(groups),
        checked=audit.label_check,
        label_issues=_label_issues(audit, table, pictures),
        label_issues_hidden=len(audit.label_issues()[LABEL_ISSUES_SHOWN:]),
        label_issues_advice=LABEL_ISSUES_ADVICE,
        outliers=[
            (_thumb(table, item.row, pictures), item.reason, item.score) for item in audit.outliers
        ],
        files=_unusable(audit)[:FILES_SHOWN],
        files_hidden=max(0, len(audit.unreadable) - FILES_SHOWN),
    )


def _lede(audit: Audit, found: Iterable[Verdict]) -> str:
    total = sum(audit.counts.values())
    slices = f"{count(total, 'usable slice')}, {count(audit.distinct)} of them distinct."
    names = [verdict.name for verdict in found if verdict.state == "act"]
    urgent = [name[0].lower() + name[1:] for name in names]
    if not urgent:
        return f"{slices} Nothing here argues against training on a leak-free split."
    return f"{slices} Address these before relying on any result: {listed(urgent)}."


def _bars(counts: dict[str, int]) -> list[_Bar]:
    largest = max(counts.values(), default=1) or 1
    return [_Bar(name, n, round(100 * n / largest, 2)) for name, n in counts.items()]


def _probe(shortcut: Shortcut) -> _Probe:
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    return _Probe(shortcut.probe, with_interval(estimate, 2), mark(estimate), shortcut.alarming)


def _unusable(audit: Audit) -> list[tuple[str, str, str]]:
    """Name, label and problem of each slice that can't be used."""
    table = audit.catalog.table
    return [
        (_name(table, row), str(table["label"].iat[row]), str(table["problem"].iat[row]))
        for row in audit.unreadable
    ]


def _in_order(audit: Audit, table: pd.DataFrame) -> list[Rows]:
    """The groups to show, conflicting labels first and each label early in its group."""
    conflicts = set(audit.conflicts)
    mixed = [_labels_in_turn(rows, table) for rows in audit.conflicts[:GROUPS_SHOWN]]
    rest = [rows for rows in audit.groups if rows not in conflicts]
    return [*mixed, *rest][:GROUPS_SHOWN]


def _labels_in_turn(rows: Rows, table: pd.DataFrame) -> Rows:
    turn = table.iloc[list(rows)].groupby("label").cumcount()
    return tuple(int(row) for row in turn.sort_values(kind="stable").index)


def _kind(members: pd.DataFrame) -> str:
    """Why slices belong together."""
    if (members[["sha256", "index"]].nunique() == 1).all():
        return "Identical files"
    shared = [key for key in _KINDS if members[key].iat[0] and members[key].nunique() == 1]
    return _KINDS[shared[0]] if shared else "Near-duplicates"


def _pairs(table: pd.DataFrame, leak: Leak) -> list[tuple[int, int]]:
    """The first leaked slices, each with one of its group in the other part, best a copy."""
    found = []
    elsewhere = (table["split"] == leak.other).to_numpy()
    groups, digests = table["group"].to_numpy(), table["sha256"].to_numpy()
    for row in leak.rows[:PAIRS_SHOWN]:
        partners = np.flatnonzero(elsewhere & (groups == groups[row]))
        copies = partners[digests[partners] == digests[row]]
        found.append((row, int((copies if len(copies) else partners)[0])))
    return found


def _rows_shown(
    audit: Audit, groups: Iterable[Rows], pairs: Iterable[list[tuple[int, int]]]
) -> list[int]:
    rows = {row for group in groups for row in group[:MEMBERS_SHOWN]}
    rows |= {row for shown in pairs for pair in shown for row in pair}
    if audit.label_check:
        rows |= {issue.row for issue in audit.label_check.label_issues[:LABEL_ISSUES_SHOWN]}
    return sorted(rows | {item.row for item in audit.outliers})


def _pictures(audit: Audit, rows: Sequence[int]) -> dict[int, str]:
    """A thumbnail of each row as a data URI, every file read once; rows without one are absent."""
    usable = audit.catalog.usable()
    places = {row: (usable.file(row), _index(usable.table, row)) for row in rows}
    wanted: dict[Path, set[int]] = {}
    for file, index in places.values():
        wanted.setdefault(file, set()).add(index)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(wanted, pool.map(_read, wanted, wanted.values()), strict=True))
    return {
        row: found[file][index] for row, (file, index) in places.items() if index in found[file]
    }


def _read(file: Path, wanted: set[int]) -> dict[int, str]:
    """Thumbnails of some slices of a file, by index; none where the file has gone meanwhile."""
    try:
        slices = read_slices(file)
    except (UnreadableImage, OSError):
        return {}
    return {one.index: _thumbnail(one.pixels) for one in slices if one.index in wanted}


def _thumbnail(pixels: np.ndarray) -> str:
    """A small JPEG of a slice, float (height, width) in [0, 1], as a data URI."""
    height, width = pixels.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    gray = np.clip(pixels * 255, 0, 255).astype(np.uint8)
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return data_uri(encoded.tobytes(), "jpeg")


def _thumb(table: pd.DataFrame, row: int, pictures: dict[int, str], copy: str = "") -> _Thumb:
    about = f"{table['width'].iat[row]} × {table['height'].iat[row]}"
    part = str(table["split"].iat[row])
    return _Thumb(
        name=_name(table, row),
        label=str(table["label"].iat[row]),
        about=f"{part}, {about}" if part else about,
        picture=pictures.get(row, ""),
        copy=copy,
    )


def _thumb_pairs(
    pairs: Iterable[tuple[int, int]], table: pd.DataFrame, pictures: dict[int, str]
) -> tuple[tuple[_Thumb, _Thumb], ...]:
    return tuple((_thumb(table, a, pictures), _thumb(table, b, pictures)) for a, b in pairs)


def _label_issues(
    audit: Audit, table: pd.DataFrame, pictures: dict[int, str]
) -> list[tuple[_Thumb, str]]:
    """The slices with a label issue, each with a note."""
    check = audit.label_check
    if check is None:
        return []
    shown = check.label_issues[:LABEL_ISSUES_SHOWN]
    return [
        (_thumb(table, issue.row, pictures), _label_issue_note(entry, check.repeats))
        for issue, entry in zip(shown, audit.label_issues(), strict=False)
    ]


def _label_issue_note(issue: Mapping[str, Any], repeats: int) -> str:
    probability = number(issue["probability"], 2)
    note = f"suggested: {issue['suggested']}; p({issue['label']}) is {probability}"
    times = f", below another class in {issue['times']} of {repeats} repeats" if repeats > 1 else ""
    group = f"; same group as {first_few(issue['group'])}" if issue["group"] else ""
    return note + times + group


def _group(rows: Rows, table: pd.DataFrame, pictures: dict[int, str]) -> _Group:
    members = table.iloc[list(rows)]
    kind, rest = _kind(members), rows[MEMBERS_SHOWN:]
    letters = {} if kind == "Identical files" else _copies(members)
    return _Group(
        kind=kind,
        size=len(rows),
        # Slices of one patient may well differ; near-duplicates should not.
        conflict=bool((members.groupby("duplicates")["label"].nunique() > 1).any()),
        shown=tuple(
            _thumb(table, row, pictures, letters.get(row, "")) for row in rows[:MEMBERS_SHOWN]
        ),
        named=tuple(_name(table, row) for row in rest[:NAMES_SHOWN]),
        unnamed=len(rest[NAMES_SHOWN:]),
    )


def _name(table: pd.DataFrame, row: int) -> str:
    """The path of a row, with the index where its file holds several slices."""
    path, index = str(table["path"].iat[row]), _index(table, row)
    return f"{path}#{index}" if index else path


def _index(table: pd.DataFrame, row: int) -> int:
    return int(table["index"].to_numpy()[row])


def _copies(members: pd.DataFrame) -> dict[int, str]:
    """A letter for each row that has a byte-identical copy among the members."""
    content = members["sha256"] + "/" + members["index"].astype("str")
    repeated = content[content.duplicated(keep=False)]
    letters = dict(zip(repeated.unique(), string.ascii_uppercase, strict=False))
    pairs = zip(repeated.index.tolist(), repeated.tolist(), strict=True)
    return {row: letters[key] for row, key in pairs if key in letters}
