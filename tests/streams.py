"""Streams made by hand: what a node signs, and what only an attacker would send."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aimem.model import (
    Create,
    Dot,
    Endorsement,
    Entry,
    FieldValue,
    Op,
    Stamp,
    StreamHead,
    StreamId,
    chain_hash,
    encode_entry,
    endorsement_digest,
    hlc_at,
    predecessor_text,
    stream_id,
)
from aimem.ports import Signer
from tests.nodes import START, seeded_chance

BASE = hlc_at(START)


class Author:
    """Writes and signs one stream; `ops` are all that it wrote, its opening op first."""

    def __init__(
        self, seed: int, name: str = "other", clock: int = BASE, *, predecessor: str | None = None,
        before: Author | None = None,
    ) -> None:
        """A fresh key.

        Args:
          predecessor: what the opening op says of the stream before.
          before: whose node goes on under this key; it signs for that, and the opening op says so.
        """
        self.name = name
        self.signer: Signer = seeded_chance(seed).new_signer()
        self.stream: StreamId = stream_id(self.signer.public_key)
        self.ops: list[Op] = []
        self.head = StreamHead(stream=self.stream, seq=0, hlc=clock, chain_hash=bytes(32))
        if before is not None:
            link = Endorsement(before.signer.public_key, before.signer.sign(endorsement_digest(self.signer.public_key)))
            predecessor = predecessor_text(before.stream, [link])
        fields: dict[str, FieldValue] = {
            "node": name, "public_key": self.signer.public_key.hex(), "predecessor": predecessor,
            "certificate": None,
        }
        self.write("stream", [Entry(kind="stream", key=self.stream, create=Create(author=name), fields=fields)])

    def write(self, kind: str, entries: Sequence[Entry | bytes], hlc: int | None = None) -> Op:
        """Append an op; without a clock value the next one."""
        data = tuple(entry if isinstance(entry, bytes) else encode_entry(entry) for entry in entries)
        op = self.made(kind, data, self.head.hlc + 1 if hlc is None else hlc)
        self.ops.append(op)
        chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
        self.head = StreamHead(stream=self.stream, seq=op.dot.seq, hlc=op.stamp.hlc, chain_hash=chained)
        return op

    def made(self, kind: str, data: tuple[bytes, ...], hlc: int) -> Op:
        """A signed op behind the head, which stays where it is."""
        dot, stamp = Dot(self.stream, self.head.seq + 1), Stamp(hlc, self.stream)
        chained = chain_hash(dot, stamp, kind, data, self.head.chain_hash)
        return Op(
            dot=dot, stamp=stamp, kind=kind, entries=data, previous=self.head.chain_hash,
            signature=self.signer.sign(chained),
        )

    def memory(self, key: str, title: str = "", content: str = "a text", hlc: int | None = None) -> Op:
        """Create a memory."""
        return self.write("store", [memory_entry(key, title or key, content)], hlc)

    def delete(self, key: str) -> Op:
        """Delete a memory."""
        return self.write("delete", [Entry(kind="memory", key=key, dead=True)])


def memory_entry(key: str, title: str, content: str) -> Entry:
    """The creation of a memory, complete."""
    fields: dict[str, FieldValue] = {
        "name": ("ns", title), "content": content, "tags": (), "tier": "long", "priority": 5, "confidence": 1.0,
        "source": "test", "metadata": "{}", "scope": None, "created_at": START, "updated_at": START, "expires_at": None,
        "lifecycle": ("live",),
    }
    return Entry(kind="memory", key=key, create=Create(author="bob"), fields=fields)


def tampered(op: Op, **changed: object) -> Op:
    """An op that somebody altered on the way: signature and chain are no longer its own."""
    return msgspec.structs.replace(op, **changed)
