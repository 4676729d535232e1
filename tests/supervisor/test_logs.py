"""Log lines carry an event and its fields, for people and for machines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from aimem.config import LogConfig, LogFormat, LogLevel
from aimem.supervisor.logs import set_up_logging, set_up_logging_of_command

log = logging.getLogger("aimem.test")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("aimem")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


def test_text_line_shows_fields_and_escapes_what_could_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig())
    log.info("peer.lagging", extra={"peer": "b", "reason": "line\nforged", "count": 3})
    assert capsys.readouterr().err.endswith('Z info peer.lagging peer=b reason="line\\nforged" count=3\n')


def test_text_line_shows_a_table_as_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig())
    log.info("node.ended", extra={"restarts": {"store": 0, "indexer": 2}})
    assert capsys.readouterr().err.endswith("Z info node.ended restarts=store:0,indexer:2\n")


def test_json_line_is_one_object_with_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(format=LogFormat.JSON))
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("task.failed", extra={"task": "x", "odd": {1}})
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "task.failed" and line["task"] == "x" and "ValueError: why" in line["exception"]


def test_libraries_speak_only_of_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(level=LogLevel.DEBUG))
    logging.getLogger("httpx").info("a request")
    log.debug("seen")
    assert "seen" in capsys.readouterr().err


def test_a_command_logs_nothing_unless_everything_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging_of_command(LogConfig())
    log.error("unseen")
    assert capsys.readouterr().err == ""
    set_up_logging_of_command(LogConfig(level=LogLevel.DEBUG))
    log.debug("seen")
    assert "seen" in capsys.readouterr().err
