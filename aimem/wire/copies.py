"""What a node copies from another beside the log: its whole state if it is too far behind, and vectors of texts."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from aimem.errors import Code, InvalidRequest
from aimem.model import Cell, FieldValue, ObjectState, parse_stamp
from aimem.wire.mesh import HeadOut

SNAPSHOT_OBJECTS: Final = 1000
SNAPSHOT_BYTES: Final = 1_048_576
"""Bounds of one page; a single object may be larger."""

EMBEDDINGS_TEXTS: Final = 256
EMBEDDINGS_BYTES: Final = 1_048_576
"""Bounds of what one answer holds of vectors; those of a single text come whole."""


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


class TextVectors(Struct, array_like=True, frozen=True):
    """The vectors of a text, little-endian float16, chunk by chunk: `[hash, [vector]]`; none if none can be made."""

    hash: bytes
    vectors: tuple[bytes, ...]


class EmbeddingsRequest(Struct, kw_only=True):
    """Ask for the vectors that a model made of some texts, by the hashes of the texts."""

    protocol: int
    model: str
    hashes: tuple[bytes, ...]


class EmbeddingsAnswer(Struct, kw_only=True):
    """What there is of them.

    Attributes:
      model: of the node that answers; if it is another, it has none of them.
      missing: hashes of texts without vectors of that model; what is neither here nor found did not fit.
    """

    protocol: int
    model: str
    found: tuple[TextVectors, ...]
    missing: tuple[bytes, ...]


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
