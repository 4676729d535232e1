"""The client itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from aimem.client.failures import error_of_answer, pending_of_answer
from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import rules
from aimem.wire import (
    ArchivedPage,
    ArchiveRequest,
    ArchiveResult,
    ArchiveStats,
    Capabilities,
    CreateMemory,
    Deleted,
    ExportDocument,
    GcQuery,
    GcResult,
    GetArchivedQuery,
    Health,
    ImportRequest,
    ImportResult,
    IndexQuery,
    IndexStatus,
    Linked,
    LinkRequest,
    LinksOut,
    ListQuery,
    MemoryPage,
    MemoryWithLinks,
    NamespacesOut,
    Promoted,
    PromoteRequest,
    Purged,
    PurgeQuery,
    RecallQuery,
    RecallRequest,
    RecallResult,
    ReindexRequest,
    Restored,
    RestoreQuery,
    SearchQuery,
    SearchResult,
    Stats,
    Stored,
    UpdatedMemory,
    UpdateMemory,
    encode,
    to_builtins,
)

T = TypeVar("T")
_API = "/api/v1"
_URL_MAX_CHARS = 65_536   # of httpx


class Client:
    """One node, as seen by one caller. Works on any event loop that httpx knows.

    Every method takes `agent_id` (sent as X-Agent-Id; defaults to the client's own), every writing one also `key`, the
    Idempotency-Key (a fresh one by default): sending the same request with the same key twice does it once.
    Every method raises the AimemError that the node answered; Unavailable if it cannot be reached, answers nonsense or
    (code deadline_exceeded) does not answer in time; ApprovalRequired if policy queued the action; InvalidRequest for
    what cannot be sent at all.
    """

    def __init__(self, http: httpx.AsyncClient, *, new_key: Callable[[], str], agent_id: str | None = None) -> None:
        """Wrap an HTTP client whose `base_url` is the node; its lifetime stays the caller's.

        Args:
          http: owns connections, patience and credentials (X-API-Key is a default header of it).
          new_key: makes idempotency keys, such as `partial(new_memory_id, chance.rng)`.
          agent_id: who asks, unless a call says otherwise.
        """
        self._http = http
        self._new_key = new_key
        self._agent_id = agent_id

    def for_agent(self, agent_id: str) -> Client:
        """The same node, asked by this agent."""
        return Client(self._http, new_key=self._new_key, agent_id=agent_id)

    # Memories.

    async def remember(self, request: CreateMemory, *, agent_id: str | None = None, key: str | None = None) -> Stored:
        """Store a memory, or update the visible one of that name."""
        return await self._write("POST", "/memories", Stored, body=request, agent_id=agent_id, key=key)

    async def list_memories(self, query: ListQuery | None = None, *, agent_id: str | None = None) -> MemoryPage:
        """A page of live memories, by priority, then the latest change."""
        return await self._read("/memories", MemoryPage, query=query or ListQuery(), agent_id=agent_id)

    async def get(self, memory_id: str, *, agent_id: str | None = None) -> MemoryWithLinks:
        """One memory, by its id or a unique prefix of at least 4 characters."""
        return await self._read(f"/memories/{_segment(memory_id)}", MemoryWithLinks, agent_id=agent_id)

    async def update(
        self, memory_id: str, request: UpdateMemory, *, agent_id: str | None = None, key: str | None = None
    ) -> UpdatedMemory:
        """Change what the request names; the id may be a unique prefix."""
        path = f"/memories/{_segment(memory_id)}"
        return await self._write("PUT", path, UpdatedMemory, body=request, agent_id=agent_id, key=key)

    async def delete(self, memory_id: str, *, agent_id: str | None = None, key: str | None = None) -> Deleted:
        """Delete a memory for ever."""
        return await self._write("DELETE", f"/memories/{_segment(memory_id)}", Deleted, agent_id=agent_id, key=key)

    async def promote(
        self, memory_id: str, to_namespace: str | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> Promoted:
        """Make a memory long-lived, or clone it into an ancestor namespace."""
        body = None if to_namespace is None else PromoteRequest(to_namespace=to_namespace)
        path = f"/memories/{_segment(memory_id)}/promote"
        return await self._write("POST", path, Promoted, body=body, agent_id=agent_id, key=key)

    # Finding.

    async def search(self, query: SearchQuery, *, agent_id: str | None = None) -> SearchResult:
        """Memories that hold all the words."""
        return await self._read("/search", SearchResult, query=query, agent_id=agent_id)

    async def recall(
        self, request: RecallRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> RecallResult:
        """Memories by meaning and words, best first; touches them unless `touch` is false."""
        return await self._write("POST", "/recall", RecallResult, body=request, agent_id=agent_id, key=key)

    async def recall_by_query(self, query: RecallQuery, *, agent_id: str | None = None) -> RecallResult:
        """The same by GET, which touches nothing unless `touch` is true."""
        return await self._read("/recall", RecallResult, query=query, agent_id=agent_id)

    # Links.

    async def link(self, request: LinkRequest, *, agent_id: str | None = None, key: str | None = None) -> Linked:
        """State a relation of two memories."""
        return await self._write("POST", "/links", Linked, body=request, agent_id=agent_id, key=key)

    async def unlink(self, request: LinkRequest, *, agent_id: str | None = None, key: str | None = None) -> Deleted:
        """Take back exactly this relation."""
        return await self._write("DELETE", "/links", Deleted, body=request, agent_id=agent_id, key=key)

    async def links_of(self, memory_id: str, *, agent_id: str | None = None) -> LinksOut:
        """Links from and to a memory."""
        return await self._read(f"/links/{_segment(memory_id)}", LinksOut, agent_id=agent_id)

    # Archive.

    async def list_archive(self, query: GetArchivedQuery | None = None, *, agent_id: str | None = None) -> ArchivedPage:
        """A page of archived memories, newest first."""
        return await self._read("/archive", ArchivedPage, query=query or GetArchivedQuery(), agent_id=agent_id)

    async def archive(
        self, request: ArchiveRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ArchiveResult:
        """Take memories out of sight, with all that they have."""
        return await self._write("POST", "/archive", ArchiveResult, body=request, agent_id=agent_id, key=key)

    async def purge_archive(self, query: PurgeQuery, *, agent_id: str | None = None, key: str | None = None) -> Purged:
        """Delete archived memories for ever."""
        return await self._write("DELETE", "/archive", Purged, query=query, agent_id=agent_id, key=key)

    async def restore(
        self, memory_id: str, query: RestoreQuery | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> Restored:
        """Bring an archived memory back."""
        path = f"/archive/{_segment(memory_id)}/restore"
        return await self._write("POST", path, Restored, query=query or RestoreQuery(), agent_id=agent_id, key=key)

    async def archive_stats(self, *, agent_id: str | None = None) -> ArchiveStats:
        """Counts of the archive."""
        return await self._read("/archive/stats", ArchiveStats, agent_id=agent_id)

    # The whole.

    async def namespaces(self, *, agent_id: str | None = None) -> NamespacesOut:
        """Namespaces that have live memories."""
        return await self._read("/namespaces", NamespacesOut, agent_id=agent_id)

    async def stats(self, *, agent_id: str | None = None) -> Stats:
        """Counts of the node."""
        return await self._read("/stats", Stats, agent_id=agent_id)

    async def collect(
        self, query: GcQuery | None = None, *, agent_id: str | None = None, key: str | None = None
    ) -> GcResult:
        """Collect expired memories, or count them."""
        return await self._write("POST", "/gc", GcResult, query=query or GcQuery(), agent_id=agent_id, key=key)

    async def export(self, *, agent_id: str | None = None) -> ExportDocument:
        """All live memories and their links."""
        return await self._read("/export", ExportDocument, agent_id=agent_id)

    async def import_memories(
        self, request: ImportRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> ImportResult:
        """Take in exported memories; `errors` of the answer names the refused ones."""
        return await self._write("POST", "/import", ImportResult, body=request, agent_id=agent_id, key=key)

    async def health(self, *, agent_id: str | None = None) -> Health:
        """Whether the node is well. An unwell node answers too (status 503, `status` is `error`)."""
        answer = await self._send("GET", "/health", agent_id=agent_id)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            try:
                return msgspec.json.decode(answer.content, type=Health)
            except msgspec.DecodeError:
                pass  # not its health: an error envelope, which is raised as such below
        return _decoded(answer, Health)

    async def capabilities(self, *, agent_id: str | None = None) -> Capabilities:
        """What the node can do now."""
        return await self._read("/capabilities", Capabilities, agent_id=agent_id)

    async def index_status(self, *, wait_below: int | None = None, agent_id: str | None = None) -> IndexStatus:
        """The vector index.

        With `wait_below` the node answers when at most so many memories wait to be embedded or to come into the index,
        or after ten seconds.
        """
        return await self._read("/index", IndexStatus, query=IndexQuery(wait_below=wait_below), agent_id=agent_id)

    async def reindex(
        self, request: ReindexRequest, *, agent_id: str | None = None, key: str | None = None
    ) -> IndexStatus:
        """Have the index made anew; the answer is how far it is, `index_status` waits for it."""
        return await self._write("POST", "/index", IndexStatus, body=request, agent_id=agent_id, key=key)

    async def metrics(self, *, agent_id: str | None = None) -> str:
        """The node's metrics, as Prometheus reads them."""
        return _succeeded(await self._send("GET", "/metrics", agent_id=agent_id)).text

    async def openapi(self, *, agent_id: str | None = None) -> bytes:
        """The OpenAPI document, as JSON text."""
        return _succeeded(await self._send("GET", "/openapi.json", agent_id=agent_id)).content

    # How.

    async def _read(self, path: str, kind: type[T], *, query: Struct | None = None, agent_id: str | None = None) -> T:
        return _decoded(await self._send("GET", path, query=query, agent_id=agent_id), kind)

    async def _write(
        self, method: str, path: str, kind: type[T], *, query: Struct | None = None, body: Struct | None = None,
        agent_id: str | None, key: str | None,
    ) -> T:
        key = rules.idempotency_key(self._new_key() if key is None else key)
        return _decoded(await self._send(method, path, query=query, body=body, agent_id=agent_id, key=key), kind)

    async def _send(
        self, method: str, path: str, *, query: Struct | None = None, body: Struct | None = None,
        agent_id: str | None = None, key: str | None = None,
    ) -> httpx.Response:
        agent_id = agent_id or self._agent_id
        headers = {"Accept": "application/json"}
        if agent_id:
            headers["X-Agent-Id"] = rules.agent_id(agent_id)
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            content = None if body is None else encode(body)
            if content is not None:
                headers["Content-Type"] = "application/json"
            request = self._http.build_request(
                method, _API + path, params=_parameters(query), content=content, headers=headers)
        except UnicodeEncodeError:
            raise InvalidRequest("a text holds bytes that are not UTF-8; send well-formed Unicode") from None
        except httpx.InvalidURL:
            raise InvalidRequest(
                f"the question is too long for an address: percent-encoded it may have at most {_URL_MAX_CHARS} "
                "characters; shorten it") from None
        try:
            return await self._http.send(request)
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"no answer from {request.url.host or 'the node'} in time; whether it was applied is unknown, and "
                "the same request may be sent again", code=Code.DEADLINE_EXCEEDED, outcome="unknown") from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"cannot reach the node at {self._http.base_url}: {str(error) or type(error).__name__}; "
                "is it running? start it with `ai-memory serve`") from error


def _segment(memory_id: str) -> str:
    """An id as one path segment. A blank id, or one of dots, would name another route."""
    checked = rules.memory_id(memory_id)
    return checked.replace(".", "%2E") if checked in (".", "..") else quote(checked, safe="")


def _parameters(query: Struct | None) -> Mapping[str, str]:
    given = {} if query is None else to_builtins(query)
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items() if value is not None
    }


def _succeeded(answer: httpx.Response) -> httpx.Response:
    if answer.status_code == httpx.codes.ACCEPTED:
        raise pending_of_answer(answer.content)
    if answer.is_error:
        raise error_of_answer(answer.status_code, answer.content)
    if not answer.is_success:
        raise Unavailable(f"the answer (status {answer.status_code}) is no ai-memory node's; check the address")
    return answer


def _decoded(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(_succeeded(answer).content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(
            f"the answer to {answer.request.method} {answer.request.url.path} is not understood: {error}; "
            "is an ai-memory node of this version at that address?") from error
