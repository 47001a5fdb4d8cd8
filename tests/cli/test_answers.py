"""What a person sees of a detector's answers, at 80 columns."""

from dataclasses import replace
from pathlib import Path

import pytest

from falx.cli import terminal
from falx.cli.answers import MOSTLY_UNLIKE, show_findings
from falx.detect.finding import Finding, Findings, LeftOut, SeriesFinding, StudyFinding
from falx.detect.pooling import INCONCLUSIVE, NOT_CALIBRATED
from falx.detect.rules import UNLIKE
from falx.detect.site import Difference, SiteCheck
from falx.notice import NOTICE

CLASSES = ("no", "yes")
SAGITTAL = "its slices are sagittal, and those of the training data axial"
LEGEND = (
    "pooled: slices between skull base and vertex, or all where none is known to lie there; "
    "unlike: those of them that are out of distribution"
)


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch):
    for shown_on in (terminal.out, terminal.err):
        monkeypatch.setattr(shown_on, "width", 80)


@pytest.fixture
def shown(capsys):
    """Show findings: the lines of their table, all of the output and all remarks, unbroken."""

    def show(*studies, slices=(), left_out=(), classes=CLASSES):
        show_findings(Findings(classes, tuple(slices), studies, tuple(left_out)))
        out, err = capsys.readouterr()
        assert all(len(line) <= 80 for line in (out + err).splitlines())
        lines = [" ".join(line.split()) for line in out.splitlines()]
        return lines, " ".join(out.split()), " ".join(err.split())

    return show


def series(status="answer", reason="", **about):
    rejected = status == "out_of_distribution"
    answer = {} if rejected else {"label": "yes", "probability": 0.9681}
    values = {
        "series": "1.2", "name": "T1", "plane": "axial", "contrast": False, "original": True,
        "n_slices": 114, "n_pooled": 79, "n_out_of_distribution": 5,
    }  # fmt: skip
    return SeriesFinding(**values | answer | {"status": status, "reason": reason} | about)


def study(name, *members, reason="its only series"):
    chosen = next((each for each in members if each.status != "out_of_distribution"), None)
    return StudyFinding(name, members, chosen, reason)


def volume(path, **about):
    """A study of one file, and one of its slices."""
    one = series(**{"series": path, "name": Path(path).name} | about)
    return study(path, one), Finding(Path(path), 0, "answer", 1.0, study=path, series=path)


def test_a_study_of_one_series_is_a_line_with_its_answer(shown):
    answered, slice_ = volume("/data/patient/t1.nii.gz")
    lines, _, _ = shown(answered, slices=[slice_])
    assert lines[0] == "study plane pooled unlike answer p(yes) why"
    assert lines[1] == "t1.nii.gz axial 79 of 114 5 yes 0.968"
    assert lines[-1] == "1 study: 1 answered"


def test_a_referred_study_has_the_probability_and_a_reason_below(shown):
    lines, text, _ = shown(*[volume("/data/t1.nii", status="refer", reason=NOT_CALIBRATED)[0]],
                           slices=[volume("/data/t1.nii")[1]])  # fmt: skip
    assert lines[1] == "t1.nii axial 79 of 114 5 refer 0.968 1"
    assert f" 1 {NOT_CALIBRATED} {LEGEND} " in text
    assert text.endswith("1 study: 1 referred")


def test_a_study_without_an_answer_says_so_and_why(shown):
    rejected, slice_ = volume(
        "/data/b0.nii", status="out_of_distribution", reason="79 of 79 slices are unlike",
        n_out_of_distribution=79,
    )  # fmt: skip
    lines, text, _ = shown(rejected, slices=[slice_])
    assert lines[1] == "b0.nii axial 79 of 114 79 no answer 1"
    assert f" 1 {MOSTLY_UNLIKE} " in text
    assert text.endswith("1 study: 1 without an answer")


def test_a_reason_that_studies_share_is_said_once(shown):
    pairs = [
        volume(f"/data/{n}.nii", status="refer", reason=SAGITTAL if n == 7 else NOT_CALIBRATED)
        for n in range(17)
    ]
    studies, slices = zip(*pairs, strict=True)
    lines, text, _ = shown(*studies, slices=slices)
    assert text.count(NOT_CALIBRATED) == text.count(SAGITTAL) == 1
    assert [line.split()[-1] for line in lines[1:18]] == ["2" if n == 7 else "1" for n in range(17)]
    assert text.endswith("17 studies: 17 referred")


def test_studies_are_counted_by_what_became_of_them(shown):
    answered, one = volume("/data/a.nii")
    referred, two = volume("/data/b.nii", status="refer", reason=NOT_CALIBRATED)
    rejected, three = volume("/data/c.nii", status="out_of_distribution")
    _, text, _ = shown(answered, referred, rejected, slices=[one, two, three])
    assert text.endswith("3 studies: 1 answered, 1 referred, 1 without an answer")


def test_a_dicom_study_is_its_folder_and_the_description_of_its_series(shown):
    files = [Path(f"/data/head/IM{n}") for n in range(3)]
    slices = [Finding(file, 0, "answer", 1.0, study="1.1", series="1.2") for file in files]
    lines, _, _ = shown(study("1.1", series(name="AX FSE T2")), slices=slices)
    assert lines[1].startswith("head, AX FSE T2 axial ")


def test_a_series_without_a_description_is_not_called_by_its_uid(shown):
    slices = [Finding(Path(f"/data/head/{n}"), 0, "answer", 1.0, study="1.1", series="1.2")
              for n in "ab"]  # fmt: skip
    lines, _, _ = shown(study("1.1", series(name="1.2")), slices=slices)
    assert lines[1].startswith("head axial ")


def test_studies_of_one_folder_are_told_apart_by_their_uids(shown):
    slices = [
        Finding(Path(f"/data/{uid}-{n}"), 0, "answer", 1.0, study=uid, series=f"{uid}.1")
        for uid in ("1.1", "1.9")
        for n in range(2)
    ]
    studies = [study(uid, series(series=f"{uid}.1")) for uid in ("1.1", "1.9")]
    lines, _, _ = shown(*studies, slices=slices)
    assert [line.split()[0] for line in lines[1:3]] == ["1.1,", "1.9,"]


def test_volumes_of_the_same_name_are_told_apart_by_their_folders(shown):
    pairs = [volume(f"/data/{patient}/flair.nii.gz") for patient in ("p1", "p2")]
    studies, slices = zip(*pairs, strict=True)
    lines, _, _ = shown(*studies, slices=slices)
    assert [line.split()[0] for line in lines[1:3]] == ["p1/flair.nii.gz", "p2/flair.nii.gz"]


def test_of_several_series_the_one_that_answers_is_marked_and_its_choice_explained(shown):
    why = "of 3 series, 2 suitable, the best: axial, original, without a named contrast agent"
    chosen = series(name="T1", series="1.2.1")
    sagittal = series("refer", SAGITTAL, name="T1 sag", series="1.2.2", plane="sagittal")
    field_map = series("out_of_distribution", name="B0", series="1.2.3")
    several = study("1.1", chosen, sagittal, field_map, reason=why)
    single, slice_ = volume("/data/t1.nii.gz")
    slices = [
        Finding(Path(f"/data/head/{n}"), 0, "answer", 1.0, study="1.1", series=f"1.2.{n}")
        for n in (1, 2, 3)
    ]
    lines, text, _ = shown(several, single, slices=[*slices, slice_])
    assert lines[1].startswith("t1.nii.gz axial ")
    assert lines[2] == "head yes 0.968 1"
    assert lines[3] == "> T1 axial 79 of 114 5 yes 0.968"
    assert lines[4] == "T1 sag sagittal 79 of 114 5 refer 0.968 2"
    assert lines[5] == "B0 axial 79 of 114 5 no answer 3"
    assert f" 1 {why} 2 {SAGITTAL} 3 {MOSTLY_UNLIKE} {LEGEND}; >: the series that answers" in text


def test_series_of_the_same_description_are_told_apart_by_their_uids(shown):
    pair = [series(series=uid) for uid in ("1.2.1", "1.2.2")]
    slices = [Finding(Path(f"/data/head/{uid}"), 0, "answer", 1.0, study="1.1", series=uid)
              for uid in ("1.2.1", "1.2.2")]  # fmt: skip
    lines, _, _ = shown(study("1.1", *pair), slices=slices)
    assert lines[2].startswith("> T1, 1.2.1 axial ")
    assert lines[3].startswith("T1, 1.2.2 axial ")


def test_a_study_of_several_series_without_a_suitable_one_has_no_answer(shown):
    rejected = [series("out_of_distribution", name=f"B{n}", series=f"1.2.{n}") for n in range(2)]
    slices = [Finding(Path(f"/data/head/{n}"), 0, "answer", 1.0, study="1.1", series=f"1.2.{n}")
              for n in range(2)]  # fmt: skip
    none = StudyFinding("1.1", tuple(rejected), None, "no suitable series: 79 of 79 slices")
    lines, text, _ = shown(none, slices=slices)
    assert lines[1] == "head no answer 1"
    assert " 1 no suitable series: 79 of 79 slices " in text
    assert not any(">" in line for line in lines[2:4])


def test_slices_of_studies_are_not_listed_but_counted(shown):
    answered, slice_ = volume("/data/t1.nii.gz")
    slices = [replace(slice_, index=n) for n in range(114)]
    lines, _, remarks = shown(answered, slices=slices)
    assert sum("t1.nii.gz" in line for line in lines) == 1
    assert "Answers for the 114 slices of these studies: --csv or --json" in remarks
    assert NOTICE in remarks


def test_single_slices_are_a_table_of_their_own(shown):
    yes = Finding(Path("/data/a.png"), 0, "answer", 1.0, label="yes", probability=0.9)
    slices = [
        yes,
        replace(yes, path=Path("/data/b.dcm"), index=3, status="refer", probability=0.61),
        replace(yes, path=Path("/data/c.dcm"), status="refer", reason=SAGITTAL),
        Finding(Path("/data/e.jpg"), 0, "out_of_distribution", 99.0),
    ]
    lines, text, remarks = shown(slices=slices)
    assert lines[:5] == [
        "slice answer p(yes) why",
        "a.png yes 0.900",
        "b.dcm#3 refer 0.610 1",
        "c.dcm refer 0.900 2",
        "e.jpg no answer 3",
    ]
    assert text.endswith(f"1 {INCONCLUSIVE} 2 {SAGITTAL} 3 {UNLIKE}")
    assert "--csv" not in remarks


def test_of_several_classes_the_suggested_one_is_named(shown):
    answer = Finding(Path("/data/a.png"), 0, "answer", 1.0, label="glioma", probability=0.9)
    referred = replace(answer, path=Path("/data/b.png"), status="refer")
    lines, _, _ = shown(slices=[answer, referred], classes=("healthy", "glioma", "pituitary"))
    assert lines[:3] == [
        "slice answer p(label) why",
        "a.png glioma 0.900",
        "b.png refer (glioma) 0.900 1",
    ]


def test_brackets_in_names_are_shown_as_they_are(shown):
    slice_ = Finding(Path("/data/[bold]a.png"), 0, "answer", 1.0, label="[x]", probability=0.9)
    lines, text, remarks = shown(
        slices=[slice_], classes=("no", "[x]"),
        left_out=[LeftOut(Path("/data/[red].txt"), "'/data/[red].txt' is no image.")],
    )  # fmt: skip
    assert "p([x])" in lines[0]
    assert "[bold]a.png [x]" in text
    assert "'[red].txt' is no image." in remarks


def test_a_long_name_is_shown_whole(shown):
    name = "healthy_mni152_2mm_with_scalp_and_much_more.nii.gz"
    answered, slice_ = volume(f"/data/{name}")
    lines, _, _ = shown(answered, slices=[slice_])
    assert "".join(line.split()[0] for line in lines[1:3]) == name


# What was left out


def left_out(path, problem, n=None):
    return LeftOut(Path(path), problem.format(path), n)


def test_each_file_that_was_left_out_is_named_with_the_reason(shown):
    _, _, remarks = shown(
        left_out=[
            left_out("/data/x/ct.dcm", "'{}' is left out: a CT image, not MR."),
            left_out("/data/x/b0.dcm", "32 of 64 slices of '{}' are left out: a field map.", 32),
            left_out("/data/x/b0.dcm", "1 of 64 slices of '{}' are left out: blank.", 1),
        ]
    )
    assert "Warning: 2 files were left out, whole or in part." in remarks
    for sentence in (
        "- 'ct.dcm' is left out: a CT image, not MR.",
        "- 32 of 64 slices of 'b0.dcm' are left out: a field map.",
        "- 1 of 64 slices of 'b0.dcm' are left out: blank.",
    ):
        assert sentence in remarks


def test_a_reason_that_files_share_is_said_once_with_the_first_of_them(shown):
    again = "'{}' is left out: another time point."
    files = [left_out(f"/data/{n:02d}.dcm", again) for n in range(17)]
    _, _, remarks = shown(left_out=files)
    assert "- '00.dcm' is left out: another time point. The same holds for 16 more files." in (
        remarks
    )
    assert remarks.count("another time point") == 1


def test_of_many_different_reasons_the_first_are_told(shown):
    files = [left_out(f"/data/{n:02d}.dcm", "'{}' can't be read: " + f"{n}.") for n in range(25)]
    _, _, remarks = shown(left_out=files)
    assert "can't be read: 19." in remarks
    assert "can't be read: 20." not in remarks
    assert "- 5 more, for other reasons: --csv and --json name them all." in remarks


def test_where_nothing_was_left_out_nothing_is_said_of_it(shown):
    assert shown(slices=[Finding(Path("a.png"), 0, "out_of_distribution", 9.0)])[2] == NOTICE


SITE = SiteCheck(
    "different", 40, 40, 0.0004, (Difference("brightness", 0.4, 0.2, 2.0),), 0.9
)  # fmt: skip


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (
            SITE,
            "Warning: As a set, these 40 slices (40 groups) differ from the training slices (p < ",
        ),
        (replace(SITE, outcome="not different", p_value=0.3), "As a set, these 40 slices"),
        (replace(SITE, outcome="not checked", p_value=None, reason="x"), "was not checked: x."),
    ],
    ids=["different", "not different", "not checked"],
)
def test_what_the_site_check_found_is_said_of_30_slices_or_more(site, said, capsys):
    one = Finding(Path("a.png"), 0, "out_of_distribution", 9.0)
    for n, is_said in ((40, True), (29, False)):
        show_findings(Findings(CLASSES, (one,) * n, site=site))
        assert (said in " ".join(capsys.readouterr().err.split())) == is_said
