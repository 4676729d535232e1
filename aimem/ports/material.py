"""What a node shows and trusts in TLS, as the files' bytes: checked where it is loaded, used where it is presented."""

from __future__ import annotations

from msgspec import Struct


class ServerMaterial(Struct, frozen=True, kw_only=True):
    """What the server side of this node shows, and by whom its clients' certificates must be signed.

    Attributes:
      certificate: PEM, the leaf first, then the rest of its chain without the root.
      key: PEM, of the leaf.
      client_ca: PEM of one certificate authority or several, or None: a client is judged by its fingerprint alone.
    """

    certificate: bytes
    key: bytes
    client_ca: bytes | None = None

    def __repr__(self) -> str:
        """Without the key: a log line or a traceback would show it."""
        return "ServerMaterial(...)"


class PeerMaterial(Struct, frozen=True, kw_only=True):
    """What this node shows to its peers, and by whom their servers' certificates must be signed.

    Attributes:
      certificate, key: PEM, as in ServerMaterial; both or neither.
      ca: PEM of one certificate authority or several, which alone are trusted then; None trusts those of the system.
    """

    certificate: bytes | None = None
    key: bytes | None = None
    ca: bytes | None = None

    def __repr__(self) -> str:
        """Without the key: a log line or a traceback would show it."""
        return "PeerMaterial(...)"
