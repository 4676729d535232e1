"""Ops: what streams carry. One stamp, and a list of field writes to objects, as results computed at the origin.

The encoded bytes of a body's entries are made once, at the origin, and never re-encoded: hashes, chain and signature
are over these bytes. A body hashes as the list of its entries' hashes, so that an entry whose object was deleted can be
blanked (replaced by its hash) without breaking the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec import Struct

from aimem.model.causality import Dot, Stamp
from aimem.model.ids import StreamId

Scalar: TypeAlias = str | int | float | bool | None
FieldValue: TypeAlias = Scalar | tuple[Scalar, ...]
"""What a field holds: a scalar or a flat list. JSON objects (`metadata`) travel as canonical text."""

OP_FORMAT = 1
MAX_OP_ENTRIES = 1_000
_SEPARATOR = b"\n"


class Create(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Marks an entry as the creation of its object: `author` counts if this stamp stays the least of its creates."""

    author: str


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one op does to one object.

    Attributes:
      kind, key: the object.
      create: set if this op creates the object.
      dead: whether this op deletes the object for ever.
      fields: the fields that the writer set, and only these.
      base: field -> text of the stamp that the writer saw there; a missing field had none.
    """

    kind: str
    key: str
    create: Create | None = None
    dead: bool = False
    fields: dict[str, FieldValue] = {}
    base: dict[str, str] = {}


class Blank(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left of an entry whose object is dead: which object, its tombstone's stamp, the hash of the entry."""

    kind: str
    key: str
    dead_since: str
    hash: str


class Op(Struct, frozen=True, kw_only=True, gc=False):
    """One op as logged and shipped.

    Attributes:
      dot, stamp: its identity and its rank; `stamp.stream == dot.stream`.
      kind: a label (store, delete, link, gc …); the fold does not look at it.
      entries: the origin's bytes of each entry, or its blank.
      previous: chain hash of the op before it in the stream (32 zero bytes for the first).
      signature: Ed25519 over `chain_hash`, 64 bytes.
    """

    dot: Dot
    stamp: Stamp
    kind: str
    entries: tuple[bytes, ...]
    previous: bytes
    signature: bytes


_entry_decoder = msgspec.json.Decoder(Entry)
_blank_decoder = msgspec.json.Decoder(Blank)
_encoder = msgspec.json.Encoder(order="sorted")
_BLANK_PREFIX = b'{"dead_since":'


def encode_entry(entry: Entry) -> bytes:
    """The bytes that are hashed, logged and shipped."""
    return _encoder.encode(entry)


def decode_entry(data: bytes) -> Entry | Blank:
    """Read an entry or a blank. Raises: msgspec.DecodeError, msgspec.ValidationError or UnicodeDecodeError."""
    return _blank_decoder.decode(data) if is_blank(data) else _entry_decoder.decode(data)


def is_blank(data: bytes) -> bool:
    """Whether these bytes stand for an entry that was blanked."""
    return data.startswith(_BLANK_PREFIX)


def entry_hash(data: bytes) -> bytes:
    """SHA-256 of the origin's bytes, also where only the blank is left."""
    if is_blank(data):
        return bytes.fromhex(_blank_decoder.decode(data).hash)
    return hashlib.sha256(data).digest()


def blank_entry(data: bytes, entry: Entry, dead_since: Stamp) -> bytes:
    """The bytes that replace an entry once its object is dead."""
    return _encoder.encode(
        Blank(kind=entry.kind, key=entry.key, dead_since=dead_since.text(), hash=hashlib.sha256(data).hexdigest())
    )


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """One body: encoded JSON never holds a raw newline, so that one separates the entries."""
    return _SEPARATOR.join(entries)


def unpack_entries(body: bytes) -> tuple[bytes, ...]:
    """Inverse of pack_entries."""
    return tuple(body.split(_SEPARATOR))


def body_hash(entries: Sequence[bytes]) -> bytes:
    """What a chain hash has of the entries: SHA-256 over their hashes. 32 bytes."""
    return hashlib.sha256(b"".join(entry_hash(entry) for entry in entries)).digest()


def chain_hash(dot: Dot, stamp: Stamp, kind: str, entries: Sequence[bytes], previous: bytes) -> bytes:
    """What the next op of the stream and the signature are bound to: header, predecessor and entries. 32 bytes."""
    return link_hash(stamp, dot.seq, kind, previous, body_hash(entries))


def link_hash(stamp: Stamp, seq: int, kind: str, previous: bytes, body: bytes) -> bytes:
    """A chain hash without the entries themselves: `body` is their `body_hash`. 32 bytes."""
    label = kind.encode()
    header = OP_FORMAT.to_bytes(1, "big") + stamp.pack() + seq.to_bytes(8, "big") + len(label).to_bytes(2, "big")
    return hashlib.sha256(header + label + previous + body).digest()


class Cell(Struct, frozen=True, gc=False):
    """One field of an object: the value and the stamp that set it."""

    stamp: Stamp
    value: FieldValue


class ObjectState(Struct, frozen=True, kw_only=True, gc=False):
    """A replicated object: a join of everything known about it (design §5).

    Attributes:
      born: least stamp of its creates; None while no create is known, and then it is invisible.
      author: of that create.
      dead: least stamp of its deletes; a dead object keeps no fields.
      fields: name -> cell.
    """

    born: Stamp | None = None
    author: str | None = None
    dead: Stamp | None = None
    fields: Mapping[str, Cell] = {}


class FieldConflict(Struct, frozen=True, kw_only=True):
    """Two writes that did not know of each other met in a field: the one that lost."""

    field: str
    stamp: Stamp
    value: FieldValue


class Merged(Struct, frozen=True, kw_only=True):
    """What a fold of one entry into one object gives."""

    state: ObjectState
    changed: frozenset[str]
    conflicts: tuple[FieldConflict, ...] = ()


class StreamHead(Struct, frozen=True, kw_only=True, gc=False):
    """The end of a stream's known prefix."""

    stream: StreamId
    seq: int
    hlc: int
    chain_hash: bytes
