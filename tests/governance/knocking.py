"""How tests knock at a door: a route's handler is called as the app calls it, for a caller of the test's choice."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET, Struct

from aimem.api import ROUTES, Route
from aimem.api.metrics import Metrics
from aimem.api.refusals import Reply
from aimem.api.route import Call, Surface
from aimem.config import ApiConfig
from aimem.errors import AimemError, ApprovalRequired, Code, Denied
from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.service import Node
from aimem.wire import encode

BY_NAME: Final[Mapping[str, Route]] = {route.name: route for route in ROUTES}
_SURFACE: Final = Surface(settings=ApiConfig(), metrics=Metrics(), openapi=lambda: b"{}")


class Request(Struct, frozen=True, kw_only=True):
    """What is asked of a route; the body is JSON in Python's types, None for no body."""

    path: Mapping[str, str] = {}
    query: Mapping[str, object] = {}
    body: object = None


class Met(StrEnum):
    """How a request was met."""

    DONE = "done"
    DENIED = "denied"       # by a policy
    ASKED = "asked"         # it waits for approval
    REFUSED = "refused"     # for another reason


class Answer(Struct, frozen=True, kw_only=True):
    """What came back: the answer as its JSON text, or the error's, and how the request was met."""

    met: Met
    text: str
    value: object = None
    error: AimemError | None = None


def agent(name: str, home: str | None) -> Principal:
    """An agent that its key proves."""
    return Principal(
        agent_id=AgentId(name), credential=Credential.AGENT_KEY, role=Role.AGENT,
        home=None if home is None else Namespace(home),
    )


def operator(as_agent: str | None = None) -> Principal:
    """An operator, who may look from where an agent lives."""
    return Principal(
        agent_id=AgentId("human:root"), credential=Credential.SOCKET, role=Role.OPERATOR,
        as_agent=None if as_agent is None else Namespace(as_agent),
    )


async def knock(node: Node, name: str, who: Principal, request: Request) -> Answer:
    """Ask a route, without a key for retries. Raises: whatever the handler raises that is no AimemError."""
    route = BY_NAME[name]
    call: Call[Any, Any] = Call(     # Any: of the types that the route names
        node=node, who=who, path=request.path, once=None, surface=_SURFACE,
        query=None if route.query is None else msgspec.convert(request.query, route.query, strict=False),
        body=None if route.body is None or request.body is None
        else msgspec.json.decode(msgspec.json.encode(request.body), type=route.body),
    )
    try:
        value = await route.handler(call)
    except AimemError as error:
        text = error.message + msgspec.json.encode(error.details).decode()
        return Answer(met=_met_with(error), text=text, error=error)
    text = (value.content if isinstance(value, Reply) else encode(cast("Struct", value))).decode()
    return Answer(met=_met_in(value), text=text, value=value)


def _met_with(error: AimemError) -> Met:
    if isinstance(error, ApprovalRequired):
        return Met.ASKED
    is_by_policy = isinstance(error, Denied) and error.code is Code.DENIED_BY_POLICY
    return Met.DENIED if is_by_policy else Met.REFUSED


def _met_in(answer: object) -> Met:
    """Of a route that takes items one by one: how its only item was met."""
    items = [*getattr(answer, "results", ()), *getattr(answer, "refused", ()), *getattr(answer, "records", ())]
    codes = {code for item in items if (code := getattr(item, "code", UNSET)) is not UNSET}
    if Code.DENIED_BY_POLICY in codes:
        return Met.DENIED
    if Code.APPROVAL_REQUIRED in codes or getattr(answer, "pending", UNSET) not in (UNSET, ()):
        return Met.ASKED
    return Met.REFUSED if codes else Met.DONE
