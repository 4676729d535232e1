"""What the broken, the newer and the hostile tell a mesh: each has its answer, is counted, and changes nothing."""

from __future__ import annotations

import contextlib
import gzip
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio

from aimem.model import HLC_MAX, Create, Entry, Instant, after, hlc_at
from aimem.wire import PROTOCOL, SYNC_BODY_MAX_BYTES, ExchangeRequest, OpOut, encode, op_out
from tests.proofs import signed
from tests.streams import Author, tampered
from tests.system.members import Mesh, running, settled
from tests.system.processes import START_S

pytestmark = pytest.mark.slow

PUSH: Final = "/sync/push"
SPOKEN: Final = b'"protocol":%d'
REQUESTS: Final = "ai_memory_http_requests_total"
STOPPED: Final = "ai_memory_mesh_batches_stopped_total"
RECEIVED: Final = "ai_memory_mesh_ops_received_total"
GROWN_S: Final = 60.0
"""An exchange ends after ten seconds, however slowly its answer comes; the next one may be under way already."""
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def now() -> Instant:
    return Instant(time.time_ns() // 1000)


class Node:
    """A daemon as these tests look at it: what it counts, and what it shows."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of all samples of a metric that have these labels; 0 without any."""
        page = (await self.http.get("/metrics")).raise_for_status().text
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(
            float(value) for found, told, value in _LINE.findall(page)
            if found == name and wanted <= set((told or "").split(","))
        )

    async def grown(self, name: str, before: float, **labels: str) -> None:
        """Wait until a metric is more than before."""
        with trio.fail_after(GROWN_S):
            while True:
                if await self.counted(name, **labels) > before:
                    return
                await trio.sleep(0.1)

    async def digest(self) -> str:
        return str((await self.document(digest="true"))["digest"])

    async def document(self, **params: str) -> Any:
        return (await self.http.get("/mesh", params=params)).raise_for_status().json()

    async def push(self, author: Author, content: bytes, **headers: str) -> httpx.Response:
        """Hand over what a stream's writer signed, whatever it is."""
        plain = content
        with contextlib.suppress(OSError, EOFError):
            plain = gzip.decompress(content)
        proof = signed(author, plain, (await self.document())["stream"])
        headers = {"Content-Type": "application/json", **proof, **headers}
        return await self.http.post(PUSH, content=content, headers=headers)


@contextlib.asynccontextmanager
async def looking_at(mesh: Mesh, number: int) -> AsyncIterator[Node]:
    """A node, over one client."""
    async with httpx.AsyncClient(base_url=mesh.url(number), timeout=START_S) as http:
        yield Node(http)


def exchange(author: Author, *ops: OpOut, **fields: Any) -> bytes:
    """An exchange of a node that knows nothing of the others."""
    return encode(ExchangeRequest(protocol=PROTOCOL, node=author.name, stream=author.stream, ops=ops, **fields))


@contextlib.asynccontextmanager
async def counting(node: Node, name: str, by: float = 1, **labels: str) -> AsyncIterator[None]:
    """The block makes a metric grow by so much, and leaves what is shown as it is."""
    digest, before = await node.digest(), await node.counted(name, **labels)
    yield
    assert await node.counted(name, **labels) == before + by, (name, labels)
    assert await node.digest() == digest


async def test_a_push_that_is_none_is_refused_counted_and_changes_nothing(tmp_path: Path) -> None:
    author = Author(5, "w5", clock=hlc_at(now()))
    sound = exchange(author, *map(op_out, author.ops))
    packed = {"Content-Encoding": "gzip"}
    cases: list[tuple[str, bytes, dict[str, str], int, str]] = [
        ("truncated", sound[:-20], {}, 400, "malformed_json"),
        ("truncated, packed", gzip.compress(sound)[:-9], packed, 400, "malformed_json"),
        ("oversize", b" " * (SYNC_BODY_MAX_BYTES + 1), {}, 413, "body_too_large"),
        ("oversize, packed", gzip.compress(b" " * (SYNC_BODY_MAX_BYTES + 1)), packed, 413, "body_too_large"),
        ("newer protocol", sound.replace(SPOKEN % PROTOCOL, SPOKEN % (PROTOCOL + 1)), {}, 400, "protocol_mismatch"),
        ("a hash of another length", sound.replace(b'"previous":"A', b'"previous":"'), {}, 422, "schema_mismatch"),
        ("more ops than a batch", exchange(author, *[op_out(author.ops[0])] * 513), {}, 400, "invalid_request"),
        ("no stream", sound.replace(author.stream.encode(), b"nobody"), {}, 422, "schema_mismatch"),
        ("a clock beyond all", sound.replace(b'"hlc":', b'"hlc":99999999999'), {}, 422, "schema_mismatch"),
    ]
    async with running(tmp_path, 2) as mesh, looking_at(mesh, 0) as node:
        await settled(mesh)  # what both wrote at their start arrives now, and not between two looks at the digest
        for what, body, headers, status, code in cases:
            async with counting(node, REQUESTS, route="/api/v1/sync/push", status=str(status)):
                answer = await node.push(author, body, **headers)
            assert (answer.status_code, answer.json()["code"]) == (status, code), what
        await broken_off(node, mesh.ports[0], sound)
        await wrong_positions(node)
        assert author.stream not in (await node.document())["vector"]
        await still_works(mesh)


async def broken_off(node: Node, port: int, sound: bytes) -> None:
    """Whoever leaves before the body is whole is counted as gone."""
    digest, before = await node.digest(), await node.counted(REQUESTS, route="/api/v1/sync/push", status="0")
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        head = f"POST /api/v1/sync/push HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(sound)}\r\n\r\n"
        await stream.send_all(head.encode() + sound[:-20])
    await node.grown(REQUESTS, before, route="/api/v1/sync/push", status="0")
    assert await node.digest() == digest


async def wrong_positions(node: Node) -> None:
    """`clock` is a position of one log."""
    for params, status, code in (
        ({"clock": "99999"}, 410, "gone"), ({"clock": "0", "log": "0" * 32}, 410, "gone"),
        ({"clock": "-1"}, 400, "invalid_request"), ({"clock": "noon"}, 400, "invalid_request"),
        ({"clock": str(2**70)}, 400, "invalid_request"),
    ):
        async with counting(node, REQUESTS, route="/api/v1/sync/since", status=str(status)):
            answer = await node.http.get("/sync/since", params=params)
        assert (answer.status_code, answer.json()["code"]) == (status, code), params


async def still_works(mesh: Mesh) -> None:
    """Both nodes take writes, and agree."""
    async with httpx.AsyncClient(timeout=START_S) as http:
        for number in range(2):
            stored = await http.post(f"{mesh.url(number)}/memories", json={"title": f"t{number}", "content": "text"})
            assert stored.status_code == 201, stored.text
            assert stored.json()["quorum_acks"] == 2
    await settled(mesh)


async def test_ops_that_cannot_be_taken_stop_their_batch_and_are_counted_by_reason(tmp_path: Path) -> None:
    author = Author(5, "w5", clock=hlc_at(now()))
    for number in range(3):
        author.memory(f"m{number}")
    ops = [op_out(op) for op in author.ops]
    late = Author(6, "w6", clock=hlc_at(now()))
    late.memory("late", hlc=hlc_at(after(now(), 3600)))
    stray = Author(7, "w7", clock=hlc_at(now()))
    stray.memory("end of days", hlc=HLC_MAX)
    altered = op_out(tampered(author.ops[1], entries=author.ops[2].entries))
    chained = op_out(tampered(author.ops[1], previous=bytes(32)))
    cases = [
        ("reordered", author, [ops[0], ops[2], ops[1]], "gap"),
        ("out of its middle", author, [ops[3]], "gap"),
        ("with another body", author, [ops[0], altered], "forged"),
        ("behind another hash", author, [ops[0], chained], "forged"),
        ("millennia ahead, by somebody else", author, [op_out(op) for op in stray.ops[1:]], "clock"),
        ("an hour ahead", late, [op_out(op) for op in late.ops], "clock"),
    ]
    async with running(tmp_path, 2) as mesh, looking_at(mesh, 0) as node:
        await settled(mesh)
        for writer in (author, late, stray):       # both are known by their openings
            (await node.push(writer, exchange(writer, op_out(writer.ops[0])))).raise_for_status()
        for what, writer, sent, reason in cases:
            async with counting(node, STOPPED, reason=reason):
                answer = (await node.push(writer, exchange(writer, *sent))).raise_for_status().json()
            assert (answer["stopped"], answer["taken"]) == (reason, 0), what
        # What is assumed of a node and is not so: nothing is taken, whatever is sent along.
        async with counting(node, STOPPED, reason="assumed"):
            answer = (await node.push(author, exchange(author, *ops, assumed={"0" * 32: 7}))).raise_for_status().json()
        assert (answer["stopped"], answer["taken"]) == ("assumed", 0)
        (await node.push(author, exchange(author, *ops))).raise_for_status()
        async with counting(node, RECEIVED, by=len(ops), result="known"):
            replayed = (await node.push(author, exchange(author, *ops))).raise_for_status().json()
        assert (replayed["stopped"], replayed["taken"]) == ("", 0)
        await still_works(mesh)


async def test_ops_that_cannot_be_applied_are_kept_aside_counted_and_passed_on(tmp_path: Path) -> None:
    newer = Author(5, "w5", clock=hlc_at(now()))
    dream = Entry(kind="dream", key="d1", create=Create(author="x"), fields={"text": "?"})
    newer.write("dream", [dream])
    newer.write("store", [b'{"kind":"memory","key":"m1","fields":{"priority":"high"}}'])
    newer.write("store", [b"no json at all"])
    ops = [op_out(op) for op in newer.ops]
    async with running(tmp_path, 2) as mesh, looking_at(mesh, 0) as node, looking_at(mesh, 1) as other:
        await settled(mesh)
        (await node.push(newer, exchange(newer, ops[0]))).raise_for_status()
        async with counting(node, "ai_memory_ops_held", by=3):
            answer = (await node.push(newer, exchange(newer, *ops))).raise_for_status().json()
        held = [f"{newer.stream}:{seq}" for seq in (2, 3, 4)]
        assert (answer["taken"], answer["held"], answer["held_count"]) == (3, held, 3)
        await still_works(mesh)
        assert await other.counted("ai_memory_ops_held") == 3
        for each in (node, other):
            outcome = (await each.http.get(f"/writes/{held[0]}")).json()
            assert (outcome["outcome"], outcome["got"]) == ("held", 0)
            assert any("install a newer one" in alarm for alarm in (await each.document())["alarms"])


Answer = Callable[[trio.SocketStream], Awaitable[None]]


def head_of(length: int, *lines: str) -> bytes:
    lines = ("HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {length}", *lines, "", "")
    return "\r\n".join(lines).encode()


async def nonsense(stream: trio.SocketStream) -> None:
    await stream.send_all(head_of(8) + b"nonsense")


async def other_shape(stream: trio.SocketStream) -> None:
    body = b'{"protocol": 2, "node": [], "vector": "all of it"}'
    await stream.send_all(head_of(len(body)) + body)


async def bomb(stream: trio.SocketStream) -> None:
    body = gzip.compress(bytes(64 * SYNC_BODY_MAX_BYTES), compresslevel=9)
    await stream.send_all(head_of(len(body), "Content-Encoding: gzip") + body)


async def flood(stream: trio.SocketStream) -> None:
    await stream.send_all(head_of(4 * SYNC_BODY_MAX_BYTES) + b" " * (4 * SYNC_BODY_MAX_BYTES))


async def never(_: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def byte_a_second(stream: trio.SocketStream) -> None:
    await stream.send_all(head_of(1000))
    while True:
        await stream.send_all(b" ")
        await trio.sleep(1)


HOSTILE: Final[dict[str, tuple[Answer, str]]] = {
    "nonsense": (nonsense, "forged"), "other shape": (other_shape, "forged"), "bomb": (bomb, "nonsense"),
    "flood": (flood, "nonsense"), "never": (never, "timeout"), "byte a second": (byte_a_second, "timeout"),
}
"""What a peer answers, and how that is told in a word."""


@contextlib.asynccontextmanager
async def hostile_peers() -> AsyncIterator[dict[str, str]]:
    """Servers that answer every request so. Returns: their addresses by name."""
    async with trio.open_nursery() as nursery:
        addresses = {}
        for name, (answer, _) in HOSTILE.items():
            [listener] = await nursery.start(
                partial(trio.serve_tcp, partial(_answer_all, answer), 0, host="127.0.0.1")
            )
            addresses[name] = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield addresses
        nursery.cancel_scope.cancel()


async def _answer_all(answer: Answer, stream: trio.SocketStream) -> None:
    """One answer to a connection, which is closed then."""
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.receive_some(65536)
        await answer(stream)


async def test_peers_that_answer_nonsense_never_or_a_byte_a_second_do_no_harm_and_are_seen(tmp_path: Path) -> None:
    async with (
        hostile_peers() as addresses, running(tmp_path, 2, strangers=tuple(addresses.values())) as mesh,
        looking_at(mesh, 0) as node,
    ):
        real = f"http://127.0.0.1:{mesh.ports[1]}"
        digest = await node.digest()
        for name, url in addresses.items():
            await node.grown("ai_memory_mesh_exchanges_failed_total", 0, peer=url, reason=HOSTILE[name][1])
            assert await node.counted("ai_memory_mesh_reachable", peer=url) == 0, name
        assert await node.counted("ai_memory_mesh_reachable", peer=real) == 1
        assert await node.digest() == digest
        told = {peer["url"]: peer for peer in (await node.document())["peers"]}
        for name, (_, word) in HOSTILE.items():
            assert word in told[addresses[name]]["last_error"], told[addresses[name]]
        await writes_wait_for_those_that_answer(node)


async def writes_wait_for_those_that_answer(node: Node) -> None:
    """Two of eight nodes are there: that is enough for W of 2, and not for all."""
    stored = await node.http.post("/memories", json={"title": "t", "content": "text"})
    assert (stored.status_code, stored.json()["quorum_acks"]) == (201, 2), stored.text
    digest = await node.digest()
    refused = await node.http.post(
        "/memories", json={"title": "all", "content": "text"}, headers={"X-Consistency": "all"}
    )
    assert (refused.status_code, refused.json()["outcome"]) == (503, "not_applied"), refused.text
    assert await node.digest() == digest
