"""Headers that say how a request is carried out, whatever its route: which version it waits for, and how many nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final  # Any: Quart's request takes what its server gives it

from quart_trio.wrappers import TrioRequest

from aimem import service
from aimem.api.incoming import Incoming, first_of
from aimem.api.single import single
from aimem.errors import Code, InvalidRequest
from aimem.model import rules
from aimem.replication import Consistency, consistently
from aimem.service import Node
from aimem.wire import packing

MIN_VERSION: Final = "X-Min-Version"
CONSISTENCY: Final = "X-Consistency"
_GZIP: Final = "gzip"


def request_class(limits_bytes: Mapping[str, int]) -> type[TrioRequest]:
    """Requests whose bodies are cut at the limit of their route, where it has one of its own."""

    class LimitedRequest(TrioRequest):
        def __init__(self, method: str, scheme: str, path: str, *args: Any, **options: Any) -> None:
            options["max_content_length"] = limits_bytes.get(path, options.get("max_content_length"))
            super().__init__(method, scheme, path, *args, **options)

    return LimitedRequest


@asynccontextmanager
async def heeded(incoming: Incoming, node: Node) -> AsyncIterator[None]:
    """Wait for the version that the caller has seen, then have the block's writes wait for as many nodes as it wishes.

    Raises: InvalidRequest naming the header; Unavailable(version_not_reached).
    """
    wanted, wish = single(incoming, MIN_VERSION), single(incoming, CONSISTENCY)
    asked = Consistency.QUORUM if wish is None else rules.choice(Consistency, wish.strip().lower(), field=CONSISTENCY)
    if wanted is not None:
        await service.wait_version(node, wanted)
    with consistently(asked):
        yield


def unpacked(incoming: Incoming, data: bytes, *, own_limit_bytes: int | None) -> bytes:
    """The body as it was meant.

    Args:
      own_limit_bytes: of this route, if it has one; its bodies may be gzip.
    Raises: InvalidRequest(body_too_large, unsupported_media_type, malformed_json).
    """
    coding = first_of(incoming, "Content-Encoding").strip().lower()
    if coding in ("", "identity") or not data:
        return data
    if own_limit_bytes is not None and coding == _GZIP:
        return packing.unzipped(data, own_limit_bytes)
    raise InvalidRequest(
        "compressed bodies are not read; send the JSON as it is", code=Code.UNSUPPORTED_MEDIA_TYPE,
        field="Content-Encoding",
    )


def packed(incoming: Incoming, content: bytes) -> bytes | None:
    """An answer as gzip, if the caller takes it and it is worth it."""
    return packing.gzipped(content) if _GZIP in first_of(incoming, "Accept-Encoding") else None
