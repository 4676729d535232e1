"""The shell: verbs line by line, piped and at a terminal."""

from __future__ import annotations

import builtins
import io
import json
import sys
from collections.abc import Callable
from urllib.parse import parse_qs

import httpx
import pytest

from aimem.cli import ExitStatus
from aimem.cli.commands.shell import LINE_MAX_BYTES
from tests.cli.fakes import MEMORY, NOW, FakeRuntime, Machine, Outcome, Stream

ID = str(MEMORY["id"])
RECALLED = {"memories": [], "count": 0, "tokens_used": 0, "mode": "hybrid", "below_floor": 0}
FOUND = {"results": [], "memories": [], "count": 0, "query": "x"}
LISTED = {"memories": [MEMORY], "count": 1}


def node(request: httpx.Request) -> httpx.Response:
    """A node that answers every verb of these tests."""
    path = request.url.path.removeprefix("/api/v1")
    answers: dict[str, object] = {
        "/recall": RECALLED, "/search": FOUND, "/memories": LISTED, "/namespaces": {"namespaces": []},
        "/index": {"mode": "hybrid", "model": "m", "embedding_backlog": 0, "embedded": 0, "reason": ""},
    }
    if request.method == "DELETE":
        return httpx.Response(200, json={"deleted": True, "id": ID})
    if path.startswith("/memories/"):
        if not ID.startswith(path.removeprefix("/memories/")):
            return httpx.Response(404, json={"error": "not found", "code": "not_found"})
        return httpx.Response(200, json={**MEMORY, "memory": MEMORY, "links": []})
    if request.method == "POST" and path == "/memories":
        return httpx.Response(201, json={
            "id": ID, "tier": "mid", "namespace": "n", "title": "t", "agent_id": "a", "action": "created",
            "version": "s:1"})
    return httpx.Response(200, json=answers[path])


def piped(machine: Machine, *lines: str, flags: tuple[str, ...] = ()) -> Outcome:
    return machine.run(*flags, "shell", stdin="".join(line + "\n" for line in lines).encode(), handler=node)


def asked(outcome: Outcome) -> list[str]:
    return [f"{request.method} {request.url.path.removeprefix('/api/v1')}" for request in outcome.runtime.requests]


def contexts(outcome: Outcome) -> list[str]:
    return [json.loads(request.content)["context"] for request in outcome.runtime.requests]


def test_verbs_and_their_short_forms_are_carried_out_line_by_line(machine: Machine) -> None:
    done = piped(machine, "ls project", "", "# a remark", "list -n other --limit 3", "ns", "s sqlite", "rm " + ID, "q",
                 "stats")
    assert done.status == ExitStatus.OK, done.err
    assert asked(done) == [
        "GET /memories", "GET /memories", "GET /namespaces", "GET /search", f"DELETE /memories/{ID}"]
    queries = [parse_qs(request.url.query.decode()) for request in done.runtime.requests[:2]]
    assert [query["namespace"] for query in queries] == [["project"], ["other"]]
    assert f"deleted: {ID}" in done.out


def test_what_is_looked_for_needs_no_quotes_and_may_stand_around_options(machine: Machine) -> None:
    done = piped(
        machine, "recall which database?", "r -n a/b what's up --limit 3", 'r "quoted words" -- more', "r -5 degrees")
    assert contexts(done) == ["which database?", "what's up", "quoted words -- more", "-5 degrees"]
    second = json.loads(done.runtime.requests[1].content)
    assert (second["namespace"], second["limit"]) == ("a/b", 3)


def test_every_line_has_the_flags_of_the_shell_and_one_author(machine: Machine) -> None:
    (machine.cwd / "here.db").touch()
    done = piped(machine, "store -c x -n n", "store -c y -n n", "ls", flags=("--json", "--db", "here.db"))
    assert done.status == ExitStatus.OK, done.err
    assert done.runtime.config is not None
    assert done.runtime.config.store.db == machine.cwd / "here.db"
    agents = {request.headers["X-Agent-Id"] for request in done.runtime.requests}
    assert len(agents) == 1
    assert agents.pop().startswith("host:box-one:pid-42-")
    assert '"next_cursor"' not in done.out and '"count": 1' in done.out


def test_a_failed_line_does_not_end_the_shell_and_is_its_exit_status(machine: Machine) -> None:
    done = piped(machine, "get nothing", "frobnicate", "store -c 'open", "serve", "get 3f2a", "ls")
    assert done.status == ExitStatus.INVALID
    assert asked(done) == ["GET /memories/nothing", "GET /memories/3f2a", "GET /memories"]
    assert "'frobnicate' is no verb" in done.err
    assert "close the quotation" in done.err
    assert "serve is no verb of the shell" in done.err


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_that_is_too_long_is_left_out_whole(machine: Machine, end: str) -> None:
    """Its rest is no line of its own: what stands there may be anything, such as a command in a quoted text."""
    long = "store -c 'a" + " a" * LINE_MAX_BYTES + f"\u2028 delete {ID}" * 3
    done = machine.run("shell", stdin=f"ls\n{long}{end}".encode(), handler=node)
    assert (done.status, asked(done)) == (ExitStatus.INVALID, ["GET /memories"])
    assert done.err.endswith("ai-memory: error: a line has more than 262144 bytes; it was left out\n")


def test_a_quotation_that_stays_open_is_a_failure(machine: Machine) -> None:
    assert piped(machine, "store -c 'open").status == ExitStatus.INVALID


def test_help_is_its_own_and_each_verb_s(machine: Machine) -> None:
    done = piped(machine, "help", "h recall", "archive --help")
    assert done.status == ExitStatus.OK
    assert done.out.startswith("recall WORDS")
    assert "usage: ai-memory recall" in done.out
    assert "usage: ai-memory archive" in done.out


def test_bytes_that_are_no_text_are_refused_by_the_verb(machine: Machine) -> None:
    done = machine.run("shell", stdin=b"recall \xff\xfe\nls\n", handler=node)
    assert asked(done) == ["GET /memories"]
    assert "UTF-8" in done.err


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_terminal(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs the shell at a terminal where somebody types these lines."""
    import random

    from aimem.cli import Surroundings, main

    def run(*typed: str | BaseException) -> Outcome:
        left = list(typed)

        def ask(prompt: str = "") -> str:
            del prompt
            said = left.pop(0) if left else EOFError()
            if isinstance(said, BaseException):
                raise said
            return said

        monkeypatch.setattr(builtins, "input", ask)
        runtime, out, err = FakeRuntime(node), Stream(terminal=True), Stream(terminal=False)
        around = Surroundings(
            stdin=Terminal(), stdout=out, stderr=err, environ={**machine.environ, "NO_COLOR": "1"}, cwd=machine.cwd,
            home=machine.home, host="box", pid=1, program=("/bin/ai-memory",), now=lambda: NOW,
            rng=lambda: random.Random(1))
        return Outcome(main(["shell"], runtime, around), out.getvalue(), err.getvalue(), runtime)

    return run


@pytest.mark.parametrize(("answer", "is_deleted"), [("y", True), ("YES ", True), ("", False), ("n", False)])
def test_delete_shows_what_goes_and_asks(at_terminal: Callable[..., Outcome], answer: str, is_deleted: bool) -> None:
    done = at_terminal("del 3f2a", answer)
    assert f"{ID} [mid] (ns=project) Database" in done.out
    assert asked(done) == ["GET /memories/3f2a"] + [f"DELETE /memories/{ID}"] * is_deleted
    assert ("nothing is deleted" in done.err) is not is_deleted


def test_delete_of_what_is_not_there_says_so(at_terminal: Callable[..., Outcome]) -> None:
    done = at_terminal("rm ffff")
    assert "error: not found" in done.err
    assert not any(line.startswith("DELETE") for line in asked(done))


def test_a_python_without_readline_asks_as_well(
    at_terminal: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "readline", None)
    assert asked(at_terminal("ns")) == ["GET /namespaces"]


def test_an_interrupt_gives_up_the_line_and_the_end_of_input_leaves(at_terminal: Callable[..., Outcome]) -> None:
    done = at_terminal(KeyboardInterrupt(), "ls", "del 3f2a", KeyboardInterrupt(), "get nothing", "ns")
    assert done.status == ExitStatus.OK
    assert [line.partition(" ")[0] for line in asked(done)] == ["GET"] * 4
