"""The audit as a page: what is wrong with a dataset in words, then the slices themselves.

A large dataset gets a page that one can still open: what is not shown is counted.
"""

from __future__ import annotations

import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from falx.data.read import read_slices
from falx.data.shortcuts import FAR_ABOVE_CHANCE, FOLDS, Shortcut
from falx.errors import UnreadableImage
from falx.evaluation.metrics import Estimate
from falx.evaluation.templates import (
    Mark,
    count,
    data_uri,
    interval,
    listed,
    mark,
    number,
    percent,
    write_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from falx.data.audit import Audit, Leak, Rows

GROUPS_SHOWN = 200
MEMBERS_SHOWN = 7
NAMES_SHOWN = 100
PAIRS_SHOWN = 60
FILES_SHOWN = 500
THUMBNAIL = 112
_QUALITY = 80
_THREADS = 4
_UNEQUAL = 3  # times as many slices in the largest class as in the smallest
_HELD_OUT = 0.3  # of a random 70/15/15 split
_URGENCY = ("act", "look", "fine")
_BELONGING = {"patient": "One patient", "study": "One study", "path": "One file"}


@dataclass(frozen=True)
class Verdict:
    """One thing that an audit looked at.

    Attributes:
        name: what was looked at.
        figure: the number that sums it up.
        state: whether all is well, a person should look, or something must be done.
        meaning: what was found, in a sentence.
        advice: what to do; empty where there is nothing to do.
    """

    name: str
    figure: str
    state: Literal["fine", "look", "act"]
    meaning: str
    advice: str = ""


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
    drawing: Mark | None
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
        name=audit.catalog.root.name,
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
        foreign=[
            (_thumb(table, item.row, pictures), item.reason, item.score) for item in audit.foreign
        ],
        files=_unusable(audit)[:FILES_SHOWN],
        files_hidden=max(0, len(audit.unreadable) - FILES_SHOWN),
    )


def verdicts(audit: Audit) -> tuple[Verdict, ...]:
    """Everything that an audit looked at, what needs doing first."""
    table = audit.catalog.usable().table
    found = (
        _balance(audit.counts),
        _unusable_verdict(audit),
        _identical(audit),
        _distinct(audit, table),
        _conflicts(audit),
        *(_leak_verdict(leak) for leak in audit.leaks),
        _patients(table),
        _foreign(audit),
        *(_shortcut_verdict(shortcut) for shortcut in audit.shortcuts),
        *(() if audit.shortcuts else (_not_probed(),)),
    )
    return tuple(sorted(found, key=lambda verdict: _URGENCY.index(verdict.state)))


def _lede(audit: Audit, found: Iterable[Verdict]) -> str:
    whole = sum(audit.counts.values())
    slices = f"{count(whole, 'usable slice')}, {count(audit.distinct)} of them distinct."
    names = [verdict.name for verdict in found if verdict.state == "act"]
    urgent = [name[0].lower() + name[1:] for name in names]
    if not urgent:
        return f"{slices} Nothing here speaks against training on a leak-free split."
    return f"{slices} See to these before you trust a number: {listed(urgent)}."


def _balance(counts: dict[str, int]) -> Verdict:
    each = listed([f"{count(n)} {name}" for name, n in counts.items()])
    unequal = max(counts.values()) > _UNEQUAL * min(counts.values())
    return Verdict(
        "Usable slices",
        count(sum(counts.values())),
        "look" if unequal else "fine",
        f"{each}.",
        "The classes are far from equal: read balanced accuracy, not accuracy." if unequal else "",
    )


def _unusable_verdict(audit: Audit) -> Verdict:
    n = len(audit.unreadable)
    if not n:
        return Verdict("Unusable files", "0", "fine", "Every file can be read and shows something.")
    meaning = f"{count(n, 'slice')} can't be decoded, {_are(n)} blank or too small."
    return Verdict("Unusable files", count(n), "look", meaning, "Left out; repair or remove them.")


def _identical(audit: Audit) -> Verdict:
    copies = sum(len(rows) - 1 for rows in audit.identical)
    if not copies:
        return Verdict("Identical files", "0", "fine", "No file is a copy of another.")
    meaning = f"{count(copies, 'slice')} {_are(copies)} byte for byte the copy of another."
    return Verdict("Identical files", count(copies), "look", meaning, "Keep one of each.")


def _distinct(audit: Audit, table: pd.DataFrame) -> Verdict:
    meaning = (
        f"{count(audit.distinct)} of {count(len(table))}, with copies, near-duplicates and slices "
        "of one patient counted once. It is the size that counts."
    )
    if audit.distinct == len(table):
        return Verdict("Distinct slices", count(audit.distinct), "fine", meaning)
    share = _random_twins(table["group"])
    advice = (
        "Split by group, as falx does: a random 70/15/15 split would give about "
        f"{percent(share)} of test slices a twin in training."
    )
    return Verdict("Distinct slices", count(audit.distinct), "look", meaning, advice)


def _random_twins(groups: pd.Series[int]) -> float:
    """The share of test slices that a random split is expected to give a twin in training."""
    size = groups.map(groups.value_counts()).to_numpy(float)
    return float((1 - _HELD_OUT ** (size - 1)).mean())


def _conflicts(audit: Audit) -> Verdict:
    n = len(audit.conflicts)
    if not n:
        return Verdict("Contradicting labels", "0", "fine", "No group carries two labels.")
    meaning = f"{count(n, 'group')} of slices that belong together {_carry(n)} more than one label."
    advice = "Ask whoever labeled them; a label is wrong, or the group is."
    return Verdict("Contradicting labels", count(n), "act", meaning, advice)


def _leak_verdict(leak: Leak) -> Verdict:
    name, n = f"Leak from {leak.other} to {leak.part}", len(leak.rows)
    if not n:
        return Verdict(name, "0", "fine", f"No {leak.part} slice has a twin in {leak.other}.")
    share = percent(n / max(1, leak.total))
    meaning = (
        f"{count(n)} of {count(leak.total, f'{leak.part} slice')} ({share}) {_have(n)} a twin in "
        f"{leak.other}, {count(leak.identical)} byte for byte."
    )
    advice = "Numbers on the given parts are too good: split anew, by group."
    return Verdict(name, share, "act", meaning, advice)


def _patients(table: pd.DataFrame) -> Verdict:
    named = int((table["patient"] != "").sum())
    if named == len(table):
        return Verdict("Patient numbers", count(named), "fine", "Every slice has a patient number.")
    some = count(named) if named else "None"
    meaning = f"{some} of {count(len(table))} slices have a patient number."
    advice = (
        "Add a column “patient” if you can: slices of one patient that look different can't be "
        "told to belong together."
    )
    return Verdict("Patient numbers", count(named), "look", meaning, advice)


def _foreign(audit: Audit) -> Verdict:
    n = len(audit.foreign)
    if not n:
        return Verdict("Unlike the rest", "0", "fine", "No slice stands out.")
    meaning = f"{count(n, 'slice')} {_are(n)} least like the others; most are likely to be sound."
    advice = "Look for other organs, other planes and screenshots among them."
    return Verdict("Unlike the rest", count(n), "look", meaning, advice)


def _shortcut_verdict(shortcut: Shortcut) -> Verdict:
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    found = (
        f"A classifier that sees only {shortcut.probe}, and no brain, reaches an AUC of "
        f"{number(shortcut.auc, 2)} ({interval(estimate, 2)}); 0.50 is chance."
    )
    name, figure = f"Shortcut through {shortcut.probe}", number(shortcut.auc, 2)
    if shortcut.alarming:
        advice = (
            "A network can be right for the wrong reason. Save all images alike, crop to the head, "
            "and test on slices from elsewhere."
        )
        return Verdict(name, figure, "act", found, advice)
    if shortcut.low > 0.5:
        advice = "Better than chance: test on slices from elsewhere."
        return Verdict(name, figure, "look", found, advice)
    return Verdict(name, figure, "fine", found)


def _not_probed() -> Verdict:
    meaning = f"Not probed: a class has fewer than {FOLDS} groups."
    return Verdict("Shortcuts", "–", "look", meaning, "Add slices of other patients.")


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _carry(n: int) -> str:
    return "carries" if n == 1 else "carry"


def _bars(counts: dict[str, int]) -> list[_Bar]:
    most = max(counts.values(), default=1) or 1
    return [_Bar(name, n, round(100 * n / most, 2)) for name, n in counts.items()]


def _probe(shortcut: Shortcut) -> _Probe:
    estimate = Estimate(shortcut.auc, shortcut.low, shortcut.high)
    figure = f"{number(shortcut.auc, 2)} ({interval(estimate, 2)})"
    return _Probe(shortcut.probe, figure, mark(estimate), shortcut.alarming)


def _unusable(audit: Audit) -> list[tuple[str, str, str]]:
    """Name, label and reason of each slice that can't be used."""
    table = audit.catalog.table
    return [
        (_name(table, row), str(table["label"].iat[row]), str(table["problem"].iat[row]))
        for row in audit.unreadable
    ]


def _in_order(audit: Audit, table: pd.DataFrame) -> list[Rows]:
    """The groups to show, contradicting labels first and each label early in its group."""
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
    shared = [key for key in _BELONGING if members[key].iat[0] and members[key].nunique() == 1]
    return _BELONGING[shared[0]] if shared else "Near-duplicates"


def _pairs(table: pd.DataFrame, leak: Leak) -> list[tuple[int, int]]:
    """The first leaked slices, each with a twin in the other part, a copy where there is one."""
    found = []
    elsewhere = (table["split"] == leak.other).to_numpy()
    groups, digests = table["group"].to_numpy(), table["sha256"].to_numpy()
    for row in leak.rows[:PAIRS_SHOWN]:
        twins = np.flatnonzero(elsewhere & (groups == groups[row]))
        copies = twins[digests[twins] == digests[row]]
        found.append((row, int((copies if len(copies) else twins)[0])))
    return found


def _rows_shown(
    audit: Audit, groups: Iterable[Rows], pairs: Iterable[list[tuple[int, int]]]
) -> list[int]:
    rows = {row for group in groups for row in group[:MEMBERS_SHOWN]}
    rows |= {row for shown in pairs for pair in shown for row in pair}
    return sorted(rows | {item.row for item in audit.foreign})


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
    grey = np.clip(pixels * 255, 0, 255).astype(np.uint8)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
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


def _group(rows: Rows, table: pd.DataFrame, pictures: dict[int, str]) -> _Group:
    members = table.iloc[list(rows)]
    kind, rest = _kind(members), rows[MEMBERS_SHOWN:]
    letters = {} if kind == "Identical files" else _copies(members)
    return _Group(
        kind=kind,
        size=len(rows),
        conflict=members["label"].nunique() > 1,
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
