"""Headers that say how a request is carried out, whatever its route: which version it waits for, and how many nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from quart import Request

from aimem import service
from aimem.api.single import single
from aimem.errors import Code, InvalidRequest
from aimem.model import rules
from aimem.replication import Consistency, consistently
from aimem.service import Node
from aimem.wire import gzipped, unzipped

MIN_VERSION: Final = "X-Min-Version"
CONSISTENCY: Final = "X-Consistency"
_GZIP: Final = "gzip"


@asynccontextmanager
async def heeded(incoming: Request, node: Node) -> AsyncIterator[None]:
    """Wait for the version that the caller has seen, then have the block's writes wait for as many nodes as it wishes.

    Raises: InvalidRequest naming the header; Unavailable(version_not_reached).
    """
    wanted, wish = single(incoming, MIN_VERSION), single(incoming, CONSISTENCY)
    asked = Consistency.QUORUM if wish is None else rules.choice(Consistency, wish.strip().lower(), field=CONSISTENCY)
    if wanted is not None:
        await service.wait_version(node, wanted)
    with consistently(asked):
        yield


def unpacked(incoming: Request, data: bytes, limit_bytes: int, *, own_limit_bytes: int | None) -> bytes:
    """The body as it was meant.

    Args:
      limit_bytes: of a request.
      own_limit_bytes: of this route, if it has one; its bodies may be gzip.
    Raises: InvalidRequest(body_too_large, unsupported_media_type, malformed_json).
    """
    limit = own_limit_bytes or limit_bytes
    if len(data) > limit:
        raise InvalidRequest(
            f"the body is larger than {limit} bytes; split it", code=Code.BODY_TOO_LARGE, limit_bytes=limit
        )
    coding = incoming.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity" or not data:
        return data
    if own_limit_bytes is not None and coding == _GZIP:
        return unzipped(data, own_limit_bytes)
    raise InvalidRequest(
        "compressed bodies are not read; send the JSON as it is", code=Code.UNSUPPORTED_MEDIA_TYPE,
        field="Content-Encoding",
    )


def packed(incoming: Request, content: bytes) -> bytes | None:
    """An answer as gzip, if the caller takes it and it is worth it."""
    return gzipped(content) if _GZIP in incoming.headers.get("Accept-Encoding", "") else None
