"""The OpenAPI 3.1 document, made from the route table: what is not in the table is not in the document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from types import NoneType
from typing import (  # Any: JSON Schema and annotations are open
    Any,
    Final,
    Literal,
    get_args,
    get_origin,
)

import msgspec
from msgspec import NODEFAULT

from aimem import COMPATIBLE_WITH, __version__
from aimem.api.guard import KEY_HEADER
from aimem.api.refusals import JSON_TYPE, STATUS
from aimem.api.route import Access, Effect, Route
from aimem.api.shapes import Shape, shapes_of
from aimem.errors import Code
from aimem.model import rules
from aimem.wire import ErrorOut

COMMON_ERRORS: Final = (
    Code.INVALID_REQUEST, Code.FOREIGN_HOST, Code.FOREIGN_ORIGIN, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED,
    Code.SHUTTING_DOWN, Code.OVERLOADED, Code.DATABASE_BUSY, Code.CORRUPT, Code.INTERNAL,
)
BODY_ERRORS: Final = (Code.MALFORMED_JSON, Code.SCHEMA_MISMATCH, Code.BODY_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)
WRITE_ERRORS: Final = (Code.STORAGE_FULL, Code.STORAGE_READ_ONLY, Code.WRITER_BUSY, Code.QUOTA_EXCEEDED)

_IN_QUESTION: Final = "The namespace in question; in a path a slash is sent as %2F."
PARAMETERS: Final[dict[str, str]] = {
    "action": "Only this act: the label of an op (store, delete, ...), or what was asked for where it was refused.",
    "agent": "Only what was done in this agent's name.",
    "agent_id": "Only memories of this author.",
    "access.agent_id": "The agent in question; by default the caller.",
    "delete_message.agent_id": "The caller; another agent's inbox is refused.",
    "inbox.agent_id": "The caller; another agent's inbox is refused.",
    "list_keys.agent_id": "Only keys of this agent.",
    "list_subscriptions.agent_id": "Only this agent's.",
    "unsubscribe.agent_id": "With namespace: the agent that made them.",
    "unsubscribe.namespace": "Instead of an id: all that an agent made for this namespace.",
    "unsubscribe_one.agent_id": "The caller.",
    "remove_agent.agent_id": "Id of an agent.",
    "revoke_keys.agent_id": "The agent whose keys end.",
    "alias": "The name, in its own spelling.",
    "all": "Purge the whole archive; required if older_than_days is absent.",
    "as_agent": "Narrow the view to what an agent living in this namespace may see.",
    "before": "Only rows with a smaller number.",
    "before_seq": "Rows with smaller numbers than this. Excludes before.",
    "budget_tokens": "Stop before the returned memories hold more tokens than this.",
    "context": "What to recall memories for, in plain words.",
    "cursor": "Continue after a page: its next_cursor. Excludes offset.",
    "decision": "Only what was allowed, denied or asked.",
    "depth": "How many levels below the root are shown, 0 to 8; what lies deeper is counted where it is cut off.",
    "dry_run": "Only count.",
    "after": "Id of the last event that is known; only what follows it. The header Last-Event-ID goes before it.",
    "event": "Only these events: names between commas.",
    "events.namespace": "Only what happens in this namespace and below it.",
    "kind": "Only what happens to objects of these kinds: names between commas.",
    "explain": "Whether each memory comes with what its score is made of.",
    "floor": "Whether memories that have nothing to do with the context are left out (and counted in below_floor).",
    "key_id": "Id of a key: the middle part of its text, aim_ID_SECRET.",
    "limit": "At most this many.",
    "id": "Id of a subscription.",
    "inherit": "With namespace: the standards that it inherits, too.",
    "memory_id": "Id of a memory; get and update also take a unique prefix of at least 4 characters.",
    "message_id": "Id of a message.",
    "min_priority": "Only memories of at least this priority.",
    "mode": "keep: tier and expiry as they were; long: tier long, no expiry.",
    "namespace": "Only memories of exactly this namespace.",
    "namespaces.namespace": "Answer what is set for this namespace instead of the list.",
    "standard.namespace": _IN_QUESTION,
    "set_standard_at.namespace": _IN_QUESTION,
    "clear_standard.namespace": _IN_QUESTION,
    "clear_standard_at.namespace": _IN_QUESTION,
    "access.namespace": _IN_QUESTION,
    "namespace_history.namespace": _IN_QUESTION,
    "offset": "Skip this many.",
    "older_than_days": "Purge what was archived longer ago than this.",
    "list_pending.action": "Only this: store, delete, promote or policy.",
    "list_pending.namespace": "Only this namespace and those below it.",
    "prune_audit.before": "Rows of before this moment (RFC 3339).",
    "list_audit.namespace": "Only this namespace and what lies below it.",
    "list_audit.since": "Only at or after this moment (RFC 3339).",
    "list_audit.until": "Only at or before this moment (RFC 3339).",
    "pattern": "Only memories that hold at least one of these words.",
    "pending_id": "Id of a pending action.",
    "prefix": "Only the tree below this namespace; a slash at its end is read over.",
    "q": "Words that must all occur.",
    "requested_by": "Only what this agent asked for.",
    "since": "Only what was created, or began, at or after this moment (RFC 3339).",
    "source_id": "Id of the memory that the links begin at.",
    "status": "Only those that stand so: pending, approved, rejected, expired or failed.",
    "state": "Only deliveries that are waiting, or dead (given up); or all.",
    "subscription_id": "Id of a subscription.",
    "tags": "Only memories with this tag.",
    "tier": "Only memories of this tier: short, mid or long.",
    "standards": "Whether the standards that hold in the namespace come with it.",
    "touch": "Whether recalled memories count as accessed, which extends their life.",
    "unread_only": "Only messages that were not read yet.",
    "topic": "What the memories are about: their title or metadata.topic.",
    "undo": "Bring back what the call with this forget_id put away; excludes every filter.",
    "until": "Only what was created, or began, at or before this moment (RFC 3339).",
    "verify_audit.after": "Begin behind this row, seq:hash, which must still stand there.",
    "wait_below": "Wait up to 10 s for the backlog of embeddings to be at most this.",
}
"""A sentence for every query and path parameter, or for that of one route (`route.parameter`), which goes before it; a
test finds what is missing."""

_TEXT_ANSWER = {"text/plain": {"schema": {"type": "string"}}}
_OPEN_ANSWER = {JSON_TYPE: {"schema": {"type": "object"}}}


def openapi_document(routes: Sequence[Route]) -> dict[str, object]:
    """The document as JSON values. Paths come in the order of the table."""
    bodies = [route.body for route in routes if route.body is not None]
    answers = [kind for route in routes for kind in (route.answer, *route.other_answers) if kind is not None]
    body_ref, answer_ref, components = shapes_of(bodies, [*answers, ErrorOut])
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body_ref, answer_ref)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ai-memory", "version": __version__,
            "description": f"Persistent shared memory for AI agents; compatible with v{COMPATIBLE_WITH}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"api_key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}},
        },
        # The second, empty requirement says that the key is asked for only where one is configured.
        "security": [{"api_key": []}, {}],
    }


def codes_of(route: Route) -> tuple[Code, ...]:
    """Every error code that a route may answer."""
    keyed = () if route.access is Access.OPEN else (Code.UNAUTHENTICATED, Code.RATE_LIMITED)
    body = () if route.body is None else BODY_ERRORS
    written = () if route.effect is Effect.READ else WRITE_ERRORS
    repeated = (Code.IDEMPOTENCY_MISMATCH,) if route.effect is Effect.WRITE_ONCE else ()
    return tuple(dict.fromkeys((*COMMON_ERRORS, *keyed, *body, *written, *repeated, *route.errors)))


def _operation(route: Route, body_ref: dict[Any, Shape], answer_ref: dict[Any, Shape]) -> dict[str, object]:
    operation: dict[str, object] = {"operationId": route.name, "summary": route.summary}
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not None:
        content = {JSON_TYPE: {"schema": body_ref[route.body]}}
        operation["requestBody"] = {"required": route.body_required, "content": content}
    if route.answer is not None:
        shapes = [answer_ref[kind] for kind in (route.answer, *route.other_answers)]
        answer: dict[str, Any] = {JSON_TYPE: {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}
    elif route.media_type is not None:
        answer = {route.media_type: {"schema": {"type": "string"}}}
    else:
        answer = _OPEN_ANSWER if route.path.endswith(".json") else _TEXT_ANSWER
    responses: dict[str, object] = {str(route.status): {"description": "Done.", "content": answer}}
    if route.status_if_there is not None:
        responses[str(route.status_if_there)] = {"description": "It was there.", "content": answer}
    if route.status_if_waiting is not None:
        responses[str(route.status_if_waiting)] = {"description": "It waits for others.", "content": answer}
    for status, codes in groupby(sorted(codes_of(route), key=STATUS.__getitem__), key=STATUS.__getitem__):
        responses[str(status)] = {
            "description": "Refused: " + ", ".join(codes) + ".",
            "content": {JSON_TYPE: {"schema": answer_ref[ErrorOut]}},
        }
    operation["responses"] = responses
    if route.access is Access.OPEN:
        operation["security"] = []
    return operation


def _parameters(route: Route) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [
        {**_parameter(route, name, "path", {"type": "string"}), "required": True}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    for field in msgspec.structs.fields(route.query) if route.query is not None else ():
        schema = _schema(field.type)
        if field.default is not NODEFAULT and field.default is not None:
            schema["default"] = field.default
        # An optional parameter without a value (`?tier=`) counts as absent, whatever its type.
        presence = {"required": True} if field.default is NODEFAULT else {"allowEmptyValue": True}
        found.append({**_parameter(route, field.encode_name, "query", schema), **presence})
    return found + _headers(route)


def _headers(route: Route) -> list[dict[str, object]]:
    agent: dict[str, object] = {
        "name": "X-Agent-Id", "in": "header",
        "schema": {
            "type": "string", "maxLength": rules.AGENT_ID_MAX_BYTES, "pattern": f"^({rules.AGENT_ID_PATTERN})?$",
        },
        "description": "Who is asking; absent: anonymous:req-<8 hex>.",
    }
    once: dict[str, object] = {
        "name": "Idempotency-Key", "in": "header",
        # Printable ASCII; blanks at the ends are no part of a header's value.
        "schema": {
            "type": "string", "minLength": 1, "maxLength": rules.IDEMPOTENCY_KEY_MAX_BYTES,
            "list_pending.action": "Only this: store, delete, promote or policy.",
    "list_pending.namespace": "Only this namespace and those below it.",
    "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
        "description": "The client's name for this request: sent again with it, the request is done at most once.",
    }
    return [agent, once] if route.effect is Effect.WRITE_ONCE else [agent]


def _parameter(route: Route, name: str, place: str, schema: dict[str, Any]) -> dict[str, object]:
    sentence = PARAMETERS.get(f"{route.name}.{name}") or PARAMETERS.get(name, "")
    return {"name": name, "in": place, "description": sentence, "schema": schema}


def _schema(wanted: Any) -> dict[str, Any]:
    """The JSON Schema of a parameter: null is no value that a query string could hold."""
    if get_origin(wanted) is Literal:
        return {"enum": list(get_args(wanted))}
    plain = [one for one in get_args(wanted) if one is not NoneType] or [wanted]
    return msgspec.json.schema(plain[0])
