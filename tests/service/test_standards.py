"""Standards: what is shown of them, what agents are given, and that they are not taken away unnoticed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from aimem import service
from aimem.errors import Code
from aimem.governance import PARENTS_MAX
from aimem.service import Node
from aimem.service.standards import EMPTY, INJECTED_MAX_TOKENS
from aimem.wire import (
    ArchiveRequest,
    AutoConsolidateRequest,
    ConsolidateRequest,
    CurateRequest,
    ForgetRequest,
    GcQuery,
    InjectedStandard,
    NamespaceStandards,
    PolicyOut,
    RecallRequest,
    RecallResult,
    Session,
    SessionRequest,
)
from tests.nodes import FakeClock
from tests.service.steps import ALICE, BOB, connect, ids_listed, put, refused, shown
from tests.service.test_curation import OTHER, PLAN
from tests.service.test_rulemaking import ANYBODY, OPERATOR, agent, held, rule

RULED = PolicyOut(write="any", promote="any", delete="owner", policy="any", approver="human")


async def standards(node: Node, namespace: str) -> NamespaceStandards:
    return await service.standards_for(node, ALICE, namespace)


async def recalled(node: Node, *, by: Any = ALICE, **fields: Any) -> RecallResult:
    request = msgspec.convert({"context": "deploy", "standards": True, "touch": False, **fields}, RecallRequest)
    return await service.recall(node, by, request)


def given_with(answer: RecallResult | Session) -> list[InjectedStandard]:
    """The standards of an answer; one and several exclude each other."""
    one, several = answer.standard, answer.standards
    assert one is UNSET or several is UNSET
    if several is not UNSET:
        assert len(several) > 1
        return list(several)
    return [] if one is UNSET else [one]


def names(answer: RecallResult | Session) -> list[str]:
    return [standard.standard_of for standard in given_with(answer)]


async def test_where_nothing_is_set_no_policy_is_made_up(node: Node) -> None:
    found = await held(node, "acme/team")
    assert (found.standard_id, found.governance, found.effective, found.from_) == (None, None, None, None)
    assert (found.title, found.owner, found.changed_by, found.governance_error) == (UNSET,) * 4


async def test_the_policy_that_holds_is_shown_with_where_it_is_from(node: Node) -> None:
    await rule(node, "*", governance={"write": "registered", "policy": "any"})
    await rule(node, "acme", governance=ANYBODY)
    await rule(node, "acme/team", content="Be kind.")
    below = await held(node, "acme/team/x")
    assert (below.governance, below.effective, below.from_) == (None, RULED, "acme")
    middle = await held(node, "acme/team")
    assert (middle.governance, middle.effective, middle.from_, middle.content) == (None, RULED, "acme", "Be kind.")
    assert (await held(node, "free")).from_ == "*"
    every = await standards(node, "acme/team/x")
    assert every.chain == ("*", "acme", "acme/team", "acme/team/x")
    assert [one.namespace for one in every.standards] == ["*", "acme", "acme/team"]
    assert (every.count, every.effective, every.from_) == (3, RULED, "acme")


@pytest.mark.parametrize("namespace", ["a//b", "", "x" * 600, "a\x00b"])
async def test_a_bad_namespace_is_refused(node: Node, namespace: str) -> None:
    await refused(Code.INVALID_REQUEST, held(node, namespace))
    await refused(Code.INVALID_REQUEST, standards(node, namespace))


async def test_explicit_parents_come_before_ancestors(node: Node) -> None:
    await rule(node, "style", content="Style.", parent="law")
    await rule(node, "law", content="Law.")
    await rule(node, "acme", content="Acme.", parent="style")
    await rule(node, "acme/x", content="X.")
    assert (await standards(node, "acme/x")).chain == ("*", "law", "style", "acme", "acme/x")


async def test_parents_in_circles_end(node: Node) -> None:
    await rule(node, "a", content="A.", parent="b")
    await rule(node, "b", content="B.", parent="c")
    await rule(node, "c", content="C.", parent="a")
    assert (await standards(node, "a")).chain == ("*", "c", "b", "a")
    for number in range(PARENTS_MAX + 3):
        await rule(node, f"p{number}", content="P.", parent=f"p{number + 1}")
    assert len((await standards(node, "p0")).chain) == PARENTS_MAX + 2


async def test_standards_come_beside_what_is_recalled(node: Node) -> None:
    everywhere = await rule(node, "*", content="Never deploy on Fridays.")
    here = await rule(node, "acme", content="Deploy from main.")
    memory = await put(node, "deploy", "How to deploy.", namespace="acme")
    found = await recalled(node, namespace="acme")
    assert names(found) == ["*", "acme"]
    assert [standard.id for standard in given_with(found)] == [everywhere.standard_id, here.standard_id]
    assert [one.id for one in found.memories] == [memory.id] and found.count == 1
    assert found.tokens_used > (await recalled(node, namespace="acme", standards=False)).tokens_used
    assert names(await recalled(node)) == ["*"]
    plain = await recalled(node, namespace="acme", standards=False)
    assert given_with(plain) == [] and here.standard_id in {one.id for one in plain.memories}


async def test_a_session_begins_with_the_standards(node: Node) -> None:
    await rule(node, "*", content="Be kind.")
    await rule(node, "acme", content="Deploy from main.")
    first, second = [(await put(node, title, namespace="acme/x", priority=9)).id for title in ("one", "two")]
    session = await service.start_session(node, ALICE, SessionRequest(namespace="acme/x", limit=2))
    assert names(session) == ["*", "acme"]
    assert {memory.id for memory in session.memories} == {first, second}
    here = await service.start_session(node, ALICE, SessionRequest(namespace="acme", limit=5))
    assert (here.count, names(here)) == (0, ["*", "acme"])
    anywhere = await service.start_session(node, ALICE, SessionRequest())
    assert names(anywhere) == ["*"]


async def test_one_memory_for_two_namespaces_is_given_once(node: Node) -> None:
    shared = await put(node, "Ours", "Be kind.", namespace="acme")
    await rule(node, "acme", id=shared.id)
    await rule(node, "acme/x", id=shared.id)
    assert names(await recalled(node, namespace="acme/x")) == ["acme/x"]


async def test_only_visible_live_and_short_standards_are_given(node: Node, clock: FakeClock) -> None:
    await rule(node, "*", governance=ANYBODY)       # without a text there is nothing to tell
    secret = await put(node, "Secret", "For Alice.", namespace="acme", scope="private")
    await rule(node, "acme", id=secret.id)
    brief = await put(node, "Brief", "Until noon.", namespace="acme/x", ttl_secs=60)
    await rule(node, "acme/x", id=brief.id)
    bob = agent("bob", "acme/x")
    assert names(await recalled(node, namespace="acme/x")) == ["acme", "acme/x"]
    assert names(await recalled(node, by=bob, namespace="acme/x")) == ["acme/x"]
    clock.advance(61)
    assert names(await recalled(node, by=bob, namespace="acme/x")) == []
    assert EMPTY not in {standard.content for standard in given_with(await recalled(node, namespace="acme/x"))}


async def test_of_long_standards_the_nearest_are_given_and_the_others_counted(node: Node) -> None:
    long_text = "word " * (INJECTED_MAX_TOKENS // 2)
    for namespace in ("*", "acme", "acme/x"):
        await rule(node, namespace, content=f"{namespace} {long_text}")
    found = await recalled(node, namespace="acme/x")
    assert names(found) and names(found)[-1] == "acme/x" and found.standards_omitted == 3 - len(names(found))
    assert found.standards_omitted >= 1
    small = await recalled(node, namespace="acme/x", budget_tokens=10)
    assert (names(small), small.standards_omitted) == ([], 3)
    assert small.tokens_used <= 10


async def test_a_policy_outlives_its_standard(node: Node, clock: FakeClock) -> None:
    brief = await put(node, "brief", namespace="acme", ttl_secs=60)
    await rule(node, "acme", id=brief.id, governance=ANYBODY)
    clock.advance(61)
    await service.collect(node, ALICE, GcQuery())
    found = await held(node, "acme")
    assert (found.standard_id, found.governance, found.title) == (brief.id, RULED, UNSET)
    assert "not there" in str(found.warning)


async def test_what_is_done_to_many_leaves_standards_alone(node: Node) -> None:
    standard = await put(node, "deploy rule", "deploy on Mondays", namespace="acme", tags=["ops"], tier="long")
    await rule(node, "acme", id=standard.id)
    others = [(await put(node, f"deploy {n}", "deploy notes", namespace="acme", tags=["ops"])).id for n in range(3)]
    would = await service.forget(node, ALICE, ForgetRequest(namespace="acme", dry_run=True))
    assert would.would_delete == 3
    assert (await service.auto_consolidate(
        node, ALICE, AutoConsolidateRequest(namespace="acme", min_count=4))).consolidated == 0
    assert (await service.auto_consolidate(
        node, ALICE, AutoConsolidateRequest(namespace="acme", min_count=3))).consolidated == 3
    assert standard.id in await ids_listed(node) and not set(others) & await ids_listed(node)
    assert (await service.forget(node, ALICE, ForgetRequest(namespace="acme"))).deleted == 1
    assert await ids_listed(node) == {standard.id}


async def test_capabilities_count_the_policies(node: Node) -> None:
    assert (await service.capabilities(node)).permissions["active_rules"] == 0
    await rule(node, "acme", governance=ANYBODY)
    await rule(node, "free", content="No policy here.")
    assert (await service.capabilities(node)).permissions["active_rules"] == 1


async def test_the_curator_leaves_standards_alone(node: Node, clock: FakeClock) -> None:
    older = {}
    for namespace in ("acme", "other"):
        old = await put(node, "deploy", PLAN, namespace=namespace, tier="long", confidence=0.5)
        clock.advance(60)
        new = await put(node, "coffee", OTHER, namespace=namespace, confidence=0.5)
        await connect(node, new.id, old.id, "contradicts")
        older[namespace] = old.id
    await rule(node, "acme", id=older["acme"])
    await service.curate(node, CurateRequest())
    left = await ids_listed(node)
    assert older["acme"] in left and older["other"] not in left


async def test_a_standard_is_not_consolidated(node: Node) -> None:
    standard = await rule(node, "acme", content="Be kind.")
    other = await put(node, "other", namespace="acme")
    request = ConsolidateRequest(ids=[str(standard.standard_id), other.id], title="both", summary="s")
    error = await refused(Code.IS_STANDARD, service.consolidate(node, ALICE, request))
    assert error.details == {"id": standard.standard_id, "namespace": "acme"}
    await service.clear_standard(node, ALICE, "acme")
    await service.consolidate(node, ALICE, request)


async def test_deleting_or_archiving_a_standard_warns(node: Node) -> None:
    first, second, plain = [
        (await put(node, title, namespace="acme", tier="long")).id for title in ("one", "two", "three")]
    await rule(node, "acme", id=first, governance=ANYBODY)
    await rule(node, "acme/x", id=first)
    await rule(node, "other", id=second)
    gone = await service.delete(node, ALICE, first)
    assert "acme, acme/x" in str(gone.warning)
    away = await service.archive(node, ALICE, ArchiveRequest(ids=[second, plain]))
    assert "other" in str(away.warning)
    assert (await service.delete(node, ALICE, (await put(node, "four")).id)).warning is UNSET
    assert (await held(node, "acme")).governance == RULED


async def test_a_shadowed_or_hidden_standard_does_not_exist_for_others(node: Node) -> None:
    secret = await put(node, "secret", "For Alice.", namespace="acme", scope="private", tier="long")
    await rule(node, "acme", id=secret.id)
    seen = await held(node, "acme", by=agent("bob", "other"))
    assert (seen.standard_id, seen.title, seen.content) == (None, UNSET, UNSET)
    assert "not for the caller" in str(seen.warning)
    assert (await held(node, "acme", by=OPERATOR)).content == "For Alice."
    assert (await shown(node, secret.id, by=BOB)).memory.content == "For Alice."      # claimed ids hide nothing
