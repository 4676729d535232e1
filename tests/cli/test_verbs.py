"""Every verb: what it asks the node, and what it prints as JSON and for people."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from aimem.cli import ExitStatus, Purpose
from tests.cli.fakes import MEMORY, Machine

ID = str(MEMORY["id"])
LINK = {"source_id": "a", "target_id": "b", "relation": "supersedes", "created_at": "2026-01-01T00:00:00.000000Z"}
STORED = {
    "id": ID, "tier": "mid", "namespace": "project", "title": "Database", "agent_id": "tester", "action": "created",
    "version": "s:1",
}
RECALLED = {
    "memories": [{**MEMORY, "score": 0.8125}], "count": 1, "tokens_used": 12, "mode": "hybrid", "budget_tokens": 100,
    "below_floor": 0,
}
EXPLAINED = {
    "memories": [{
        **MEMORY, "score": 0.812, "contradicted_by": ["5f0e9c1e-5b0d-4c8e-9f57-0a1b2c3d4e5f"], "explanation": {
            "bm25": {"raw": 7.25, "scaled": 1.0, "rank": 1}, "fused": 0.7, "nearness": 0.5, "time": 0.075, "role": 0.05,
            "priority": 1.0, "confidence": 0.985, "tier": 1.01, "access": 1.0, "recency": 1.025, "proximity": 1.0,
            "final": 0.8123, "moved_by": ["newer_fact"],
        },
    }],
    "count": 1, "tokens_used": 12, "mode": "hybrid", "below_floor": 2, "ranking": {
        "dense_weight": 0.3, "candidates": 100, "considered": 7, "superseded": 1, "nearness_share": 0.15,
        "user_turn_share": 0.05, "meaning_floor": 0.2, "sense_floor": 0.15, "words_floor": 0.5,
        "periods": [{"begin": "2026-01-01T00:00:00.000000Z", "end": "2026-01-02T00:00:00.000000Z"}],
    },
}
SEARCHED = {"results": [MEMORY], "memories": [MEMORY], "count": 1, "query": "sqlite"}
STATS = {
    "total": 3, "by_tier": [{"tier": "mid", "count": 3}], "by_namespace": [{"namespace": "project", "count": 3}],
    "expiring_soon": 1, "links_count": 2, "db_size_bytes": 20_480, "archived": 4, "tombstones": 5,
    "embedding_backlog": 6, "op_log_count": 7,
}
ARCHIVED = {
    "archived": [{**MEMORY, "archived_at": "2026-01-01T23:55:00.000000Z", "archive_reason": "ttl_expired"}], "count": 1,
}

LIST_TABLE = """\
ID        TIER  NAMESPACE  UPDATED  TITLE     CONTENT
3f2a9c1e  mid   project    3h ago   Database  We chose SQLite. It is one file.
"""
RECALL_TABLE = """\
SCORE  ID        TIER  NAMESPACE  UPDATED  TITLE     CONTENT
0.812  3f2a9c1e  mid   project    3h ago   Database  We chose SQLite. It is one file.
"""
EXPLAINED_LINES = """\
ranked 7 candidates, up to 100 by words and by meaning
left out 1 memory that newer ones supersede
favours the time from 2026-01-01T00:00:00.000000Z until before 2026-01-02T00:00:00.000000Z

1. 3f2a9c1e  Database
   score 0.8123 = (relevance 0.7000 + time 0.0750 + role 0.0500) x priority 1.0000 x confidence 0.9850 x tier 1.0100 x \
access 1.0000 x recency 1.0250 x proximity 1.0000
   relevance = 0.70 x words 1.0000 + 0.30 x meaning 0 (none)
   words: BM25 7.2500, number 1; meaning: not found
   set before an older memory that it contradicts
   contradicted by the newer 5f0e9c1e
"""
ARCHIVE_TABLE = """\
ID                                    TIER  NAMESPACE  ARCHIVED  REASON       TITLE
3f2a9c1e-5b0d-4c8e-9f57-0a1b2c3d4e5f  mid   project    5m ago    ttl_expired  Database
"""

CASES: list[tuple[str, object, str, dict[str, object], object, str]] = [
    # command line, answer, request, query or body, JSON (None: the answer itself), text for people
    ("list -n project -t mid --limit 5 --tags db --agent-id bob --offset 2",
     {"memories": [MEMORY], "count": 1, "next_cursor": "c"}, "GET /memories",
     {"namespace": "project", "tier": "mid", "limit": "5", "tags": "db", "agent_id": "bob", "offset": "2"}, None,
     LIST_TABLE),
    ("search -n project sqlite --since 2026-01-01T00:00:00Z --as-agent a/b", SEARCHED, "GET /search",
     {"q": "sqlite", "namespace": "project", "limit": "20", "since": "2026-01-01T00:00:00Z", "as_agent": "a/b"}, None,
     LIST_TABLE),
    ("recall which --limit 3 --budget-tokens 100 --context-tokens a,,b", RECALLED, "POST /recall",
     {"context": "which", "limit": 3, "budget_tokens": 100, "context_tokens": ["a", "b"], "touch": True, "floor": True,
      "explain": False}, None, RECALL_TABLE),
    ("recall which --no-floor --explain", EXPLAINED, "POST /recall", {"floor": False, "explain": True}, None,
     RECALL_TABLE + EXPLAINED_LINES),
    ("delete x-1", {"deleted": True}, "DELETE /memories/x-1", {}, {"deleted": True, "id": "x-1"}, "deleted: x-1\n"),
    ("promote x-1", {"promoted": True, "mode": "tier", "id": "x-1", "tier": "long"}, "POST /memories/x-1/promote", {},
     None, "promoted: x-1 [long]\n"),
    ("promote x-1 --to-namespace a",
     {"promoted": True, "mode": "vertical", "source_id": "x-1", "clone_id": "y", "to_namespace": "a"},
     "POST /memories/x-1/promote", {"to_namespace": "a"}, None, "copied: x-1 to y (ns=a)\n"),
    ("link -r supersedes a b",
     {"linked": True, "source_id": "a", "target_id": "b", "relation": "supersedes", "created": True}, "POST /links",
     {"source_id": "a", "target_id": "b", "relation": "supersedes"}, None, "linked: a --[supersedes]--> b\n"),
    ("unlink a b", {"deleted": True, "version": "s:1"}, "DELETE /links",
     {"source_id": "a", "target_id": "b", "relation": "related_to"}, None, "unlinked: a --[related_to]--> b\n"),
    ("archive add x-1 x-2 --reason old",
     {"archived": ["x-1", "x-2"], "missing": [], "count": 2, "reason": "old", "version": "s:1"}, "POST /archive",
     {"ids": ["x-1", "x-2"], "reason": "old"}, None, "archived: x-1\narchived: x-2\n"),
    ("list --min-priority 7", {"memories": [MEMORY], "count": 1}, "GET /memories", {"min_priority": "7"}, None,
     LIST_TABLE),
    ("namespaces", {"namespaces": [{"namespace": "project", "count": 12}, {"namespace": "global", "count": 3}]},
     "GET /namespaces", {}, None, "COUNT  NAMESPACE\n12     project\n3      global\n"),
    ("gc", {"expired_deleted": 1, "collected": 1, "dry_run": False}, "POST /gc", {"dry_run": "false"}, None,
     "collected: 1 expired memory\n"),
    ("gc --dry-run", {"expired_deleted": 0, "collected": 2, "dry_run": True}, "POST /gc", {"dry_run": "true"}, None,
     "would collect: 2 expired memories\n"),
    ("archive list -n project", ARCHIVED, "GET /archive", {"namespace": "project", "limit": "50", "offset": "0"}, None,
     ARCHIVE_TABLE),
    ("archive restore x-1 --mode long", {"restored": True, "id": "x-1", "tier": "long"}, "POST /archive/x-1/restore",
     {"mode": "long"}, None, "restored: x-1 [long]\n"),
    ("archive purge --older-than-days 9", {"purged": 1}, "DELETE /archive", {"older_than_days": "9", "all": "false"},
     None, "purged: 1 archived memory\n"),
    ("archive purge --all", {"purged": 2}, "DELETE /archive", {"all": "true"}, None, "purged: 2 archived memories\n"),
    ("archive stats", {"archived_total": 2, "by_namespace": [{"namespace": "project", "count": 2}]},
     "GET /archive/stats", {}, None, "archived: 2 memories\nCOUNT  NAMESPACE\n2      project\n"),
]


@pytest.mark.parametrize(("line", "answer", "request_line", "sent", "expected", "text"), CASES, ids=lambda value: (
    value if isinstance(value, str) and "\n" not in value else None))
def test_a_verb_asks_once_and_prints_the_answer(  # a row of the table
    machine: Machine, line: str, answer: object, request_line: str, sent: dict[str, object], expected: object,
    text: str,
) -> None:
    shown = machine.run(*line.split(), answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, text)
    printed = machine.run(*line.split(), "--json", answer=answer)
    assert (printed.status, printed.json) == (ExitStatus.OK, answer if expected is None else expected)
    for request in (shown.request, printed.request):
        assert f"{request.method} {request.url.path}" == request_line.replace(" /", " /api/v1/")
        assert request.headers["X-Agent-Id"].startswith("host:box-one:pid-42-")
        body = {k: v for k, v in json.loads(request.content or b"{}").items() if v is not None}
        asked = {**dict(request.url.params), **body}
        assert {name: asked.get(name) for name in sent} == sent


def json_of(value: object) -> httpx.Response:
    return httpx.Response(200, json=value)


def test_store_sends_what_was_given_and_prints_the_whole_memory(machine: Machine) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return json_of({**STORED, "potential_contradictions": ["other"]})
        return json_of({**MEMORY, "memory": MEMORY, "links": []})

    line = ["store", "-T", "Database", "-c", "text", "--tags", " db, ,choice", "-n", "project", "-p", "7",
            "--confidence", "0.5", "-t", "long", "-S", "hook", "--ttl-secs", "60", "--scope", "team"]
    printed = machine.run(*line, "--json", handler=handler)
    assert printed.status == ExitStatus.OK
    assert printed.json == {**MEMORY, **STORED, "potential_contradictions": ["other"]}
    assert printed.body == {
        "title": "Database", "content": "text", "tags": ["db", "choice"], "namespace": "project", "priority": 7,
        "confidence": 0.5, "tier": "long", "source": "hook", "ttl_secs": 60, "scope": "team"}
    shown = machine.run(*line, handler=handler)
    assert shown.out == f"stored: {ID} [mid] (ns=project)\n"
    assert shown.err == "ai-memory: note: 1 memory with a similar title in project: other\n"
    assert len(shown.runtime.requests) == 1


def test_store_prints_what_it_knows_when_the_memory_is_gone_already(machine: Machine) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return json_of(STORED)
        return httpx.Response(404, json={"error": "gone", "code": "not_found"})

    assert machine.run("--json", "store", "-T", "t", "-c", "c", handler=handler).json == STORED


def test_store_has_the_defaults_of_the_older_system(machine: Machine) -> None:
    stored = machine.run("store", "-T", "t", "-c", "c", answer=STORED)
    assert stored.body == {
        "title": "t", "content": "c", "tags": [], "namespace": "project", "priority": 5, "confidence": 1.0,
        "tier": "mid", "source": "cli"}


def test_content_comes_from_standard_input(machine: Machine) -> None:
    stored = machine.run("store", "-T", "t", "-c", "-", answer=STORED, stdin="grüß\n".encode())
    assert stored.body["content"] == "grüß\n"


@pytest.mark.parametrize(("stdin", "reason"), [
    (b"\xff", "not UTF-8 (byte 0)"), (b"x" * 65_537, "more than 65536 bytes")])
def test_bad_standard_input_is_refused(machine: Machine, stdin: bytes, reason: str) -> None:
    refused = machine.run("store", "-T", "t", "-c", "-", stdin=stdin)
    assert refused.status == ExitStatus.INVALID
    assert reason in refused.err
    assert refused.runtime.requests == []


def test_update_sends_only_what_changes(machine: Machine) -> None:
    answer = {**MEMORY, "version": "s:2"}
    line = ["update", "3f2a", "--expires-at", "", "--tags", "", "-t", "long"]
    shown = machine.run(*line, answer=answer)
    assert (shown.status, shown.out) == (ExitStatus.OK, f"updated: {ID} [Database]\n")
    assert shown.body == {"expires_at": "", "tags": [], "tier": "long"}
    assert (shown.request.method, shown.request.url.path) == ("PUT", "/api/v1/memories/3f2a")
    assert machine.run(*line, "--json", answer=answer).json == answer


def test_update_says_that_a_tier_does_not_go_down(machine: Machine) -> None:
    kept = machine.run("update", "3f2a", "-t", "short", answer={**MEMORY, "version": "s:2"})
    assert (kept.status, kept.err) == (ExitStatus.OK, "ai-memory: note: the tier stays mid; it never goes down\n")


def test_store_onto_a_name_that_is_there_says_updated_and_whose_it_is(machine: Machine) -> None:
    updated = machine.run("store", "-c", "c", answer={**STORED, "action": "updated"})
    assert updated.out == f"updated: {ID} [mid] (ns=project, author tester)\n"


def test_a_link_that_does_not_stand_and_a_memory_that_is_not_there_are_not_found(machine: Machine) -> None:
    assert machine.run("unlink", "a", "b", answer={"deleted": False}).status == ExitStatus.NOT_FOUND
    partly = machine.run(
        "archive", "add", "x-1", "x-2",
        answer={"archived": ["x-1"], "missing": ["x-2"], "count": 1, "reason": "archive", "version": "s:1"})
    assert (partly.status, partly.out) == (ExitStatus.NOT_FOUND, "archived: x-1\n")
    assert "no memory has the id 'x-2'" in partly.err


def test_get_shows_who_edited_last(machine: Machine) -> None:
    edited = {**MEMORY, "metadata": {"agent_id": "tester", "edited_by": "other"}}
    assert "edited by:  other\n" in machine.run("get", "3f2a", answer={**edited, "memory": edited, "links": []}).out


def test_update_without_a_change_is_wrong_usage(machine: Machine) -> None:
    refused = machine.run("update", "3f2a")
    assert (refused.status, refused.runtime.requests) == (ExitStatus.INVALID, [])


def test_get_shows_fields_text_and_links(machine: Machine) -> None:
    answer = {**MEMORY, "memory": MEMORY, "links": [LINK]}
    shown = machine.run("get", "3f2a", answer=answer)
    assert shown.out.startswith(f"id:         {ID}\ntitle:      Database\n")
    assert "author:     tester\n" in shown.out
    assert shown.out.endswith("\nWe chose SQLite.\nIt is one file.\n\na --[supersedes]--> b\n")
    assert machine.run("get", "3f2a", "--json", answer=answer).json == {"memory": MEMORY, "links": [LINK]}


def test_list_tells_how_to_go_on(machine: Machine) -> None:
    page = {"memories": [MEMORY], "count": 1, "next_cursor": "abc"}
    assert machine.run("list", answer=page).err == "ai-memory: 1 memory\nai-memory: more with --cursor abc\n"


def test_stats_are_the_counts(machine: Machine) -> None:
    shown = machine.run("stats", answer=STATS)
    assert "memories:           3\n" in shown.out
    assert "size:               20.0 KiB\n" in shown.out
    assert shown.out.endswith("COUNT  TIER\n3      mid\n\nCOUNT  NAMESPACE\n3      project\n")
    assert machine.run("stats", "--json", answer=STATS).json == STATS


def status_node(status: str, mesh_access: str = "", behind: int = 0) -> Callable[[httpx.Request], httpx.Response]:
    health = {
        "status": status, "service": "ai-memory", "version": "0.1.0", "embedder_ready": True,
        "federation_enabled": False, "compatible_with": "0.6.3", "mode": "hybrid", "embedding_backlog": 6,
        "open_access": False, "access": "agent_keys", "stream": "abc", "warnings": ["little room"],
        "mesh_access": mesh_access, "behind": behind,
    }
    index = {"mode": "hybrid", "model": "minilm", "embedding_backlog": 6, "embedded": 9, "reason": ""}
    answers = {"/api/v1/health": health, "/api/v1/index": index, "/api/v1/stats": STATS}
    return lambda request: httpx.Response(
        503 if status == "error" and request.url.path.endswith("health") else 200, json=answers[request.url.path])


@pytest.mark.parametrize("words", ["", "  "])
def test_a_search_for_nothing_is_a_usage_error_and_asks_nobody(machine: Machine, words: str) -> None:
    shown = machine.run("search", words)
    assert (shown.status, shown.runtime.requests) == (ExitStatus.INVALID, [])
    assert "search needs words to look for" in shown.err


def test_status_tells_node_database_holder_and_backlog(machine: Machine) -> None:
    shown = machine.run("status", handler=status_node("ok"))
    assert shown.status == ExitStatus.OK
    for line in ("node:       ok", "held by:    pid 7",
                 "size:       20.0 KiB, 3 memories, 4 archived",
                 "embeddings: 9 memories done, 6 to do", "stream:     abc", "recall:     hybrid",
                 "access:     by agents' keys"):
        assert line + "\n" in shown.out
    assert "warning: little room" in shown.err
    report = machine.run("status", "--json", handler=status_node("ok"), holder=True).json
    assert isinstance(report, dict)
    assert (report["status"], report["held_by"], report["embedding_backlog"]) == ("ok", "this process", 6)


@pytest.mark.parametrize(("access", "told"), [
    ("mtls", "mesh:       open to nodes with a certificate that is listed\n"),
    ("keys", "mesh:       open to whoever has the key\n"), ("open", "mesh:       open to everybody\n"),
])
def test_status_of_a_member_tells_what_opens_the_mesh(machine: Machine, access: str, told: str) -> None:
    handler = status_node("ok", mesh_access=access)
    assert told in machine.run("status", handler=handler).out
    report = machine.run("status", "--json", handler=handler).json
    assert isinstance(report, dict)
    assert report["mesh_access"] == access
    assert "mesh:" not in machine.run("status", handler=status_node("ok")).out
    late = machine.run("status", handler=status_node("ok", mesh_access=access, behind=7))
    assert f"{told.rstrip()}, 7 writes behind\n" in late.out


def test_status_without_a_daemon_does_not_load_the_model_to_say_so(machine: Machine) -> None:
    shown = machine.run("status", handler=status_node("ok"), holder=True)
    assert "recall:     not loaded by this command (tier semantic: by words and meaning)\n" in shown.out
    assert "index:      not opened by this command\n" in shown.out
    assert "index:      0 done, 0 to do\n" in machine.run("status", handler=status_node("ok")).out
    assert "recall:     hybrid" in machine.run(
        "status", handler=status_node("ok"), holder=True, environ={"AI_MEMORY_TIER": "keyword"}).out


def test_status_of_an_unwell_node_is_shown_and_has_the_status_of_an_unavailable_one(machine: Machine) -> None:
    unwell = machine.run("status", handler=status_node("error"))
    assert unwell.status == ExitStatus.UNAVAILABLE
    assert "node:       error" in unwell.out


def test_recall_embeds_the_backlog_first_if_this_process_holds_the_database(machine: Machine) -> None:
    backlog = iter([40, 38, 20, 0])

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/index"):
            left = next(backlog)
            return json_of({"mode": "hybrid", "model": "m", "embedding_backlog": left, "embedded": 1, "reason": ""})
        return json_of(RECALLED)

    machine.pace_s = 11
    found = machine.run("recall", "which", handler=handler, holder=True)
    waits = [dict(request.url.params) for request in found.runtime.requests[:-1]]
    assert waits == [{}, {"wait_below": "38"}, {"wait_below": "36"}, {"wait_below": "18"}]
    assert found.runtime.purposes == [Purpose.RECALL]
    assert found.err.splitlines()[-2:] == ["ai-memory: embedding: 100 %", "ai-memory: 1 memory (hybrid, 12 tokens)"]


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_recall_goes_on_when_nothing_embeds(machine: Machine, mode: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/index"):
            return json_of({"mode": mode, "model": "m", "embedding_backlog": 5, "embedded": 1, "reason": "no model"})
        return json_of(RECALLED)

    found = machine.run("recall", "which", handler=handler, holder=True)
    assert found.status == ExitStatus.OK
    assert "note: 5 memories without embedding" in found.err


def test_recall_by_words_embeds_nothing_first(machine: Machine) -> None:
    found = machine.run("recall", "which", "--tier", "keyword", answer=RECALLED, holder=True)
    assert len(found.runtime.requests) == 1


def test_recall_says_that_the_holder_decides_the_tier(machine: Machine) -> None:
    found = machine.run("recall", "which", "--tier", "keyword", answer=RECALLED)
    assert "note: --tier has no effect: pid 7 holds the database and decides it" in found.err


def test_an_interrupt_while_embedding_says_how_far_it_came(machine: Machine) -> None:
    backlog = iter([40, 38])

    def handler(request: httpx.Request) -> httpx.Response:
        left = next(backlog, None)
        if left is None:
            raise KeyboardInterrupt
        return json_of({"mode": "hybrid", "model": "m", "embedding_backlog": left, "embedded": 1, "reason": ""})

    broken = machine.run("recall", "which", handler=handler, holder=True)
    assert broken.status == ExitStatus.INTERRUPTED
    assert broken.err.splitlines()[-1] == (
        "ai-memory: interrupted: 2 of 40 memories are embedded; run the same command again to go on")


def test_recall_does_not_wait_for_another_process(machine: Machine) -> None:
    assert len(machine.run("recall", "which", answer=RECALLED).runtime.requests) == 1


def test_serve_hands_its_flags_to_the_daemon(machine: Machine) -> None:
    served = machine.run(
        "serve", "--bind", "127.0.0.1:0", "--tier", "keyword", "--shutdown-grace-secs", "3", "--insecure")
    assert served.status == ExitStatus.OK
    config = served.runtime.config
    assert config is not None
    assert (config.api.port, config.api.insecure, config.api.shutdown_grace_s) == (0, True, 3)
    assert config.search.tier == "keyword"


def test_serve_says_which_settings_have_no_effect(machine: Machine) -> None:
    assert machine.run("serve", environ={"AI_MEMORY_LLM_MODEL": "mistral"}).err == (
        "ai-memory: note: AI_MEMORY_LLM_MODEL has no effect: the tier is semantic, which has no language model\n")
    assert machine.run("serve", "--tier", "smart").err == ""


def test_mcp_runs_the_server_and_leaves_stdout_to_it(machine: Machine) -> None:
    served = machine.run("--db", "x.db", "mcp", "--tier", "keyword")
    assert (served.status, served.out) == (ExitStatus.OK, "")
    assert served.runtime.config is not None
    assert served.runtime.config.store.db == machine.cwd / "x.db"


def test_mcp_prints_a_configuration_that_works_from_any_folder_and_holds_no_secret(machine: Machine) -> None:
    environ = {"AI_MEMORY_API_KEY": "s3cret", "AI_MEMORY_MODEL_DIR": "model", "AI_MEMORY_DB": "env.db"}
    printed = machine.run("--agent-id", "me", "mcp", "--print-config", "--tier", "keyword", "--profile", "full",
                          environ=environ)
    assert printed.json == {"mcpServers": {"ai-memory": {
        "command": "/bin/ai-memory",
        "args": ["--db", str(machine.cwd / "env.db"), "--agent-id", "me", "mcp", "--tier", "keyword",
                 "--profile", "full"],
        "env": {"AI_MEMORY_NO_CONFIG": "1", "AI_MEMORY_MODEL_DIR": str(machine.cwd / "model")},
    }}}
    assert "s3cret" not in printed.out


def test_recall_says_what_fell_below_the_floor_and_what_is_contradicted(machine: Machine) -> None:
    shown = machine.run("recall", "which", answer=EXPLAINED)
    assert "2 memories below the floor of relevance; --no-floor shows them" in shown.err
    assert "1 memory contradicted by newer ones" in shown.err
    nothing = machine.run("recall", "which", answer={**RECALLED, "memories": [], "count": 0, "below_floor": 3})
    assert (nothing.status, "nothing relevant: 3 memories below the floor" in nothing.err) == (ExitStatus.OK, True)


def test_reindex_orders_it_and_waits_until_it_is_done(machine: Machine) -> None:
    left = iter([(40, 20), (40, 20), (0, 20), (0, 0), (0, 0)])

    def handler(request: httpx.Request) -> httpx.Response:
        embedding, index = next(left)
        return json_of({
            "mode": "hybrid", "model": "m", "embedding_backlog": embedding, "embedded": 1, "reason": "", "indexed": 60,
            "index_backlog": index,
        })

    machine.pace_s = 11
    found = machine.run("reindex", "--embeddings", handler=handler)
    assert (found.status, found.out) == (ExitStatus.OK, "vectors: 60 done, 0 to do\nwords:   0 to do\n")
    first, *waits = found.runtime.requests
    assert (first.method, json.loads(first.content)) == ("POST", {"what": "all", "embeddings": True})
    assert [dict(request.url.params) for request in waits] == [{}, {"wait_below": "57"}, {"wait_below": "17"}, {}]
    assert found.runtime.purposes == [Purpose.RECALL]
    assert found.err.splitlines()[-1] == "ai-memory: indexing: 100 %"


def test_reindex_that_does_not_end_is_unavailable(machine: Machine) -> None:
    status = {"mode": "hybrid", "model": "m", "embedding_backlog": 5, "embedded": 1, "reason": ""}
    found = machine.run("reindex", "--json", handler=lambda request: json_of(status))
    assert found.status == ExitStatus.UNAVAILABLE
    assert isinstance(found.json, dict)
    assert found.json["embedding_backlog"] == 5


def test_reindex_without_a_model_waits_for_the_words_alone(machine: Machine) -> None:
    left = iter([9, 9, 4, 0, 0, 0])

    def handler(request: httpx.Request) -> httpx.Response:
        return json_of({
            "mode": "keyword", "model": "none", "embedding_backlog": 5, "embedded": 0, "reason": "the tier is keyword",
            "text_backlog": next(left),
        })

    found = machine.run("reindex", "--what", "text", handler=handler)
    assert (found.status, found.out) == (ExitStatus.OK, "vectors: none (the tier is keyword)\nwords:   0 to do\n")


@pytest.mark.parametrize(("environ", "holder", "is_told"), [
    ({"AI_MEMORY_QUORUM_WRITES": "2"}, True, True),
    ({"AI_MEMORY_QUORUM_WRITES": "2"}, False, False),      # the daemon knows its peers
    ({"AI_MEMORY_QUORUM_WRITES": "2", "AI_MEMORY_QUORUM_PEERS": "http://127.0.0.1:9"}, True, False),
    ({}, True, False),
])
def test_a_write_without_daemon_and_peers_says_that_no_other_node_has_it(
    machine: Machine, environ: dict[str, str], holder: bool, is_told: bool
) -> None:
    stored = {**MEMORY, **STORED, "memory": MEMORY, "links": []}
    for as_json in ((), ("--json",)):
        ran = machine.run("store", "-T", "t", "-c", "c", *as_json, environ=environ, holder=holder, answer=stored)
        assert (ran.status, ran.err.count("quorum_writes has no effect")) == (ExitStatus.OK, int(is_told))
    read = machine.run("list", environ=environ, holder=holder, answer={"memories": [], "count": 0})
    assert "quorum_writes" not in read.err
