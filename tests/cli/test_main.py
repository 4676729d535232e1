"""The command line's edges: usage, settings, exit statuses, and what happens when things go wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from aimem.cli import ExitStatus, Surroundings, main
from aimem.cli.commands import memories
from aimem.cli.context import Context
from aimem.cli.exits import MEANING, status_of
from aimem.cli.main import command_of
from aimem.cli.verbs import VERBS, within
from aimem.client.failures import FAMILY_OF_CODE
from aimem.errors import AimemError, Code, Denied, NotFound, Unavailable, leaves
from tests.cli.fakes import MEMORY, FakeRuntime, Machine, error_answer, failing

LIST = {"memories": [], "count": 0}
EXPECTED_STATUS = {
    "invalid_request": 2, "unauthenticated": 4, "denied": 4, "not_found": 5, "gone": 5, "conflict": 6,
    "approval_required": 3, "quota_exceeded": 7, "unavailable": 7, "corrupt": 1, "internal": 1,
}


def test_alone_and_with_help_it_prints_help(machine: Machine) -> None:
    alone, asked = machine.run(), machine.run("--help")
    assert (alone.status, asked.status) == (ExitStatus.OK, ExitStatus.OK)
    assert alone.out == asked.out
    for verb in VERBS:
        assert f"    {verb.name} " in alone.out


def test_the_help_fits_a_terminal_of_80_columns(machine: Machine) -> None:
    assert max(len(line) for line in machine.run("--help", environ={"COLUMNS": "80"}).out.splitlines()) <= 80


def test_every_verb_has_help(machine: Machine) -> None:
    for verb in VERBS:
        for path, _ in within(verb):
            shown = machine.run(*path.split(), "--help")
            assert (shown.status, shown.err) == (ExitStatus.OK, "")
            assert shown.out.startswith(f"usage: ai-memory {path}")


def test_the_version_is_printed(machine: Machine) -> None:
    for flag in ("--version", "-V", "-v"):
        assert machine.run(flag).out == "ai-memory 0.1.0\n"


def test_help_is_also_a_verb(machine: Machine) -> None:
    assert machine.run("help").out == machine.run("--help").out
    assert machine.run("help", "archive", "restore").out == machine.run("archive", "restore", "--help").out


@pytest.mark.parametrize(("argv", "environ"), [
    (("--db", "typo.db", "list"), {}), (("recall", "x"), {"AI_MEMORY_DB": "typo.db"}),
    (("status", "--db", "typo.db"), {}), (("archive", "list", "--db", "typo.db"), {}),
    (("--db", "typo.db", "delete", "x-1"), {}),
])
def test_a_named_database_that_is_not_there_is_not_begun_by_who_looks_into_it(
    machine: Machine, argv: tuple[str, ...], environ: Mapping[str, str]
) -> None:
    refused = machine.run(*argv, environ=environ)
    named_by = "AI_MEMORY_DB" if environ else "--db"
    assert (refused.status, refused.runtime.requests) == (ExitStatus.NOT_FOUND, [])
    assert refused.err == (
        f"ai-memory: error: no database at {machine.cwd / 'typo.db'} (named by {named_by}); `store` or `serve` would "
        "create it\n")


def test_a_database_that_cannot_be_looked_for_is_named_with_the_reason(machine: Machine) -> None:
    refused = machine.run("--db", "a" * 300, "list")
    assert (refused.status, refused.runtime.requests) == (ExitStatus.UNAVAILABLE, [])
    assert refused.err.startswith("ai-memory: error: cannot look for ")
    assert refused.err.endswith("(named by --db): File name too long\n")


def test_an_argument_that_is_no_utf_8_is_refused_in_json_too(machine: Machine) -> None:
    """Such bytes reach us as halves of surrogate pairs, which JSON cannot hold."""
    refused = machine.run("--json", "import", os.fsdecode(b"\xff\x9b31m.json"))
    assert refused.status == ExitStatus.INVALID
    assert "\\udcff\\udc9b31m.json cannot be read" in json.loads(refused.err)["error"]


def test_an_error_is_json_where_data_is(machine: Machine) -> None:
    refused = machine.run("--json", "store", "-c", "c", "--expires-at", "x", "--ttl-secs", "1")
    assert json.loads(refused.err)["code"] == "invalid_request"
    answered = machine.run("get", "3f2a", "--json", handler=lambda request: httpx.Response(
        400, json={"error": "it fits two", "code": "ambiguous_id", "field": "id", "ids": ["a", "b"]}))
    assert json.loads(answered.err) == {
        "error": "it fits two", "code": "ambiguous_id", "field": "id", "ids": ["a", "b"]}
    assert (answered.status, answered.out) == (ExitStatus.INVALID, "")


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_output_that_cannot_be_written_is_said_once(machine: Machine, argv: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        err = io.StringIO()
        around = Surroundings(
            stdin=io.BytesIO(), stdout=full, stderr=err, environ=machine.environ, cwd=machine.cwd, home=machine.home,
            host="h", pid=1, program=("x",), now=lambda: None, rng=lambda: None)  # type: ignore[arg-type, return-value]
        assert main(argv, FakeRuntime(failing(ValueError())), around) == ExitStatus.OTHER
    assert err.getvalue() == "ai-memory: error: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize(("line", "reason"), [
    ("stroe x", "error: 'stroe' is no verb; did you mean store?; see `ai-memory --help`"),
    ("zzz", "error: 'zzz' is no verb; see `ai-memory --help`"),
    ("namespace zzz", "error: 'zzz' is no verb of namespace; allowed are set-standard, "),
    ("agents key lst", "'lst' is no verb of agents key; allowed are add, list, rotate, revoke; did you mean list?"),
    ("help stroe", "error: 'stroe' is no verb"),
    ("list --tags a,b", "argument --tags: 'a,b' has a comma; give one tag"),
    ("store -c c --ttl-secs 5 --expires-at 2030-01-01T00:00:00Z", "--expires-at excludes --ttl-secs"),
    ("list --limti 3", "unknown argument --limti; did you mean --limit?; see `ai-memory list --help`"),
    ("list --tier shrot", "--tier: 'shrot' is unknown; allowed are short, mid, long; did you mean short?"),
    ("recall x --tier huge", "error: --tier is 'huge'; allowed are keyword, semantic, smart, autonomous"),
    ("list --limit 1_0", "invalid integer value: '1_0'"),
    ("list --limit 99999999999999999999", "invalid integer value"),
    ("store -T t -c c --confidence nan", "invalid number value: 'nan'"),
    ("store -T t", "required: --content/-c"),
    ("get", "required: id"),
    ("agents register a --agent-type ai:x", "quotes keep words together; see `ai-memory agents register --help`"),
    ("get a b", "'b' is one argument too many; quotes keep words together; see `ai-memory get --help`"),
    ("migrate --from x", "error: migrate of v0.6.3 is not there yet; see ai-memory-compat(7)"),
    ("serve --tls-cert=c.pem", "error: --tls-cert is given without --tls-key"),
    ("--db-passphrase-file x list", "error: --db-passphrase-file of v0.6.3 is not there yet"),
    ("archive", "archive needs one of add, list, restore, purge, stats"),
    ("archive purge", "archive purge needs --older-than-days N or --all"),
    ("archive purge --all --older-than-days 1", "archive purge needs --older-than-days N or --all"),
    ("link a b -r likes", "--relation: 'likes' is unknown"),
    ("serve --bind 127.0.0.1:1 --port 2", "--bind and --port: bind excludes port"),
    ("serve --bind 127.0.0.1:1 --host h", "--bind and --host: bind excludes host"),
    ("serve --port 70000", "error: --port is 70000; allowed is 0 to 65535"),
    ("list --port 1", "unknown argument --port"),
    ("--agent-id a$b list", "--agent-id: 'a$b' is an invalid agent id"),
    ("--config missing.toml list", "no such configuration file"),
    ("--db", "argument --db: expected one argument"),
])
def test_wrong_usage_is_one_sentence_and_status_2(machine: Machine, line: str, reason: str) -> None:
    refused = machine.run(*line.split())
    assert (refused.status, refused.out, refused.runtime.requests) == (ExitStatus.INVALID, "", [])
    assert refused.err.startswith("ai-memory: error: ")
    assert refused.err.count("\n") == 1
    assert reason in refused.err


@pytest.mark.parametrize("line", ["--db a.db --json list", "list --db a.db --json", "--db b.db list --db a.db --json"])
def test_global_flags_may_stand_before_or_after_the_verb(machine: Machine, line: str) -> None:
    (machine.cwd / "a.db").touch()
    listed = machine.run(*line.split(), answer=LIST)
    assert listed.json == LIST
    assert listed.runtime.config is not None
    assert listed.runtime.config.store.db == machine.cwd / "a.db"


def test_the_filter_agent_id_is_not_the_caller_s(machine: Machine) -> None:
    listed = machine.run("--agent-id", "me", "list", "--agent-id", "other", answer=LIST)
    assert listed.request.headers["X-Agent-Id"] == "me"
    assert listed.request.url.params["agent_id"] == "other"


@pytest.mark.parametrize(("environ", "expected"), [
    ({"AI_MEMORY_AGENT_ID": "env"}, "env"),
    ({"AI_MEMORY_ANONYMIZE": "yes"}, "anonymous:pid-42-"),
    ({}, "host:box-one:pid-42-"),
])
def test_the_caller_s_id_comes_from_the_environment_or_is_made(
    machine: Machine, environ: Mapping[str, str], expected: str
) -> None:
    asked = machine.run("list", answer=LIST, environ=environ).request.headers["X-Agent-Id"]
    assert asked.startswith(expected)
    assert len(asked) == len(expected) + (0 if expected == "env" else 8)


def test_a_broken_configuration_stops_every_verb(machine: Machine) -> None:
    (machine.cwd / "c.toml").write_text("api_kye = 'x'\n")
    refused = machine.run("--config", "c.toml", "list")
    assert refused.status == ExitStatus.INVALID
    assert "c.toml, line 1: api_kye is an unknown key; did you mean api_key?" in refused.err


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_an_error_of_the_node_is_a_sentence_and_its_family_s_status(machine: Machine, code: Code) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": "this went\nwrong", "code": code})

    failed = machine.run("delete", "x-1", handler=handler)
    family = FAMILY_OF_CODE[code].family
    assert failed.status == EXPECTED_STATUS[family]
    assert status_of(FAMILY_OF_CODE[code]("x")) == failed.status
    if family != Code.APPROVAL_REQUIRED:
        assert (failed.out, failed.err) == ("", "ai-memory: error: this went wrong\n")


def test_a_queued_action_is_shown_and_has_status_3(machine: Machine) -> None:
    pending = {"status": "pending", "pending_id": "p1", "reason": "ask first", "action": "delete", "namespace": "n"}
    shown = machine.run("delete", "x-1", answer=pending, status=202)
    assert (shown.status, shown.out) == (ExitStatus.PENDING, "")
    assert shown.err == "ai-memory: delete queued for approval: pending_id=p1 ns=n\n"
    printed = machine.run("delete", "x-1", "--json", answer=pending, status=202)
    assert (printed.status, printed.json) == (ExitStatus.PENDING, {**pending, "code": "approval_required"})


@pytest.mark.parametrize(("error", "status", "said"), [
    (KeyboardInterrupt(), 130, ""),
    (BaseExceptionGroup("nursery", [KeyboardInterrupt(), ValueError("x")]), 130, ""),
    (ExceptionGroup("nursery", [ExceptionGroup("inner", [NotFound("no such memory")])]), 5, "error: no such memory"),
    (ExceptionGroup("nursery", [Denied("no")]), 4, "error: no"),
    (BrokenPipeError(errno.EPIPE, "gone"), 141, ""),
    (ZeroDivisionError("boom"), 1, "error: this is a bug in ai-memory (ZeroDivisionError: boom); please report it"),
    (ExceptionGroup("nursery", [NotFound("x"), ValueError("y")]), 1, "error: this is a bug in ai-memory"),
])
def test_a_failure_below_is_translated_and_never_a_traceback(
    machine: Machine, error: BaseException, status: int, said: str
) -> None:
    failed = machine.run("list", handler=failing(error))
    assert failed.status == status
    assert failed.err.startswith(f"ai-memory: {said}" if said else "")
    assert "Traceback" not in failed.err
    assert bool(failed.err) == bool(said)


def test_a_bug_prints_its_traceback_when_asked(machine: Machine) -> None:
    failed = machine.run("list", handler=failing(ZeroDivisionError("boom")), environ={"AI_MEMORY_DEBUG": "1"})
    assert "Traceback" in failed.err


def test_an_unreachable_node_has_status_7_and_says_what_to_do(machine: Machine) -> None:
    failed = machine.run("list", handler=failing(httpx.ConnectError("refused")))
    assert failed.status == ExitStatus.UNAVAILABLE
    assert "start it with `ai-memory serve`" in failed.err


def test_a_reader_that_went_away_is_no_failure_to_report(machine: Machine, tmp_path: object) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as out:
        around = Surroundings(
            stdin=io.BytesIO(), stdout=out, stderr=io.StringIO(), environ=machine.environ, cwd=machine.cwd,
            home=machine.home, host="h", pid=1, program=("x",), now=lambda: None, rng=lambda: None)  # type: ignore[arg-type, return-value]
        assert main(["--help"], FakeRuntime(failing(ValueError())), around) == ExitStatus.BROKEN_PIPE
    # Closing after that did not raise: what was buffered went nowhere.


def test_every_verb_names_a_function_that_exists() -> None:
    for verb in VERBS:
        for _, leaf in within(verb):
            if leaf.run or not leaf.children:
                assert verb.name == "help" or callable(command_of(leaf))


def test_a_group_of_verbs_says_which_there_are(machine: Machine) -> None:
    for group, verbs in (("archive", "add, list, restore"), ("agents key", "add, list, rotate, revoke")):
        shown = machine.run(*group.split())
        assert shown.status == ExitStatus.INVALID
        assert f"{group} needs one of {verbs}" in shown.err
        assert f"`ai-memory {group} --help`" in shown.err


def test_every_status_has_a_meaning() -> None:
    assert set(MEANING) == set(ExitStatus)


def test_help_loads_neither_trio_nor_sqlite_nor_httpx_nor_rich() -> None:
    code = (
        "import sys; from aimem.cli import main\n"
        "main(['store', '--help'], None)\n"
        "heavy = {'trio', 'httpx', 'sqlite3', 'pysqlite3', 'rich', 'cryptography', 'numpy', 'asyncio', 'mcp'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_leaves_are_the_single_errors_of_groups() -> None:
    inner: list[Exception] = [ValueError("a"), Unavailable("b")]
    assert list(leaves(ExceptionGroup("g", [ExceptionGroup("h", inner)]))) == inner


def test_nothing_but_errors_of_ours_is_raised_by_a_verb_s_own_checks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(context: Context) -> int:
        raise AimemError("of no family")

    monkeypatch.setattr(memories, "get", broken)
    assert machine.run("get", "x", answer=MEMORY).status == ExitStatus.OTHER


@pytest.mark.slow
@pytest.mark.parametrize(("line", "status", "said"), [
    ("--help > /dev/full", ExitStatus.OTHER, "the output cannot be written: No space left on device"),
    ("--version >&-", ExitStatus.OTHER, "the output cannot be written: Bad file descriptor"),
    ("--help | true", ExitStatus.OK, ""),     # the status is true's; nothing is said of the pipe
    ("list --nope 2> /dev/full", ExitStatus.INVALID, ""),
    ("list --nope <&- >&- 2>&-", ExitStatus.INVALID, ""),
    ("--help <&- 2>&- > /dev/null", ExitStatus.OK, ""),
    ("import nothing.json <&-", ExitStatus.INVALID, "nothing.json cannot be read"),
])
def test_a_stream_that_is_closed_or_full_is_a_sentence_and_a_status(line: str, status: int, said: str) -> None:
    shell = f"{sys.executable} -m aimem {line}"
    run = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=False)
    assert run.returncode == status
    assert run.stderr.count("\n") == bool(said)
    assert said in run.stderr


def test_closed_streams_leave_their_numbers_to_nobody_else() -> None:
    code = (
        "import os; from aimem.cli.surroundings import system_surroundings; system_surroundings();"
        "raise SystemExit(os.open('/dev/null', os.O_RDONLY) - 3)")
    shell = f"{sys.executable} -c \"{code}\" <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", shell], check=False).returncode == 0


@pytest.mark.parametrize(("error", "said"), [
    (Unavailable("x; retry with the same Idempotency-Key", code=Code.QUORUM_NOT_MET, outcome="indeterminate", got=1,
                 needed=2, version="s:7", acked_by=["a"], waiting_for={}),
     ("1 of 2 nodes", "version s:7", "GET /api/v1/writes/s:7", "under the same title again is safe")),
    (Unavailable("x; a write with the same Idempotency-Key", code=Code.DEADLINE_EXCEEDED, outcome="indeterminate"),
     ("whether it was done", "under the same title again is safe")),
    (Unavailable("a write needs 2 nodes", code=Code.QUORUM_NOT_MET, outcome="not_applied"), ("a write needs 2 nodes",)),
])
def test_of_a_write_that_may_be_done_it_says_what_to_do_at_a_shell(
    machine: Machine, error: Unavailable, said: tuple[str, ...]
) -> None:
    for as_json in ((), ("--json",)):
        ran = machine.run("store", "-T", "t", "-c", "x", *as_json, handler=error_answer(error, 503))
        assert ran.status == ExitStatus.UNAVAILABLE
        assert all(part in ran.err for part in said), ran.err
        assert "Idempotency-Key" not in ran.err
