"""What falx shows on a terminal.

Tables that answer a question go to standard output, as CSV-free text; progress, warnings and
remarks go to standard error, so that pipes stay clean.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from falx.errors import BadInput
from falx.notice import NOTICE
from falx.progress import Listener, Progress

if TYPE_CHECKING:
    import pandas as pd

    from falx.data.audit import Audit
    from falx.data.label_check import LabelCheck
    from falx.detect.finding import Finding, Findings, StudyFinding
    from falx.evaluation.deployment import Row
    from falx.evaluation.explain import MapScores
    from falx.evaluation.hiding import BorderScore, HiddenTumors
    from falx.evaluation.map_checks import MapChecks
    from falx.evaluation.metrics import Scores
    from falx.evaluation.trust import Trust
    from falx.verbs.doctor import Check
    from falx.verbs.export import Exported

_out = Console(highlight=False, soft_wrap=False)
_err = Console(stderr=True, highlight=False)
_FOREIGN_SHOWN = 5
_DOUBTS_SHOWN = 5


def show_log(verbose: bool) -> None:
    """Let warnings of the library through, or with `verbose` everything it says."""
    from rich.logging import RichHandler

    handler = RichHandler(console=_err, show_time=False, show_path=False, markup=False)
    handler.setLevel(logging.INFO if verbose else logging.WARNING)
    logger = logging.getLogger("falx")
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)


@contextmanager
def progress(*, narrated: bool = False) -> Iterator[Listener]:
    """A live bar a task on standard error; where that is not a terminal, nothing.

    Args:
        narrated: there, a line a task.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.table import Column

    columns = (
        TextColumn("{task.description:<10}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=20),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True, min_width=5)),
        # What is left of the line, cut where it is too long.
        TextColumn(
            "{task.fields[remark]}",
            style="dim",
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
    )
    with Bars(*columns, console=_err, disable=not _err.is_terminal, expand=True) as bars:
        tasks: dict[str, Any] = {}

        def listen(step: Progress) -> None:
            if step.task not in tasks:
                if narrated and not _err.is_terminal:
                    say(f"{step.task} ...")
                tasks[step.task] = bars.add_task(step.task, total=step.total, remark="")
            bars.update(tasks[step.task], completed=step.done, total=step.total, remark=step.remark)

        yield listen


def say(message: str) -> None:
    """A remark."""
    _err.print(Text(message))


def warn(message: str) -> None:
    """Something to take note of."""
    _err.print(Text.assemble(("Warning: ", "bold yellow"), message))


def complain(message: str) -> None:
    """The one sentence that an error ends with."""
    _err.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a file, or to standard output for `-`."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write text to a file, whole or not at all, or to standard output for `-`."""
    if file == Path("-"):
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())
        return
    temporary = file.with_name(file.name + ".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A file name that is not valid Unicode must not keep the rest from being written.
        temporary.write_text(text, "utf-8", errors="backslashreplace")
        os.replace(temporary, file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise BadInput(
            f"'{file}' can't be written ({error.strerror}); make room, allow it, or name another."
        ) from error
    say(f"Wrote {file}")


def show_findings(findings: Findings) -> None:
    """Answers for studies and slices, and what could not be read."""
    positive = findings.classes[1] if len(findings.classes) == 2 else "label"
    head = ("file", "label", escape(f"p({positive})"), "")
    table = Table(*head, box=None, header_style="bold")
    for slice_ in findings.slices:
        name = str(slice_.path) if not slice_.index else f"{slice_.path}#{slice_.index}"
        table.add_row(Text(name), *_answer(slice_))
    if findings.slices:
        _out.print(table)
    if findings.studies:
        _out.print(_study_table(findings, positive))
    for file in findings.unreadable:
        warn(file.problem)
    say(NOTICE)


def show_scores(scores: Mapping[str, Scores | None]) -> None:
    """Numbers with intervals, a column a set of predictions."""
    given = {name: value for name, value in scores.items() if value is not None}
    table = Table("", *[f"{name} (n = {value.n})" for name, value in given.items()], box=None)
    for metric in next(iter(given.values())).estimates:
        cells = [str(value.estimates[metric]) for value in given.values()]
        table.add_row(metric.replace("_", " "), *cells)
    _out.print(table)


def show_trust(trust: Trust) -> None:
    """What calibration, referral and refusal are worth."""
    before, after = (each["calibration_error"] for each in (trust.before, trust.after))
    table = Table(box=None, show_header=False)
    for name, value in (
        ("calibration error, before", str(before)),
        (f"after, by a temperature of {trust.temperature:.2f}", str(after)),
        (f"true class held possible, {1 - trust.error:.0%} asked for", str(trust.coverage)),
        ("referred, of slices not refused", str(trust.referred)),
        ("accuracy on those neither referred nor refused", str(trust.answered)),
        ("refused as foreign, of all slices", str(trust.foreign)),
    ):
        table.add_row(name, value)
    _out.print(table)


def say_doubts(check: LabelCheck) -> None:
    """How many labels are doubted."""
    if check.doubts:
        say(
            f"{len(check.doubts)} of {check.checked} labels are doubted (doubts.csv and the report "
            "name them). A doubt is no proof: somebody who can read the scan has to look. All "
            "numbers are on the labels as they are."
        )


def show_hiding(border: BorderScore | None, hidden: HiddenTumors | None) -> None:
    """What a detector makes of slices whose brain or tumor can't be seen."""
    # Templates belong to an extra, without which nothing is evaluated.
    from falx.evaluation.hiding_words import hiding_words

    for words in hiding_words(border, hidden):
        say(words)


def show_map_scores(maps: MapScores) -> None:
    """How well heat maps agree with masks."""
    for words, value, chance in (
        ("peak on the tumor", maps.pointing, maps.pointing_chance),
        ("distance of the peak from it", maps.distance, maps.distance_chance),
        ("evidence inside the tumor", maps.inside, maps.inside_chance),
    ):
        _out.print(f"  {words}: {value}, by chance {chance:.3f}")


def show_parity(done: Exported) -> None:
    """What an export is, and how close it comes to its network."""
    parity = done.parity
    expected, actual = (scores.estimates["roc_auc"] for scores in (parity.expected, parity.actual))
    table = Table(box=None, show_header=False)
    for name, value in (
        ("precision", str(done.attempt)),
        ("size", f"{done.bytes / 1e6:.2f} MB"),
        ("slices compared", f"{parity.expected.n}, {parity.views} views of each"),
        ("largest change of a probability", f"{parity.largest:.2g}"),
        ("slices answered, referred or refused otherwise", str(parity.changed)),
        ("AUC of the network", str(expected)),
        ("AUC of the export", str(actual)),
        ("AUC lost, over all views", f"{parity.auc_loss:+.4f}"),
        ("change in a heat map, typically", f"{parity.heat:.1%} of its strongest place"),
    ):
        table.add_row(name, value)
    _out.print(table)


def show_map_checks(checks: MapChecks) -> None:
    """What heat maps are worth as far as can be told without masks."""
    _out.print(f"  heat maps checked on {checks.n} of {checks.of} slices:")
    table = Table(box=None, show_header=False)
    for name in ("deletion", "insertion") if checks.deletion else ():
        course = getattr(checks.deletion, name)
        table.add_row(f"{name}, area under the curve", str(course.by_map.area))
        table.add_row(f"{name}, better than random order by", str(course.over_random))
        table.add_row(f"{name}, better than another slice's map by", str(course.over_other))
    if checks.randomization:
        for name, value in checks.randomization.correlation.items():
            table.add_row(f"maps alike with random weights, {name}", str(value))
    _out.print(table)


def show_bench(rows: Sequence[Row]) -> None:
    """A row an export: what it is worth and what it costs, with all threads."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "MB", "AUC", "change", "ms", "per s", "start s", "RAM MB"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        cells = [
            row.name,
            f"{row.bytes / 1e6:.2f}" if row.bytes else "",
            f"{row.auc.value:.3f}" if row.auc else "",
            f"{row.parity.largest:.2g}" if row.parity else "",
        ]
        timing = row.timings[max(row.timings)] if row.timings else None
        cells += (
            [
                f"{timing.median_ms:.1f}",
                f"{timing.per_second:.0f}",
                f"{timing.startup_s:.2f}",
                f"{timing.memory_mb:.0f}" if timing.memory_mb else "",
            ]
            if timing
            else [""] * 4
        )
        table.add_row(*cells, row.mark)
    _out.print(table)
    for row in rows:
        if row.why:
            warn(f"{row.name}: {row.why}")


def show_next(folder: Path, steps: Sequence[tuple[str, str]]) -> None:
    """Where the result lies, and the commands that come next."""
    say(f"Wrote {folder}")
    for what, command in steps:
        _err.print(Text.assemble((f"  {what}: ", "dim"), command), soft_wrap=True)


def show_checks(checks: Sequence[Check]) -> None:
    """The doctor's table."""
    signs = {True: ("ok", "green"), False: ("!!", "bold red"), None: ("  ", "")}
    table = Table(box=None, show_header=False)
    for check in checks:
        table.add_row(
            Text(*signs[check.good]), Text(check.what), Text(check.state, overflow="fold")
        )
    _out.print(table)


def show_audit(audit: Audit) -> None:
    """The audit in a screenful."""
    usable = audit.catalog.usable().table
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    counts = ", ".join(f"{count} {name}" for name, count in audit.counts.items())
    table.add_row("slices", Text(counts))
    table.add_row("can't be used", _unusable(audit))
    copies = sum(len(rows) - 1 for rows in audit.identical)
    table.add_row("identical", f"{len(audit.identical)} sets, {copies} files too many")
    near = f"{audit.distinct} distinct of {len(usable)} slices, by patient and near-duplicates"
    table.add_row("distinct", near)
    table.add_row("labels differ", _conflicts(audit))
    if audit.label_check:
        table.add_row("labels doubted", _doubts(audit, audit.label_check.checked))
    for leak in audit.leaks:
        share = len(leak.rows) / max(1, leak.total)
        count = f"{len(leak.rows)} of {leak.total} in {leak.part} ({share:.0%})"
        text = f"{count} have a twin in {leak.other}, {leak.identical} byte for byte"
        table.add_row("leak", Text(text, style="bold red"))
    for number, item in enumerate(audit.foreign[:_FOREIGN_SHOWN]):
        name = str(usable["path"].iat[item.row])
        table.add_row("unlike the rest" if not number else "", Text(f"{name}: {item.reason}"))
    if len(audit.foreign) > _FOREIGN_SHOWN:
        table.add_row("", f"and {len(audit.foreign) - _FOREIGN_SHOWN} more, shown by --html")
    for shortcut in audit.shortcuts:
        interval = f"{shortcut.low:.2f} to {shortcut.high:.2f}"
        text = f"AUC {shortcut.auc:.2f} ({interval}) from {shortcut.probe}"
        if shortcut.alarming:
            text += " alone: the class can be told without looking at the brain"
        style = "bold red" if shortcut.alarming else ""
        table.add_row("shortcut", Text(text, style=style))
    if not audit.shortcuts:
        table.add_row("shortcut", "not probed: a class has fewer than 5 groups")
    _out.print(table)


def _unusable(audit: Audit) -> Text:
    if not audit.unreadable:
        return Text("none")
    table = audit.catalog.table
    lines = [str(table["problem"].iat[row]) for row in audit.unreadable[:10]]
    more = len(audit.unreadable) - len(lines)
    return Text("\n".join([*lines, *([f"and {more} more"] if more else [])]), style="red")


def _conflicts(audit: Audit) -> Text:
    if not audit.conflicts:
        return Text("in no group")
    table = audit.catalog.usable().table
    lines = [
        " = ".join(table.iloc[list(rows)].drop_duplicates("label")["path"]) + _more(rows, table)
        for rows in audit.conflicts[:5]
    ]
    hidden = len(audit.conflicts) - len(lines)
    lines += [f"and {hidden} more"] if hidden else []
    return Text(f"in {len(audit.conflicts)} groups\n" + "\n".join(lines), style="red")


def _doubts(audit: Audit, checked: int) -> Text:
    doubts = audit.doubts()
    lines = [
        f"{doubt['path']}: rather {doubt['suggested']}; {doubt['label']} has a probability of "
        f"{doubt['probability']:.2f}"
        for doubt in doubts[:_DOUBTS_SHOWN]
    ]
    hidden = len(doubts) - len(lines)
    lines += [f"and {hidden} more, shown by --html"] if hidden else []
    return Text("\n".join([f"{len(doubts)} of {checked} checked", *lines]))


def _more(rows: Sequence[int], table: pd.DataFrame) -> str:
    """How many slices of a group are not named, one of each label being so."""
    unnamed = len(rows) - table["label"].iloc[list(rows)].nunique()
    return f" and {unnamed} more" if unnamed else ""


def _study_table(findings: Findings, positive: str) -> Table:
    head = ("study", "slices", "label", escape(f"p({positive})"), "", "strongest")
    table = Table(*head, box=None)
    for study in findings.studies:
        one = study.strongest
        strongest = f"{one.path}#{one.index}" if one else ""
        table.add_row(Text(study.study), str(study.slices), *_answer(study), Text(strongest))
    return table


def _answer(finding: Finding | StudyFinding) -> tuple[Text, str, Text]:
    """Label, probability and what else there is to say."""
    if finding.probability is None:
        return Text("no answer"), "", Text("unlike what it was trained on", style="red")
    remark = Text("refer", style="yellow") if finding.status == "refer" else Text("")
    return Text(finding.label or ""), f"{finding.probability:.3f}", remark
