"""A detector's answers on the terminal: studies and their series, slices, and what was left out.

Reasons are footnotes: many studies share one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from falx.cli.names import shortest_tails
from falx.cli.terminal import err, out, say, warn
from falx.detect.finding import Finding, Findings, LeftOut, SeriesFinding, StudyFinding
from falx.detect.rules import REASONS
from falx.detect.site import MIN_SLICES, SiteCheck
from falx.notice import NOTICE

MOSTLY_UNLIKE = "most of its slices, or of those pooled, are unlike the training slices"

_LEGEND = (
    "pooled: slices between skull base and vertex, or all where none is known to lie there; "
    "unlike: those of them that are out of distribution"
)
_LEFT_OUT_SHOWN = 20


def show_findings(findings: Findings) -> None:
    """Answers for studies, for slices that belong to none, and what was left out."""
    of_studies = {each.series for study in findings.studies for each in study.series}
    single = [each for each in findings.slices if each.series not in of_studies]
    sources = _sources(findings.slices, findings.studies)
    left_out = [each.path.absolute() for each in findings.left_out]
    paths = [each.path.absolute() for each in single]
    tails = shortest_tails([*sources.values(), *paths, *left_out])
    names = {study: tails[source] for study, source in sources.items()}
    if findings.studies:
        _show_studies(findings, names)
    if single:
        _show_slices(single, tails, findings.classes)
    if of_studies:
        n = len(findings.slices) - len(single)
        say(f"Answers for the {n} slices of these studies: --csv or --json; pictures: --heatmaps.")
    _show_left_out(findings.left_out, tails)
    if findings.site and len(findings.slices) >= MIN_SLICES:
        show_site_check(findings.site)
    say(NOTICE)


def show_site_check(site: SiteCheck) -> None:
    """Whether slices differ, as a set, from those of training; a warning where they do."""
    if site.is_different:
        warn(site.sentence)
    else:
        say(site.sentence)


class _Notes:
    """Numbered reasons below a table, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, reason: str) -> str:
        """The number of a reason, or "" without one."""
        return str(self._numbers.setdefault(reason, len(self._numbers) + 1)) if reason else ""

    def show(self) -> None:
        grid = Table.grid(padding=(0, 1))
        for reason, number in self._numbers.items():
            grid.add_row(str(number), Text(reason))
        if self._numbers:
            out.print(grid)


def _sources(slices: Iterable[Finding], studies: Iterable[StudyFinding]) -> dict[str, Path]:
    """The file of each study, or the folder of its files; its ID in that, where it has several."""
    files: dict[str, set[Path]] = {study.study: set() for study in studies}
    for slice_ in slices:
        if slice_.study in files:
            files[slice_.study].add(slice_.path.absolute())
    found = {study: _common(paths) for study, paths in files.items()}
    shared = Counter(found.values())
    return {
        study: source / study if shared[source] > 1 else source for study, source in found.items()
    }


def _common(paths: set[Path]) -> Path:
    """The file, or the folder that holds all; an empty path across drives."""
    first = min(paths)
    folders = (first, *first.parents)
    return next(
        (each for each in folders if all(path.is_relative_to(each) for path in paths)), Path()
    )


def _show_studies(findings: Findings, names: Mapping[str, str]) -> None:
    """Studies of one series first, a line each; then those of several, with a line for each."""
    notes = _Notes()
    table = _table(findings.classes, "study", "plane", "pooled", "unlike")
    for study in sorted(findings.studies, key=lambda each: len(each.series) > 1):
        if len(study.series) == 1:
            _add_series(table, study.series[0], _study_name(study, names), notes, findings.classes)
        else:
            _add_study(table, study, names[study.study], notes, findings.classes)
    out.print(table)
    notes.show()
    chosen = "; >: the series that answers for its study"
    several = any(len(study.series) > 1 for study in findings.studies)
    out.print(Text(_LEGEND + chosen * several, style="dim"))
    counts = Counter[str](study.status for study in findings.studies)
    words = {"answer": "answered", "refer": "referred", "out_of_distribution": "without an answer"}
    parts = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
    out.print(Text(f"{_counted(len(findings.studies), 'study', 'studies')}: {', '.join(parts)}"))


def _study_name(study: StudyFinding, names: Mapping[str, str]) -> str:
    """Where its files lie, and the description of its only series, if it has one."""
    tail, series = names[study.study], study.series[0]
    has_description = series.name not in (series.series, Path(tail).name)
    return f"{tail}, {series.name}" if has_description else tail


def _add_study(
    table: Table, study: StudyFinding, name: str, notes: _Notes, classes: Sequence[str]
) -> None:
    """A line for a study, and one for each series; the chosen one is marked."""
    answer = study.chosen or study.series[0]
    table.add_row(
        Text(name, style="bold"), "", "", "", *_answer(answer, classes), notes.number(study.reason)
    )
    repeated = Counter(each.name for each in study.series)
    for each in study.series:
        own = each.name if repeated[each.name] == 1 else f"{each.name}, {each.series}"
        mark = ">" if each is study.chosen else " "
        _add_series(table, each, f"{mark} {own}", notes, classes)


def _add_series(
    table: Table, series: SeriesFinding, name: str, notes: _Notes, classes: Sequence[str]
) -> None:
    rejected = series.status == "out_of_distribution"
    table.add_row(
        Text(name),
        series.plane,
        f"{series.n_pooled} of {series.n_slices}",
        str(series.n_out_of_distribution),
        *_answer(series, classes),
        notes.number(MOSTLY_UNLIKE if rejected else series.reason),
    )


def _show_slices(
    slices: Iterable[Finding], tails: Mapping[Path, str], classes: Sequence[str]
) -> None:
    notes = _Notes()
    table = _table(classes, "slice")
    for each in slices:
        tail = tails[each.path.absolute()]
        name = f"{tail}#{each.index}" if each.index else tail
        reason = notes.number(each.reason or REASONS[each.status])
        table.add_row(Text(name), *_answer(each, classes), reason)
    out.print(table)
    notes.show()


def _table(classes: Sequence[str], *columns: str) -> Table:
    """A table of these columns, of which the first may take several lines, and of answers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    positive = escape(f"p({classes[1]})" if len(classes) == 2 else "p(label)")
    table.add_column(columns[0], overflow="fold")
    for name in (*columns[1:], "answer", positive, "why"):
        right = name in ("pooled", "unlike", positive, "why")
        table.add_column(name, no_wrap=True, justify="right" if right else "left")
    return table


def _answer(finding: Finding | SeriesFinding, classes: Sequence[str]) -> tuple[Text, str]:
    """What to do with it, and the probability of the positive class of two, else of the label."""
    if finding.probability is None:
        return Text("no answer", style="red"), ""
    if finding.status == "answer":
        return Text(finding.label or "", style="bold"), f"{finding.probability:.3f}"
    # Of two classes, the probability tells which one is suggested.
    suggested = "" if len(classes) == 2 else f" ({finding.label})"
    return Text(f"refer{suggested}", style="yellow"), f"{finding.probability:.3f}"


def _show_left_out(left_out: Sequence[LeftOut], tails: Mapping[Path, str]) -> None:
    """A sentence for each reason, with the first of the files that share it."""
    if not left_out:
        return
    groups: dict[str, list[LeftOut]] = {}
    for each in left_out:
        groups.setdefault(each.problem.replace(str(each.path), ""), []).append(each)
    grid = Table.grid(padding=(0, 1))
    for members in list(groups.values())[:_LEFT_OUT_SHOWN]:
        first, more = members[0], len(members) - 1
        sentence = first.problem.replace(str(first.path), tails[first.path.absolute()])
        files = _counted(more, "more file", "more files")
        grid.add_row("-", Text(f"{sentence} The same holds for {files}." if more else sentence))
    if hidden := sum(map(len, list(groups.values())[_LEFT_OUT_SHOWN:])):
        grid.add_row("-", f"{hidden} more, for other reasons: --csv and --json name them all.")
    n = len({each.path for each in left_out})
    warn(f"{_counted(n, 'file was', 'files were')} left out, whole or in part.")
    err.print(grid)


def _counted(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"
