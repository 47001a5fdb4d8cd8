"""Tables for the terminal; their words are those of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from falx.cli.answers import show_site_check
from falx.cli.terminal import out, say, warn

if TYPE_CHECKING:
    from falx.data.auditing import Audit
    from falx.data.publications import Publication
    from falx.deployment.attempts import Export
    from falx.deployment.benchmark import Row
    from falx.evaluation.evaluation import Evaluation
    from falx.evaluation.metrics import Scores
    from falx.evaluation.reliability import Reliability
    from falx.runs.adaptation import Adaptation
    from falx.runs.run import Run
    from falx.runs.unlabeled import UnlabeledAdaptation
    from falx.verbs.doctor import Check

_STUDY_METRICS = ("roc_auc", "sensitivity", "specificity")
_OUTLIERS_SHOWN = 5
_LABEL_ISSUES_SHOWN = 5
_FILES_SHOWN = 10


def show_scores(scores: Mapping[str, Scores | None]) -> None:
    """Metrics with their confidence intervals, a column for each set of predictions."""
    from falx.evaluation.weighted_metrics import METRIC_NAMES

    shown = {name: value for name, value in scores.items() if value is not None}
    table = Table("", *[f"{name} (n = {value.n})" for name, value in shown.items()], box=None)
    for metric in next(iter(shown.values())).estimates:
        cells = [str(value.estimates[metric]) for value in shown.values()]
        table.add_row(METRIC_NAMES[metric], *cells)
    out.print(table)


def show_reliability(reliability: Reliability) -> None:
    """Calibration, coverage, referral and out-of-distribution rate."""
    from falx.reporting.words.reliability import reliability_rows

    before, after = (each["calibration_error"] for each in (reliability.before, reliability.after))
    table = Table(box=None, show_header=False)
    table.add_row("calibration error, uncalibrated", str(before))
    table.add_row(f"after temperature scaling, T = {reliability.temperature:.2f}", str(after))
    for name, _, estimate in reliability_rows(reliability):
        table.add_row(name[:1].lower() + name[1:], str(estimate))
    out.print(table)


def show_volumes(evaluation: Evaluation) -> None:
    """Lesions found in volumes, ranking at the same level, and studies; nothing without volumes."""
    from falx.evaluation.weighted_metrics import METRIC_NAMES
    from falx.reporting.words.volumes import volume_rows

    rows, studies = volume_rows(evaluation), evaluation.studies
    if not rows:
        return
    table = Table(box=None, show_header=False)
    for name, _, estimate in rows:
        table.add_row(name, str(estimate))
    if studies:
        for name in _STUDY_METRICS:
            measure = f"{METRIC_NAMES[name]} by study (n = {studies.scores.n})"
            table.add_row(measure, str(studies.scores.estimates[name]))
        table.add_row("studies referred", f"{studies.n_referred} of {studies.scores.n}")
    out.print(table)


def show_sources(run: Run) -> None:
    """Numbers of each of several datasets, a column for each, in words as well; nothing of one."""
    from falx.reporting.words.sources import source_columns, source_rows, source_words

    evaluation = run.evaluation
    if not evaluation.by_source:
        return
    rows = list(source_rows(evaluation))
    table = Table("by source", *[f"{name} (n = {n})" for name, n, *_ in rows], box=None)
    table.add_row("Groups", *[str(groups) for _, _, groups, _ in rows])
    for name, *cells in zip(
        source_columns(evaluation), *[measures for *_, measures in rows], strict=True
    ):
        table.add_row(name, *map(str, cells))
    out.print(table)
    for sentence in source_words(run):
        say(sentence)


def show_run(run: Run, scores: Mapping[str, Scores | None]) -> None:
    """Classes, pretraining, metrics and reliability of a training or a cross-validation."""
    from falx.reporting.words.report import few_groups_words, pretraining_words

    counts = run.catalog.usable().counts
    positive = f"; {list(counts)[1]} is the positive class" if len(counts) == 2 else ""
    say(f"Classes: {', '.join(f'{name} ({n})' for name, n in counts.items())}{positive}")
    if run.record.pretraining:
        say(pretraining_words(run.record.pretraining))
    show_dataset(run)
    show_scores(scores)
    show_sources(run)
    show_reliability(run.reliability)
    show_volumes(run.evaluation)
    if run.record.weights["name"] == "falx" and run.evaluation.n_leaked:
        warn(
            f"{run.evaluation.n_leaked} of {run.scores.n} tested slices share a group with slices "
            "that the network was trained on before; --weights phantom has seen none."
        )
    auc = run.scores.estimates["roc_auc"]
    if few := few_groups_words(run.scores):
        warn(few)
    elif auc.low <= 0.5:
        warn(
            f"The 95 % confidence interval of the AUC does not lie above 0.5: {auc}; train on more "
            "slices, with pretrained weights, or longer."
        )


def show_dataset(run: Run) -> None:
    """What was used of volumes, by which labels, and what was left out."""
    from falx.reporting.words.dataset import dataset_words

    for sentence in dataset_words(run):
        say(sentence)


def show_label_issues(run: Run) -> None:
    """How many labels are likely wrong."""
    from falx.reporting.words.audit import LABEL_ISSUES_ADVICE

    check = run.evaluation.label_check
    if check.label_issues:
        say(
            f"{len(check.label_issues)} of {check.checked} labels are likely wrong; "
            f"label_issues.csv and the report list them. {LABEL_ISSUES_ADVICE}"
        )


def show_evaluation(evaluation: Evaluation) -> None:
    """Metrics, reliability, and what was measured on heat maps and occluded slices."""
    from falx.reporting.words.occlusion import occlusion_words
    from falx.reporting.words.report import few_groups_words
    from falx.reporting.words.robustness import robustness_words

    if evaluation.n_leaked:
        warn(
            f"{evaluation.n_leaked} of {evaluation.scores.n} slices share a group with slices that "
            "the detector has seen."
        )
    if evaluation.site:
        show_site_check(evaluation.site)
    rest = evaluation.without_leakage
    show_scores({"all": evaluation.scores, "without leakage": rest.scores if rest else None})
    show_reliability(evaluation.reliability)
    show_volumes(evaluation)
    if few := few_groups_words(evaluation.scores):
        warn(few)
    for sentence in occlusion_words(evaluation.border_only, evaluation.occlusion):
        say(sentence)
    for sentence in list(robustness_words(evaluation.robustness))[:2]:
        say(sentence)
    show_heat_map_scores(evaluation)


def show_adaptation(adaptation: Adaptation) -> None:
    """Every number before an adaptation and by each candidate, and which one was taken."""
    from falx.reporting.pages.adaptation import adaptation_rows
    from falx.reporting.words.adaptation import verdict

    table = Table("", "as it is", *(each.candidate for each in adaptation.attempts), box=None)
    for row in adaptation_rows(adaptation):
        spans = (f" ({cell.span})" if cell.span else "" for cell in row.cells)
        table.add_row(row.name, *(c.value + span for c, span in zip(row.cells, spans, strict=True)))
    out.print(table)
    say(verdict(adaptation))


def show_unlabeled(adaptation: UnlabeledAdaptation) -> None:
    """What an adaptation without labels changed, and that nothing was tested."""
    from falx.reporting.words.unlabeled import unlabeled_rows, unlabeled_verdict

    table = Table("", "as it is", "adapted", box=None)
    for name, before, after in unlabeled_rows(adaptation):
        table.add_row(name, before, after)
    out.print(table)
    say(unlabeled_verdict(adaptation))


def show_heat_map_scores(evaluation: Evaluation) -> None:
    """Localization and faithfulness of heat maps, where they were measured."""
    from falx.reporting.words.heat_maps import localization_rows, region_rows

    localization, scores = evaluation.localization, evaluation.faithfulness
    if localization:
        masked = Table(box=None, show_header=False)
        for name, _, value, chance in localization_rows(localization):
            masked.add_row(name.lower(), f"{value}, chance {chance:.3f}")
        for name, _, value in region_rows(evaluation.regions):
            masked.add_row(name[0].lower() + name[1:], str(value))
        out.print(f"  heat maps against masks on {localization.n} slices:")
        out.print(masked)
    table = Table(box=None, show_header=False)
    if scores and scores.deletion:
        for name in ("deletion", "insertion"):
            curves = getattr(scores.deletion, name)
            table.add_row(f"{name}, area under the curve", str(curves.by_map.area))
            table.add_row(f"{name}, gain over random order", str(curves.gain_over_random))
            table.add_row(f"{name}, gain over another slice's map", str(curves.gain_over_other))
    if scores and scores.randomization:
        for name, value in scores.randomization.correlation.items():
            table.add_row(f"correlation with maps of randomized {name}", str(value))
    if scores and table.row_count:
        out.print(f"  heat maps on {scores.n} of {scores.eligible} slices:")
        out.print(table)


def show_parity(export: Export) -> None:
    """What an export is, and how close its outputs are to those of its network."""
    parity = export.parity
    expected, actual = (scores.estimates["roc_auc"] for scores in (parity.expected, parity.actual))
    table = Table(box=None, show_header=False)
    for name, value in (
        ("precision", str(export.attempt)),
        ("size", f"{export.bytes / 1e6:.2f} MB"),
        ("slices compared", f"{parity.expected.n}, {parity.views} views of each"),
        ("maximum difference of a probability", f"{parity.largest:.2g}"),
        ("slices with another class or status", str(parity.changed)),
        ("AUC of the network", str(expected)),
        ("AUC of the export", str(actual)),
        ("AUC lost, over all views", f"{parity.auc_loss:+.4f}"),
        ("median difference of heat maps", f"{parity.heat_map:.1%} of the maximum"),
    ):
        table.add_row(name, value)
    out.print(table)


def show_benchmark(rows: Sequence[Row]) -> None:
    """A row for each export: what it is worth and what it costs, with all threads."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "MB", "AUC", "max. diff.", "ms", "per s", "start s", "RAM MB"):
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
        table.add_row(*cells, row.outcome)
    out.print(table)
    for row in rows:
        if row.why:
            warn(f"{row.name}: {row.why}")


def show_checks(checks: Sequence[Check]) -> None:
    """The doctor's table."""
    signs = {True: ("ok", "green"), False: ("!!", "bold red"), None: ("  ", "")}
    table = Table(box=None, show_header=False)
    for check in checks:
        table.add_row(
            Text(*signs[check.good]), Text(check.what), Text(check.state, overflow="fold")
        )
    out.print(table)


def show_publications(publications: Sequence[Publication]) -> None:
    """What `falx fetch` knows; addresses stay whole, to be copied."""
    for each in publications:
        how = each.address or f"in a browser only; falx fetch {each.name} says how"
        out.print(Text.assemble((each.name, "bold"), f"  {each.what}"), soft_wrap=True)
        for line in (f"license: {each.license}", f"page: {each.page}", f"download: {how}"):
            out.print(Text(f"  {line}"), soft_wrap=True)


def show_audit(audit: Audit) -> None:
    """The audit in a screenful: its verdicts, and the slices that they are about."""
    from falx.reporting.words.audit import verdicts

    styles = {"act": "bold red", "look": "yellow", "fine": ""}
    named = {
        "Unusable files": _unusable(audit),
        "Conflicting labels": _conflicts(audit),
        "Label issues": _label_issues(audit),
        "Outliers": _outliers(audit),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for verdict in verdicts(audit):
        lines = [f"{verdict.meaning} {verdict.advice}".strip(), *named.get(verdict.name, ())]
        table.add_row(verdict.name, verdict.figure, Text("\n".join(lines), styles[verdict.state]))
    out.print(table)


def _unusable(audit: Audit) -> list[str]:
    problems = audit.catalog.table["problem"]
    return _first([str(problems.iat[row]) for row in audit.unreadable], _FILES_SHOWN)


def _conflicts(audit: Audit) -> list[str]:
    """The first slice of each label, of each group."""
    table = audit.catalog.usable().table
    lines = []
    for rows in audit.conflicts:
        group = table.iloc[list(rows)]
        first = group.drop_duplicates("label")["path"]
        more = f" and {len(group) - len(first)} more" if len(group) > len(first) else ""
        lines.append(" = ".join(first) + more)
    return _first(lines, _LABEL_ISSUES_SHOWN)


def _label_issues(audit: Audit) -> list[str]:
    lines = [
        f"{issue['path']}: suggested {issue['suggested']}; p({issue['label']}) "
        f"{issue['probability']:.2f}"
        for issue in audit.label_issues()
    ]
    return _first(lines, _LABEL_ISSUES_SHOWN)


def _outliers(audit: Audit) -> list[str]:
    paths = audit.catalog.usable().table["path"]
    lines = [f"{paths.iat[outlier.row]}: {outlier.reason}" for outlier in audit.outliers]
    return _first(lines, _OUTLIERS_SHOWN)


def _first(lines: list[str], shown: int) -> list[str]:
    hidden = len(lines) - shown
    return lines[:shown] + ([f"and {hidden} more, shown by --html"] if hidden > 0 else [])
