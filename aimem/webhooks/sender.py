"""One attempt to deliver: resolve, vet every address, connect to a vetted one, send, and drop the answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import httpx
import trio
from msgspec import Struct

from aimem import __version__
from aimem.errors import Bug, InvalidRequest
from aimem.ports import Resolver
from aimem.webhooks.signing import signature
from aimem.webhooks.targets import Reach, Target, parse_target, refusal_of

PATIENCE_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 64 * 1024
ADDRESSES_MAX: Final = 4
"""So many addresses of a host are tried, if no connection can be made to those before."""

TIMESTAMP: Final = "x-ai-memory-timestamp"
SIGNATURE: Final = "x-ai-memory-signature"
DELIVERY: Final = "x-ai-memory-delivery"
EVENT: Final = "x-ai-memory-event-id"


class Letter(Struct, frozen=True, kw_only=True):
    """What is to be delivered.

    Attributes:
      signing_key: in hexadecimal; None for a subscription without a secret.
      timestamp: seconds since 1970, of this attempt.
    """

    url: str
    body: bytes
    signing_key: str | None
    timestamp: int
    delivery_id: str
    event_id: str


class Attempt(Struct, frozen=True, kw_only=True):
    """How it went. `problem` is empty if the receiver took it (2xx), and never holds what a receiver said."""

    status: int | None = None
    problem: str = ""


class Sender:
    """Delivers to addresses that were vetted, and to nothing else."""

    def __init__(self, transport: httpx.AsyncBaseTransport, resolve: Resolver, reach: Reach) -> None:
        """Hold what connects (not owned), what knows addresses, and how far it may lead."""
        self._transport, self._resolve, self._reach = transport, resolve, reach

    async def deliver(self, letter: Letter) -> Attempt:
        """Try once, for at most 10 s. Whatever goes wrong is told as a value."""
        try:
            target = parse_target(letter.url, self._reach)
        except InvalidRequest as error:
            return Attempt(problem=error.message)
        with trio.move_on_after(PATIENCE_S):
            try:
                return await self._try(target, letter)
            except OSError as error:
                return Attempt(problem=f"the host's addresses were not found ({type(error).__name__})")
            except httpx.ConnectError:
                return Attempt(problem="no connection to it could be made")
            except httpx.HTTPError as error:
                return Attempt(problem=f"no answer: {type(error).__name__}")
        return Attempt(problem=f"no answer within {PATIENCE_S:g} s")

    async def _try(self, target: Target, letter: Letter) -> Attempt:
        addresses = (target.host,) if target.is_literal else await self._resolve(target.host, target.port)
        for address in addresses:
            # One of them is enough: a name that leads here and there leads wherever its owner wants at the next look.
            if why := refusal_of(address, self._reach):
                return Attempt(problem=f"{target.host} leads to {address[:64]}: {why}")
        failure: httpx.TransportError = httpx.ConnectError("the host has no address")
        for address in addresses[:ADDRESSES_MAX]:
            try:
                return await self._send(target, address, letter)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _send(self, target: Target, address: str, letter: Letter) -> Attempt:
        headers = {
            "Host": target.authority, "Content-Type": "application/json", "Content-Length": str(len(letter.body)),
            "User-Agent": f"ai-memory/{__version__}", "Accept": "*/*",
            TIMESTAMP: str(letter.timestamp), DELIVERY: letter.delivery_id, EVENT: letter.event_id,
        }
        if letter.signing_key is not None:
            headers[SIGNATURE] = "sha256=" + signature(letter.signing_key, headers[TIMESTAMP], letter.body)
        # The certificate is checked against the name, though the connection goes to the address.
        request = httpx.Request(
            "POST", target.at(address), headers=headers, content=letter.body,
            extensions={"sni_hostname": target.host.removesuffix(".")},
        )
        answer = await self._transport.handle_async_request(request)
        try:
            await _drop_body(answer)
        finally:
            with trio.move_on_after(1, shield=True):
                await answer.aclose()
        problem = "" if 200 <= answer.status_code < 300 else f"it answered with status {answer.status_code}"
        return Attempt(status=answer.status_code, problem=problem)


async def _drop_body(answer: httpx.Response) -> None:
    """Read what was answered up to a bound, so that the receiver sees its answer taken; and keep nothing of it."""
    if not isinstance(answer.stream, httpx.AsyncByteStream):
        raise Bug("an asynchronous transport answered with a blocking stream")
    size = 0
    async with contextlib.aclosing(_pieces(answer.stream)) as pieces:
        async for piece in pieces:
            size += len(piece)
            if size > ANSWER_MAX_BYTES:
                return


async def _pieces(stream: httpx.AsyncByteStream) -> AsyncGenerator[bytes, None]:
    """The stream as a generator whose end closes the one that the library may have made of it."""
    pieces = aiter(stream)
    try:
        async for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
