"""What a node shows and trusts in TLS, as the files' bytes: checked where it is loaded, used where it is presented."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model import Instant


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


class ClientCertificate(Struct, frozen=True, kw_only=True):
    """What a handshake said of the client: it holds the key of this certificate.

    Attributes:
      fingerprint: SHA-256 of the leaf, 64 lower-case hexadecimal digits.
      subject: as RFC 4514 writes it; whatever its maker wished, unless `names` has something.
      names: its DNS names, IP addresses and common name; empty unless an authority of ours signed it.
      not_after: when it expires.
      chain: PEM of each certificate that the client sent, the leaf first.
    """

    fingerprint: str
    subject: str
    names: tuple[str, ...]
    not_after: Instant
    chain: tuple[str, ...]


class HandshakeFailure(StrEnum):
    """Why there is no connection: the label of the metric, and of the log line."""

    NOT_TLS = "not_tls"                     # plain HTTP, or no protocol that we know
    NO_CERTIFICATE = "no_certificate"
    UNLISTED = "unlisted"                   # not on the allowlist, or no longer
    UNTRUSTED = "untrusted"                 # signed by nobody whom we know, or not fit for a client
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REFUSED_BY_CLIENT = "refused_by_client"     # such as one that does not trust our certificate
    PROTOCOL = "protocol"                   # an old version, no common cipher, a broken message
    SLOW = "slow"
    CROWDED_OUT = "crowded_out"             # too many at once, and it stood for the crowd
    GONE = "gone"                           # the client left
    STOPPED = "stopped"                     # this node is ending
