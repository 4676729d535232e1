"""A node with something in it, asked at its surface as any client could ask it; and what must not change in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio
import trio.testing
from msgspec import Struct
from msgspec.structs import replace

from aimem.api import Transport, make_app
from aimem.config import ApiConfig
from aimem.errors import Code
from aimem.model import AgentId, Credential, Principal, Shown, derived_memory_id
from aimem.ports import Connection
from aimem.service import Node
from aimem.store import digest
from tests.languages import ScriptedModel
from tests.nodes import InlineThreads, WordEmbedder, open_node, seeded_chance
from tests.pendings import PENDING, queue_pending
from tests.proofs import PUSH, claim_of, signed
from tests.streams import Author

Headers = Sequence[tuple[bytes, bytes]]
JSON: Final[Headers] = ((b"content-type", b"application/json"),)
AGENT: Final[Headers] = ((b"x-agent-id", b"alice"),)

LIVE: Final = ("seed-one", "seed-two", "seed-three", "seed-entity")
ARCHIVED: Final = "seed-archived"
MESSAGE_KEY: Final = "seed-message"
MESSAGE: Final = derived_memory_id(Principal(agent_id=AgentId("bob"), credential=Credential.OPEN).idempotency_scope,
                                   MESSAGE_KEY, 0)
SUBSCRIPTION_KEY: Final = "seed-subscription"
SUBSCRIPTION: Final = derived_memory_id(
    Principal(agent_id=AgentId("alice"), credential=Credential.OPEN).idempotency_scope, SUBSCRIPTION_KEY, 0
)
NAMESPACE: Final = "team/app"
SEEDS: Final[Mapping[str, object]] = {
    "memories": [
        {"id": memory_id, "title": f"Title of {memory_id}", "content": f"The words of {memory_id}: deploy on Friday.",
         "namespace": NAMESPACE, "tags": ["ops"], "metadata": {"kind": "entity"} if memory_id == LIVE[3] else {"k": 1}}
        for memory_id in LIVE
    ],
    "links": [{"source_id": LIVE[0], "target_id": LIVE[1], "relation": "related_to"}],
    "archived": [{"id": ARCHIVED, "title": "Put away", "content": "An old text.", "namespace": NAMESPACE}],
    "agents": [{"agent_id": "bob", "agent_type": "human"}],
    "aliases": [{"entity_id": LIVE[3], "alias": "the entity"}],
    "trust_source": True,
}

SOCKET_PATHS: Final = b"/api/v1/agents/keys"
"""What is asked over the socket, for the first key is made there alone; all else comes by the loopback address."""

REFUSALS_OF_OURS: Final = frozenset({Code.NEEDS_LLM, Code.LLM_ANSWER_UNUSABLE, Code.EMBEDDER_UNAVAILABLE})
"""Refusals of 5xx that a node owes to its callers where it has no model, or one that talks nonsense."""

ASKER: Final = Author(7, "asker")
"""Another node of the mesh."""

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_USES = "SELECT coalesce(sum(access_count), 0) FROM memory_view"
_REFUSED = "SELECT count(*) FROM audit WHERE decision = 'denied'"


class Asked(Struct, frozen=True, kw_only=True):
    """A request as it goes over the wire."""

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = ()
    body: bytes = b""

    def __str__(self) -> str:
        shown = self.body if len(self.body) <= 2_000 else self.body[:2_000] + b"..."
        return f"{self.method} {self.path[:500]!r}?{self.query[:500]!r} {list(self.headers)!r} {shown!r}"


class Answer(Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Contents(Struct, frozen=True, kw_only=True):
    """What a node holds: the digest of what is replicated, the rows of every table, and how often they were used.

    Attributes:
      rows: of the audit, those alone that stand for what was done or asked.
      refused: rows of the audit that stand for what was refused.
    """

    digest: str
    rows: Mapping[str, int]
    uses: int
    refused: int

    def is_left_by(self, later: Contents) -> bool:
        """Whether a request that was refused left this as it was; for the audit one row may tell of the refusal."""
        noted = later.refused - self.refused
        return noted in (0, 1) and later == replace(self, refused=later.refused)

    @property
    def without_notes(self) -> Contents:
        """The same but for the notes of which answers were given to which keys."""
        return replace(self, rows={name: count for name, count in self.rows.items() if name != "idempotency"})


class World:
    """A node and its surface."""

    def __init__(self, node: Node, app: Any) -> None:
        self.node, self.app = node, app
        self._known: Contents | None = None

    async def ask(self, asked: Asked, speaker: Author = ASKER) -> Answer:
        """Carry one request to the surface, as the connection layer does, and collect its answer.

        What one node says to another is signed by one that is known here, whatever it says.
        """
        if (asked.method, asked.path) == ("POST", PUSH.encode()):
            proof = signed(speaker, asked.body, self.node.store.stream).items()
            asked = replace(asked, headers=(*asked.headers, *((name.encode(), said.encode()) for name, said in proof)))
        exchange = _Exchange(asked.body)
        await self.app(_scope(asked), exchange.receive, exchange.send)
        return exchange.answer

    async def contents(self) -> Contents:
        """What the node holds once all work is done."""
        await trio.testing.wait_all_tasks_blocked()
        return await self.node.store.read(_contents)

    async def try_it(
        self, asked: Asked, is_refused: Callable[[Answer], bool] = lambda answer: answer.status >= 400,
        speaker: Author = ASKER,
    ) -> Answer:
        """Ask, and check what every answer owes: see `check`. A refused request has changed nothing.

        What a rule forbids leaves its row in the audit, or is counted with others alike in one row; nothing else does.
        """
        before, self._known = self._known or await self.contents(), None
        try:
            answer = await self.ask(asked, speaker)
            check(answer)
            if is_refused(answer):
                self._known = await self.contents()
                assert before.is_left_by(self._known), "a refused request wrote"
                # A vote on an action that is not there is noted, too.
                is_about_a_rule = answer.status == 403 or is_noted(answer) or b"/pending/" in asked.path
                assert is_about_a_rule or self._known.refused == before.refused, "what no rule forbids was noted"
        except Exception as error:
            error.add_note(f"The request was: {asked}")
            raise
        return answer


def is_noted(answer: Answer) -> bool:
    """Whether a policy, a scope or a webhook's address was refused, or an item's was: the audit tells of it as well."""
    told = answer.json
    refused = [told, *told.get("results", ())]
    return any(
        each.get("code") in ("webhook_url", "unknown_scope", "malformed_policy", "reserved_namespace", "denied")
        or str(each.get("field", "")).startswith("governance") for each in refused
    )


def check(answer: Answer) -> None:
    """An answer is a success, or a refusal that the client can act on: a sentence, a known code, perhaps a field."""
    if answer.status < 400:
        assert answer.status in (200, 201, 202, 204), answer
        return
    refused = answer.json
    assert isinstance(refused["error"], str) and refused["error"], answer
    code = Code(refused["code"])
    assert isinstance(refused.get("field", ""), str), answer
    assert answer.status < 500 or code in REFUSALS_OF_OURS, answer


class BriefEmbedder(WordEmbedder):
    """Looks at the beginning of a text only, so that long ones cost little."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return super().embed([text[:64] for text in texts])


@asynccontextmanager
async def open_world(db: Path, **settings: object) -> AsyncIterator[World]:
    """A node without threads, so that once all tasks wait nothing is under way any more; a new one holds the seeds."""
    is_new = not db.exists()
    async with open_node(
        db, chance=seeded_chance(1), threads=InlineThreads(), embedder=BriefEmbedder(),
        language=ScriptedModel("words, of, a, model"),
    ) as node:
        world = World(node, make_app(node, ApiConfig(**settings)))
        if is_new:
            await plant(world)
        yield world


async def plant(world: World) -> None:
    """Put the seeds in."""
    body = json.dumps(SEEDS).encode()
    answer = await world.ask(Asked(method="POST", path=b"/api/v1/import", headers=(*JSON, *AGENT), body=body))
    assert (answer.status, answer.json["errors"]) == (200, []), answer
    headers = (*JSON, (b"x-agent-id", b"bob"), (b"idempotency-key", MESSAGE_KEY.encode()))
    body = json.dumps({"target_agent_id": "alice", "title": "News", "content": "A message."}).encode()
    answer = await world.ask(Asked(method="POST", path=b"/api/v1/notify", headers=headers, body=body))
    assert (answer.status, answer.json["id"]) == (201, MESSAGE), answer
    headers = (*JSON, *AGENT, (b"idempotency-key", SUBSCRIPTION_KEY.encode()))
    body = json.dumps({"url": "https://example.org/events"}).encode()
    answer = await world.ask(Asked(method="POST", path=b"/api/v1/subscriptions", headers=headers, body=body))
    assert (answer.status, answer.json["id"]) == (201, SUBSCRIPTION), answer
    assert await queue_pending(world.node) == PENDING
    await world.node.trust.admit(claim_of(ASKER), Shown())


def _contents(conn: Connection) -> Contents:
    tables = [str(name) for (name,) in conn.execute(_TABLES)]
    rows = {name: _number(conn, f'SELECT count(*) FROM "{name}"') for name in tables}
    refused = _number(conn, _REFUSED)
    rows["audit"] -= refused
    return Contents(digest=digest(conn), rows=rows, uses=_number(conn, _USES), refused=refused)


def _number(conn: Connection, statement: str) -> int:
    row = conn.execute(statement).fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def _scope(asked: Asked) -> dict[str, Any]:
    headers = [(b"host", b"localhost:9077"), *asked.headers]
    if asked.body:
        headers.append((b"content-length", str(len(asked.body)).encode()))
    transport = Transport.UNIX if asked.path.startswith(SOCKET_PATHS) else Transport.TCP_LOOPBACK
    return {
        "type": "http", "asgi": {"spec_version": "2.1", "version": "3.0"}, "http_version": "1.1",
        "method": asked.method, "scheme": "http", "path": asked.path.decode("latin-1"), "raw_path": asked.path,
        "query_string": asked.query, "root_path": "", "headers": headers, "client": None, "server": None, "state": {},
        "extensions": {"aimem.transport": str(transport)},
    }


class _Exchange:
    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._start: Any = None
        self._sent = bytearray()
        self._is_done = trio.Event()

    async def receive(self) -> Any:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._is_done.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            if (b"content-type", b"text/event-stream") in [(name.lower(), value) for name, value in message["headers"]]:
                self._is_done.set()     # a stream has no end: whoever reads it leaves once it has begun
        else:
            self._sent += message.get("body", b"")
            if not message.get("more_body", False):
                self._is_done.set()

    @property
    def answer(self) -> Answer:
        assert self._is_done.is_set(), "the app ended without an answer"
        return Answer(status=self._start["status"], headers=tuple(self._start["headers"]), body=bytes(self._sent))
