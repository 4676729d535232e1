"""The way to peers: one HTTP client, whose transport is handed in. What comes back is bounded before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast

import httpx
import msgspec

from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.wire import (
    SYNC_BODY_MAX_BYTES,
    ExchangeAnswer,
    ExchangeRequest,
    MeshDocument,
    copies,
    decode_body,
    encode,
    gzipped,
    unzipped,
)

T = TypeVar("T")

PUSH: Final = "/api/v1/sync/push"
MESH: Final = "/api/v1/mesh"
SNAPSHOT: Final = "/api/v1/sync/snapshot"
EMBEDDINGS: Final = "/api/v1/sync/embeddings"
DIGESTS: Final = "/api/v1/sync/digests"
_TRIES: Final = 2


class PeerRoad:
    """Asks peers. Deadlines are the caller's."""

    def __init__(self, network: httpx.AsyncBaseTransport, *, api_key: str | None = None) -> None:
        """Wrap the network port; it is closed with this.

        Args:
          api_key: what peers want in X-API-Key; the mesh shares one.
        """
        self._network = network
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if api_key is not None:
            self._headers["X-API-Key"] = api_key
        self._urls: dict[str, httpx.URL] = {}

    async def exchange(self, url: str, request: ExchangeRequest) -> ExchangeAnswer:
        """One exchange with the node at an address. Raises: Unavailable with the reason in one word or a few."""
        body = encode(request)
        headers = {"Content-Type": "application/json"}
        packed = gzipped(body)
        if packed is not None:
            body = packed
            headers["Content-Encoding"] = "gzip"
        return _decoded(await self._ask("POST", url + PUSH, body, headers), ExchangeAnswer)

    async def snapshot(self, url: str, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
        """A page of a peer's whole state. Raises: Unavailable."""
        headers = {"Content-Type": "application/json"}
        return _decoded(await self._ask("POST", url + SNAPSHOT, encode(request), headers), copies.SnapshotAnswer)

    async def embeddings(self, url: str, request: copies.EmbeddingsRequest) -> copies.EmbeddingsAnswer:
        """Vectors that a peer has. Raises: Unavailable."""
        headers = {"Content-Type": "application/json"}
        return _decoded(await self._ask("POST", url + EMBEDDINGS, encode(request), headers), copies.EmbeddingsAnswer)

    async def mesh(self, url: str) -> MeshDocument:
        """The mesh as a peer sees it, with its digest. Raises: Unavailable."""
        return _decoded(await self._ask("GET", url + MESH + "?digest=true", None, {}), MeshDocument)

    async def digests(self, url: str, request: copies.DigestRequest) -> copies.DigestAnswer:
        """The digest of a range of a peer's keys. Raises: Unavailable."""
        headers = {"Content-Type": "application/json"}
        return _decoded(await self._ask("POST", url + DIGESTS, encode(request), headers), copies.DigestAnswer)

    async def aclose(self) -> None:
        """Close connections."""
        await self._network.aclose()

    async def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        for attempt in range(_TRIES):
            try:
                return await self._send(method, url, body, headers)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A kept connection that the peer closed meanwhile shows only here; an exchange may be repeated.
                if attempt == _TRIES - 1:
                    raise Unavailable("the connection broke") from None
            except httpx.TimeoutException:
                raise Unavailable("timeout", code=Code.DEADLINE_EXCEEDED) from None
            except httpx.InvalidURL as error:
                raise Unavailable(f"no address: {error}") from None
            except httpx.HTTPError as error:
                raise Unavailable(f"unreachable: {str(error)[:200] or type(error).__name__}") from None
        raise Unavailable("the connection broke")

    async def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        # The transport itself, without a client: redirects, cookies and credentials in addresses are none of a peer's,
        # and cost more than the exchange.
        request = httpx.Request(method, self._parsed(url), headers={**self._headers, **headers}, content=body)
        answer = await self._network.handle_async_request(request)
        try:
            data, size_bytes = bytearray(), 0
            # As it came: httpx would unpack without a bound.
            async for piece in cast("httpx.AsyncByteStream", answer.stream):
                size_bytes += len(piece)
                # What is too much is read and dropped, within the caller's deadline: a stream must be read to its end.
                data += piece if size_bytes <= SYNC_BODY_MAX_BYTES else b""
        finally:
            await answer.aclose()
        if size_bytes > SYNC_BODY_MAX_BYTES:
            raise Unavailable("nonsense: its answer is too large")
        plain = _plain(bytes(data), answer.headers.get("content-encoding", "identity"))
        if answer.status_code != httpx.codes.OK:
            keys = "; is api_key the same on both?" if answer.status_code == httpx.codes.UNAUTHORIZED else ""
            raise Unavailable(f"it answered {answer.status_code}{_code_of(plain)}{keys}")
        return plain

    def _parsed(self, url: str) -> httpx.URL:
        """An address, taken apart once; there are as many as peers and routes between them."""
        if url not in self._urls:
            self._urls[url] = httpx.URL(url)
        return self._urls[url]


def _plain(data: bytes, coding: str) -> bytes:
    try:
        return unzipped(data, SYNC_BODY_MAX_BYTES) if coding == "gzip" else data
    except InvalidRequest as error:
        raise Unavailable(f"nonsense: {error.message}") from None


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return decode_body(kind, data)
    except InvalidRequest as error:
        raise Unavailable(f"nonsense: {error.message[:200]}") from None


class _Refusal(msgspec.Struct, frozen=True):
    code: str = ""


def _code_of(data: bytes) -> str:
    try:
        code = msgspec.json.decode(data, type=_Refusal).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f" {code[:64]}" if code.isidentifier() else ""
