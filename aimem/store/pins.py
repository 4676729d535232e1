"""What this node remembers of the nodes that it met: which keys speak under a name, and which certificates they showed.

Node-local: each node judges by what it saw itself.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from aimem.model import Instant, StreamId
from aimem.ports import Connection
from aimem.store.kinds import STREAM, load_object
from aimem.store.transaction import Transaction

PINS_MAX: Final = 4096
"""Names that are remembered; as many as streams. Beyond them nobody new is heard."""
KEYS_MAX: Final = 16
CERTIFICATES_MAX: Final = 4
"""Of one name: the latest."""

_FINGERPRINT_CHARS: Final = 64
_PREFIX: Final = "pin:"
_LOAD: Final = "SELECT name, value FROM meta WHERE name >= 'pin:' AND name < 'pin;' ORDER BY name"
_PUT: Final = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_FORGET: Final = "DELETE FROM meta WHERE name = ?"


class Pin(Struct, frozen=True, kw_only=True):
    """What is remembered of a name.

    Attributes:
      keys: public keys (64 hex digits) that speak under it, the latest first: each one after another, as a node goes on
        under a new key, and a copy that was put back under an old one.
      certificates: fingerprints that it showed, the latest first.
      since: when the first of the keys was met.
      is_listed: whether one of its certificates ever was on the list of those that may connect.
    """

    keys: tuple[str, ...]
    certificates: tuple[str, ...] = ()
    since: Instant
    is_listed: bool = False


def load(conn: Connection) -> dict[str, Pin]:
    """All pins by name."""
    return {
        str(name).removeprefix(_PREFIX): msgspec.json.decode(str(value), type=Pin)
        for name, value in conn.execute(_LOAD)
    }


def put(transaction: Transaction, name: str, pin: Pin) -> None:
    """Remember a name."""
    transaction.conn.execute(_PUT, (_PREFIX + name, msgspec.json.encode(pin).decode()))


def forget(transaction: Transaction, name: str) -> None:
    """Remember it no more: who comes next under it is believed."""
    transaction.conn.execute(_FORGET, (_PREFIX + name,))


def opened_as(conn: Connection, stream: StreamId) -> str | None:
    """The name that a stream's writer gave itself in it; None if that is not known, or others wrote over it."""
    cell = load_object(conn, STREAM, stream).fields.get("node")
    return str(cell.value) if cell is not None and cell.stamp.stream == stream else None


def certificates_named(conn: Connection, stream: StreamId) -> tuple[str, ...]:
    """Fingerprints of the certificates that a stream says that its node shows; others' words about it do not count."""
    cell = load_object(conn, STREAM, stream).fields.get("certificate")
    said = "" if cell is None or cell.value is None or cell.stamp.stream != stream else str(cell.value)
    return tuple(one for one in said.split(" ", CERTIFICATES_MAX)[:CERTIFICATES_MAX] if len(one) == _FINGERPRINT_CHARS)
