"""Who writes when nobody said: an id made of host, process and chance."""

from __future__ import annotations

import random
import re

from aimem.config import IdentityConfig

_OUTSIDE = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_HOST_MAX_CHARS = 64


def writer_id(identity: IdentityConfig, *, host: str, pid: int, rng: random.Random) -> str:
    """The configured agent id, or `host:<host>:pid-<pid>-<8 hex>`, anonymized `anonymous:pid-<pid>-<8 hex>`."""
    if identity.agent_id is not None:
        return identity.agent_id
    nonce = f"{rng.getrandbits(32):08x}"
    name = _OUTSIDE.sub("-", host)[:_HOST_MAX_CHARS].strip("-")
    if identity.anonymize or not name:
        return f"anonymous:pid-{pid}-{nonce}"
    return f"host:{name}:pid-{pid}-{nonce}"
