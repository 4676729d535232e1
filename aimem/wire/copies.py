"""The whole state of a node, as it travels to one that is too far behind the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from aimem.errors import Code, InvalidRequest
from aimem.model import Cell, FieldValue, ObjectState, StreamId, parse_stamp
from aimem.wire.mesh import HeadOut, stream_in

SNAPSHOT_OBJECTS: Final = 1000
SNAPSHOT_BYTES: Final = 1_048_576
"""Bounds of one page; a single object may be larger."""
CLOSED_MAX: Final = 64
"""Closed streams that a message names, and nodes that it names for each of them."""


class ObjectOut(Struct, array_like=True, frozen=True):
    """One object of a snapshot: `[kind, key, born, author, dead, {field: [stamp, value]}]`."""

    kind: str
    key: str
    born: str | None
    author: str | None
    dead: str | None
    fields: dict[str, tuple[str, FieldValue]]


class SnapshotRequest(Struct, kw_only=True):
    """Ask for a page of a node's whole state; `after` is the place that the page before told, None for the first."""

    protocol: int
    after: str | None = None


class SnapshotAnswer(Struct, kw_only=True):
    """A page; `vector` is what the snapshot covers once all pages are joined, and comes with the first."""

    protocol: int
    objects: tuple[ObjectOut, ...]
    after: str | None = None
    vector: dict[str, HeadOut] = field(default_factory=dict)


def object_out(kind: str, key: str, state: ObjectState) -> ObjectOut:
    """An object in wire form."""
    return ObjectOut(
        kind=kind, key=key, born=None if state.born is None else state.born.text(), author=state.author,
        dead=None if state.dead is None else state.dead.text(),
        fields={name: (cell.stamp.text(), cell.value) for name, cell in state.fields.items()},
    )


def object_in(sent: ObjectOut) -> ObjectState:
    """An object's state from its wire form. Raises: InvalidRequest(schema_mismatch)."""
    try:
        return ObjectState(
            born=None if sent.born is None else parse_stamp(sent.born), author=sent.author,
            dead=None if sent.dead is None else parse_stamp(sent.dead),
            fields={name: Cell(parse_stamp(stamp), value) for name, (stamp, value) in sent.fields.items()},
        )
    except ValueError:
        raise InvalidRequest(
            f"{sent.kind} {sent.key[:80]!r} holds what is no stamp", code=Code.SCHEMA_MISMATCH
        ) from None


def closed_in(sent: Mapping[str, tuple[str, ...]]) -> dict[StreamId, frozenset[StreamId]]:
    """Closed streams from their wire form. Raises: InvalidRequest(schema_mismatch)."""
    if len(sent) > CLOSED_MAX or any(len(nodes) > CLOSED_MAX for nodes in sent.values()):
        raise InvalidRequest(
            f"more than {CLOSED_MAX} closed streams, or nodes for one of them", code=Code.SCHEMA_MISMATCH
        )
    return {stream_in(stream): frozenset(map(stream_in, nodes)) for stream, nodes in sent.items()}
