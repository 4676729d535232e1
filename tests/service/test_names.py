"""Names between callers who do not see the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem import service
from aimem.errors import Code
from aimem.service import Node
from aimem.wire import (
    AliasQuery,
    ArchiveRequest,
    EntityRequest,
    ImportMemory,
    ImportRequest,
    RestoreQuery,
    UpdateMemory,
)
from tests.governance.knocking import agent, operator
from tests.nodes import FakeClock
from tests.service.steps import another_node, ids_listed, put, refused, shown, tell

OWNER, STRANGER = agent("ai:owner", "acme/eng/desk"), agent("ai:stranger", "globex/desk")
PLACE = "acme/eng"


async def hidden(node: Node, title: str = "plan", **fields: object) -> str:
    """A memory of the owner's team, which the stranger does not see."""
    return (await put(node, title, "the team's text", by=OWNER, namespace=PLACE, scope="team", **fields)).id


async def test_a_store_onto_a_hidden_name_leaves_that_memory_alone_and_stands_beside_it(node: Node) -> None:
    old = await hidden(node)
    new = await put(node, "plan", "a stranger's text", by=STRANGER, namespace=PLACE)
    assert (new.action, new.namespace) == ("created", PLACE)
    assert new.title.startswith("plan ~") and new.id != old
    kept = await shown(node, old, by=OWNER)
    assert (kept.title, kept.content) == ("plan", "the team's text")
    again = await put(node, "plan", "a second text", by=STRANGER, namespace=PLACE)
    assert (again.action, again.id, again.title) == ("updated", new.id, new.title)
    assert await ids_listed(node, by=STRANGER) == {new.id}


async def test_a_hidden_memory_that_has_expired_keeps_no_name(node: Node, clock: FakeClock) -> None:
    await hidden(node, ttl_secs=60)
    clock.advance(61)
    assert (await put(node, "plan", by=STRANGER, namespace=PLACE)).title == "plan"


async def test_who_asks_for_just_a_hidden_name_is_told_that_it_is_taken_and_not_by_what(node: Node) -> None:
    old = await hidden(node)
    mine = (await put(node, "mine", by=STRANGER, namespace=PLACE)).id
    error = await refused(Code.NAME_TAKEN, service.update(node, STRANGER, mine, UpdateMemory(title="plan")))
    assert old not in error.message and old not in error.details.values()
    theirs = await refused(Code.NAME_TAKEN, service.update(node, operator(), mine, UpdateMemory(title="plan")))
    assert theirs.details["id"] == old


async def test_a_memory_whose_name_went_to_a_hidden_one_is_not_restored_over_it(node: Node) -> None:
    mine = (await put(node, "plan", by=STRANGER, namespace=PLACE)).id
    await service.archive(node, STRANGER, ArchiveRequest(ids=[mine]))
    old = await hidden(node)
    error = await refused(Code.NAME_TAKEN, service.restore(node, STRANGER, mine, RestoreQuery()))
    assert old not in error.message and old not in error.details.values()


async def test_an_import_onto_a_hidden_id_or_name_changes_nothing_of_it(node: Node) -> None:
    old = await hidden(node)
    rows = [
        ImportMemory(id=old, title="other", content="over the id", namespace=PLACE),
        ImportMemory(id="new-id", title="plan", content="over the name", namespace=PLACE),
    ]
    result = await service.import_memories(node, STRANGER, ImportRequest(memories=rows))
    assert [one.code for one in result.refused] == [Code.GONE]
    assert (await shown(node, old, by=OWNER)).content == "the team's text"
    assert (await shown(node, "new-id", by=STRANGER)).title.startswith("plan ~")


async def test_an_entity_of_a_hidden_name_is_found_by_that_name_all_the_same(node: Node) -> None:
    await hidden(node, "Ada")
    made = await service.register_entity(node, STRANGER, EntityRequest(canonical_name="Ada", namespace=PLACE))
    assert made.created and made.canonical_name.startswith("Ada ~") and made.aliases == ("Ada",)
    found = await service.entity_by_alias(node, STRANGER, AliasQuery(alias="Ada"))
    assert found.found and found.entity_id == made.entity_id


async def test_a_row_that_lost_its_name_to_a_hidden_one_is_read_and_deleted_alone(
    node: Node, tmp_path: Path, clock: FakeClock
) -> None:
    async with another_node(tmp_path, clock) as other:
        old = await hidden(other)
        clock.advance(1)
        mine = (await put(node, "plan", "mine", by=STRANGER, namespace=PLACE)).id
        await tell(node, other)
    assert (await shown(node, mine, by=STRANGER)).content == "mine"
    await refused(Code.NOT_FOUND, service.get(node, STRANGER, old))
    await service.delete(node, STRANGER, mine)
    await refused(Code.NOT_FOUND, service.get(node, STRANGER, mine))
    assert (await shown(node, old, by=OWNER)).content == "the team's text"


@pytest.mark.parametrize("scope", [None, "private", "team", "org"])
async def test_private_names_are_never_in_anybodys_way(node: Node, scope: str | None) -> None:
    await put(node, "plan", by=OWNER, namespace=PLACE, scope="private")
    assert (await put(node, "plan", by=STRANGER, namespace=PLACE, scope=scope)).title == "plan"
