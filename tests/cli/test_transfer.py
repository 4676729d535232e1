"""Import and export: formats, batches, refusals, progress."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.cli import ExitStatus
from aimem.cli.commands.portions import BATCH_BYTES, BATCH_COUNT, Batch, Item, Refused, batches
from aimem.wire import ExportedLink, ImportMemory
from tests.cli.fakes import MEMORY, Machine

LINK = {"source_id": "a", "target_id": "b", "relation": "supersedes", "created_at": "2026-01-01T00:00:00.000000Z"}


def importing(refused: tuple[tuple[int, str, str], ...] = ()) -> Callable[[httpx.Request], httpx.Response]:
    """A node that takes everything in, apart from stated refusals (position, item, reason)."""
    def handler(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        return httpx.Response(200, json={
            "imported": len(body["memories"]) - len(refused),
            "errors": [f"{item}: {error}" for _, item, error in refused],
            "restamped": len(body["memories"]), "trusted_source": body["trust_source"], "unchanged": 0,
            "links_imported": len(body["links"]), "archived_imported": len(body["archived"]),
            "aliases_imported": len(body["aliases"]), "agents_imported": len(body["agents"]),
            "namespaces_imported": len(body["namespaces"]), "refused": [
                {"section": "memories", "position": position, "item": item, "code": "invalid_request", "error": error}
                for position, item, error in refused]})

    return handler


def sent(requests: list[httpx.Request]) -> list[tuple[int, int]]:
    bodies = [json.loads(request.content) for request in requests]
    return [(len(body["memories"]), len(body["links"])) for body in bodies]


def lines_of(count: int) -> bytes:
    return b"".join(json.dumps({"content": f"text {n}"}).encode() + b"\n" for n in range(count))


def test_an_export_document_is_imported_memories_first(machine: Machine) -> None:
    document = json.dumps({"memories": [MEMORY, MEMORY], "links": [LINK], "count": 2, "exported_at": "x"}, indent=2)
    done = machine.run("import", "--json", stdin=document.encode(), handler=importing())
    assert done.status == ExitStatus.OK
    assert sent(done.runtime.requests) == [(2, 0), (0, 1)]
    assert done.json == {
        "imported": 2, "errors": [], "restamped": 2, "trusted_source": False, "unchanged": 0, "links_imported": 1,
        "updated": 0, "archived_imported": 0, "aliases_imported": 0, "agents_imported": 0,
        "namespaces_imported": 0, "skipped": 0,
        "dry_run": False, "merged": {}, "refused": []}
    assert json.loads(done.runtime.requests[0].content)["memories"][0]["metadata"] == MEMORY["metadata"]


def test_the_keys_of_the_batches_differ(machine: Machine) -> None:
    done = machine.run("import", stdin=lines_of(501), handler=importing())
    keys = [request.headers["Idempotency-Key"] for request in done.runtime.requests]
    assert len(keys) == len(set(keys)) == 2


def test_json_lines_of_a_file_are_sent_in_batches_with_progress(machine: Machine) -> None:
    (machine.cwd / "turns.jsonl").write_bytes(b"\n" + lines_of(1200))
    machine.pace_s = 11
    done = machine.run("import", "turns.jsonl", "--trust-source", handler=importing())
    assert sent(done.runtime.requests) == [(500, 0), (500, 0), (200, 0)]
    assert done.out == "imported: 1200 memories, 0 links, 1200 restamped\n"
    assert json.loads(done.runtime.requests[0].content)["trust_source"] is True
    assert done.err.splitlines()[-1] == "ai-memory: importing: 100 %"  # the blank line too


def test_an_export_on_one_line_and_one_memory_alone_are_told_apart(machine: Machine) -> None:
    for value in ({"memories": [MEMORY]}, MEMORY):
        done = machine.run("import", stdin=json.dumps(value).encode(), handler=importing())
        assert sent(done.runtime.requests) == [(1, 0)]


def test_a_byte_order_mark_is_skipped(machine: Machine) -> None:
    assert machine.run("import", stdin=b"\xef\xbb\xbf" + lines_of(2), handler=importing()).status == ExitStatus.OK


def test_refused_items_are_named_and_the_others_kept(machine: Machine) -> None:
    stdin = b'{"content": "good"}\n{"content": 5}\n\nnot json\n{"title": "no content"}\n{"content": "also good"}\n'
    handler = importing(refused=((0, "t", "title is too long"), (1, "item 1", "no")))
    done = machine.run("import", "--json", stdin=stdin, handler=handler)
    assert done.status == ExitStatus.INVALID
    assert sent(done.runtime.requests) == [(2, 0)]
    errors = done.json["errors"]  # type: ignore[index]
    assert [error.partition(":")[0] for error in errors] == ["line 2", "line 4", "line 5", "t", "line 6"]
    assert "content must be a text, not an integer" in errors[0]
    assert done.err.count("ai-memory: refused: ") == 5


def test_a_line_beyond_the_bound_is_refused_and_skipped(machine: Machine) -> None:
    stdin = lines_of(1) + b'{"content": "' + b"x" * (3 * BATCH_BYTES) + b'"}\n' + lines_of(1)
    done = machine.run("import", stdin=stdin, handler=importing())
    assert (done.status, sent(done.runtime.requests)) == (ExitStatus.INVALID, [(2, 0)])
    assert f"refused: line 2: has more than {BATCH_BYTES} bytes" in done.err


@pytest.mark.parametrize(("stdin", "reason"), [
    (b"", "the input is empty"), (b"\n\n", "the input is empty"),
    (b"hello\n", "neither an export document nor JSON Lines"), (b"[1, 2]", "neither an export document nor JSON Lines"),
    (b'{"memories": 5}', "memories"), (b"\xff\xfe", "neither"), (b'{"memories": [', "neither"),
    (b'{"memories": ' + b"[" * 100_000, "neither"),
])
def test_what_is_neither_format_is_refused_as_a_whole(machine: Machine, stdin: bytes, reason: str) -> None:
    done = machine.run("import", stdin=stdin, handler=importing())
    assert (done.status, done.runtime.requests) == (ExitStatus.INVALID, [])
    assert reason in done.err


def test_a_missing_file_is_refused(machine: Machine) -> None:
    done = machine.run("import", "missing.json")
    assert done.status == ExitStatus.INVALID
    assert f"{machine.cwd / 'missing.json'} cannot be read: No such file or directory" in done.err


def test_an_import_that_breaks_off_says_how_far_it_came(machine: Machine) -> None:
    answers = iter([200, 503])

    def handler(request: httpx.Request) -> httpx.Response:
        if next(answers) == 200:
            return importing()(request)
        return httpx.Response(503, json={"error": "shutting down", "code": "shutting_down"})

    done = machine.run("import", stdin=lines_of(700), handler=handler)
    assert done.status == ExitStatus.UNAVAILABLE
    assert done.err.splitlines()[-2:] == [
        "ai-memory: note: imported: 500 memories, 0 links, 500 restamped before this; importing the same again is safe",
        "ai-memory: error: shutting down"]


def test_an_interrupted_import_says_what_is_stored_and_how_to_go_on(machine: Machine) -> None:
    answers = iter([importing()])

    def handler(request: httpx.Request) -> httpx.Response:
        answer = next(answers, None)
        if answer is None:
            raise KeyboardInterrupt
        return answer(request)

    broken = machine.run("import", stdin=lines_of(700), handler=handler)
    assert broken.status == ExitStatus.INTERRUPTED
    assert broken.err.splitlines()[-1] == (
        "ai-memory: interrupted: imported: 500 memories, 0 links, 500 restamped before this; "
        "up to 500 more may be stored; run the same command again to go on")


items = st.one_of(
    st.builds(Refused, reason=st.just("bad"), weight=st.integers(1, 5)),
    st.builds(Item, section=st.just("memories"), where=st.just("here"),
              value=st.builds(ImportMemory, content=st.just("x")), size_bytes=st.integers(1, BATCH_BYTES),
              weight=st.integers(1, 5)),
    st.builds(Item, section=st.just("links"), where=st.just("here"),
              value=st.builds(ExportedLink, source_id=st.just("a"), target_id=st.just("b")),
              size_bytes=st.integers(1, BATCH_BYTES), weight=st.integers(1, 5)),
)


@given(st.lists(items, max_size=40), st.integers(0, 1100))
def test_batches_hold_everything_within_their_bounds(rest: list[Item | Refused], small_count: int) -> None:
    small: list[Item | Refused] = [
        Item(section="memories", where="here", value=ImportMemory(content=str(n)), size_bytes=20, weight=1)
        for n in range(small_count)]
    given_items = [*small, *rest]
    sizes = {id(item.value): item.size_bytes for item in given_items if isinstance(item, Item)}
    kept: list[object] = []
    weight = 0
    for portion in batches(given_items):
        weight += portion.weight
        if isinstance(portion, Batch):
            assert len({type(value) for value in portion.values}) == 1
            assert 1 <= len(portion.values) <= BATCH_COUNT
            assert sum(sizes[id(value)] for value in portion.values) <= BATCH_BYTES
            kept += portion.values
    assert weight == sum(item.weight for item in given_items)
    assert [id(value) for value in kept] == [id(item.value) for item in given_items if isinstance(item, Item)]


DOCUMENT = {
    # As v0.6.3 writes it, links stand before the memories that they refer to.
    "namespaces": [{"namespace": "a", "standard_id": "a", "governance": '{"write": "any"}'}],
    "agents": [{"agent_id": "bob", "agent_type": "human"}], "aliases": [{"entity_id": "a", "alias": "A."}], "count": 1,
    "links": [LINK], "memories": [MEMORY],
    "archived": [{**MEMORY, "id": "away", "archived_at": "2026-01-01T00:00:00Z"}],
    "digest": "0" * 32,
}


@pytest.mark.parametrize("indent", [None, 1])
def test_what_refers_to_memories_is_sent_after_them_whatever_the_order_of_the_file(
    machine: Machine, indent: int | None
) -> None:
    (machine.cwd / "all.json").write_text(json.dumps(DOCUMENT, indent=indent))
    done = machine.run("import", "all.json", handler=importing())
    assert done.status == ExitStatus.OK, done.err
    bodies = [json.loads(request.content) for request in done.runtime.requests]
    assert [[name for name, rows in body.items() if isinstance(rows, list) and rows] for body in bodies] == [
        ["memories"], ["archived"], ["links"], ["aliases"], ["agents"], ["namespaces"]]
    assert done.out == "imported: 1 memory, 1 link, 1 archived, 1 aliases, 1 agents, 1 namespaces, 1 restamped\n"


def test_a_dry_run_is_asked_of_the_node(machine: Machine) -> None:
    done = machine.run("import", "--dry-run", stdin=lines_of(2), handler=importing())
    assert json.loads(done.runtime.requests[0].content)["dry_run"] is True
    assert done.out.startswith("would import: 2 memories")


def exporting(*pages: dict[str, object]) -> Callable[[httpx.Request], httpx.Response]:
    """A node that takes everything in and exports these pages."""
    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return importing()(request)
        if request.url.path.endswith("/stats"):
            return httpx.Response(200, json=STATS)
        at = int(request.url.params.get("cursor", "0"))
        rest = {"next_cursor": str(at + 1)} if at + 1 < len(pages) else {}
        return httpx.Response(200, json={**EMPTY, **pages[at], **rest})

    return handler


EMPTY = {"memories": [], "links": [], "count": 0, "exported_at": "2026-01-02T00:00:00.000000Z", "digest": "0" * 32}
STATS = {
    "total": 2, "by_tier": [], "by_namespace": [], "expiring_soon": 0, "links_count": 1, "db_size_bytes": 1,
    "archived": 1, "tombstones": 0, "embedding_backlog": 0, "op_log_count": 1,
}
PAGES: tuple[dict[str, object], ...] = (
    {"memories": [MEMORY], "count": 1, "digest": f"{1:032x}"},
    {"memories": [{**MEMORY, "id": "second"}], "count": 1, "digest": f"{2:032x}", "archived": [
        {**MEMORY, "id": "away", "archived_at": "2026-01-01T00:00:00.000000Z", "archive_reason": "gc"}]},
    {"links": [LINK], "digest": "f" * 32},
)


def test_an_export_is_printed_page_by_page_as_one_document(machine: Machine) -> None:
    machine.pace_s = 11
    done = machine.run("export", handler=exporting(*PAGES))
    assert done.status == ExitStatus.OK, done.err
    assert done.json == {
        "schema": 1, "exported_at": "2026-01-02T00:00:00.000000Z",
        "memories": [MEMORY, {**MEMORY, "id": "second"}],
        "archived": [{**MEMORY, "id": "away", "archived_at": "2026-01-01T00:00:00.000000Z", "archive_reason": "gc"}],
        "links": [LINK], "aliases": [], "agents": [], "namespaces": [], "count": 2, "digest": f"{2:032x}"}
    assert "exporting: 100 %" in done.err


def test_an_export_of_nothing_is_a_document(machine: Machine) -> None:
    done = machine.run("export", handler=exporting({}))
    assert done.json == {
        "schema": 1, "exported_at": "2026-01-02T00:00:00.000000Z", "memories": [], "archived": [], "links": [],
        "aliases": [], "agents": [], "namespaces": [], "count": 0, "digest": "0" * 32}


def test_the_digest_alone_is_the_sum_of_those_of_the_pages(machine: Machine) -> None:
    assert machine.run("export", "--digest-only", handler=exporting(*PAGES)).out == f"{2:032x}\n"
    assert machine.run("--json", "export", "--digest-only", handler=exporting(*PAGES)).json == {
        "digest": f"{2:032x}", "count": 2}


@pytest.mark.parametrize(("named", "status", "word"), [
    (f"{2:032x}", ExitStatus.OK, "verified: "), ("0" * 32, ExitStatus.OTHER, "not verified: the digest of all"),
    (None, ExitStatus.OTHER, "the file names no digest"),
])
def test_an_import_is_verified_by_the_digest(
    machine: Machine, named: str | None, status: ExitStatus, word: str
) -> None:
    document = {"memories": [MEMORY], **({} if named is None else {"digest": named})}
    done = machine.run("import", "--verify", stdin=json.dumps(document).encode(), handler=exporting(*PAGES))
    assert done.status == status
    assert word in done.err


def test_links_name_memories_as_they_are_known_there(machine: Machine) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        answer = json.loads(importing()(request).content)
        return httpx.Response(200, json={**answer, "merged": {"a": "known"} if answer["imported"] else {}})

    done = machine.run("import", stdin=json.dumps(DOCUMENT).encode(), handler=handler)
    _, _, links, aliases, _, namespaces = [json.loads(request.content) for request in done.runtime.requests]
    assert (links["links"][0]["source_id"], links["links"][0]["target_id"]) == ("known", "b")
    assert aliases["aliases"][0]["entity_id"] == "known"
    assert namespaces["namespaces"][0]["standard_id"] == "known"
