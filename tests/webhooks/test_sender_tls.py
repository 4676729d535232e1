"""One attempt over real TLS: the connection goes to an address, the certificate is checked against the name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import trio
import trustme

from aimem.webhooks import Letter, Reach, Sender

HOST = "hooks.example"


@asynccontextmanager
async def receiver(authority: trustme.CA, certified: str) -> AsyncIterator[tuple[int, list[str], list[bytes]]]:
    """An HTTPS server on loopback: its port, the names that clients asked for, the heads of their requests."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(certified).configure_cert(context)
    names: list[str] = []
    heads: list[bytes] = []

    def note(_: object, name: str | None, __: object) -> None:
        names.append(name or "")

    context.sni_callback = note

    async def serve(raw: trio.SocketStream) -> None:
        stream = trio.SSLStream(raw, context, server_side=True, https_compatible=True)
        try:
            heads.append(await stream.receive_some(65536))
            await stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        except trio.BrokenResourceError:
            pass    # the client did not like the certificate
        await trio.aclose_forcefully(raw)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1], names, heads
        nursery.cancel_scope.cancel()


async def loopback(host: str, port: int) -> tuple[str, ...]:
    assert (host, port > 0) == (HOST, True)
    return ("127.0.0.1",)


async def attempt(authority: trustme.CA, port: int) -> str:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    letter = Letter(
        url=f"https://{HOST}:{port}/in", body=b"{}", signing_key=None, timestamp=1, delivery_id="d", event_id="e.1"
    )
    try:
        return (await Sender(transport, loopback, Reach.PRIVATE).deliver(letter)).problem
    finally:
        await transport.aclose()


async def test_the_name_is_asked_for_and_the_certificate_is_the_names() -> None:
    authority = trustme.CA()
    async with receiver(authority, HOST) as (port, names, heads):
        assert await attempt(authority, port) == ""
    assert names == [HOST]
    assert heads[0].startswith(b"POST /in HTTP/1.1\r\n")
    assert f"Host: {HOST}:{port}\r\n".encode() in heads[0]


async def test_a_certificate_of_another_name_is_refused_before_anything_is_sent() -> None:
    authority = trustme.CA()
    async with receiver(authority, "127.0.0.1") as (port, _, heads):
        assert await attempt(authority, port) == "no connection to it could be made"
    assert [head for head in heads if head] == []
