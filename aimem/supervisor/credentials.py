"""The files of TLS, read and checked before they are used: what is wrong with one is a sentence that names it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from aimem.config import NamedFile, TlsConfig
from aimem.errors import Code, InvalidRequest
from aimem.model import Instant, format_instant, read_allowlist
from aimem.ports import Files, PeerMaterial, ServerMaterial, client_context
from aimem.service import OwnCertificate, Which

if TYPE_CHECKING:
    from aimem.ports import certificates

T = TypeVar("T")

_DAY_CHARS: Final = 10      # of a moment as it is written


class Credentials(Struct, frozen=True, kw_only=True):
    """What the files hold, checked.

    Attributes:
      server: None without TLS.
      allowlist: fingerprints of those who may connect; None: everybody.
      peers: what peers are asked with.
      own: what has dates.
    """

    server: ServerMaterial | None = None
    allowlist: frozenset[str] | None = None
    peers: PeerMaterial = PeerMaterial()
    own: tuple[OwnCertificate, ...] = ()


def load_credentials(
    tls: TlsConfig, files: Files, now: Instant, running: Collection[str] = frozenset()
) -> Credentials:
    """Read all files that are named. Blocks.

    Args:
      running: fingerprints of certificates that are in use: these may have expired, as nothing is lost by keeping them.
    Raises: InvalidRequest(config_invalid) naming the setting, the file, what is wrong with it, and what to do.
    """
    load = _Loader(files, now, running)
    server = load.pair(Which.SERVER, tls.cert, tls.key)
    client = load.pair(Which.CLIENT, tls.client_cert, tls.client_key)
    peers_ca = load.authorities(Which.PEERS_CA, tls.peers_ca)
    is_same = tls.clients_ca is not None and tls.clients_ca == tls.peers_ca
    clients_ca = peers_ca if is_same else load.authorities(Which.CLIENTS_CA, tls.clients_ca)
    peers = PeerMaterial(ca=peers_ca)
    if client is not None:
        peers = PeerMaterial(ca=peers_ca, certificate=client[0], key=client[1])
    if tls.client_cert is not None or tls.peers_ca is not None:
        _checked(tls.client_cert or tls.peers_ca, lambda: client_context(peers))
    return Credentials(
        server=None if server is None else ServerMaterial(certificate=server[0], key=server[1], client_ca=clients_ca),
        allowlist=None if tls.allowlist is None else load.allowlist(tls.allowlist), peers=peers, own=tuple(load.own),
    )


class _Loader:
    def __init__(self, files: Files, now: Instant, running: Collection[str]) -> None:
        self._files, self._now, self._running = files, now, running
        self.own: list[OwnCertificate] = []

    def pair(self, which: Which, cert: NamedFile | None, key: NamedFile | None) -> tuple[bytes, bytes] | None:
        """A certificate with its chain, and its key, both PEM."""
        if cert is None or key is None:
            return None
        chain = self._certificates(cert)
        own_key = self._key(key)
        if chain[0].public_key != own_key.public_key:
            if any(one.public_key == own_key.public_key for one in chain):
                raise _invalid(cert, "does not begin with the certificate of the key; put it first, then its chain")
            raise _invalid(key, f"is not the key of {cert.path}; name the two that were made together")
        for one in chain:
            self._check_dates(cert, one)
        self.own.append(_own(which, chain[0], until=min(one.not_after for one in chain)))
        return b"".join(one.pem for one in chain), own_key.pem

    def authorities(self, which: Which, file: NamedFile | None) -> bytes | None:
        """Who signs others, or itself, PEM. What has expired beside others is left out: nothing is verified by it."""
        if file is None:
            return None
        whole = self._certificates(file)
        found = [one for one in whole if one.is_ca or one.subject == one.issuer]
        if not found:
            raise _invalid(file, f"holds no authority: {whole[0].subject} may not sign others; put the certificate of "
                           f"{whole[0].issuer}, who signed it, in its place")
        sound = [one for one in found if one.not_before <= self._now <= one.not_after]
        if not sound:
            self._check_dates(file, found[0])
            sound = found
        first = min(sound, key=lambda one: one.not_after)
        self.own.append(_own(which, first, until=first.not_after))
        return b"".join(one.pem for one in sound)

    def allowlist(self, file: NamedFile) -> frozenset[str]:
        """The fingerprints of a list."""
        data = self._read(file)
        try:
            return read_allowlist(data.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise _invalid(file, f"is no text (line {line}); write one SHA-256 fingerprint a line") from None
        except InvalidRequest as error:
            raise _invalid(file, error.message, joint=": ") from None

    def _certificates(self, file: NamedFile) -> tuple[certificates.Certificate, ...]:
        from aimem.ports import certificates  # slow to load; a node without TLS needs none of it

        data = self._read(file)
        return _checked(file, lambda: certificates.read_certificates(data))

    def _key(self, file: NamedFile) -> certificates.Key:
        from aimem.ports import certificates

        data = self._read(file)
        return _checked(file, lambda: certificates.read_key(data))

    def _read(self, file: NamedFile) -> bytes:
        try:
            data = self._files.read(file.path)
        except OSError as error:
            hint = "; check its permissions" if isinstance(error, PermissionError) else ""
            raise _invalid(file, f"cannot be read: {error.strerror or error}{hint}") from error
        if data is None:
            raise _invalid(file, "is not there; check the path")
        return data

    def _check_dates(self, file: NamedFile, one: certificates.Certificate) -> None:
        if one.fingerprint in self._running:
            return
        if self._now > one.not_after:
            raise _invalid(file, f"expired on {_day(one.not_after)} ({one.subject}); put a new one in its place")
        if self._now < one.not_before:
            raise _invalid(file, f"is not valid before {_day(one.not_before)} ({one.subject}); put one in its place "
                           "that is, or set the clock right")


def _own(which: Which, leaf: certificates.Certificate, *, until: Instant) -> OwnCertificate:
    return OwnCertificate(
        which=which, fingerprint=leaf.fingerprint, subject=leaf.subject, names=leaf.names, not_after=until
    )


def _checked(file: NamedFile | None, read: Callable[[], T]) -> T:
    try:
        return read()
    except ValueError as error:
        if file is None:
            raise
        raise _invalid(file, str(error)) from error


def _day(moment: Instant) -> str:
    return format_instant(moment)[:_DAY_CHARS]


def _invalid(file: NamedFile, problem: str, *, joint: str = " ") -> InvalidRequest:
    place = file.origin if file.origin.startswith(("-", "AI_MEMORY_")) else f"{file.origin}: {file.key}"
    return InvalidRequest(f"{place}: {file.path}{joint}{problem}", code=Code.CONFIG_INVALID, field=file.key)
