"""Export: everything of a store, in pages or at once, with a digest that an import reproduces."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimem import service
from aimem.errors import AimemError, Code
from aimem.model import MemoryId
from aimem.service import Node
from aimem.service import exporting as exporting_module
from aimem.store import AGENT, ALIAS, Transaction, alias_key_text
from aimem.wire import (
    ArchiveRequest,
    CreateMemory,
    ExportDocument,
    ExportQuery,
    GcQuery,
    ImportRequest,
    LinkRequest,
    RestoreQuery,
    StandardRequest,
    UpdateMemory,
    add_digests,
    decode_body,
    digest_document,
    encode,
)
from tests.nodes import FakeClock, InlineThreads, open_node, seeded_chance
from tests.service.steps import ALICE, BOB, as_agent, connect, put, refused


async def pages_of(node: Node, limit: int) -> list[ExportDocument]:
    found = [await service.export(node, ALICE, ExportQuery(limit=limit))]
    while isinstance(found[-1].next_cursor, str):
        found.append(await service.export(node, ALICE, ExportQuery(limit=limit, cursor=found[-1].next_cursor)))
    return found


def size_of(page: ExportDocument) -> int:
    return sum(len(getattr(page, section)) for section in SECTIONS)


def register(transaction: Transaction, name: str) -> None:
    fields = {"present": True, "agent_type": "human", "capabilities": ("a",), "registered_at": 1, "last_seen_at": 2}
    transaction.emit("agent", [transaction.create(AGENT, name, ALICE.agent_id, fields)])


def call(transaction: Transaction, entity_id: str, alias: str) -> None:
    fields = {"alias": alias, "present": True, "created_at": 5, "ordinal": 0}
    key = alias_key_text(MemoryId(entity_id), alias)
    transaction.emit("entity", [transaction.create(ALIAS, key, ALICE.agent_id, fields)])


async def fill(node: Node, count: int) -> list[str]:
    ids = [(await put(node, f"t{n}", f"text {n}")).id for n in range(count)]
    await service.archive(node, ALICE, ArchiveRequest(ids=ids[:2], reason="tidy"))
    for source, target in itertools.pairwise(ids):
        await node.store.write(call, source, f"called {source}")
        if source not in ids[:2] and target not in ids[:2]:
            await connect(node, source, target)
    for name in ("alice", "bob", "carol"):
        await node.store.write(register, name)
    return ids


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_pages_hold_what_the_whole_holds_and_their_digests_add_up(node: Node, limit: int) -> None:
    ids = await fill(node, 9)
    for namespace in ("*", "house"):
        await service.set_standard(node, ALICE, StandardRequest(id=ids[3], governance={"write": "any"}), namespace)
    whole = await service.export(node, ALICE)
    assert [len(getattr(whole, section)) for section in SECTIONS] == [7, 2, 6, 8, 3, 2]
    pages = await pages_of(node, limit)
    assert all(0 < size_of(page) <= limit for page in pages)
    for section in SECTIONS:
        rows = [row for page in pages for row in getattr(page, section)]
        assert sorted(map(encode, rows)) == sorted(map(encode, getattr(whole, section)))
    assert add_digests(page.digest for page in pages) == whole.digest == digest_document(whole)
    assert sum(page.count for page in pages) == whole.count == 7


async def test_a_page_ends_at_its_bytes_too(node: Node) -> None:
    for n in range(40):
        await put(node, f"t{n}", f"{n} " + "x" * 60_000)
    pages = await pages_of(node, 1000)
    assert len(pages) == 3
    assert all(len(encode(page)) < exporting_module.PAGE_MAX_BYTES + 70_000 for page in pages)
    assert sum(page.count for page in pages) == 40


async def test_what_comes_during_an_export_is_left_out_and_what_stays_is_in(node: Node) -> None:
    ids = await fill(node, 6)
    first = await service.export(node, ALICE, ExportQuery(limit=2))
    late = await put(node, "late")
    await connect(node, ids[3], late.id)
    await service.delete(node, ALICE, ids[5])
    found, cursor = [first], first.next_cursor
    while isinstance(cursor, str):
        found.append(await service.export(node, ALICE, ExportQuery(cursor=cursor)))
        cursor = found[-1].next_cursor
    memories = {row.id for page in found for row in (*page.memories, *page.archived)}
    assert memories == set(ids[:5])
    for page in found:
        assert all({link.source_id, link.target_id} <= memories for link in page.links)


@pytest.mark.parametrize("cursor", [
    "x", "AAAA", "-", "k" * 3000, "\u00e9", "lqhtZW1vcmllc5EAAA", "k6VsaW5rc5EAAA", "k6htZW1vcmllc5Gheg8",
])
async def test_a_cursor_that_no_export_gave_is_refused(node: Node, cursor: str) -> None:
    error = await refused(Code.INVALID_REQUEST, service.export(node, ALICE, ExportQuery(cursor=cursor)))
    assert error.field == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 1001, 2**70])
async def test_a_page_has_a_bound(node: Node, limit: int) -> None:
    error = await refused(Code.INVALID_REQUEST, service.export(node, ALICE, ExportQuery(limit=limit)))
    assert error.field == "limit"


@pytest.mark.parametrize(("name", "value"), [("WHOLE_MAX_ROWS", 3), ("WHOLE_MAX_BYTES", 500)])
async def test_a_large_store_is_exported_in_pages_only(
    node: Node, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    await fill(node, 5)
    monkeypatch.setattr(exporting_module, name, value)
    error = await refused(Code.EXPORT_TOO_LARGE, service.export(node, ALICE))
    assert "limit=1000" in error.message
    assert len(await pages_of(node, 1000)) == 1


async def test_only_what_the_caller_may_see_is_exported(node: Node) -> None:
    seen, hidden = await put(node, "a", namespace="a/b", scope="collective"), await put(node, "b", namespace="c")
    await connect(node, seen.id, hidden.id)
    for memory_id in (seen.id, hidden.id):
        await node.store.write(call, memory_id, "alias")
    exported = await service.export(node, as_agent("a/b"))
    assert [memory.id for memory in exported.memories] == [seen.id]
    assert exported.links == ()
    assert [alias.entity_id for alias in exported.aliases] == [seen.id]


async def test_the_digest_leaves_out_what_is_each_node_s_own(node: Node) -> None:
    stored = await put(node, "t", tier="long")
    before = await service.export(node, ALICE)
    sql = "UPDATE memory_view SET access_count = 3, last_accessed_at = 7 WHERE id = ?"
    await node.store.write(lambda transaction: transaction.conn.execute(sql, (stored.id,)) and None)
    after = await service.export(node, ALICE)
    assert after.memories[0].access_count == 3
    assert after.digest == before.digest
    await service.update(node, ALICE, stored.id, UpdateMemory(priority=9))
    assert (await service.export(node, ALICE)).digest != before.digest


# Any store ------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5)
MEMORIES = st.fixed_dictionaries({"content": TEXT}, optional={
    "title": TEXT, "tier": st.sampled_from(["short", "mid", "long"]), "priority": st.integers(1, 10),
    "namespace": st.sampled_from(["global", "a", "a/b"]), "confidence": st.floats(0, 1),
    "tags": st.lists(TEXT, max_size=3), "scope": st.sampled_from(["private", "team", "collective"]),
    "metadata": st.dictionaries(TEXT.filter(lambda key: key not in ("agent_id", "scope")), JSON, max_size=2),
    "ttl_secs": st.integers(1, 10_000),
})


async def collect_later(node: Node, clock: FakeClock) -> None:
    clock.advance(500)
    await service.collect(node, ALICE, GcQuery())


ACTS: dict[str, Callable[[Node, FakeClock, str, str], Awaitable[object]]] = {
    "link": lambda node, _, one, other: connect(node, one, other),
    "supersede": lambda node, _, one, other: connect(node, one, other, "supersedes"),
    "unlink": lambda node, _, one, other: service.unlink(node, ALICE, LinkRequest(source_id=one, target_id=other)),
    "archive": lambda node, _, one, __: service.archive(node, ALICE, ArchiveRequest(ids=[one], reason="why not")),
    "restore": lambda node, _, one, __: service.restore(node, ALICE, one, RestoreQuery()),
    "delete": lambda node, _, one, __: service.delete(node, ALICE, one),
    "edit": lambda node, _, one, other: service.update(node, BOB, one, UpdateMemory(content=other, tags=["t"])),
    "move": lambda node, _, one, other: service.update(node, ALICE, one, UpdateMemory(namespace="m", title=other)),
    "collect": lambda node, clock, _, __: collect_later(node, clock),
    "alias": lambda node, _, one, other: node.store.write(call, one, other),
    "agent": lambda node, _, one, __: node.store.write(register, one),
    "rule": lambda node, _, one, __: service.set_standard(
        node, ALICE, StandardRequest(id=one, governance={"write": "registered", "policy": "any"}), "m"),
    "rule below": lambda node, _, one, other: service.set_standard(
        node, ALICE, StandardRequest(id=one, parent="p"), f"m/{other[:4]}"),
    "rule no more": lambda node, *_: service.clear_standard(node, ALICE, "m"),
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(ACTS)), st.integers(0, 5), st.integers(0, 5)), max_size=15)
SECTIONS = ("memories", "archived", "links", "aliases", "agents", "namespaces")


async def fill_by(
    node: Node, clock: FakeClock, rows: list[tuple[dict[str, object], bool]], steps: list[tuple[str, int, int]]
) -> None:
    """Do some things to a store; what does not fit the moment is refused, and that is all right."""
    ids = []
    for row, is_bob in rows:
        request = msgspec.convert(row, CreateMemory)
        ids.append((await service.remember(node, BOB if is_bob else ALICE, request)).id)
    for name, one, other in steps:
        with contextlib.suppress(AimemError):
            await ACTS[name](node, clock, ids[one % len(ids)], ids[other % len(ids)])


async def carry(folder: Path, rows: list[tuple[dict[str, object], bool]], steps: list[tuple[str, int, int]]) -> None:
    """Fill a store, export it, import that into an empty one, twice, and compare."""
    clock, threads = FakeClock(), InlineThreads()
    async with (
        open_node(folder / "one.db", clock=clock, chance=seeded_chance(1), threads=threads) as node,
        open_node(folder / "other.db", clock=clock, chance=seeded_chance(2), threads=threads) as other,
    ):
        await fill_by(node, clock, rows, steps)
        exported = await service.export(node, ALICE)
        body = {section: getattr(exported, section) for section in SECTIONS}
        request = decode_body(ImportRequest, encode({**body, "trust_source": True}))
        for is_first in (True, False):
            result = await service.import_memories(other, BOB, request)
            taken = (result.imported, result.archived_imported, result.links_imported, result.aliases_imported,
                     result.agents_imported, result.namespaces_imported)
            assert taken == (tuple(len(getattr(exported, section)) for section in SECTIONS) if is_first else (0,) * 6)
            assert result.errors == ()
            assert (await service.export(other, ALICE)).digest == exported.digest


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(MEMORIES, st.booleans()), min_size=1, max_size=6), STEPS)
def test_an_export_of_any_store_brought_into_an_empty_one_gives_the_same_digest(
    rows: list[tuple[dict[str, object], bool]], steps: list[tuple[str, int, int]]
) -> None:
    with TemporaryDirectory() as folder:
        trio.run(carry, Path(folder), rows, steps)
