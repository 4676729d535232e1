"""Certificates of one's own: the wishes, and what came of them."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

AUTHORITY_DAYS: Final = 3650
NODE_DAYS: Final = 397
DAYS_MAX: Final = 7300


class InitRequest(Struct, frozen=True, kw_only=True):
    """Make an authority.

    Attributes:
      name: what it is called in its certificates.
      replaces: whether an authority that is there may be thrown away.
    """

    name: str
    days: int = AUTHORITY_DAYS
    replaces: bool = False


class IssueRequest(Struct, frozen=True, kw_only=True):
    """Make a certificate for a node.

    Attributes:
      name: the node's name, also that of its files; the certificate is for a host of that name too.
      dns, addresses: further names and IP addresses by which others reach it.
      renews: whether this follows an earlier certificate of that name, whose names it takes if none are given.
    """

    name: str
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    days: int = NODE_DAYS
    renews: bool = False


class RemoveRequest(Struct, frozen=True, kw_only=True):
    """Take a node off the list, or only those of its certificates that another one has followed."""

    name: str
    replaced_only: bool = False


class AuthorityOut(Struct, frozen=True, kw_only=True):
    """An authority that was made: its files, and until when it holds."""

    folder: str
    certificate: str
    key: str
    subject: str
    fingerprint: str
    not_after: str
    warnings: tuple[str, ...] = ()


class IssuedOut(Struct, frozen=True, kw_only=True):
    """A certificate that was made.

    Attributes:
      names: the host names and addresses that it is for.
      replaced: the fingerprint of the certificate that it follows, which is still on the list; None if there is none,
        or it was taken off.
      serve: the command, word by word, that starts the node where its files lie.
    """

    name: str
    certificate: str
    key: str
    ca: str
    allowlist: str
    fingerprint: str
    names: tuple[str, ...]
    not_after: str
    replaced: str | None = None
    serve: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class RemovedOut(Struct, frozen=True, kw_only=True):
    """Fingerprints that were taken off the list, and how many are left on it."""

    name: str
    allowlist: str
    removed: tuple[str, ...]
    left: int


class CertificateOut(Struct, frozen=True, kw_only=True):
    """A certificate of a file.

    Attributes:
      days_left: whole days until it ends; negative once it has.
      warnings: what somebody should look at.
    """

    file: str
    kind: Literal["authority", "node"]
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    days_left: int
    fingerprint: str
    warnings: tuple[str, ...] = ()
