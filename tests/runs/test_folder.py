"""A run folder is whole or has the suffix `.partial`; the same request takes it up again."""

import re

import pytest
from filelock import FileLock

from falx.errors import BadInput
from falx.runs.folder import final_path, new_folder, run_folder, stamped

REQUEST = {"seed": 0, "data": "abc"}


class Killed(Exception):
    pass


def killed():
    return pytest.raises(Killed)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def begun(out, request=REQUEST, **options):
    """A run that was killed after its first checkpoint."""
    with killed(), run_folder(out, "name", request, **options) as folder:
        (folder / "checkpoints" / "state").touch()
        (folder / "file").write_text("first")
        raise Killed
    return folder


def test_a_whole_run_has_its_name_and_only_what_was_written(tmp_path):
    out = tmp_path / "run"
    with run_folder(out, "name", REQUEST) as folder:
        assert folder == tmp_path / "run.partial"
        assert final_path(folder) == out
        assert not out.exists()
        (folder / "checkpoints" / "state").touch()
        (folder / "file").touch()
    assert [path.name for path in out.iterdir()] == ["file"]
    assert not folder.exists()


def test_a_killed_run_stays_and_the_same_request_goes_on(tmp_path):
    begun(tmp_path / "run")
    with run_folder(tmp_path / "run", "name", REQUEST) as folder:
        assert (folder / "file").read_text() == "first"
    assert (tmp_path / "run" / "file").is_file()


def test_a_run_that_was_killed_before_its_first_checkpoint_leaves_nothing(tmp_path):
    with killed(), run_folder(tmp_path / "run", "name", REQUEST):
        raise Killed
    assert list(tmp_path.iterdir()) == []


def test_without_a_name_the_unfinished_run_of_the_same_request_is_found():
    unfinished = begun(None)
    begun(None, {"seed": 1})
    with run_folder(None, "name", REQUEST) as folder:
        assert folder == unfinished


def test_another_request_does_not_take_up_a_run(tmp_path):
    begun(tmp_path / "run")
    with (
        pytest.raises(BadInput, match="unfinished training with other settings"),
        run_folder(tmp_path / "run", "name", {"seed": 1}),
    ):
        pass


def test_starting_over_forgets_the_unfinished_run(tmp_path):
    begun(tmp_path / "run")
    with run_folder(tmp_path / "run", "name", {"seed": 1}, resume=False) as folder:
        assert not (folder / "file").exists()


def test_demanding_to_resume_needs_something_to_resume(tmp_path):
    with (
        pytest.raises(BadInput, match="no unfinished training of this request"),
        run_folder(tmp_path / "run", "name", REQUEST, resume=True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_is_not_touched(tmp_path):
    (tmp_path / "run").mkdir()
    with (
        pytest.raises(BadInput, match="exists already"),
        run_folder(tmp_path / "run", "n", REQUEST),
    ):
        pass


def test_two_processes_do_not_fill_one_folder(tmp_path):
    folder = begun(tmp_path / "run")
    with (
        FileLock(folder / ".lock"),
        pytest.raises(BadInput, match="Another falx is at work"),
        run_folder(tmp_path / "run", "name", REQUEST),
    ):
        pass


def test_a_new_folder_is_whole_or_absent(tmp_path):
    with killed(), new_folder(tmp_path / "out", "the evaluation") as folder:
        (folder / "file").touch()
        raise Killed
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "out", "the evaluation") as folder:
        (folder / "file").touch()
    assert (tmp_path / "out" / "file").is_file()
    with pytest.raises(BadInput, match="exists already"), new_folder(tmp_path / "out", "it"):
        pass


def test_names_tell_the_time_and_differ():
    first = stamped("lite-data")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{4}-lite-data", first.name)
    first.mkdir(parents=True)
    second = stamped("lite-data")
    second.with_name(f"{second.name}.partial").mkdir()
    assert len({first, second, stamped("lite-data")}) == 3


def test_starting_over_does_not_touch_a_run_that_another_process_fills(tmp_path):
    folder = begun(tmp_path / "run")
    with (
        FileLock(folder / ".lock"),
        pytest.raises(BadInput, match="Another falx is at work"),
        run_folder(tmp_path / "run", "name", {"seed": 1}, resume=False),
    ):
        pass
    assert (folder / "file").read_text() == "first"


def test_a_new_folder_leaves_an_unfinished_run_of_its_name_alone(tmp_path):
    folder = begun(tmp_path / "run")
    with new_folder(tmp_path / "run", "the evaluation"):
        pass
    assert (folder / "file").is_file()


def test_a_file_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(BadInput, match="a file is in its way"),
        run_folder(tmp_path / "file" / "run", "n", REQUEST),
    ):
        pass
