"""The signature of a delivery, as v0.6.3 makes it.

The key is SHA-256 of the subscriber's secret: the secret itself is kept nowhere, but whoever reads the database can
sign with what is kept. A receiver that was given the secret makes the same key.
"""

from __future__ import annotations

import hashlib
import hmac


def signing_key(secret: str) -> str:
    """What is kept of a secret: its SHA-256, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def signature(key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA-256 in hexadecimal, under the 32 bytes of the key, over `<timestamp>.<body>`."""
    return hmac.new(bytes.fromhex(key), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
