"""What the other side of a connection showed of itself."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aimem.model.instant import Instant

SERVER_CERTIFICATE: Final = "aimem.server_certificate"
"""In the `extensions` of an answer: a PresentedCertificate."""


class PresentedCertificate(Struct, frozen=True, kw_only=True):
    """A server's certificate that was verified: its chain, its dates, and that it is for the name that was asked.

    Attributes:
      fingerprint: SHA-256 of it, 64 lower-case hexadecimal digits.
      names: DNS names and IP addresses that it is for, then its common name if that is none of them.
      not_after: until when it holds.
    """

    fingerprint: str
    names: tuple[str, ...]
    not_after: Instant
