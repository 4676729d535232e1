"""Compressed bodies, and the bound that keeps a small one from becoming a large one."""

from __future__ import annotations

import gzip
import zlib
from typing import Final

from aimem.errors import Code, InvalidRequest

GZIP_FROM_BYTES: Final = 16_384
"""Below this compressing costs more than the bytes that it saves."""
_LEVEL: Final = 1
_WINDOW: Final = 31    # zlib's word for a gzip header


def gzipped(data: bytes) -> bytes | None:
    """A gzip stream of the data, or None if it is too small to be worth it. The same data gives the same stream."""
    return gzip.compress(data, _LEVEL, mtime=0) if len(data) >= GZIP_FROM_BYTES else None


def unzipped(data: bytes, limit_bytes: int) -> bytes:
    """The content of a gzip stream, of which no more than the limit is ever made.

    Raises: InvalidRequest(body_too_large) beyond it; InvalidRequest(malformed_json) for what is no whole gzip stream.
    """
    unpacker = zlib.decompressobj(_WINDOW)
    try:
        plain = unpacker.decompress(data, limit_bytes + 1)
    except zlib.error:
        raise InvalidRequest("the body is not gzip", code=Code.MALFORMED_JSON) from None
    if len(plain) > limit_bytes:
        raise InvalidRequest(
            f"the body is larger than {limit_bytes} bytes; split it", code=Code.BODY_TOO_LARGE, limit_bytes=limit_bytes
        )
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidRequest("the body is not one whole gzip stream", code=Code.MALFORMED_JSON)
    return plain
