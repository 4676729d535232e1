"""Every route that reads: what it is asked for, and what of a memory its answer shows to whom may see it.

A route that shows nothing of any memory stands in `PLAIN` with the reason. A route in neither fails the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from aimem.model import Namespace, Principal
from tests.governance.knocking import Request, agent, operator

PLACE: Final = "acme/eng/db"
"""Where the memories lie."""

AUTHOR: Final = "ai:author"
HUB: Final = "hub"
"""A memory that everybody sees; links lead from it to all others."""

COLLECTIVE: Final = "collective"
SCOPES: Final = (None, "private", "team", "unit", "org", COLLECTIVE)
CALLERS: Final[Mapping[str, Principal]] = {
    "author elsewhere": agent(AUTHOR, "globex/desk"),
    "same home": agent("ai:same", PLACE),
    "sibling": agent("ai:sibling", "acme/eng/web"),
    "child": agent("ai:child", f"{PLACE}/shard"),
    "cousin": agent("ai:cousin", "acme/eng/web/ui"),
    "same org": agent("ai:ops", "acme/ops/desk"),
    "other org": agent("ai:other", "globex/desk"),
    "org of a like name": agent("ai:like", "acm"),
    "homeless": agent("ai:homeless", None),
    "operator": operator(),
    "operator as sibling": operator("acme/eng/web"),
}


class Secret(Struct, frozen=True):
    """A memory of one scope, with words that no other has."""

    scope: str | None
    is_archived: bool = False

    @property
    def word(self) -> str:
        """A word that stands in its title, its text and its tag."""
        return f"q{self.scope or 'unscoped'}{'away' if self.is_archived else 'here'}"

    @property
    def id(self) -> str:
        """Begins as no other id does."""
        return f"{self.word}-0001"

    @property
    def content(self) -> str:
        """Its text."""
        return f"The launch of {self.word} is on Friday."

    @property
    def ruled(self) -> str:
        """The namespace whose standard it is."""
        return f"ruled/{self.word}"

    @property
    def alias(self) -> str:
        """Another name of it, as an entity."""
        return f"alias of {self.word}"

    def is_seen_by(self, who: Principal) -> bool:
        """What the rule says."""
        return who.sees(namespace=Namespace(PLACE), scope=self.scope, author=AUTHOR)

    def row(self) -> dict[str, Any]:
        """As an import takes it."""
        return {
            "id": self.id, "title": f"About {self.word}", "content": self.content, "namespace": PLACE,
            "tags": [self.word], "tier": "long",
            "metadata": {"agent_id": AUTHOR, "topic": "launch", **({"scope": self.scope} if self.scope else {}),
                         **({} if self.is_archived else {"kind": "entity"})},
        }


LIVE: Final = tuple(Secret(scope) for scope in SCOPES)
ARCHIVED: Final = tuple(Secret(scope, is_archived=True) for scope in SCOPES)


class Reading(Struct, frozen=True, kw_only=True):
    """One way to ask a route.

    Attributes:
      about: the memory that alone is asked for; None if all are.
      shows: which ones the answer shows, each by its id or its word.
    """

    route: str
    request: Request
    about: Secret | None = None
    shows: Sequence[Secret] = LIVE

    def __str__(self) -> str:
        return self.route if self.about is None else f"{self.route} of {self.about.word}"


def readings() -> Iterator[Reading]:
    """Every reading route, asked for all that it can show."""
    yield Reading(route="list_memories", request=Request(query={"limit": 1000}))
    yield Reading(route="list_memories", request=Request(query={"limit": 1000, "namespace": PLACE}))
    yield Reading(route="search", request=Request(query={"q": "launch", "limit": 100}))
    for route in ("recall", "recall_safely"):
        asked: dict[str, object] = {"context": "the launch on Friday", "limit": 50, "floor": False, "explain": True,
                                    "touch": False}
        yield Reading(route=route, request=Request(body=asked) if route == "recall" else Request(query=asked))
    yield Reading(route="start_session", request=Request(body={"limit": 50}))
    yield Reading(route="contradictions", request=Request(query={"topic": "launch", "limit": 1000}))
    yield Reading(route="links_of", request=Request(path={"memory_id": HUB}))
    yield Reading(route="get", request=Request(path={"memory_id": HUB}))
    yield Reading(route="kg_query", request=Request(body={"source_id": HUB, "max_depth": 2}))
    yield Reading(route="kg_timeline", request=Request(query={"source_id": HUB}))
    yield Reading(route="list_archive", request=Request(query={"limit": 1000}), shows=ARCHIVED)
    yield Reading(route="export", request=Request(), shows=(*LIVE, *ARCHIVED))
    yield Reading(route="export", request=Request(query={"limit": 1000}), shows=(*LIVE, *ARCHIVED))
    for secret in LIVE:
        yield from _about(secret)


def _about(secret: Secret) -> Iterator[Reading]:
    """Questions for one memory, by whom knows what to ask for."""
    def one(route: str, request: Request) -> Reading:
        return Reading(route=route, request=request, about=secret, shows=(secret,))

    yield one("get", Request(path={"memory_id": secret.id}))
    yield one("get", Request(path={"memory_id": secret.id[:-2]}))
    yield one("links_of", Request(path={"memory_id": secret.id}))
    yield one("kg_query", Request(body={"source_id": secret.id}))
    yield one("kg_timeline", Request(query={"source_id": secret.id}))
    yield one("search", Request(query={"q": secret.word}))
    yield one("list_memories", Request(query={"tags": secret.word}))
    yield one("recall", Request(body={"context": secret.content, "floor": False, "touch": False, "tags": secret.word}))
    yield one("check_duplicate", Request(body={"content": secret.content, "title": f"About {secret.word}"}))
    yield one("entity_by_alias", Request(query={"alias": secret.alias}))
    yield one("entity_by_alias", Request(query={"alias": f"About {secret.word}", "namespace": PLACE}))
    yield one("detect_contradiction", Request(body={"id_a": secret.id, "id_b": HUB}))
    yield one("contradictions", Request(query={"topic": f"About {secret.word}"}))
    elsewhere = {"context": "zebra", "namespace": secret.ruled, "touch": False, "standards": True}
    yield one("recall", Request(body=elsewhere))
    yield one("start_session", Request(body={"namespace": secret.ruled}))
    for inherit in (False, True):
        yield one("namespaces", Request(query={"namespace": secret.ruled, "inherit": inherit}))
        yield one("standard", Request(path={"namespace": secret.ruled}, query={"inherit": inherit}))


COUNTED: Final = frozenset({"stats", "namespaces", "get_taxonomy", "archive_stats"})
"""Routes that show numbers alone, or unless they are asked otherwise: see test_counts_are_of_what_the_caller_sees."""

PLAIN: Final[Mapping[str, str]] = {
    "health": "asks for no key; of memories it tells how many wait for their vectors, on the whole node",
    "capabilities": "of the node",
    "metrics": "an operator's", "metrics_v1": "as metrics",
    "openapi": "is the same for everybody",
    "index_status": "of the node: how many memories have their vectors",
    "expand_query": "shows what was asked, and what a model makes of it",
    "curation_reports": "an operator's: counts and ids",
    "list_agents": "who takes part is no secret among those who do",
    "inbox": "its recipient's own, see test_a_message_is_seen_by_its_recipient_alone",
    "access": "what policies let the caller do", "namespace_history": "policies, and ids of standards that are seen",
    **dict.fromkeys(("list_subscriptions", "list_deliveries"), "of the caller's own subscriptions"),
    **dict.fromkeys(("list_pending", "get_pending"), "who asks and who decides sees it, see test_approvals.py"),
    "list_keys": "an operator's", "list_audit": "an operator's, and of an agent what it did itself",
    "list_subscriptions": "its maker's own, see tests/service/test_subscriptions.py",
    "list_deliveries": "as list_subscriptions; what is delivered, see tests/service/test_delivering.py",
    "mesh_look": "what another node says of itself",
    **dict.fromkeys(("mesh", "sync_since", "sync_since_vector", "sync_snapshot", "sync_digests"),
                    "for nodes and operators: all of it"),
    "sync_embeddings": "for nodes and operators: vectors",
    "write_outcome": "which nodes have a version",
    "verify_audit": "hashes", "events": "see tests/service/test_following.py",
}
"""Route -> why nothing of a memory is in its answers."""
