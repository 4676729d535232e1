"""A node's change of streams: opening one, and what is remembered until it has caught up with what it may have lost.

A database that was put back from a copy, or runs twice, must not go on writing the stream that it wrote: other nodes
know another op of the same number. So its node takes a fresh key and says which stream it replaces.
"""

from __future__ import annotations

from aimem.ports import Connection
from aimem.store import headproofs
from aimem.store.identity import Identity
from aimem.store.kinds import STREAM
from aimem.store.transaction import Transaction

_NOTE = "INSERT INTO meta (name, value) VALUES ('minted', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_FORGET = "DELETE FROM meta WHERE name = 'minted'"
_NOTED = "SELECT 1 FROM meta WHERE name = 'minted'"
_ASK = "INSERT OR IGNORE INTO meta (name, value) VALUES ('rejoin', 1)"
_ASKED = "SELECT 1 FROM meta WHERE name = 'rejoin'"
_DONE = "DELETE FROM meta WHERE name = 'rejoin'"


def open_stream(transaction: Transaction, identity: Identity) -> None:
    """Write the first op of a stream, and remember that others may know more of the streams before it.

    The one before, if its key is at hand, is signed to be closed: others learn it only if that has to be.
    """
    before = transaction.tip.head.stream
    if before != identity.head.stream:
        headproofs.keep_word(transaction.conn, before, transaction.signer)
    transaction.begin_stream(identity.signer, identity.head)
    transaction.emit("stream", identity.opening)
    transaction.conn.execute(_NOTE, (identity.head.stream,))


def name_certificates(transaction: Transaction, fingerprints: tuple[str, ...]) -> None:
    """Have this node's stream name the certificates that the node shows; writes nothing if it does already."""
    stream, text = transaction.tip.head.stream, " ".join(fingerprints) or None
    known = transaction.load(STREAM, stream).fields.get("certificate")
    if (None if known is None else known.value) != text:
        transaction.emit("stream", [transaction.change(STREAM, stream, {"certificate": text})])


def lacks_past(conn: Connection) -> bool:
    """Whether this node has not heard yet what its peers knew when it began its stream."""
    return conn.execute(_NOTED).fetchone() is not None


def note_caught_up(transaction: Transaction) -> None:
    """It knows what its peers knew then."""
    transaction.conn.execute(_FORGET)


def ask_rejoin(transaction: Transaction) -> None:
    """Remember that the whole state of a peer is to be joined, whatever is known here."""
    transaction.conn.execute(_ASK)


def is_rejoining(conn: Connection) -> bool:
    """Whether that is still to be done."""
    return conn.execute(_ASKED).fetchone() is not None


def note_rejoined(transaction: Transaction) -> None:
    """It is done."""
    transaction.conn.execute(_DONE)
