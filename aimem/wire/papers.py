"""Certificates, as the mesh's document shows them."""

from __future__ import annotations

from msgspec import Struct


class CertificateOut(Struct, kw_only=True):
    """One of the node's own.

    Attributes:
      which: `server`, `client`, `mtls_ca` or `quorum_ca`.
      fingerprint: SHA-256, 64 hexadecimal digits.
      days_left: whole days until it expires; below 0 once it has.
    """

    which: str
    fingerprint: str
    subject: str
    names: tuple[str, ...]
    expires_at: str
    days_left: int


class PeerCertificateOut(Struct, kw_only=True):
    """The certificate that a peer's server showed last, as CertificateOut."""

    fingerprint: str
    names: tuple[str, ...]
    expires_at: str
    days_left: int
