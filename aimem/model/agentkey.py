"""The text of an agent's key: which key it is, and a secret. Nothing but its hash is ever stored."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

AGENT_KEY_PREFIX: Final = "aim_"
KEY_ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
_KEY = re.compile(r"aim_([0-9a-f]{16})_[A-Za-z0-9_-]{43}", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


def key_text(key_id: str, secret: bytes) -> str:
    """The text that an agent presents: `aim_<key id>_<the secret in base64url>`."""
    return f"{AGENT_KEY_PREFIX}{key_id}_{urlsafe_b64encode(secret).decode().rstrip('=')}"


def key_id_of(text: str) -> str | None:
    """The id of the key that a text is; None if it has not the form of one, as a shared key has not."""
    found = _KEY.fullmatch(text)
    return found[1] if found else None


def without_keys(text: str) -> str:
    """A text without the secrets of the keys in it; their ids stay.

    For what is kept of a request that has a key where none belongs.
    """
    return _KEY.sub(r"aim_\1_[secret]", text)


def is_key_id(text: str) -> bool:
    """Whether a text has the form of a key's id."""
    return _KEY_ID.fullmatch(text) is not None


def key_hash(text: str) -> str:
    """What is stored of a key: SHA-256, hex. 256 random bits need no slow hash."""
    return sha256(text.encode(errors="surrogateescape")).hexdigest()
