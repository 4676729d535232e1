"""The rim of the surface: names and counts each request, and answers what nobody caught."""

from __future__ import annotations

import logging
import random
import re
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import trio

from aimem.api.guard import (
    AsgiApp,
    Message,
    Receive,
    Scope,
    Send,
    encoded_path,
    encoded_query,
)
from aimem.api.metrics import UNMATCHED, Metrics, known_method
from aimem.api.refusals import Reply, refusal
from aimem.errors import AimemError, Bug, Code, Unavailable

EXCHANGE_KEY: Final = "aimem.exchange"
REQUEST_ID: ContextVar[str] = ContextVar("aimem_request_id", default="")
"""The id of the request that the running task serves; log formatters print it."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,64}", re.ASCII)
_FIXED_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
log = logging.getLogger(__name__)


class Exchange:
    """One request and its answer, as far as counting goes. Lives in the scope under EXCHANGE_KEY."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.route = UNMATCHED
        self.status = 0


def rimmed(app: AsgiApp, *, metrics: Metrics, rng: random.Random, is_stopping: Callable[[], bool]) -> AsgiApp:
    """The app inside the rim. Lifespan messages pass; websockets are refused, there are none."""

    async def rim(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _exchange(scope, receive, send)

    async def _exchange(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(_request_id(scope, rng))
        # The path stays encoded from here on: routes match it segment by segment and decode each on its own.
        inner = {
            **scope, "path": encoded_path(scope), "query_string": encoded_query(scope), EXCHANGE_KEY: exchange,
        }
        token = REQUEST_ID.set(exchange.request_id)
        began = trio.current_time()
        metrics.begin()
        reply_to = _counting(exchange, send, scope["method"])
        try:
            if is_stopping():
                await send_reply(reply_to, _closing())
            else:
                await app(inner, receive, reply_to)
        except AimemError as error:
            # The guard and the apps beside ours raise to here, before anything is sent.
            await send_reply(reply_to, refusal(error))
        except Exception as error:  # a door's last line
            if exchange.status:
                raise       # half an answer went out: only closing the connection can say that it is broken
            log_failure(error, route=exchange.route)
            await send_reply(reply_to, refusal(Bug("internal error")))
        finally:
            _close(exchange, metrics, known_method(scope["method"]), trio.current_time() - began)
            REQUEST_ID.reset(token)

    return rim


def _close(exchange: Exchange, metrics: Metrics, method: str, seconds: float) -> None:
    metrics.end(route=exchange.route, method=method, status=exchange.status, seconds=seconds)
    seen = {"route": exchange.route, "method": method, "status": exchange.status, "seconds": seconds}
    log.debug("api.answered", extra=seen)


def _closing() -> Reply:
    error = Unavailable("the node is shutting down; try again shortly", code=Code.SHUTTING_DOWN)
    return refusal(error, headers=(("Connection", "close"),))


def log_failure(error: Exception, *, route: str) -> None:
    """Log an error that is ours to mend. Foreign exceptions may quote memories: only our messages are written."""
    log.error("api.failed", extra={
        "route": route, "error": type(error).__name__,
        "reason": error.message if isinstance(error, AimemError) else "",
        "where": "".join(traceback.format_tb(error.__traceback__)),
    })


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a whole answer."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
    headers += [(b"content-type", reply.media_type.encode()), (b"content-length", str(len(reply.content)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content, "more_body": False})


def _request_id(scope: Scope, rng: random.Random) -> str:
    given: list[str] = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return f"{rng.getrandbits(64):016x}"


def _counting(exchange: Exchange, send: Send, method: str) -> Send:
    async def counting(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = int(message["status"])
            request_id = (b"x-request-id", exchange.request_id.encode())
            message = {**message, "headers": [*message["headers"], *_FIXED_HEADERS, request_id]}
        elif method == "HEAD" and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return counting
