"""Where a client may put a text: every one of every route, told from the types of its query, body and path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import quote_from_bytes

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec import inspect as shapes

from aimem import wire
from aimem.api import Effect, Route
from aimem.wire import PROTOCOL
from tests.campaign.world import AGENT, ARCHIVED, ASKER, JSON, LIVE, MESSAGE, NAMESPACE, SUBSCRIPTION, Asked, Headers
from tests.pendings import PENDING

STREAM: Final = "0123456789abcdef" * 2

KEY: Final = "key of an object"
"""Stands in a place for the key itself, where any key may stand."""

GOOD: Final[Mapping[str, object]] = {
    "action": "reinforce", "agent_id": "bob", "agent_type": "human", "alias": "the entity",
    "canonical_name": "Somebody", "content": "A text to remember.", "context": "when do we deploy",
    "entity_id": LIVE[3], "expires_at": "2030-01-01T00:00:00Z", "forget_id": "f-1", "id": LIVE[0], "ids": LIVE[1],
    "loser": LIVE[1], "memory_a_id": LIVE[0], "memory_b_id": LIVE[1], "memory_id": LIVE[0], "namespace": NAMESPACE,
    "q": "deploy", "query": "deploy", "relation": "related_to", "scope": "team", "source": "api", "source_id": LIVE[0],
    "summary": "A summary.", "target_agent_id": "bob", "target_id": LIVE[1], "tier": "mid", "title": "A title",
    "topic": "deploy", "valid_from": "2020-01-01T00:00:00Z", "winner": LIVE[0], "older_than_days": 1,
    "pending_id": PENDING, "subscription_id": SUBSCRIPTION,
}
"""A value that is right, by the name of the field; a field without one here gets a word, or the number 1."""

GOOD_HERE: Final[Mapping[str, Mapping[str, object]]] = {
    "consolidate": {"ids": LIVE[:2]}, "contradictions": {"topic": "deploy"}, "delete_message": {"message_id": MESSAGE},
    "detect_contradiction": {"id_a": LIVE[0], "id_b": LIVE[1]}, "forget": {"pattern": "nothing"},
    "mark_read": {"ids": [MESSAGE]}, "purge_archive": {"older_than_days": 1}, "remove_agent": {"agent_id": "bob"},
    "notify": {"target_agent_id": "bob", "title": "News", "content": "A message."}, "restore": {"memory_id": ARCHIVED},
    "set_standard": {"namespace": NAMESPACE}, "prune_audit": {"before_seq": 1},
    "subscribe": {"url": "https://example.org/in"}, "unsubscribe": {"id": SUBSCRIPTION},
    "sync_digests": {"format": 2, "protocol": PROTOCOL}, "sync_snapshot": {"protocol": PROTOCOL},
    "sync_embeddings": {"hashes": ["AAAA"], "protocol": PROTOCOL},
    "sync_push": {"node": ASKER.name, "stream": ASKER.stream, "protocol": PROTOCOL},
    "write_outcome": {"version": f"{STREAM}:1"},
}
"""By the name of the route: what is right in it alone, and optional fields that one of them must be there of."""


class Place(Struct, frozen=True, kw_only=True):
    """One place: `at` begins with query, path, header or body."""

    route: Route
    at: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.route.name}: {'.'.join(map(str, self.at))}"

    def holding(self, text: str) -> Asked:
        """The request that is right but for this text in this place."""
        where = self.at[0]
        return Asked(
            method=self.route.method, path=_path(self.route, {self.at[1]: text} if where == "path" else {}),
            query=_query(self.route, {str(self.at[1]): text} if where == "query" else {}),
            headers=_headers(self.route, str(self.at[1]), text) if where == "header" else _headers(self.route),
            body=_body(self.route, self.at[1:], text) if where == "body" else _body(self.route, (), None),
        )


def sound(route: Route) -> Asked:
    """A request of this route with nothing wrong in it."""
    return Asked(
        method=route.method, path=_path(route, {}), query=_query(route, {}), headers=_headers(route),
        body=_body(route, (), None),
    )


def sound_value(kind: type[Struct]) -> Any:
    """The JSON of a value of this type with nothing wrong in it: its required fields."""
    return _made(_shape_of(kind), "")


def with_body(route: Route, body: bytes) -> Asked:
    """The same with another body."""
    return msgspec.structs.replace(sound(route), body=body, headers=(*JSON, *AGENT))


def places(route: Route) -> Iterator[Place]:
    """Every place of a route that takes a text."""
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield Place(route=route, at=("path", name))
    for field in () if route.query is None else _fields_of(route.query):
        # A query is text throughout: numbers and truth values are read from it.
        yield Place(route=route, at=("query", field.encode_name))
    for header in ("X-Agent-Id", *(("Idempotency-Key",) if route.effect is Effect.WRITE_ONCE else ())):
        yield Place(route=route, at=("header", header))
    if route.body is not None:
        for path in _paths(_shape_of(route.body)):
            yield Place(route=route, at=("body", *path))


def _paths(shape: shapes.Type) -> Iterator[tuple[str | int, ...]]:
    match _plain(shape):
        case shapes.StrType() | shapes.AnyType() | shapes.CustomType() | shapes.LiteralType() | shapes.EnumType():
            yield ()
        case shapes.UnionType(types=kinds):
            for kind in kinds:
                yield from _paths(kind)
        case shapes.ListType(item_type=item) | shapes.VarTupleType(item_type=item):
            yield from ((0, *path) for path in _paths(item))
        case shapes.DictType(value_type=item):
            yield (KEY,)
            yield from (("k", *path) for path in _paths(item))
        case shapes.StructType(fields=fields):
            for field in fields:
                yield from ((field.encode_name, *path) for path in _paths(field.type))


_shape_of: Final = cache(shapes.type_info)
_fields_of: Final = cache(msgspec.structs.fields)


def _plain(shape: shapes.Type) -> shapes.Type:
    """The shape without what is said about it; of JSON that is read later, the shape that it is read as then."""
    if not isinstance(shape, shapes.Metadata):
        return shape
    later = str((shape.extra_json_schema or {}).get("$ref", "")).rpartition("/")[2]
    return _shape_of(getattr(wire, later)) if later else _plain(shape.type)


def _made(shape: shapes.Type, name: str, path: tuple[str | int, ...] = (), text: str | None = None) -> Any:
    """A right value of this shape: required fields only, and the text, if there is one, where the path leads."""
    if text is not None and not path:
        return text
    match _plain(shape):
        case shapes.UnionType(types=kinds):
            return _made(_of(kinds, path), name, path, text)
        case shapes.ListType(item_type=item) | shapes.VarTupleType(item_type=item):
            return [_made(item, name, path[1:], text)]
        case shapes.DictType(value_type=item):
            return {} if text is None else {text: "v"} if path == (KEY,) else {"k": _made(item, name, path[1:], text)}
        case shapes.StructType(fields=fields):
            names = [field.encode_name for field in fields if field.required] + list(path[:1])
            return {
                field.encode_name: _made(field.type, field.encode_name, path[1:], text)
                if (field.encode_name,) == path[:1]
                else _made(field.type, field.encode_name)
                for field in fields if field.encode_name in names
            }
        case shapes.BoolType():
            return False
        case shapes.LiteralType(values=values):
            return values[0]
        case _:
            return GOOD.get(name, 1 if isinstance(shape, shapes.IntType | shapes.FloatType) else "word")


def _of(kinds: tuple[shapes.Type, ...], path: tuple[str | int, ...]) -> shapes.Type:
    """The one of a union that the path leads into; else the first that is not null."""
    some = [kind for kind in kinds if not isinstance(kind, shapes.NoneType)]
    return next((kind for kind in some if path and path in set(_paths(kind))), some[0])


def _path(route: Route, texts: Mapping[str, str]) -> bytes:
    def segment(found: re.Match[str]) -> str:
        good = GOOD_HERE.get(route.name, {}).get(found[1], GOOD.get(found[1], "word"))
        return _quoted(texts.get(found[1], str(good)))

    return re.sub(r"\{(\w+)\}", segment, route.path).encode()


def _query(route: Route, texts: Mapping[str, str]) -> bytes:
    given, here = dict(texts), GOOD_HERE.get(route.name, {})
    for field in () if route.query is None else _fields_of(route.query):
        name = field.encode_name
        if name in here:
            given.setdefault(name, str(here[name]))
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            given.setdefault(name, str(_made(_shape_of(field.type), name)))
    return "&".join(f"{name}={_quoted(text)}" for name, text in given.items()).encode()


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def _headers(route: Route, name: str = "", text: str = "") -> Headers:
    given = {"X-Agent-Id": b"alice", **({name: text.encode("utf-8", "surrogatepass")} if name else {})}
    kind = () if route.body is None else JSON
    return (*kind, *((header.lower().encode(), value) for header, value in given.items()))


def _body(route: Route, path: tuple[str | int, ...], text: str | None) -> bytes:
    if route.body is None or (text is None and not route.body_required):
        return b""
    shape = _shape_of(route.body)
    made = _made(shape, "", path, text)
    if isinstance(shape, shapes.StructType):
        known = {field.encode_name for field in shape.fields} - set(path[:1])
        made |= {name: value for name, value in GOOD_HERE.get(route.name, {}).items() if name in known}
    # Escaped, so that halves of surrogate pairs arrive as a client's own encoder would send them.
    return json.dumps(made).encode()
