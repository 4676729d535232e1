"""Who is believed to be which node: what waits for a person, and a person's word about it."""

from __future__ import annotations

from msgspec import Struct


class TrustRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Believe that a node is the one of its name, although its key is another.

    Attributes:
      node: its name.
      key: the beginning of the key that is meant, 8 hex digits or more; without one the key that was refused last.
    """

    node: str
    key: str | None = None


class TrustAnswer(Struct, kw_only=True):
    """What it came to.

    Attributes:
      known_key: by which the name was known, 64 hex digits; empty if it was not.
      key: which is believed from now on; None if none was refused: then the next that comes will be.
    """

    node: str
    known_key: str
    key: str | None


class UntrustedOut(Struct, kw_only=True):
    """Somebody who comes under a name that is known by another key, or by the certificate of another node.

    Attributes:
      key, known_key: 64 hex digits each; `known_key` is empty if the name is not known.
      certificate: the fingerprint of the one that it showed; None without one.
      refused_at: when it came last.
    """

    node: str
    key: str
    known_key: str
    certificate: str | None
    refused_at: str
