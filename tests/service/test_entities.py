"""Entities: memories with several names."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code
from aimem.model import Principal
from aimem.service import Node, Once
from aimem.store import digest
from aimem.wire import (
    AliasQuery,
    ArchiveRequest,
    EntityFound,
    EntityOut,
    EntityRequest,
    RestoreQuery,
    UpdateMemory,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, another_node, as_agent, ops_of, put, refused, shown, tell

ONCE = Once("key-1", b"hash")


async def register(
    node: Node, name: str, *aliases: str, namespace: str = "crm", by: Principal = ALICE, once: Once | None = None,
    **more: object,
) -> EntityOut:
    given = {"canonical_name": name, "namespace": namespace, "aliases": list(aliases), **more}
    return await service.register_entity(node, by, msgspec.convert(given, EntityRequest), once)


async def named(node: Node, alias: str, namespace: str | None = None, *, by: Principal = ALICE) -> EntityFound:
    return await service.entity_by_alias(node, by, AliasQuery(alias=alias, namespace=namespace))


async def id_of(node: Node, alias: str, namespace: str | None = None) -> str | None:
    return (await named(node, alias, namespace)).entity_id


# --- registering


async def test_an_entity_is_a_long_lived_memory_with_aliases_in_the_order_given(node: Node) -> None:
    answer = await register(node, " Acme Corp ", "ACME", " Acme ", "", "ACME", metadata={"city": "Bonn"})
    assert (answer.created, answer.canonical_name, answer.namespace) == (True, "Acme Corp", "crm")
    assert answer.aliases == ("ACME", "Acme")
    memory = await shown(node, answer.entity_id)
    assert (memory.title, memory.content, memory.tags) == ("Acme Corp", "Acme Corp", ("entity",))
    assert (memory.tier, memory.priority, memory.expires_at) == ("long", 7, msgspec.UNSET)
    assert memory.metadata == {"city": "Bonn", "kind": "entity", "agent_id": "alice"}
    (op,) = await ops_of_kind(node, "entity")
    assert str(op) == str(answer.version)


async def ops_of_kind(node: Node, kind: str) -> list[object]:
    return [op.dot for op in await ops_of(node.store) if op.kind == kind]


async def test_registered_again_it_gains_aliases_and_keeps_the_rest(node: Node) -> None:
    first = await register(node, "Acme", "A", metadata={"city": "Bonn"})
    again = await register(node, "Acme", "B", "A", by=BOB, metadata={"city": "Rome"})
    assert (again.created, again.entity_id, again.aliases) == (False, first.entity_id, ("A", "B"))
    assert isinstance(again.version, str)
    memory = await shown(node, first.entity_id)
    assert (memory.metadata["city"], memory.metadata["agent_id"]) == ("Bonn", "alice")
    count = len(await ops_of(node.store))
    assert not isinstance((await register(node, "Acme", "A")).version, str)
    assert len(await ops_of(node.store)) == count


async def test_the_body_names_the_author(node: Node) -> None:
    answer = await register(node, "Acme", agent_id="carol")
    assert (await shown(node, answer.entity_id)).metadata["agent_id"] == "carol"


async def test_a_memory_that_is_no_entity_keeps_its_name(node: Node) -> None:
    stored = await put(node, "Acme", namespace="crm")
    error = await refused(Code.NAME_TAKEN, register(node, "Acme", "A"))
    assert (error.field, error.details) == ("canonical_name", {"id": stored.id})
    assert await id_of(node, "A") is None
    assert (await register(node, "Acme", namespace="other")).created


async def test_a_name_of_what_has_expired_is_free(node: Node, clock: FakeClock) -> None:
    await put(node, "Acme", namespace="crm", ttl_secs=60)
    clock.advance(61)
    answer = await register(node, "Acme", "A")
    assert (answer.created, await id_of(node, "A")) == (True, answer.entity_id)


async def test_a_repeated_registration_with_its_key_is_answered_from_the_first(node: Node) -> None:
    first = await register(node, "Acme", "A", once=ONCE)
    assert await register(node, "Acme", "A", once=ONCE) == first
    assert first.created


@pytest.mark.parametrize(("change", "code", "field"), [
    ({"canonical_name": " "}, Code.INVALID_REQUEST, "canonical_name"),
    ({"canonical_name": "x" * 513}, Code.INVALID_REQUEST, "canonical_name"),
    ({"canonical_name": "a\x00"}, Code.INVALID_REQUEST, "canonical_name"),
    ({"canonical_name": "\ud800"}, Code.INVALID_REQUEST, "canonical_name"),
    ({"namespace": ""}, Code.INVALID_REQUEST, "namespace"), ({"namespace": "a//b"}, Code.INVALID_REQUEST, "namespace"),
    ({"namespace": "_agents"}, Code.RESERVED_NAMESPACE, "namespace"),
    ({"aliases": ["ok", "x" * 257]}, Code.INVALID_REQUEST, "aliases[1]"),
    ({"aliases": ["a\tb"]}, Code.INVALID_REQUEST, "aliases[0]"),
    ({"aliases": ["\udc00"]}, Code.INVALID_REQUEST, "aliases[0]"),
    ({"aliases": [str(i) for i in range(51)]}, Code.INVALID_REQUEST, "aliases"),
    ({"metadata": {"a": "x" * 65_537}}, Code.INVALID_REQUEST, "metadata"),
    ({"metadata": {"a": float("nan")}}, Code.INVALID_REQUEST, "metadata"),
    ({"metadata": {"scope": "galaxy"}}, Code.UNKNOWN_SCOPE, "metadata.scope"),
    ({"agent_id": "a b"}, Code.INVALID_REQUEST, "agent_id"),
])
async def test_a_wrong_field_is_refused_and_nothing_is_written(
    node: Node, change: dict[str, object], code: Code, field: str
) -> None:
    count = len(await ops_of(node.store))
    given = {"canonical_name": "Acme", "namespace": "crm", **change}
    attempt = service.register_entity(node, ALICE, EntityRequest(**given))  # type: ignore[arg-type]
    assert (await refused(code, attempt)).field == field
    assert len(await ops_of(node.store)) == count


async def test_an_entity_has_at_most_two_hundred_aliases(node: Node) -> None:
    for start in range(0, 200, 50):
        await register(node, "Acme", *(f"alias {number}" for number in range(start, start + 50)))
    assert (await refused(Code.INVALID_REQUEST, register(node, "Acme", "one more"))).field == "aliases"
    assert len((await register(node, "Acme", "alias 7")).aliases) == 200


# --- looking up


async def test_an_alias_finds_its_entity_in_its_own_spelling(node: Node) -> None:
    answer = await register(node, "Acme Corp", "ACME", "the firm")
    found = await named(node, " ACME ")
    assert (found.found, found.entity_id, found.canonical_name, found.namespace, found.aliases) == (
        True, answer.entity_id, "Acme Corp", "crm", ("ACME", "the firm"))
    assert await id_of(node, "acme") is None
    missing = await named(node, "nobody")
    assert (missing.found, missing.entity_id, missing.canonical_name, missing.namespace, missing.aliases) == (
        False, None, None, None, ())


async def test_the_canonical_name_finds_it_too_though_it_is_no_alias(node: Node) -> None:
    for namespace in ("a", "m", "z"):
        await put(node, "filler", namespace=namespace)
    answer = await register(node, "Acme", "A", namespace="k/l")
    found = await named(node, "Acme")
    assert (found.entity_id, found.aliases) == (answer.entity_id, ("A",))
    assert await id_of(node, "Acme", "k/l") == answer.entity_id
    assert await id_of(node, "Acme", "k") is None
    assert await id_of(node, "filler") is None


async def test_of_several_the_newest_is_found_and_an_alias_goes_before_a_name(node: Node) -> None:
    old = await register(node, "One", "boss", namespace="a")
    new = await register(node, "Two", "boss", namespace="b")
    assert (await id_of(node, "boss"), await id_of(node, "boss", "a")) == (new.entity_id, old.entity_id)
    await register(node, "boss", namespace="c")
    assert await id_of(node, "boss") == new.entity_id


async def test_what_is_archived_deleted_or_hidden_is_not_found(node: Node) -> None:
    first = await register(node, "Acme", "A", metadata={"scope": "collective"})
    assert await named(node, "A", by=as_agent("x/y"))
    await service.archive(node, ALICE, ArchiveRequest(ids=[first.entity_id]))
    assert (await id_of(node, "A"), await id_of(node, "Acme")) == (None, None)
    await service.restore(node, ALICE, first.entity_id, RestoreQuery())
    assert await id_of(node, "A") == first.entity_id
    await service.delete(node, ALICE, first.entity_id)
    assert await id_of(node, "A") is None
    second = await register(node, "Acme", "B")
    assert (second.created, second.aliases) == (True, ("B",))
    await register(node, "Secret", "S", metadata={"scope": "private"})
    assert not (await named(node, "S", by=as_agent("x/y"))).found


@pytest.mark.parametrize(("query", "field"), [
    ({"alias": " "}, "alias"), ({"alias": "a\x00"}, "alias"), ({"alias": "x" * 513}, "alias"),
    ({"alias": "x", "namespace": "a b"}, "namespace"),
])
async def test_a_wrong_parameter_is_refused(node: Node, query: dict[str, str], field: str) -> None:
    attempt = service.entity_by_alias(node, ALICE, AliasQuery(**query))
    assert (await refused(Code.INVALID_REQUEST, attempt)).field == field


# --- staying an entity


async def test_generic_writes_leave_an_entity_one(node: Node) -> None:
    entity = (await register(node, "Acme", "A")).entity_id
    await service.update(node, ALICE, entity, UpdateMemory(metadata={"city": "Bonn"}))
    await put(node, "Acme", "new text", namespace="crm", metadata={"city": "Rome"})
    memory = await shown(node, entity)
    assert (memory.content, memory.metadata["kind"], memory.metadata["city"]) == ("new text", "entity", "Rome")
    assert await id_of(node, "A") == entity
    other = UpdateMemory(metadata={"kind": "person"})
    assert (await refused(Code.INVALID_REQUEST, service.update(node, ALICE, entity, other))).field == "metadata.kind"
    again = put(node, "Acme", namespace="crm", metadata={"kind": None})
    assert (await refused(Code.INVALID_REQUEST, again)).field == "metadata.kind"
    plain = await put(node, "plain", metadata={"kind": "note"})
    await service.update(node, ALICE, plain.id, UpdateMemory(metadata={"kind": "other"}))


async def test_a_renamed_entity_keeps_its_aliases(node: Node) -> None:
    entity = (await register(node, "Acme", "A")).entity_id
    await service.update(node, ALICE, entity, UpdateMemory(title="Acme Ltd"))
    assert (await named(node, "A")).canonical_name == "Acme Ltd"
    assert (await id_of(node, "Acme Ltd"), await id_of(node, "Acme")) == (entity, None)


# --- elsewhere


async def test_entities_made_on_two_nodes_become_one_with_all_aliases(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    async with another_node(tmp_path, clock) as other:
        mine = await register(node, "Acme", "A", "both")
        clock.advance(1)
        await register(other, "Acme", "B", "both")
        await tell(node, other)
        await tell(other, node)
        for each in (node, other):
            assert await id_of(each, "B") == await id_of(each, "A") == mine.entity_id
            assert (await named(each, "Acme")).aliases == ("A", "B", "both")
        assert (await register(other, "Acme", "B", "C")).aliases == ("A", "B", "both", "C")
        await tell(node, other)
        assert await other.store.read(digest) == await node.store.read(digest)
