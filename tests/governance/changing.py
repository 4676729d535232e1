"""Every route that changes something: how it is asked to, and which of a policy's levels it obeys.

A route that no policy judges stands in `UNJUDGED` with the reason. A route in neither fails the test of the doors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from msgspec import Struct

from aimem.model import Verb
from tests.governance.knocking import Request

OWNER: Final = "ai:owner"
"""Author of all that a place has, and owner of its policy."""

MEMBER: Final = "ai:member"
"""Is registered, and owns nothing."""

STRANGER: Final = "ai:stranger"
"""Is not even registered."""

FORGET: Final = "forgotten-once"
LONG_AGO: Final = "2020-01-01T00:00:00Z"


class Place(Struct, frozen=True):
    """Ground of its own for one knock at one door, so that no knock meets what another left."""

    label: str

    @property
    def namespace(self) -> str:
        """Where its memories lie."""
        return f"acme/{self.label}"

    @property
    def home(self) -> str:
        """Who lives here sees the place, and no other."""
        return f"{self.namespace}/desk"

    def id(self, name: str) -> str:
        """The id of one of its memories."""
        return f"{self.label}:{name}"

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """What lies here, as an import takes it."""
        def row(name: str, **more: Any) -> dict[str, Any]:      # Any: a row as JSON
            metadata = {"agent_id": OWNER, "scope": "team", **more.pop("metadata", {})}
            return {"id": self.id(name), "title": f"{name} of {self.label}", "content": f"The words of {name}.",
                    "namespace": self.namespace, "tags": [], "tier": "mid", "metadata": metadata, **more}

        return {
            "memories": [
                row("one", tags=["both"]), row("two", tags=["both"]), row("thing", metadata={"kind": "entity"}),
                row("deep", namespace=self.home),
            ],
            "archived": [
                row("away", archived_at=LONG_AGO),
                row("lost", archived_at=LONG_AGO, archive_reason=f"forget:{FORGET}-{self.label}"),
            ],
            "links": [{"source_id": self.id("one"), "target_id": self.id("two"), "relation": "related_to"}],
        }


class Case(Struct, frozen=True, kw_only=True):
    """One thing that a route does, which a policy has a level for.

    Attributes:
      is_for_operators: whether nobody else may ask it, so that an operator knocks, who is never refused as a stranger.
      waits: whether it may wait for approval; else it is refused where it would have to.
      target: the memory whose owner counts, and that stays as it is until the route may do what it does.
    """

    route: str
    verb: Verb
    ask: Callable[[Place], Request]
    is_for_operators: bool = False
    waits: bool = True
    target: str = "one"

    def __str__(self) -> str:
        return f"{self.route}.{self.verb}"


def _by_id(name: str = "one", field: str = "memory_id", **more: Any) -> Callable[[Place], Request]:  # Any: see Request
    return lambda place: Request(path={field: place.id(name)}, **more)


def _new(place: Place) -> dict[str, object]:
    return {"title": f"something new of {place.label}", "content": "A text.", "namespace": place.namespace}


def _pair(place: Place, *names: str) -> list[str]:
    return [place.id(name) for name in names]


def _link(place: Place, target: str, **more: str) -> Request:
    return Request(body={"source_id": place.id("one"), "target_id": place.id(target), "relation": "related_to", **more})


def _together(place: Place) -> Request:
    return Request(body={
        "ids": _pair(place, "one", "two"), "title": "both", "summary": "A summary.", "namespace": place.namespace,
    })


def _forgotten(place: Place) -> Request:
    return Request(body={"undo": f"{FORGET}-{place.label}"})


def _policy_by(route: str, place: Place) -> Request:
    by_path, named = {"namespace": place.namespace}, {"namespace": place.namespace}
    if route.startswith("clear"):
        return Request(path=by_path) if route.endswith("_at") else Request(query=named)
    policy = {"governance": {"write": "any"}, "content": "How we work here.", "force": True}
    return Request(path=by_path, body=policy) if route.endswith("_at") else Request(body={**policy, **named})


def _cases() -> Iterator[Case]:
    write, delete, promote = Verb.WRITE, Verb.DELETE, Verb.PROMOTE

    def case(route: str, verb: Verb, ask: Callable[[Place], Request], **more: Any) -> Case:     # Any: fields of Case
        return Case(route=route, verb=verb, ask=ask, **more)

    yield case("remember", write, lambda place: Request(body=_new(place)))
    yield case("remember_many", write, lambda place: Request(body={"memories": [_new(place)]}))
    yield case("import_memories", write, lambda place: Request(body={"memories": [_new(place)]}), waits=False)
    yield case("update", write, _by_id(body={"content": "Another text."}))
    # Whoever moves a memory takes it from where it was.
    yield case("update", delete, lambda place: Request(
        path={"memory_id": place.id("one")}, body={"namespace": f"{place.namespace}/desk"}))
    yield case("delete", delete, _by_id())
    yield case("promote", promote, _by_id())
    yield case("promote", write, lambda place: Request(
        path={"memory_id": place.id("deep")}, body={"to_namespace": place.namespace}), target="deep")
    yield case("auto_tag", write, _by_id())
    yield case("link", write, lambda place: _link(place, "thing"))
    yield case("unlink", write, lambda place: _link(place, "two"))
    yield case("kg_invalidate", write, lambda place: _link(place, "two"))
    yield case("resolve", write, lambda place: Request(body={"winner": place.id("one"), "loser": place.id("two")}))
    yield case("register_entity", write, lambda place: Request(
        body={"canonical_name": f"thing of {place.label}", "namespace": place.namespace, "aliases": ["it"]}))
    yield case("forget", delete, lambda place: Request(body={"namespace": place.namespace}))
    yield case("forget", write, _forgotten, target="lost")
    for verb in (write, delete):
        yield case("consolidate", verb, _together)
        yield case("auto_consolidate", verb, lambda place: Request(body={"namespace": place.namespace, "min_count": 2}))
    yield case("archive", delete, lambda place: Request(body={"ids": _pair(place, "one")}))
    yield case("restore", write, _by_id("away"), target="away")
    for route in ("set_standard", "set_standard_at", "clear_standard", "clear_standard_at"):
        yield case(route, Verb.POLICY, partial(_policy_by, route))
    yield case("purge_archive", delete, lambda place: Request(query={"older_than_days": 1}), target="away",
               is_for_operators=True)


CASES: Final = tuple(_cases())

UNJUDGED: Final[Mapping[str, str]] = {
    "reindex": "makes anew what is computed from memories",
    "curate": "acts where policy lets anybody act, see tests/service/test_curation.py",
    "roll_back": "see test_what_the_curator_did_is_taken_back_as_policies_let",
    "collect": "does what the clock has done already",
    "register_agent": "policies have no level for registrations: an agent registers itself, an operator anybody",
    "remove_agent": "as register_agent",
    "notify": "a message is judged by the policy of all namespaces alone, see tests/service/test_writing.py",
    "mark_read": "an inbox is its recipient's own",
    "delete_message": "as mark_read",
    **dict.fromkeys(("add_key", "rotate_key", "revoke_key", "revoke_keys"), "keys are made and ended by operators"),
    "subscribe": "policies have no level for subscriptions: they show what their maker may see, and are its own",
    **dict.fromkeys(("unsubscribe", "unsubscribe_one", "redeliver"), "a subscription is its maker's own"),
    **dict.fromkeys(("approve_pending", "reject_pending", "comment_pending", "ask_again"),
                    "the policy that asked for an approval says who gives it, see tests/service/test_approvals.py"),
    "sync_push": "is for nodes and operators: ops were judged at their origin, bodies of v0.6.3 are as any write",
    "catch_up": "asks peers, as the node does by itself",
    "mesh_trust": "is for operators: who a node is concerns this node alone",
    "mesh_rejoin": "is for operators: what it fetches was judged where it was written",
    "mesh_reload": "is for operators: it brings what somebody wrote into the node's configuration",
    "mesh_verify": "is for operators: what it mends was judged where it was written",
    "prune_audit": "the audit is an operator's; what goes from it leaves a checkpoint",
}
"""Route -> why no policy judges what it does, or where else that is tested."""
