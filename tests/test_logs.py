"""The log of a run has one JSON object per line."""

import json
import logging
import os
import sys

import pytest

from falx.logs import log_to_file, redirect_stderr, silence_native_stderr


def test_messages_of_falx_inside_the_block_are_logged(tmp_path):
    file = tmp_path / "log.jsonl"
    logging.getLogger("falx.data").info("before")
    with log_to_file(file):
        logging.getLogger("falx.data").info("%d slices", 3)
        logging.getLogger("other").warning("not ours")
        try:
            raise ValueError("oh")
        except ValueError:
            logging.getLogger("falx").exception("failed")
    logging.getLogger("falx.data").info("after")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["level"], first["module"], first["message"]) == ("info", "falx.data", "3 slices")
    assert first["time"].endswith("+00:00")
    assert "ValueError: oh" in second["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_log_that_cannot_be_written_stops_the_run():
    with pytest.raises(OSError, match="No space left"), log_to_file("/dev/full"):
        logging.getLogger("falx").info("anything")


def test_a_second_block_appends_to_the_file(tmp_path):
    file = tmp_path / "log.jsonl"
    for message in ("started", "resumed: 脳"):
        with log_to_file(file):
            logging.getLogger("falx").info(message)
    lines = file.read_text("utf-8").splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["started", "resumed: 脳"]


def test_a_message_of_several_lines_is_one_line_of_the_log(tmp_path):
    file = tmp_path / "log.jsonl"
    with log_to_file(file):
        logging.getLogger("falx").warning("one\ntwo")
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["message"] == "one\ntwo"


@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG, logging.ERROR])
def test_the_logger_is_restored(tmp_path, level):
    logger = logging.getLogger("falx")
    before, handlers = logger.level, list(logger.handlers)
    logger.setLevel(level)
    try:
        with log_to_file(tmp_path / "log.jsonl"):
            logger.info("anything")
        assert (logger.level, logger.handlers) == (level, handlers)
    finally:
        logger.setLevel(before)
    assert json.loads((tmp_path / "log.jsonl").read_text())["message"] == "anything"


def test_the_log_is_closed_if_the_block_fails(tmp_path):
    handlers = list(logging.getLogger("falx").handlers)
    with (
        pytest.raises(RuntimeError, match="in the block"),
        log_to_file(tmp_path / "log.jsonl"),
    ):
        raise RuntimeError("in the block")
    assert logging.getLogger("falx").handlers == handlers


def test_native_output_is_redirected_inside_the_block_and_restored(tmp_path, capfd):
    with (tmp_path / "errors").open("w+b") as file:
        with redirect_stderr(file):
            os.write(2, b"inside")
        os.write(2, b"after")
    assert (tmp_path / "errors").read_bytes() == b"inside"
    assert capfd.readouterr().err == "after"


def test_native_output_can_be_silenced(capfd):
    with silence_native_stderr():
        os.write(2, b"inside")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
