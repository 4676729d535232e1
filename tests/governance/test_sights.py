"""Every door that reads shows each caller what the rule of visibility lets it see, and nothing tells of the rest."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio.testing

from aimem.api import ROUTES, Effect
from aimem.model import AgentId, Principal
from aimem.service import Node
from aimem.store import NAMESPACE, Transaction
from tests.governance.knocking import Answer, Met, Request, agent, knock, operator
from tests.governance.showing import (
    ARCHIVED,
    AUTHOR,
    CALLERS,
    COLLECTIVE,
    COUNTED,
    HUB,
    LIVE,
    PLACE,
    PLAIN,
    Reading,
    Secret,
    readings,
)
from tests.nodes import InlineThreads, WordEmbedder, open_node, seeded_chance


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node with a memory of each scope, here and in the archive."""
    async with furnished(tmp_path / "sights.db", (*LIVE, *ARCHIVED)) as opened:
        yield opened


@asynccontextmanager
async def furnished(db: Path, secrets: Sequence[Secret]) -> AsyncIterator[Node]:
    """A node that recalls by words and by meaning, with these memories, a hub, and links to and from it."""
    async with open_node(
        db, chance=seeded_chance(1), threads=InlineThreads(), embedder=WordEmbedder(),
    ) as opened:
        hub = {"id": HUB, "title": "Hub", "content": "What is going on.", "namespace": "lobby", "tier": "long",
               "metadata": {"agent_id": AUTHOR, "scope": COLLECTIVE}}
        live = [secret for secret in secrets if not secret.is_archived]
        body = {
            "memories": [hub, *(secret.row() for secret in live)],
            "archived": [secret.row() for secret in secrets if secret.is_archived],
            "aliases": [{"entity_id": secret.id, "alias": secret.alias} for secret in live],
            "links": [{"source_id": HUB, "target_id": secret.id} for secret in secrets]
            + [{"source_id": secret.id, "target_id": HUB} for secret in live],
            "trust_source": True,
        }
        answer = await knock(opened, "import_memories", operator(), Request(body=body))
        assert '"errors":[]' in answer.text, answer.text
        await opened.store.write(_set_standards)
        await trio.testing.wait_all_tasks_blocked(0.001)
        yield opened


def _set_standards(transaction: Transaction) -> None:
    """Each memory, whether it is there or not, is the standard of a namespace."""
    author = AgentId(AUTHOR)
    entries = [
        transaction.create(NAMESPACE, secret.ruled, author, {
            "standard_id": secret.id, "parent": None, "governance": None, "owner": author, "changed_by": author,
            "changed_at": transaction.now,
        })
        for secret in LIVE
    ]
    transaction.emit("namespace_meta", entries)


def test_every_route_that_reads_is_tried_here() -> None:
    reading = {route.name for route in ROUTES if route.effect is Effect.READ}
    tried = {one.route for one in readings()} | COUNTED
    assert tried.isdisjoint(PLAIN)
    assert reading - tried - PLAIN.keys() == set(), "routes without a case"
    assert tried - reading == set(), "cases without a route"


@pytest.mark.parametrize("name", CALLERS)
async def test_a_caller_is_shown_what_it_may_see_and_no_word_of_anything_else(node: Node, name: str) -> None:
    who = CALLERS[name]
    for one in readings():
        answer = await knock(node, one.route, who, one.request)
        told = _told(one, answer, who)
        expected = {secret.word for secret in one.shows if secret.is_seen_by(who)}
        assert told == expected, f"{one} for {name}: {told ^ expected}; {answer.text}"


def _told(one: Reading, answer: Answer, who: Principal) -> set[str]:
    """Of which memories an answer tells. What was asked for comes back in it, and tells nothing by itself."""
    named = {secret for secret in (*LIVE, *ARCHIVED) if secret.word in answer.text}
    if one.about is None:
        return {secret.word for secret in named}
    is_there = answer.met is Met.DONE and _is_found(one.route, one.about, answer)
    others = {secret.word for secret in named - {one.about} if not secret.is_seen_by(who)}
    return others | ({one.about.word} if is_there else set())


def _is_found(route: str, about: Secret, answer: Answer) -> bool:
    """Whether the memory is in the answer to a question for it."""
    fields = {"entity_by_alias": "found", "check_duplicate": "identical", "detect_contradiction": "memory_a"}
    fields |= dict.fromkeys(("links_of", "kg_query", "kg_timeline"), "count")
    return bool(msgspec.json.decode(answer.text)[fields[route]]) if route in fields else about.content in answer.text


@pytest.mark.parametrize("name", ["other org", "same org"])
async def test_an_answer_is_the_same_whether_what_it_hides_is_there_or_not(
    node: Node, tmp_path: Path, name: str
) -> None:
    who = CALLERS[name]
    seen = [secret for secret in (*LIVE, *ARCHIVED) if secret.is_seen_by(who)]
    async with furnished(tmp_path / "other.db", seen) as other:
        for one in readings():
            here, there = [await knock(at, one.route, who, one.request) for at in (node, other)]
            assert _timeless(here.text) == _timeless(there.text), str(one)


def _timeless(text: str) -> str:
    """An answer without moments, and the digests of rows that have them."""
    return re.sub(r'\d{4}-\d\d-\d\dT[\d:.]+Z|"digest":"[0-9a-f]+"', "THEN", text)


async def test_counts_are_of_what_the_caller_sees(node: Node) -> None:
    for name, who in CALLERS.items():
        seen = sum(secret.is_seen_by(who) for secret in LIVE)
        away = sum(secret.is_seen_by(who) for secret in ARCHIVED)
        in_lobby = int(who.sees(namespace="lobby", scope=COLLECTIVE, author=AUTHOR))
        stats = msgspec.json.decode((await knock(node, "stats", who, Request())).text)
        assert (stats["total"], stats["archived"]) == (seen + in_lobby, away), name
        assert sum(row["count"] for row in stats["by_namespace"]) == sum(row["count"] for row in stats["by_tier"])
        assert stats["links_count"] == 2 * seen, name
        assert ("op_log_count" in stats) == (not who.sights), name
        spaces = msgspec.json.decode((await knock(node, "namespaces", who, Request())).text)["namespaces"]
        assert {row["namespace"]: row["count"] for row in spaces} == {"lobby": 1, PLACE: seen}, name
        tree = msgspec.json.decode((await knock(node, "get_taxonomy", who, Request(query={"prefix": PLACE}))).text)
        assert (tree["total_count"], tree["tree"]["count"]) == (seen, seen), name
        archived = msgspec.json.decode((await knock(node, "archive_stats", who, Request())).text)
        assert archived["archived_total"] == away, name


async def test_a_message_is_seen_by_its_recipient_alone(node: Node) -> None:
    sender, recipient = agent("ai:sender", PLACE), agent("ai:recipient", "acme/eng/web")
    letter = {"target_agent_id": "ai:recipient", "title": "Between us", "content": "qletter is the word."}
    sent = await knock(node, "notify", sender, Request(body=letter))
    message = msgspec.json.decode(sent.text)["id"]
    # Its namespace is no home of anybody's, and if it were, no generic read would look there.
    eavesdropper = agent("ai:eavesdropper", "_messages/ai:recipient")
    for who in (sender, recipient, eavesdropper, *CALLERS.values()):
        inbox = await knock(node, "inbox", who, Request())
        assert ("qletter" in inbox.text) == (who is recipient), who
    for who in (sender, eavesdropper, operator()):
        for one in (
            *readings(), Reading(route="get", request=Request(path={"memory_id": message})),
            Reading(route="search", request=Request(query={"q": "qletter", "namespace": "_messages/ai:recipient"})),
            Reading(route="list_memories", request=Request(query={"namespace": "_messages/ai:recipient"})),
        ):
            assert "is the word" not in (await knock(node, one.route, who, one.request)).text, (who, one.route)


async def test_as_agent_shows_an_agent_no_more_than_it_sees(node: Node) -> None:
    who = CALLERS["other org"]
    for route, query in (
        ("list_memories", {"limit": 1000}), ("search", {"q": "launch"}), ("recall_safely", {"context": "the launch"}),
    ):
        for place in (PLACE, "acme", "globex/desk/x"):
            answer = await knock(node, route, who, Request(query={**query, "as_agent": place}))
            assert {secret.word for secret in LIVE if secret.word in answer.text} <= {"qcollectivehere"}, route
