"""The start of a session: what comes first, that nothing is touched, and the summary of a language model."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import Code, Unavailable
from aimem.service import Node
from aimem.wire import Session, SessionRequest
from tests.languages import ScriptedModel
from tests.nodes import FakeClock, InlineThreads, open_node, principal, seeded_chance
from tests.service.steps import ALICE, BOB, all_quiet, ops_of, put, refused, shown


async def start(node: Node, **fields: object) -> Session:
    return await service.start_session(node, ALICE, SessionRequest(**fields))  # type: ignore[arg-type]


async def test_the_important_comes_first_then_what_changed_last(node: Node, clock: FakeClock) -> None:
    for title, priority in (("old", 5), ("important", 9), ("new", 5)):
        await put(node, title, priority=priority)
        clock.advance(60)
    session = await start(node)
    assert [memory.title for memory in session.memories] == ["important", "new", "old"]
    assert (session.count, session.mode, session.agent_id) == (3, "session_start", "alice")
    assert [memory.score for memory in session.memories] == [0.0] * 3
    assert [memory.title for memory in (await start(node, limit=1)).memories] == ["important"]


async def test_a_session_is_of_exactly_one_namespace(node: Node) -> None:
    for namespace in ("a", "a/b", "a/b/c"):
        await put(node, "t", namespace=namespace)
    assert [memory.namespace for memory in (await start(node, namespace="a/b")).memories] == ["a/b"]


async def test_nothing_is_touched_and_nothing_remembers_the_session(node: Node) -> None:
    stored, before = await put(node, "t"), len(await ops_of(node.store))
    ids = {(await start(node)).session_id for _ in range(3)}
    await all_quiet()
    assert len(ids) == 3
    assert (await shown(node, stored.id)).access_count == 0
    assert len(await ops_of(node.store)) == before


async def test_expired_memories_are_left_out(node: Node, clock: FakeClock) -> None:
    await put(node, "brief", ttl_secs=60)
    clock.advance(61)
    assert (await start(node)).memories == ()


async def test_a_session_says_for_whom_it_is_if_anybody_said(node: Node) -> None:
    nobody = msgspec.structs.replace(principal("anonymous:req-1"), is_anonymous=True)
    assert (await service.start_session(node, nobody, SessionRequest())).agent_id is msgspec.UNSET
    assert (await service.start_session(node, nobody, SessionRequest(agent_id="carol"))).agent_id == "carol"
    await refused(Code.DENIED, service.start_session(node, BOB, SessionRequest(agent_id="carol")))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limit": 0}, "limit"), ({"limit": 51}, "limit"), ({"limit": 2**70}, "limit"),
        ({"namespace": "a//b"}, "namespace"), ({"namespace": "a\x00"}, "namespace"),
        ({"namespace": "\ud800"}, "namespace"), ({"agent_id": "a b"}, "agent_id"),
    ],
)
async def test_a_bad_start_is_refused(node: Node, fields: dict[str, object], field: str) -> None:
    assert (await refused(Code.INVALID_REQUEST, start(node, **fields))).field == field


async def with_model(folder: Path, model: ScriptedModel, **fields: object) -> Session:
    async with open_node(
        folder / "m.db", clock=FakeClock(), chance=seeded_chance(1), threads=InlineThreads(), language=model
    ) as node:
        await service.look_for_language(node)
        if not fields.pop("is_empty", False):
            await put(node, "Deploy", "We deploy on Fridays.")
        return await start(node, **fields)


async def test_a_summary_is_there_if_it_is_asked_for_and_a_model_gives_one(tmp_path: Path) -> None:
    model = ScriptedModel("Fridays are for deploying.")
    assert (await with_model(tmp_path, model, summary=True)).summary == "Fridays are for deploying."
    assert "We deploy on Fridays." in model.asked[0][1]


@pytest.mark.parametrize(
    ("script", "fields"),
    [("A summary.", {}), ("A summary.", {"summary": True, "is_empty": True}), ("", {"summary": True}),
     (Unavailable("gone", code=Code.NEEDS_LLM), {"summary": True})],
)
async def test_without_a_summary_a_session_begins_all_the_same(
    tmp_path: Path, script: str | Exception, fields: dict[str, object]
) -> None:
    assert (await with_model(tmp_path, ScriptedModel(script), **fields)).summary is msgspec.UNSET
