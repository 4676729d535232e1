"""A node that remembers what it was asked and answers from a script; streams to a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from msgspec import Struct

from aimem.config import McpProfile
from aimem.mcp import run_mcp
from aimem.wire import (
    AgentOut,
    AgentsOut,
    ArchivedOut,
    ArchivedPage,
    ArchiveStats,
    AutoTagged,
    Capabilities,
    Consolidated,
    ContradictionOut,
    Deleted,
    ExpandedQuery,
    Forgotten,
    GcResult,
    Inbox,
    InboxMessage,
    Linked,
    LinkOut,
    LinksOut,
    MarkedRead,
    MemoryName,
    MemoryOut,
    MemoryPage,
    MemoryWithLinks,
    NamespaceCount,
    Notified,
    Promoted,
    Purged,
    RecallResult,
    Registered,
    Restored,
    ScoredMemory,
    SearchResult,
    Session,
    Stats,
    Stored,
    TierCount,
    UpdatedMemory,
    to_builtins,
)
from tests.mcp.governed_answers import GOVERNED_ANSWERS
from tests.mcp.graph_answers import GRAPH_ANSWERS

FIELDS: dict[str, object] = {
    "id": "7f3a", "tier": "mid", "namespace": "team/app", "title": "Deploys | on Friday: no",
    "content": "line one\nline two", "tags": ("ops", "a,b"), "priority": 7, "confidence": 0.5, "source": "claude",
    "access_count": 3,
    "created_at": "2026-01-02T03:04:05.000000Z", "updated_at": "2026-01-02T03:04:06.000000Z",
    "metadata": {"agent_id": "alice", "k": "v"},
}
MEMORY = MemoryOut(**FIELDS)  # type: ignore[arg-type]  # one table of fields for all shapes
LINK = LinkOut(source_id="7f3a", target_id="9c", relation="supersedes", created_at="2026-01-02T03:04:05.000000Z")
IN_APP = NamespaceCount(namespace="team/app", count=1)
THEN = "2026-01-02T03:04:05.000000Z"
AGENT = {
    "agent_id": "bob", "capabilities": ("plan",), "registered_at": THEN, "last_seen_at": THEN, "registered_by": "me",
}
MESSAGE = {"sender": "me", "title": "T", "payload": "P", "priority": 5, "tier": "mid", "created_at": THEN}
ANSWERS: dict[str, Struct] = {
    **GRAPH_ANSWERS,
    **GOVERNED_ANSWERS,
    "remember": Stored(
        id="7f3a", tier="mid", namespace="team/app", title="T", agent_id="alice", action="created", version="s:1"
    ),
    "recall": RecallResult(
        memories=(ScoredMemory(**FIELDS, score=0.75),),  # type: ignore[arg-type]
        count=1, tokens_used=12, mode="hybrid", budget_tokens=100,
    ),
    "search": SearchResult(results=(MEMORY,), count=1, query="deploys", memories=(MEMORY,)),
    "list_memories": MemoryPage(memories=(MEMORY,), count=1, next_cursor="c|1"),
    "get": MemoryWithLinks(**FIELDS, memory=MEMORY, links=(LINK,)),  # type: ignore[arg-type]
    "update": UpdatedMemory(**FIELDS, version="s:2"),  # type: ignore[arg-type]
    "delete": Deleted(deleted=True, id="7f3a"),
    "promote": Promoted(promoted=True, mode="tier", id="7f3a", tier="long"),
    "link": Linked(linked=True, source_id="7f3a", target_id="9c", relation="supersedes", created=True),
    "forget": Forgotten(deleted=2, archived=True, dry_run=False, forget_id="f1", version="s:3"),
    "consolidate": Consolidated(
        id="9c", consolidated=2, title="T", namespace="global", tier="long", agent_id="alice", version="s:4"
    ),
    "links_of": LinksOut(links=(LINK,), count=1),
    "expand_query": ExpandedQuery(original="db", expanded_terms=("engine",)),
    "auto_tag": AutoTagged(id="7f3a", new_tags=("db",), all_tags=("ops", "db"), version="s:9"),
    "detect_contradiction": ContradictionOut(
        contradicts=True, memory_a=MemoryName(id="7f3a", title="T"), memory_b=MemoryName(id="9c", title="U"),
        method="deterministic", reason="different values: 1 / 2",
    ),
    "stats": Stats(
        total=1, by_tier=(TierCount(tier="mid", count=1),), by_namespace=(IN_APP,), expiring_soon=0, links_count=1,
        db_size_bytes=4096, archived=0, tombstones=0, embedding_backlog=0, op_log_count=2,
    ),
    "collect": GcResult(expired_deleted=4, collected=4, dry_run=True),
    "list_archive": ArchivedPage(
        archived=(
            ArchivedOut(**FIELDS, archived_at="2026-01-03T00:00:00.000000Z", archive_reason="gc"),  # type: ignore[arg-type]
        ),
        count=1,
    ),
    "purge_archive": Purged(purged=3),
    "restore": Restored(restored=True, id="7f3a"),
    "register_agent": Registered(
        registered=True, agent_type="human", action="created", version="s:3", **{**AGENT, "id": "bob"},
    ),
    "list_agents": AgentsOut(count=1, agents=(AgentOut(agent_type="human", **AGENT),), total=1),
    "notify": Notified(
        id="9c", sender="me", recipient="bob", namespace="_messages/bob", tier="mid", delivered_at=THEN, version="s:4",
    ),
    "inbox": Inbox(
        agent_id="bob", namespace="_messages/bob", count=2, unread_only=False, messages=(
            InboxMessage(id="9c", read=False, access_count=0, **MESSAGE),
            InboxMessage(id="9d", read=True, access_count=1, read_at=THEN, **MESSAGE),
        ), unread_count=1,
    ),
    "mark_read": MarkedRead(read=("9c",), missing=(), count=1, version="s:5"),
    "start_session": Session(
        memories=(ScoredMemory(**FIELDS, score=0.0),),  # type: ignore[arg-type]
        count=1, mode="session_start", session_id="5e", agent_id="me",
    ),
    "archive_stats": ArchiveStats(archived_total=1, by_namespace=(IN_APP,)),
    "capabilities": Capabilities(
        schema_version="2", tier="semantic", version="0.1.0", features={"keyword_search": True}, models={},
        permissions={}, hooks={}, compaction={}, approval={}, transcripts={}, compatible_with="0.6.3", limits={},
    ),
}


class FakeClient:
    """Answers each method from `answers`: a value, an error to raise, or an async function to await."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = dict(ANSWERS)
        self.calls: list[tuple[str, list[object], str | None]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name not in self.answers:
            raise AttributeError(name)
        return partial(self._answer, name)

    async def _answer(self, name: str, *args: object, agent_id: str | None = None) -> object:
        self.calls.append((name, [to_builtins(arg) for arg in args], agent_id))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return await answer() if callable(answer) else answer


class Peer:
    """The client's end of the wire, by hand."""

    def __init__(self, stream: trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]) -> None:
        self._stream = stream
        self._rest = b""

    async def send(self, message: object) -> None:
        await self.send_bytes(json.dumps(message).encode() + b"\n")

    async def send_bytes(self, data: bytes) -> None:
        await self._stream.send_stream.send_all(data)

    async def receive(self) -> dict[str, object] | None:
        """The next message, or None at the end."""
        while b"\n" not in self._rest:
            chunk = await self._stream.receive_stream.receive_some()
            if not chunk:
                assert not self._rest
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, object] = json.loads(line)
        return message

    async def ask(self, method: str, params: dict[str, object] | None = None, *, id: object = 1) -> dict[str, object]:
        await self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})
        answer = await self.receive()
        assert answer is not None
        assert answer["id"] == id
        return answer

    async def call(self, tool: str, arguments: dict[str, object], *, id: object = 1) -> dict[str, object]:
        return await self.ask("tools/call", {"name": tool, "arguments": arguments}, id=id)

    async def initialize(self, version: str = "2025-06-18", name: str = "claude-code") -> dict[str, object]:
        answer = await self.ask("initialize", {
            "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": name, "version": "1"},
        }, id="hello")
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def end_input(self) -> None:
        await self._stream.send_stream.aclose()

    async def leave(self) -> None:
        await self._stream.aclose()


Serving = Callable[..., AbstractAsyncContextManager[Peer]]


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def serving(client: FakeClient) -> Serving:
    """Opens a served wire; leaving it ends the client's input and waits for the server to end by itself."""

    @asynccontextmanager
    async def open_peer(
        stop: trio.Event | None = None, *, profile: McpProfile = McpProfile.FULL
    ) -> AsyncIterator[Peer]:
        ours, theirs = trio.testing.memory_stream_pair()
        peer = Peer(ours)

        async def serve() -> None:
            await run_mcp(
                client, default_agent=lambda name: f"ai:{name}", stdin=theirs.receive_stream, stdout=theirs.send_stream,
                stop=stop, profile=profile,
            )
            await theirs.aclose()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve)
                yield peer
                await peer.end_input()

    return open_peer
