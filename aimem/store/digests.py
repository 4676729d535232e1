"""Digests: one number that two nodes share exactly if their replicated states are equal.

A sum modulo 2**128 of a hash per object, so that it adds up over ranges of keys and does not depend on any order.
Format 2 hashes each replicated row as it lies in its table (SHA-256 over MessagePack of format, table and the columns
that `store.kinds` names): what a state looks like there follows from the state alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from aimem.model import ObjectState, Vector
from aimem.ports import Connection, Row
from aimem.store import oplog
from aimem.store.fields import Kind
from aimem.store.kinds import KINDS, row_of
from aimem.store.walking import TOMBSTONES, Place, is_behind, place_of, walk

DIGEST_FORMAT: Final = 2
HASH_BYTES: Final = 16
_MODULUS: Final = 1 << 128
_NO_LIMIT: Final = (1 << 63) - 1
_encode = msgspec.msgpack.Encoder().encode


class Term(Struct, frozen=True):
    """What one row adds to a digest: 16 bytes."""

    place: Place
    hash: bytes


class Span(Struct, frozen=True):
    """The terms of a range of keys; `until` is where it ends, None for the end of all."""

    terms: tuple[Term, ...]
    until: Place | None

    @property
    def digest(self) -> str:
        """Their sum."""
        return text_of(sum(int.from_bytes(term.hash, "big") for term in self.terms))


def read_span(conn: Connection, after: Place | None, until: Place | None, max_count: int) -> Span:
    """The terms behind a place, up to another one or until there are so many; `Span.until` says which it was.

    Raises: InvalidRequest for a place that is none.
    """
    terms: list[Term] = []
    for table, row in walk(conn, after, max_count + 1):
        place = place_of(table, row)
        if is_behind(place, until):
            break
        if len(terms) == max_count:
            return Span(tuple(terms), terms[-1].place)
        terms.append(Term(place, _hash(table, row)))
    return Span(tuple(terms), until)


def object_of(place: Place) -> tuple[str, str]:
    """Kind and key of the object whose row stands at a place. Raises: LookupError."""
    if place.table == TOMBSTONES:
        return place.key[0], place.key[1]
    return place.table, KINDS[place.table].join_key(place.key)


def digest(conn: Connection) -> str:
    """32 hex digits over every replicated object of this database, read in one go."""
    return text_of(_sum_of(walk(conn, None, _NO_LIMIT)))


def hash_of_state(kind: Kind, key: str, state: ObjectState) -> int:
    """What an object adds to a digest: the same number as its row does.

    Raises: ValueError for a state that no row can hold.
    """
    if state.dead is not None:
        return int.from_bytes(_hash(TOMBSTONES, (kind.name, key, state.dead.pack())), "big")
    return int.from_bytes(_hash(kind.name, row_of(kind, key, state)), "big")


def text_of(total: int) -> str:
    """A sum of such numbers as 32 hex digits."""
    return f"{total % _MODULUS:032x}"


def _sum_of(rows: Iterable[tuple[str, Row]]) -> int:
    return sum(int.from_bytes(_hash(table, row), "big") for table, row in rows)


def _hash(table: str, row: Row) -> bytes:
    return hashlib.sha256(_encode((DIGEST_FORMAT, table, row))).digest()[:HASH_BYTES]


class DigestAt(Struct, frozen=True, kw_only=True):
    """A digest, and the vector of the same moment: two of them compare only if their vectors are equal."""

    digest: str
    vector: Vector


def digest_at(conn: Connection) -> DigestAt:
    """Digest and vector, read in one go."""
    return DigestAt(digest=digest(conn), vector=oplog.vector(conn))
