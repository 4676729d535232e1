"""The way to peers: one HTTP client, whose transport is handed in. What comes back is bounded before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast

import httpx
import msgspec
from msgspec import Struct

from aimem.errors import Code, Denied, InvalidRequest, Unavailable
from aimem.model import SERVER_CERTIFICATE, NodeClaim, PresentedCertificate, Shown, StreamId
from aimem.replication.cluster import SHOWN_CHARS
from aimem.replication.counts import RoadCounts
from aimem.replication.proof import proven_answer, request_headers
from aimem.replication.tongue import mismatch
from aimem.replication.trust import Trust
from aimem.wire import (
    SYNC_BODY_MAX_BYTES,
    ExchangeAnswer,
    ExchangeRequest,
    Health,
    MeshDocument,
    copies,
    decode_body,
    encode,
    packing,
)

T = TypeVar("T")

PUSH: Final = "/api/v1/sync/push"
MESH: Final = "/api/v1/mesh"
HEALTH: Final = "/api/v1/health"
SNAPSHOT: Final = "/api/v1/sync/snapshot"
EMBEDDINGS: Final = "/api/v1/sync/embeddings"
DIGESTS: Final = "/api/v1/sync/digests"
KNOWN_OTHERWISE: Final = "it knew this node by another key"
"""In the reason of a peer that refuses this node as another than the one that it knew."""
_TRIES: Final = 2
_CODE_CHARS: Final = 64


class NotSecured(httpx.ConnectError):
    """What the network port raises where the other side is there, and TLS fails: why, in words."""


class PeerRoad:
    """Asks peers. Deadlines are the caller's. Each request is signed, and each answer has to be.

    Attributes:
      counts: what was asked.
    """

    def __init__(self, network: httpx.AsyncBaseTransport, trust: Trust, *, api_key: str | None = None) -> None:
        """Wrap the network port; it is closed with this.

        Args:
          trust: who this node is, and whom it believes.
          api_key: what peers want in X-API-Key; the mesh shares one.
        """
        self._network, self._trust = network, trust
        self.counts = RoadCounts()
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if api_key is not None:
            self._headers["X-API-Key"] = api_key
        self._urls: dict[str, httpx.URL] = {}
        self._writers: dict[str, StreamId] = {}
        self._names: dict[str, str] = {}
        self._told: dict[str, StreamId] = {}

    async def exchange(self, url: str, request: ExchangeRequest) -> ExchangeAnswer:
        """One exchange with the node at an address. Raises: Unavailable with the reason in one word or a few."""
        data, claim = await self._ask("POST", url, PUSH, encode(request))
        answer = _decoded(data, ExchangeAnswer)
        if (answer.node, answer.stream) != (claim.node, claim.stream):
            raise Unavailable("forged: it says that it is another node than the one that signed")
        return answer

    async def snapshot(self, url: str, request: copies.SnapshotRequest) -> copies.SnapshotAnswer:
        """A page of a peer's whole state. Raises: Unavailable."""
        return _decoded((await self._ask("POST", url, SNAPSHOT, encode(request)))[0], copies.SnapshotAnswer)

    async def embeddings(self, url: str, request: copies.EmbeddingsRequest) -> copies.EmbeddingsAnswer:
        """Vectors that a peer has. Raises: Unavailable."""
        return _decoded((await self._ask("POST", url, EMBEDDINGS, encode(request)))[0], copies.EmbeddingsAnswer)

    async def health(self, url: str) -> Health:
        """What whoever answers at an address says of itself; unsigned, so that nobody is remembered by it.

        Raises: Unavailable.
        """
        said = await self._carry("GET", url + HEALTH, b"", {})
        if said.status not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
            raise _refused(said, None)
        return _decoded(said.plain, Health)

    async def mesh(self, url: str) -> MeshDocument:
        """The mesh as a peer sees it, with its digest. Raises: Unavailable."""
        return _decoded((await self._ask("GET", url, MESH + "?digest=true", b""))[0], MeshDocument)

    async def digests(self, url: str, request: copies.DigestRequest) -> copies.DigestAnswer:
        """The digest of a range of a peer's keys. Raises: Unavailable."""
        return _decoded((await self._ask("POST", url, DIGESTS, encode(request)))[0], copies.DigestAnswer)

    def forget(self, url: str) -> None:
        """It is no peer's address any more."""
        for known in (self._writers, self._names, self._told):
            known.pop(url, None)
        for target in [target for target in self._urls if target.startswith(f"{url}/")]:
            del self._urls[target]

    async def aclose(self) -> None:
        """Close connections."""
        await self._network.aclose()

    async def _ask(self, method: str, url: str, target: str, body: bytes) -> tuple[bytes, NodeClaim]:
        """Ask the node at an address; once more if it writes another stream than it was taken to write.

        Returns: the answer's body, and who signed it.
        """
        if self._is_delisted(url):
            await self._meet_again(url)
        try:
            said, claim = await self._ask_as_known(method, url, target, body)
        except Unavailable:
            if not self._is_delisted(url):
                raise
            # The list was changed while it answered, on a connection of before.
            await self._meet_again(url)
            said, claim = await self._ask_as_known(method, url, target, body)
        if said.status == httpx.codes.CONFLICT and said.code == Code.WRONG_NODE and claim is not None:
            self._writers[url] = claim.stream
            said, claim = await self._ask_as_known(method, url, target, body)
        if said.status != httpx.codes.OK:
            self._told.pop(url, None)
            raise _refused(said, claim)
        if claim is None:
            raise Unavailable("forged: its answer is not signed; it needs the version of this node")
        self._writers[url], self._names[url] = claim.stream, claim.node
        return said.plain, claim

    def _is_delisted(self, url: str) -> bool:
        return self._trust.is_delisted(self._names.get(url, ""))

    async def _meet_again(self, url: str) -> None:
        """See whether who was taken off the list shows another certificate by now.

        Neither would hear of it if both waited for the other to ask. This question tells nothing. Raises: Unavailable.
        """
        await self._ask_as_known("GET", url, MESH, b"")
        self._refuse_delisted(url)

    def _refuse_delisted(self, url: str) -> None:
        try:
            self._trust.refuse_delisted(self._names.get(url, ""))
        except Denied as error:
            raise Unavailable(f"untrusted: {error.message}", code=Code.NODE_UNTRUSTED) from None

    async def _ask_as_known(self, method: str, url: str, target: str, body: bytes) -> tuple[_Said, NodeClaim | None]:
        stream = self._trust.stream
        proof = self._trust.ask(
            method, target, body, to=self._writers.get(url, ""), is_known=self._told.get(url) == stream
        )
        said = await self._carry(method, url + target, body, request_headers(proof))
        try:
            claim = proven_answer(said.headers.get_list, proof, said.status, said.plain)
        except InvalidRequest as error:
            raise Unavailable(f"forged: {error.message}") from None
        if claim is not None:
            try:
                await self._trust.admit(claim, said.shown)
            except Denied as error:
                raise Unavailable(f"untrusted: {error.message}", code=Code.NODE_UNTRUSTED) from None
            if said.status == httpx.codes.OK:
                self._told[url] = stream
        return said, claim

    async def _carry(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> _Said:
        for attempt in range(_TRIES):
            try:
                return await self._send(method, url, body, headers)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A kept connection that the peer closed meanwhile shows only here; an exchange may be repeated.
                if attempt == _TRIES - 1:
                    raise self._broken(url) from None
            except httpx.TimeoutException:
                raise Unavailable("timeout", code=Code.DEADLINE_EXCEEDED) from None
            except httpx.InvalidURL as error:
                raise Unavailable(f"no address: {error}") from None
            except NotSecured as error:
                raise Unavailable(f"tls: {error}") from None
            except httpx.HTTPError as error:
                raise Unavailable(f"unreachable: {str(error)[:200] or type(error).__name__}") from None
        raise self._broken(url)

    def _broken(self, url: str) -> Unavailable:
        # A server of TLS answers a plain request with an alert, or with nothing.
        is_met = any(url.startswith(f"{known}/") for known in self._names)
        may_be_secured = url.startswith("http://") and not is_met
        return Unavailable(f"the connection broke{'; it may speak TLS (https://)' if may_be_secured else ''}")

    async def _send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> _Said:
        # The transport itself, without a client: redirects, cookies and credentials in addresses are none of a peer's,
        # and cost more than the exchange.
        sent = {**self._headers, **headers}
        if body:
            sent["Content-Type"] = "application/json"
        packed = packing.gzipped(body) if url.endswith(PUSH) else None
        if packed is not None:
            sent["Content-Encoding"] = "gzip"
        request = httpx.Request(method, self._parsed(url), headers=sent, content=packed or body or None)
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
        self.counts.note(url.rpartition("/")[2].partition("?")[0], len(packed or body), size_bytes)
        if size_bytes > SYNC_BODY_MAX_BYTES:
            raise Unavailable("nonsense: its answer is too large")
        plain = _plain(bytes(data), answer.headers.get("content-encoding", "identity"))
        return _Said(
            status=answer.status_code, headers=answer.headers, plain=plain, shown=_shown(answer),
            refusal=_Refusal() if answer.status_code == httpx.codes.OK else _read_refusal(plain),
        )

    def _parsed(self, url: str) -> httpx.URL:
        """An address, taken apart once; there are as many as peers and routes between them."""
        if url not in self._urls:
            self._urls[url] = httpx.URL(url)
        return self._urls[url]


def _plain(data: bytes, coding: str) -> bytes:
    try:
        return packing.unzipped(data, SYNC_BODY_MAX_BYTES) if coding == "gzip" else data
    except InvalidRequest as error:
        raise Unavailable(f"nonsense: {error.message}") from None


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return decode_body(kind, data)
    except InvalidRequest as error:
        raise Unavailable(f"nonsense: {error.message[:200]}") from None


class _Refusal(Struct, frozen=True):
    """What a refusal says: `protocols` that its node speaks, and the id of its mesh, where it is about these."""

    code: str = ""
    protocols: tuple[int, ...] = ()
    cluster: str = ""


class _Said(Struct, frozen=True, kw_only=True):
    """An answer: its body unpacked, and what it says if it is a refusal."""

    status: int
    headers: httpx.Headers
    plain: bytes
    shown: Shown
    refusal: _Refusal

    @property
    def code(self) -> str:
        """Of a refusal; empty for one that says none."""
        return self.refusal.code


def _shown(answer: httpx.Response) -> Shown:
    """The certificate of whoever answered, if the transport says."""
    certificate: PresentedCertificate | None = answer.extensions.get(SERVER_CERTIFICATE)
    if certificate is None:
        return Shown()
    return Shown(fingerprint=certificate.fingerprint, names=certificate.names)


def _refused(said: _Said, claim: NodeClaim | None) -> Unavailable:
    """What a refusal comes to. Only one that its node signed changes how that node is taken from now on."""
    if claim is not None and said.code == Code.PROTOCOL_MISMATCH:
        known = said.refusal.protocols
        return Unavailable(mismatch(known), code=Code.PROTOCOL_MISMATCH, protocols=known)
    if claim is not None and said.code == Code.OTHER_CLUSTER:
        named = said.refusal.cluster[:SHOWN_CHARS]
        return Unavailable(f"another mesh: it belongs to {named}", code=Code.OTHER_CLUSTER)
    sentence = f"it answered {said.status}{f' {said.code}' if said.code else ''}{_advice(said)}"
    if claim is not None and said.code == Code.NODE_UNTRUSTED:
        return Unavailable(sentence, is_disbelieved=True)
    return Unavailable(sentence)


def _advice(said: _Said) -> str:
    if said.code == Code.UNAUTHENTICATED:
        return "; is api_key the same on both?"
    if said.code == Code.NODE_UNTRUSTED:
        return f": {KNOWN_OTHERWISE}; run `ai-memory mesh trust` with this node's name there"
    if said.code == Code.CERTIFICATE_OF_ANOTHER:
        return (
            ": it takes our certificate for another node's; if it is this node's alone, run `ai-memory mesh trust` "
            "with this node's name there, else make one for this node (`ai-memory pki issue`)"
        )
    return ""


def _read_refusal(data: bytes) -> _Refusal:
    try:
        said = msgspec.json.decode(data, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Refusal()
    return said if said.code.isidentifier() and len(said.code) <= _CODE_CHARS else _Refusal()
