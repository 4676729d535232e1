"""Log lines carry an event and its fields, for people and for machines."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from aimem.config import LogConfig, LogFormat, LogLevel
from aimem.errors import InvalidRequest, Unavailable
from aimem.supervisor.logs import set_up_logging, set_up_logging_of_command

log = logging.getLogger("aimem.test")
SECRET = "the-name-of-the-cat"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("aimem")
    before, hook = (root.handlers[:], root.level, ours.level), sys.unraisablehook
    yield
    sys.unraisablehook = hook
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


def test_text_line_shows_fields_and_escapes_what_could_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(), {})
    log.info("peer.lagging", extra={"peer": "b", "reason": "line\nforged", "count": 3})
    assert capsys.readouterr().err.endswith('Z info peer.lagging peer=b reason="line\\nforged" count=3\n')


def test_text_line_shows_a_table_as_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(), {})
    log.info("node.ended", extra={"restarts": {"store": 0, "indexer": 2}})
    assert capsys.readouterr().err.endswith("Z info node.ended restarts=store:0,indexer:2\n")


def test_json_line_is_one_object_with_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(format=LogFormat.JSON), {})
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("task.failed", extra={"task": "x", "odd": {1}})
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "task.failed" and line["task"] == "x"
    assert line["exception"].startswith("  File ") and line["exception"].endswith("\nValueError")


def test_libraries_speak_only_of_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(level=LogLevel.DEBUG), {})
    logging.getLogger("httpx").info("a request")
    log.debug("seen")
    assert "seen" in capsys.readouterr().err


def fail_quoting(text: str) -> None:
    """As code does that was handed a memory: an error behind another, in a group."""
    errors: list[Exception] = []
    for kind in (KeyError, UnicodeError, InvalidRequest):
        try:
            try:
                json.loads(text)
            except ValueError as error:
                raise kind(text) from error
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup(text, errors)


@pytest.mark.parametrize("form", list(LogFormat))
def test_what_an_exception_quotes_is_not_written(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(format=form, level=LogLevel.DEBUG), {})
    try:
        fail_quoting(f"{{{SECRET}")
    except ExceptionGroup:
        log.exception("task.failed")
    said = capsys.readouterr().err
    assert SECRET not in said
    for kind in ("JSONDecodeError", "which led to:", "KeyError", "UnicodeError", "InvalidRequest", "in fail_quoting"):
        assert kind in said


def test_what_the_machine_did_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(), {})
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise Unavailable("the disk of /m.db is full") from error
    except Unavailable:
        log.exception("task.failed")
    said = capsys.readouterr().err
    assert "\nOSError: No space left on device\nwhich led to:\n" in said
    assert said.endswith("\nUnavailable: the disk of /m.db is full\n")


def test_an_error_in_a_destructor_is_a_line_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    set_up_logging(LogConfig(), {})
    Failing()
    said = capsys.readouterr().err
    assert "error python.unraisable\n" in said
    assert said.endswith("\nValueError\n") and SECRET not in said


def test_a_library_is_named_and_not_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(), {})
    logging.getLogger("some.package").warning("cannot read %s", SECRET)
    said = capsys.readouterr().err
    assert "warning library.said library=some.package at=test_logs:" in said
    assert SECRET not in said


def test_all_words_are_written_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(), {"AI_MEMORY_DEBUG": "1"})
    logging.getLogger("some.package").warning("cannot read %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("task.failed")
    assert capsys.readouterr().err.count(SECRET) == 2


def journal_of(stream: IO[str]) -> dict[str, str]:
    found = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


@contextlib.contextmanager
def file_for_stderr(path: Path) -> Iterator[IO[str]]:
    with path.open("w+") as stream, contextlib.redirect_stderr(stream):
        yield stream


def read(stream: IO[str]) -> list[str]:
    stream.seek(0)
    return stream.read().splitlines()


def test_in_the_journal_each_line_has_its_priority_and_no_time(tmp_path: Path) -> None:
    with file_for_stderr(tmp_path / "stderr") as stderr:
        set_up_logging(LogConfig(level=LogLevel.DEBUG), journal_of(stderr))
        for level in ("debug", "info", "warning", "error", "critical"):
            getattr(log, level)("node.said", extra={"count": 1})
        assert read(stderr) == [
            "<7>debug node.said count=1", "<6>info node.said count=1", "<4>warning node.said count=1",
            "<3>error node.said count=1", "<2>critical node.said count=1",
        ]


@pytest.mark.parametrize("words", ["0", "1"])
def test_in_the_journal_a_traceback_keeps_the_priority_of_its_event(words: str, tmp_path: Path) -> None:
    with file_for_stderr(tmp_path / "stderr") as stderr:
        set_up_logging(LogConfig(), {**journal_of(stderr), "AI_MEMORY_DEBUG": words})
        try:
            raise ValueError("a\nb")
        except ValueError:
            log.exception("task.failed")
        lines = read(stderr)
        assert len(lines) > 3
        assert {line[:3] for line in lines} == {"<3>"}


def test_in_the_journal_json_has_a_priority_before_it(tmp_path: Path) -> None:
    with file_for_stderr(tmp_path / "stderr") as stderr:
        set_up_logging(LogConfig(format=LogFormat.JSON), journal_of(stderr))
        log.warning("peer.lost", extra={"peer": "b"})
        [line] = read(stderr)
        assert line.startswith("<4>")
        assert json.loads(line[3:]) == {"level": "warning", "event": "peer.lost", "logger": "aimem.test", "peer": "b"}


@pytest.mark.parametrize("named", ["", "1:2", "nonsense"])
def test_the_journal_of_another_process_is_none(named: str, tmp_path: Path) -> None:
    """It is inherited by whatever a service starts, with stderr elsewhere."""
    with file_for_stderr(tmp_path / "stderr") as stderr:
        set_up_logging(LogConfig(), {"JOURNAL_STREAM": named})
        log.info("node.said")
        assert read(stderr)[0].endswith("Z info node.said")


def test_a_closed_stderr_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    set_up_logging(LogConfig(), {"JOURNAL_STREAM": "1:2"})
    log.info("node.said")
    assert str(sys.stderr.getvalue()).endswith("Z info node.said\n")  # type: ignore[attr-defined]


def test_a_command_logs_nothing_unless_everything_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging_of_command(LogConfig(), {})
    log.error("unseen")
    assert capsys.readouterr().err == ""
    set_up_logging_of_command(LogConfig(level=LogLevel.DEBUG), {})
    log.debug("seen")
    assert "seen" in capsys.readouterr().err
