"""Digests: one number that two nodes share exactly if their replicated states are equal.

A sum modulo 2**128 of a hash per object, so that it can be kept up piece by piece and does not depend on any order.
Format 1 covers, for each object, its key, birth, author, and each field's stamp and value; and each tombstone.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from aimem.model import ObjectState, Vector
from aimem.ports import Connection
from aimem.store import oplog
from aimem.store.kinds import KINDS, all_objects

DIGEST_FORMAT = 1
_MODULUS = 1 << 128
_TOMBSTONES = "SELECT kind, key, stamp FROM tombstones"


def digest(conn: Connection) -> str:
    """32 hex digits over every replicated object of this database, read in one go."""
    total = 0
    for kind in KINDS.values():
        for key, state in all_objects(conn, kind):
            total += _term(kind.name, key, state)
    for dead_kind, dead_key, stamp in conn.execute(_TOMBSTONES):
        total += _hash([DIGEST_FORMAT, dead_kind, dead_key, stamp.hex() if isinstance(stamp, bytes) else ""])
    return f"{total % _MODULUS:032x}"


def _term(kind: str, key: str, state: ObjectState) -> int:
    born = None if state.born is None else state.born.text()
    cells = [[name, cell.stamp.text(), cell.value] for name, cell in sorted(state.fields.items())]
    return _hash([DIGEST_FORMAT, kind, key, born, state.author, cells])


def _hash(value: object) -> int:
    return int.from_bytes(hashlib.sha256(msgspec.json.encode(value)).digest()[:16], "big")


class DigestAt(Struct, frozen=True, kw_only=True):
    """A digest, and the vector of the same moment: two of them compare only if their vectors are equal."""

    digest: str
    vector: Vector


def digest_at(conn: Connection) -> DigestAt:
    """Digest and vector, read in one go."""
    return DigestAt(digest=digest(conn), vector=oplog.vector(conn))
