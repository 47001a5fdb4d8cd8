"""A run's log is a JSON object a line."""

import json
import logging

import pytest

from falx.logs import logged_to


def test_what_falx_says_inside_the_block_is_kept(tmp_path):
    file = tmp_path / "log.jsonl"
    logging.getLogger("falx.data").info("before")
    with logged_to(file):
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


def test_a_log_that_can_not_be_written_stops_the_run(monkeypatch):
    with pytest.raises(OSError, match="No space left"), logged_to("/dev/full"):
        logging.getLogger("falx").info("anything")
