"""What a route is, and what its handler is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from types import UnionType
from typing import (  # Any: one table holds handlers of every query and body type
    Any,
    Generic,
    TypeVar,
)

from msgspec import Struct

from aimem.api.metrics import Metrics
from aimem.config import ApiConfig
from aimem.errors import Code
from aimem.model import NodeClaim, Principal
from aimem.service import Node, Once

Query = TypeVar("Query")
Body = TypeVar("Body")


class Effect(StrEnum):
    """What a request does to the store: whether it may be repeated, and what a deadline leaves open."""

    READ = "read"
    WRITE = "write"              # ends in the same state when repeated; takes no Idempotency-Key
    WRITE_ONCE = "write_once"    # honours Idempotency-Key


class Access(StrEnum):
    """Whether a configured API key is asked for, and whether requests count for the caller's rates."""

    KEYED = "keyed"
    OPEN = "open"    # neither
    PEER = "peer"    # a key, but no rates: nodes talk as often as there is something to say


class Surface(Struct, frozen=True, kw_only=True):
    """What routes about the HTTP surface itself need."""

    settings: ApiConfig
    metrics: Metrics
    openapi: Callable[[], bytes]


class Call(Struct, Generic[Query, Body], frozen=True, kw_only=True):
    """One request, decoded.

    Attributes:
      query, body: of the types that the route names; None where it names none, or where an optional body is absent.
      path: the variable parts of the path by name, percent-decoded.
      once: the Idempotency-Key and what it is bound to, if the client sent one.
      last_event_id: the header Last-Event-ID, which only streams of events read.
      claim: the node that signed the request, and is believed.
    """

    node: Node
    who: Principal
    query: Query
    body: Body
    path: Mapping[str, str]
    once: Once | None
    surface: Surface
    last_event_id: str = ""
    claim: NodeClaim | None = None


Handler = Callable[[Call[Any, Any]], Awaitable[object]]
"""Returns a value of the route's answer type; a Reply where status or media type vary; a Stream that has no end."""


class Route(Struct, frozen=True, kw_only=True):
    """One row of the HTTP surface: everything that app, OpenAPI document, metrics and manual know of a route.

    Attributes:
      path: with variable segments in braces, one segment each (`/api/v1/memories/{memory_id}`).
      name: unique; names the operation in the OpenAPI document.
      query, body: the Struct that the query string or JSON body is read as; None if it is not read. A body may also be
        a union of a Struct and an array.
      body_required: whether the body may be absent.
      other_bodies, read_as: further types of the body, and which of all a text is, if it is not plain.
      body_limit_bytes: of a body, uncompressed, if the route has a limit of its own; such a body may come as gzip.
      answer: type of the JSON answer; None for other media types.
      media_type: of an answer that is neither JSON nor plain text.
      other_answers: what it may be instead, for other parameters.
      status: of success.
      status_if_there: of success where nothing new was made, if it is another one.
      status_if_waiting: of an answer that is not the last word yet, if there is one.
      errors: codes that this route answers beside those that every route may.
      is_between_nodes: whether nodes ask it of each other, so that a client certificate opens it as a key does.
    """

    method: str
    path: str
    name: str
    handler: Handler
    query: type[Struct] | None = None
    body: type[Struct] | UnionType | None = None
    body_required: bool = True
    other_bodies: tuple[type[Struct], ...] = ()
    read_as: Callable[[bytes], type[Struct]] | None = None
    body_limit_bytes: int | None = None
    answer: type[Struct] | None
    media_type: str | None = None
    other_answers: tuple[type[Struct], ...] = ()
    status: int = 200
    status_if_there: int | None = None
    status_if_waiting: int | None = None
    summary: str
    errors: tuple[Code, ...] = ()
    effect: Effect = Effect.READ
    access: Access = Access.KEYED
    is_between_nodes: bool = False
