"""Neighbours in a conversation: the texts around a short one say what it is about.

Neighbours have the same `metadata.conversation_id`, namespace, scope and author: whoever may see one may see all, so
that nothing private leaks through a neighbour's words.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import ObjectState
from aimem.ports import Connection, SqlValue

NEIGHBOURS_EACH_SIDE: Final = 2
NEIGHBOUR_MAX_CHARS: Final = 1_500
"""Of a neighbour's text this much is context: a long one would drown what it surrounds."""

CONTEXT_BELOW_CHARS: Final = 400
"""A longer text says by itself what it is about, and has no context."""

CONVERSATION_ID_MAX_CHARS: Final = 256

_BEFORE: Final = (
    "SELECT w.no, substr(n.content, 1, {chars}) AS text, length(n.content) AS size "
    "FROM memory_view AS w JOIN memories AS n ON n.id = w.id WHERE w.dialogue = {dialogue} AND w.state = 'live' "
    "AND (w.created_at, w.id) < ({created_at}, {id}) ORDER BY w.created_at DESC, w.id DESC LIMIT {count}"
)
_AFTER: Final = _BEFORE.replace(" < (", " > (").replace(" DESC", "")


def _around(dialogue: str, created_at: str, id: str) -> str:
    """The rows on both sides of a place, whose three coordinates are SQL expressions of ours."""
    known = {"dialogue": dialogue, "created_at": created_at, "id": id}
    sides = [side.format(**known, chars=NEIGHBOUR_MAX_CHARS, count=NEIGHBOURS_EACH_SIDE) for side in (_BEFORE, _AFTER)]
    return " UNION ALL ".join(f"SELECT * FROM ({side})" for side in sides)


CONTEXT: Final = (
    f"CASE WHEN v.dialogue IS NULL OR length(m.content) > {CONTEXT_BELOW_CHARS} THEN '' ELSE coalesce((SELECT "
    f"group_concat(near.text, char(10)) FROM ({_around('v.dialogue', 'v.created_at', 'v.id')}) AS near), '') END"
)
"""SQL for the context of a row of `v` (memory_view) and `m` (memories)."""

_NEIGHBOURS: Final = (
    f"SELECT near.no FROM ({_around(':dialogue', ':created_at', ':id')}) AS near "
    f"WHERE near.size <= {CONTEXT_BELOW_CHARS}"
)


class Place(Struct, frozen=True, kw_only=True):
    """Where a row stands in its conversation."""

    dialogue: bytes
    created_at: int
    id: str


def dialogue_of(state: ObjectState, namespace: str) -> bytes | None:
    """The key that the rows of one conversation share (16 bytes); None for a memory outside of any."""
    metadata, scope = state.fields.get("metadata"), state.fields.get("scope")
    if metadata is None or not isinstance(metadata.value, str) or "conversation_id" not in metadata.value:
        return None
    try:
        conversation = msgspec.json.decode(metadata.value, type=dict[str, object]).get("conversation_id")
    except msgspec.DecodeError:
        return None     # an op of another version may carry what is no JSON object here
    if not isinstance(conversation, str) or not 0 < len(conversation) <= CONVERSATION_ID_MAX_CHARS:
        return None
    key = [conversation, namespace, None if scope is None else scope.value, state.author]
    return hashlib.sha256(msgspec.json.encode(key)).digest()[:16]


def neighbours(conn: Connection, place: Place) -> list[int]:
    """Numbers of the live rows whose context holds, or held, the row of this place."""
    known: dict[str, SqlValue] = {"dialogue": place.dialogue, "created_at": place.created_at, "id": place.id}
    return [cast("int", row[0]) for row in conn.execute(_NEIGHBOURS, known)]
