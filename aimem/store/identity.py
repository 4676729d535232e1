"""Who this node is: its stream, the key that signs it, and when a new one must be minted (design §5).

A stream is one incarnation of a node. The private key lies in a sidecar file beside the database, never in it, so that
a copied or restored database cannot go on writing in the old one's name.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from aimem.errors import Corrupt
from aimem.model import (
    LINE_MAX,
    Create,
    Endorsement,
    Entry,
    StreamHead,
    StreamId,
    endorsement_digest,
    predecessor_text,
    stream_id,
)
from aimem.ports import Chance, Connection, Files, Signer
from aimem.store import oplog
from aimem.store.kinds import STREAM

SIDECAR_SUFFIX = ".node"


class Sidecar(Struct, frozen=True, kw_only=True):
    """The file `DB.node` (0600): which stream this node writes, and its private key (hex).

    Attributes:
      replaces: the stream before, until this one's opening op is known to be stored: a crash may come before it, and
        a stream that was never opened is nobody's predecessor.
      line: the keys before this one, the latest first: `[public key, what it signed for the one after it]` (hex).
    """

    stream: StreamId
    node: str
    private_key: str
    replaces: StreamId | None = None
    line: tuple[tuple[str, str], ...] = ()


class Identity(Struct, frozen=True, kw_only=True):
    """What the writer needs to append to its stream.

    Attributes:
      opening: entries of the stream's first op, if that is still to be written; empty otherwise.
      line: the keys that this node had before, the latest first.
    """

    node: str
    signer: Signer
    head: StreamHead
    opening: tuple[Entry, ...] = ()
    line: tuple[Endorsement, ...] = ()


def sidecar_path(db: Path) -> Path:
    """Where the private key of a database's node lies."""
    return db.with_name(db.name + SIDECAR_SUFFIX)


def load_identity(conn: Connection, files: Files, chance: Chance, db: Path, node: str) -> Identity:
    """Continue the sidecar's stream if this database knows it, else mint one.

    Args:
      node: the name for a newly minted stream; a sidecar's own name wins.
    Raises: Corrupt if the sidecar cannot be read (losing its key must be a person's decision); OSError.
    """
    path = sidecar_path(db)
    data = files.read(path)
    if data is None:
        return mint(files, chance, path, node, None)
    sidecar, signer = _read_sidecar(data, path, chance)
    line = _line_of(sidecar, path)
    head = oplog.head(conn, sidecar.stream)
    if head is None:
        return _mint_next(files, chance, path, sidecar, signer)
    identity = Identity(node=sidecar.node, signer=signer, head=head, line=line)
    if sidecar.replaces is not None:
        confirm(files, path, identity)
    return identity


def replace_key(files: Files, chance: Chance, db: Path) -> None:
    """Have the node of a database write a new stream from its next start on: an older one takes its place.

    That start mints once more, as it knows no stream of this key. Without a key there is nothing to do.
    Raises: Corrupt if the sidecar cannot be read; OSError.
    """
    path = sidecar_path(db)
    data = files.read(path)
    if data is not None:
        _mint_next(files, chance, path, *_read_sidecar(data, path, chance))


def _mint_next(files: Files, chance: Chance, path: Path, sidecar: Sidecar, signer: Signer) -> Identity:
    before = Identity(
        node=sidecar.node, signer=signer, head=oplog.nothing(sidecar.stream), line=_line_of(sidecar, path)
    )
    return mint(files, chance, path, sidecar.node, sidecar.replaces or sidecar.stream, before)


def mint(
    files: Files, chance: Chance, path: Path, node: str, predecessor: StreamId | None, before: Identity | None = None
) -> Identity:
    """A fresh key. The sidecar is durable before the first op: a crash between the two only mints once more.

    Args:
      before: who the node was, if its key is at hand: that one signs the new one, so that others take it for the same
        node's. It may never have been opened, where `predecessor` names the last stream that was.
    Raises: OSError.
    """
    signer = chance.new_signer()
    stream = stream_id(signer.public_key)
    line = () if before is None else _continued(before, signer)
    fresh = _sidecar(Identity(node=node, signer=signer, head=oplog.nothing(stream), line=line), predecessor)
    files.write_durably(path, msgspec.json.encode(fresh))
    opening = Entry(
        kind=STREAM.name,
        key=stream,
        create=Create(author=node),
        fields={
            "node": node,
            "public_key": signer.public_key.hex(),
            "predecessor": None if predecessor is None else predecessor_text(predecessor, line),
            "certificate": None,
        },
    )
    return Identity(node=node, signer=signer, head=oplog.nothing(stream), opening=(opening,), line=line)


def _continued(before: Identity, signer: Signer) -> tuple[Endorsement, ...]:
    old = before.signer
    link = Endorsement(key=old.public_key, signature=old.sign(endorsement_digest(signer.public_key)))
    return (link, *before.line)[:LINE_MAX]


def _sidecar(identity: Identity, replaces: StreamId | None) -> Sidecar:
    return Sidecar(
        stream=identity.head.stream, node=identity.node, private_key=identity.signer.private_key.hex(),
        replaces=replaces, line=tuple((link.key.hex(), link.signature.hex()) for link in identity.line),
    )


def confirm(files: Files, path: Path, identity: Identity) -> None:
    """Note in the sidecar that the stream was opened. Raises: OSError."""
    files.write_durably(path, msgspec.json.encode(_sidecar(identity, None)))


def _line_of(sidecar: Sidecar, path: Path) -> tuple[Endorsement, ...]:
    try:
        return tuple(Endorsement(bytes.fromhex(key), bytes.fromhex(signed)) for key, signed in sidecar.line[:LINE_MAX])
    except ValueError as error:
        raise Corrupt(
            f"{path} cannot be read as this node's key ({error}); restore it, or move it away to start a new identity"
        ) from error


def _read_sidecar(data: bytes, path: Path, chance: Chance) -> tuple[Sidecar, Signer]:
    try:
        sidecar = msgspec.json.decode(data, type=Sidecar)
        signer = chance.load_signer(bytes.fromhex(sidecar.private_key))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Corrupt(
            f"{path} cannot be read as this node's key ({error}); restore it, or move it away to start a new identity"
        ) from error
    if stream_id(signer.public_key) != sidecar.stream:
        # Ops signed with it would be refused by every peer.
        raise Corrupt(f"the key in {path} is not its stream's; restore it, or move it away to start a new identity")
    return sidecar, signer
