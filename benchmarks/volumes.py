"""What a detector answers for every volume and series of a folder, as a Markdown table.

    python benchmarks/volumes.py RUN ../shared/data

Every file below `btp`, `volumes`, `dicom` and `heads` of the folder is predicted, a line a series;
files that hold none are listed below with the reason. Paths tell the truth: `btp`, `glioma` and
`metastasis` show tumors, the others none.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from sklearn.metrics import roc_auc_score

import falx
from falx.detect.finding import LeftOut, SeriesFinding, StudyFinding

FOLDERS = ("btp", "volumes", "dicom", "heads")
TUMORS = ("btp", "glioma", "metastasis")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder, or the detector/ in it")
    parser.add_argument("data", type=Path, help="the folder that holds btp, volumes, dicom, heads")
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    folders = [data / name for name in FOLDERS if (data / name).is_dir()]
    findings = falx.load(arguments.run).predict(folders)
    print("| study | series, plane | slices pooled | unlike | answer | p | why |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for study in findings.studies:
        for series in study.series:
            print(_row(_place(study, data), series))
    print()
    _summarize(findings.studies, data)
    print("\n| left out | why |\n| --- | --- |")
    for name, why in _left_out(findings.left_out, data):
        print(f"| {name} | {why} |")


def _place(study: StudyFinding, data: Path) -> str:
    """The folder below the data that a study lies in, or its file."""
    one = next(each.strongest for each in study.series) or None
    path = Path(study.study)
    if path.is_file():
        return path.relative_to(data).as_posix()
    return one.path.parent.relative_to(data).as_posix() if one else f"study …{study.study[-12:]}"


def _row(place: str, series: SeriesFinding) -> str:
    name = "" if place.endswith(series.name) else f"{series.name}, "
    answer = series.status.replace("_", " ")
    if series.label:
        answer = f"{answer} ({series.label})"
    p = "" if series.probability is None else f"{series.probability:.3f}"
    counts = f"{series.n_pooled} of {series.n_slices} | {series.n_out_of_distribution}"
    return f"| {place} | {name}{series.plane} | {counts} | {answer} | {p} | {series.reason} |"


def _summarize(studies: tuple[StudyFinding, ...], data: Path) -> None:
    """Answers by what a study shows, and the AUC of their probabilities."""
    truth, scores = [], []
    counts: Counter[tuple[bool, str]] = Counter()
    for study in studies:
        shows = any(name in _place(study, data) for name in TUMORS)
        counts[shows, f"{study.status} ({study.label})" if study.label else study.status] += 1
        if study.probability is not None:
            truth.append(shows)
            scores.append(study.probability)
    for shows in (True, False):
        answers = ", ".join(f"{n} {name}" for (kind, name), n in counts.items() if kind == shows)
        print(f"Studies {'with' if shows else 'without'} a tumor: {answers.replace('_', ' ')}.")
    if len(set(truth)) == 2:
        auc = roc_auc_score(truth, scores)
        print(f"ROC AUC of the {len(truth)} studies with a probability: {auc:.3f}.")


def _left_out(left_out: tuple[LeftOut, ...], data: Path) -> list[tuple[str, str]]:
    """A row a file, or a row a folder where many files share the reason."""
    rows: dict[tuple[str, str], list[str]] = {}
    for each in left_out:
        path = each.path.relative_to(data)
        why = each.problem.replace(f"'{each.path}'", path.name)
        rows.setdefault((path.parent.as_posix(), why.replace(path.name, "it")), []).append(
            path.name
        )
    return [
        (f"{folder}/{names[0]}" if len(names) == 1 else f"{folder}, {len(names)} files", why)
        for (folder, why), names in rows.items()
    ]


if __name__ == "__main__":
    main()
