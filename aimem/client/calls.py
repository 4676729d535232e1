"""How the client asks: one request, its failures, and the decoding of answers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec
from msgspec import Struct

from aimem.client.failures import error_of_answer, pending_of_answer
from aimem.errors import Code, InvalidRequest, Unavailable
from aimem.model import rules
from aimem.wire import encode, to_builtins

T = TypeVar("T")
_API = "/api/v1"
_URL_MAX_CHARS = 65_536   # of httpx
_FAILURES = (httpx.HTTPError, ssl.SSLError)
"""Of the way to a node. Under asyncio a server that turns a certificate away by an alert is no error of httpx's."""


class Caller:
    """One node, asked by one caller: what all groups of calls stand on.

    Attributes:
      write_count: writes that were answered as done.
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
        self.write_count = 0

    async def read(self, path: str, kind: type[T], *, query: Struct | None = None, agent_id: str | None = None) -> T:
        """A GET under /api/v1, decoded as `kind`."""
        return decoded(await self.send("GET", path, query=query, agent_id=agent_id), kind)

    async def write(
        self, method: str, path: str, kind: type[T], *, query: Struct | None = None, body: Struct | None = None,
        agent_id: str | None, key: str | None,
    ) -> T:
        """Any other request under /api/v1, sent with an Idempotency-Key (a fresh one if there is none)."""
        key = rules.idempotency_key(self._new_key() if key is None else key)
        answer = decoded(await self.send(method, path, query=query, body=body, agent_id=agent_id, key=key), kind)
        # Some POSTs only read; whatever was written has a version.
        self.write_count += isinstance(getattr(answer, "version", None), str)
        return answer

    async def send(
        self, method: str, path: str, *, query: Struct | None = None, body: Struct | None = None,
        agent_id: str | None = None, key: str | None = None,
    ) -> httpx.Response:
        """One request; the answer as it came.

        Raises: InvalidRequest if it cannot be sent, Unavailable if no answer comes.
        """
        request = self._built(method, path, query=query, body=body, agent_id=agent_id, key=key)
        try:
            return await self._http.send(request)
        except _FAILURES as error:
            raise self._failure(error, request) from error

    @asynccontextmanager
    async def open_stream(
        self, path: str, *, query: Struct | None = None, agent_id: str | None = None, silence_max_s: float
    ) -> AsyncIterator[httpx.Response]:
        """A GET under /api/v1 whose answer comes bit by bit, for the time of a block.

        Args:
          silence_max_s: after which the node is taken to be gone.
        Raises: as `succeeded` and `send`, also for what fails while the answer is read in the block.
        """
        request = self._built("GET", path, query=query, agent_id=agent_id)
        request.extensions["timeout"] = {**request.extensions.get("timeout", {}), "read": silence_max_s}
        try:
            answer = await self._http.send(request, stream=True)
            try:
                if not answer.is_success:
                    await answer.aread()
                yield succeeded(answer)
            finally:
                await answer.aclose()
        except _FAILURES as error:
            raise self._failure(error, request) from error

    def _built(
        self, method: str, path: str, *, query: Struct | None = None, body: Struct | None = None,
        agent_id: str | None = None, key: str | None = None,
    ) -> httpx.Request:
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
            return self._http.build_request(
                method, _API + path, params=_parameters(query), content=content, headers=headers)
        except UnicodeEncodeError:
            raise InvalidRequest("a text holds bytes that are not UTF-8; send well-formed Unicode") from None
        except httpx.InvalidURL:
            raise InvalidRequest(
                f"the question is too long for an address: percent-encoded it may have at most {_URL_MAX_CHARS} "
                "characters; shorten it") from None
    def _failure(self, error: Exception, request: httpx.Request) -> Unavailable:
        if isinstance(error, httpx.TimeoutException):
            silent = f"no answer from {request.url.host or 'the node'} in time"
            if request.method == "GET":
                return Unavailable(f"{silent}; try again, and see its log if it stays so", code=Code.DEADLINE_EXCEEDED)
            return Unavailable(
                f"{silent}; whether it was applied is unknown, and the same request may be sent again",
                code=Code.DEADLINE_EXCEEDED, outcome="unknown")
        return Unavailable(
            f"cannot reach the node at {self._http.base_url}: {str(error) or type(error).__name__}; "
            "is it running? start it with `ai-memory serve`")


def segment(memory_id: str) -> str:
    """An id as one path segment. A blank id, or one of dots, would name another route."""
    checked = rules.memory_id(memory_id)
    return checked.replace(".", "%2E") if checked in (".", "..") else quote(checked, safe="")


def _parameters(query: Struct | None) -> Mapping[str, str]:
    given = {} if query is None else to_builtins(query)
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items() if value is not None
    }


def decided(answer: httpx.Response, kind: type[T]) -> T:
    """An answer of a route whose 202 is an answer of its own, not an action that was queued. Raises: as `decoded`."""
    if answer.status_code != httpx.codes.ACCEPTED:
        return decoded(answer, kind)
    return _as_kind(answer, kind)


def succeeded(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is one of success. Raises: the AimemError that it carries."""
    if answer.status_code == httpx.codes.ACCEPTED:
        raise pending_of_answer(answer.content)
    if answer.is_error:
        raise error_of_answer(answer.status_code, answer.content)
    if not answer.is_success:
        raise Unavailable(f"the answer (status {answer.status_code}) is no ai-memory node's; check the address")
    return answer


def decoded(answer: httpx.Response, kind: type[T]) -> T:
    """A successful answer as a value. Raises: the AimemError that it carries; Unavailable if it is none of ours."""
    return _as_kind(succeeded(answer), kind)


def _as_kind(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(
            f"the answer to {answer.request.method} {answer.request.url.path} is not understood: {error}; "
            "is an ai-memory node of this version at that address?") from error
