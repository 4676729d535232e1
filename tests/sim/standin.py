"""A replicator of a few lines, for the time until there is a mesh: it lets the world and its checkers be tested.

It ships ops in its log's order and takes them by the prefix rule. It gathers no acknowledgements.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any  # ASGI messages

import httpx
import msgspec
import trio
from msgspec import Struct

from aimem.errors import AimemError
from aimem.model import Dot, Op, Stamp, StreamHead, StreamId, chain_hash, decode_entry
from aimem.ports import Connection
from aimem.store import Transaction, oplog
from tests.sim.machine import Process
from tests.sim.ports import Died

PATH = "/standin"
EVERY_S = 0.5
OPS_MAX = 200


class Shipped(Struct):
    """An op on its way."""

    stream: str
    seq: int
    hlc: int
    kind: str
    entries: list[bytes]
    previous: bytes
    signature: bytes

    def op(self) -> Op:
        """As the store knows it."""
        return Op(
            dot=Dot(StreamId(self.stream), self.seq), stamp=Stamp(self.hlc, StreamId(self.stream)), kind=self.kind,
            entries=tuple(self.entries), previous=self.previous, signature=self.signature,
        )


class Push(Struct):
    """Ops that the receiver lacks, if its vector is what the sender takes it for."""

    assumed: dict[str, int]
    ops: list[Shipped]


def ship(op: Op) -> Shipped:
    """An op for its way."""
    return Shipped(
        op.dot.stream, op.dot.seq, op.stamp.hlc, op.kind, list(op.entries), op.previous, op.signature
    )


def lacking(conn: Connection, vector: Mapping[str, int]) -> list[Shipped]:
    """Ops that a node with this vector lacks, in the order of this log."""
    ops = [op for _, op in oplog.read_after(conn, 0, 1_000_000) if op.dot.seq > vector.get(op.dot.stream, 0)]
    return [ship(op) for op in ops[:OPS_MAX]]


def take(transaction: Transaction, push: Push) -> None:
    """Log and fold what continues a known prefix."""
    vector = oplog.vector(transaction.conn)
    if any(vector.get(StreamId(stream), 0) < head for stream, head in push.assumed.items()):
        return
    for shipped in push.ops:
        op = shipped.op()
        known = oplog.head(transaction.conn, op.dot.stream)
        if op.dot.seq <= (known.seq if known else 0):
            continue
        if op.dot.seq != (known.seq if known else 0) + 1 or op.previous != (known.chain_hash if known else bytes(32)):
            return
        entries = [decode_entry(data) for data in op.entries]
        oplog.append(transaction.conn, op, tuple((entry.kind, entry.key) for entry in entries))
        transaction.fold(op)
        chained = chain_hash(op.dot, op.stamp, op.kind, op.entries, op.previous)
        head = StreamHead(stream=op.dot.stream, seq=op.dot.seq, hlc=op.stamp.hlc, chain_hash=chained)
        oplog.set_head(transaction.conn, head)


def dress(process: Process, app: Any) -> Any:
    """The node's app with the stand-in's route before it; the senders start with it."""
    peers = [name for name in process.machine.peers if name != process.name]
    for peer in peers:
        process.spawn(_send, process, peer)

    async def dressed(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != PATH or process.store is None:
            await app(scope, receive, send)
            return
        message = await receive()
        status = 200
        try:
            await process.store.write(take, msgspec.msgpack.decode(message["body"], type=Push))
        except AimemError:
            status = 503
        vector = await process.store.read(oplog.vector)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.msgpack.encode(vector), "more_body": False})

    return dressed


async def _send(process: Process, peer: str) -> None:
    http = httpx.AsyncClient(transport=process.machine.open_network(process), timeout=None)
    assumed: dict[str, int] = {}
    while process.store is not None:
        ops = await process.store.read(lacking, assumed)
        try:
            with trio.move_on_after(2):
                body = msgspec.msgpack.encode(Push(assumed, ops))
                answer = await http.post(f"http://{peer}{PATH}", content=body)
                assumed = msgspec.msgpack.decode(answer.content, type=dict[str, int])
        except httpx.TransportError:
            pass
        except Died:
            return
        if len(ops) < OPS_MAX:
            await trio.sleep(EVERY_S)
