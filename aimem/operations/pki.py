"""A small authority of one's own: a folder with its key, the certificates that it signed, and the list of them."""

from __future__ import annotations

import contextlib
import re
import shlex
import stat
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from aimem.errors import Conflict, InvalidRequest, NotFound, Unavailable
from aimem.model import DAY_S, SECOND_US, after, format_instant, rules, shown
from aimem.operations.peerlist import PUBLIC_MODE, PeerList, reached, translated
from aimem.ports import Clock, Files, LockHeld, certificates, issuing
from aimem.wire import pki

AUTHORITY: Final = "ca"
ALLOWLIST: Final = "peer-fingerprints.txt"
WARN_DAYS: Final = 30
_LOCK: Final = ".lock"
_BACKDATED_S: Final = 3600
"""A certificate holds from an hour ago on: the clock of the node that reads it may be behind this one."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII)
_HOST_MAX_CHARS: Final = 253
_NAMES_MAX: Final = 100
_PORT: Final = 9077


class Pki:
    """One folder. Its functions block, and are for one process at a time, which a lock sees to.

    Keys are for their user alone (0600), as is the folder if it is made here (0700); the rest is public.
    All raise Unavailable if a file cannot be read or written.
    """

    def __init__(self, folder: Path, files: Files, clock: Clock) -> None:
        self._folder, self._files, self._clock = folder, files, clock
        self._list = PeerList(folder / ALLOWLIST, files)

    @reached()
    def init(self, request: pki.InitRequest) -> pki.AuthorityOut:
        """Make the authority. Raises: Conflict if one is there that may not be replaced; InvalidRequest."""
        rules.bounded(request.days, 1, pki.DAYS_MAX, field="days")
        if not 1 <= len(request.name) <= issuing.COMMON_NAME_MAX_CHARS or not request.name.isprintable():
            raise InvalidRequest(
                f"an authority's name has 1 to {issuing.COMMON_NAME_MAX_CHARS} printable characters", field="name"
            )
        with translated(f"cannot make the folder {self._folder}"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            there = next((path for path in (self._key(AUTHORITY), self._pem(AUTHORITY)) if path.exists()), None)
            if there is not None and not request.replaces:
                raise Conflict(
                    f"{there} is there: this folder has an authority, and what it signed would be worth nothing under "
                    "another; choose another --dir, or throw it away with --force", field="dir",
                )
            made = issuing.make_authority(request.name, self._span(request.days))
            self._write_pair(AUTHORITY, made)
        found = _read_certificates(made.certificate, self._pem(AUTHORITY))[0]
        return pki.AuthorityOut(
            folder=str(self._folder), certificate=str(self._pem(AUTHORITY)), key=str(self._key(AUTHORITY)),
            subject=found.subject, fingerprint=shown(found.fingerprint), not_after=format_instant(found.not_after),
            warnings=tuple(self._open_folder()),
        )

    @reached()
    def issue(self, request: pki.IssueRequest) -> pki.IssuedOut:
        """Make a key and a certificate for a node, and put its fingerprint on the list.

        Raises: NotFound without an authority, or without a certificate to renew; Conflict if there is a certificate of
          that name that is not to be renewed; InvalidRequest.
        """
        _check_name(request.name)
        rules.bounded(request.days, 1, pki.DAYS_MAX, field="days")
        self._wants_authority()
        with self._alone():
            authority, signs = self._authority()
            before = self._before(request)
            is_listed = before is not None and before.fingerprint in self._list.fingerprints()
            names = self._names(request, before)
            span, cut = self._within(signs, self._span(request.days))
            made = issuing.issue(authority, names, span)
            found = _read_certificates(made.certificate, self._pem(request.name))[0]
            # The list goes first: a fingerprint whose certificate was never written lets nobody in.
            self._list.add(found.fingerprint, request.name, found.not_after)
            self._write_pair(request.name, made)
        return pki.IssuedOut(
            name=request.name, certificate=str(self._pem(request.name)), key=str(self._key(request.name)),
            ca=str(self._pem(AUTHORITY)), allowlist=str(self._list.path), fingerprint=shown(found.fingerprint),
            names=found.names, not_after=format_instant(found.not_after),
            replaced=shown(before.fingerprint) if before is not None and is_listed else None,
            serve=self._serve(request.name),
            warnings=(*cut, *_unreachable(names), *self._open_folder()),
        )

    @reached()
    def remove(self, request: pki.RemoveRequest) -> pki.RemovedOut:
        """Take a node off the list; its files stay. Raises: NotFound if the list has nothing of it."""
        _check_name(request.name)
        self._wants_authority()
        with self._alone():
            current = self._leaf(request.name)
            removed, left = self._list.take_off(
                request.name, current=None if current is None else current.fingerprint,
                keeps_current=request.replaced_only,
            )
            if not removed:
                what = "replaced fingerprint" if request.replaced_only else "fingerprint"
                raise NotFound(f"{self._list.path} has no {what} of {request.name}", field="name")
        return pki.RemovedOut(
            name=request.name, allowlist=str(self._list.path), removed=tuple(map(shown, removed)), left=left
        )

    @reached()
    def read_all(self) -> tuple[pki.CertificateOut, ...]:
        """What the folder's certificates say, the authority's first. Raises: NotFound if it has none."""
        # Not a glob, which finds nothing where it may not look.
        found = [path for path in self._folder.iterdir() if path.suffix == ".pem"] if self._folder.is_dir() else []
        paths = sorted(found, key=lambda path: (path.stem != AUTHORITY, path.stem))
        if not paths:
            raise NotFound(
                f"{self._folder} has no certificate; make an authority with `ai-memory pki init`", field="dir"
            )
        return tuple(one for path in paths for one in self.read(path))

    @reached()
    def read(self, path: Path) -> tuple[pki.CertificateOut, ...]:
        """What the certificates of a file say, in its order. Raises: NotFound; InvalidRequest if it holds none."""
        found = _read_certificates(self._read(path), path)
        return tuple(self._described(path, one, is_first=number == 0) for number, one in enumerate(found))

    # -- files

    def _pem(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def _key(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock: the list is read and written again."""
        try:
            with translated(f"cannot work in {self._folder}"):
                lock = self._files.lock(self._folder / _LOCK, "ai-memory pki")
        except LockHeld as error:
            raise Unavailable(f"another ai-memory pki works in {self._folder}; try again") from error
        try:
            yield
        finally:
            lock.close()

    def _read(self, path: Path) -> bytes:
        with translated(f"cannot read {path}"):
            data = self._files.read(path)
        if data is None:
            raise NotFound(f"there is no file {path}", field="file")
        return data

    def _write(self, path: Path, data: bytes) -> None:
        with translated(f"cannot write {path}"):
            self._files.write_durably(path, data)

    def _write_pair(self, name: str, made: issuing.Issued) -> None:
        self._write(self._key(name), made.key)
        self._write(self._pem(name), made.certificate)
        with translated(f"cannot open {self._pem(name)} to others"):
            self._pem(name).chmod(PUBLIC_MODE)

    def _open_folder(self) -> Iterator[str]:
        if stat.S_IMODE(self._folder.stat().st_mode) & 0o077:
            yield f"{self._folder} is open to others than its owner: chmod 700 {shlex.quote(str(self._folder))}"

    # -- the authority

    def _wants_authority(self) -> None:
        if not self._pem(AUTHORITY).exists():
            raise NotFound(
                f"there is no authority in {self._folder}; make one with `ai-memory pki init`, or name its folder with "
                "--dir", field="dir",
            )

    def _authority(self) -> tuple[issuing.Issued, certificates.Certificate]:
        pem, key = self._pem(AUTHORITY), self._key(AUTHORITY)
        made = issuing.Issued(certificate=self._read(pem), key=self._read(key))
        found = _read_certificates(made.certificate, pem)[0]
        try:
            is_its_key = certificates.matches(found, certificates.read_key(made.key))
        except ValueError as error:
            raise InvalidRequest(f"{key} {error}", field="dir") from error
        if not is_its_key or not found.is_ca:
            reason = f"{key} is not the key of {pem}" if found.is_ca else f"{pem} may not sign certificates"
            raise InvalidRequest(
                f"{reason}; put the right file back, or begin anew with `pki init --force`", field="dir"
            )
        if found.not_after <= self._clock.now():
            raise InvalidRequest(
                f"the authority of {pem} ended on {format_instant(found.not_after)[:10]}; begin anew with "
                "`pki init --force`, and issue a certificate for every node", field="dir",
            )
        return made, found

    def _span(self, days: int) -> issuing.Span:
        now = self._clock.now()
        return issuing.Span(since=after(now, -_BACKDATED_S), until=after(now, days * DAY_S))

    def _within(self, signs: certificates.Certificate, span: issuing.Span) -> tuple[issuing.Span, tuple[str, ...]]:
        """The span cut to that of the authority, outside of which nobody takes the certificate, and what to say."""
        kept = issuing.Span(since=max(span.since, signs.not_before), until=min(span.until, signs.not_after))
        ends = format_instant(signs.not_after)[:10]
        is_cut = kept.until < span.until
        return kept, (f"it ends with its authority, on {ends}, and not after the days asked for",) if is_cut else ()

    # -- nodes

    def _leaf(self, name: str) -> certificates.Certificate | None:
        """The certificate of that name which is there, or None."""
        path = self._pem(name)
        return _read_certificates(self._read(path), path)[0] if path.exists() else None

    def _before(self, request: pki.IssueRequest) -> certificates.Certificate | None:
        """The certificate that is renewed, if one is."""
        there = next((path for path in (self._pem(request.name), self._key(request.name)) if path.exists()), None)
        if there is not None and not request.renews:
            raise Conflict(f"{there} is there; a certificate that follows it is made with --renew", field="name")
        before = self._leaf(request.name)
        if request.renews and before is None:
            raise NotFound(f"{self._pem(request.name)} is not there, so there is nothing to renew", field="name")
        return before

    def _names(self, request: pki.IssueRequest, before: certificates.Certificate | None) -> issuing.Names:
        own = () if before is None or request.dns or request.addresses else before.names
        given = [*request.dns, *(name for name in (*own, request.name) if _HOST.fullmatch(name) and not _address(name))]
        addresses = [*request.addresses, *(name for name in (*own, request.name) if _address(name))]
        if len(given) + len(addresses) > _NAMES_MAX:
            raise InvalidRequest(f"a certificate is for at most {_NAMES_MAX} names", field="dns")
        for name in given:
            if not _HOST.fullmatch(name) or len(name) > _HOST_MAX_CHARS or _address(name):
                raise InvalidRequest(
                    f"--dns {name[:64]!r} is no host name (letters, digits, hyphens and dots; others as xn--...; "
                    "addresses are for --ip)", field="dns",
                )
        for address in addresses:
            if not _address(address):
                raise InvalidRequest(
                    f"--ip {address[:64]!r} is no IP address, such as 192.0.2.1 or 2001:db8::1 (without a zone)",
                    field="ip",
                )
        return issuing.Names(
            common=request.name, dns=tuple(dict.fromkeys(given)),
            addresses=tuple(dict.fromkeys(_address(address) for address in addresses)),
        )

    def _serve(self, name: str) -> tuple[str, ...]:
        """The command that starts the node in a folder with its files, with the other nodes of this one as peers."""
        others = [leaf for path in sorted(self._folder.glob("*.pem"))
                  if path.stem not in (AUTHORITY, name) and (leaf := self._leaf(path.stem)) is not None]
        hosts = [leaf.names[0] for leaf in others if leaf.names] or ["OTHER-NODE"]
        peers = ",".join(f"https://{f'[{host}]' if ':' in host else host}:{_PORT}" for host in hosts)
        pem, key, ca = (path.name for path in (self._pem(name), self._key(name), self._pem(AUTHORITY)))
        return (
            "ai-memory", "--db", "ai-memory.db", "serve", "--bind", f"0.0.0.0:{_PORT}", "--node-name", name,
            "--quorum-writes", "2", "--quorum-peers", peers, "--tls-cert", pem, "--tls-key", key,
            "--mtls-allowlist", ALLOWLIST, "--quorum-client-cert", pem, "--quorum-client-key", key,
            "--quorum-ca-cert", ca,
        )

    # -- looking

    def _described(self, path: Path, one: certificates.Certificate, *, is_first: bool) -> pki.CertificateOut:
        left = (one.not_after - self._clock.now()) // (DAY_S * SECOND_US)
        return pki.CertificateOut(
            file=str(path), kind="authority" if one.is_ca else "node", subject=one.subject, issuer=one.issuer,
            names=one.names, not_before=format_instant(one.not_before), not_after=format_instant(one.not_after),
            days_left=left, fingerprint=shown(one.fingerprint),
            warnings=(*self._of_time(one), *(self._of_files(path, one) if is_first else ())),
        )

    def _of_time(self, one: certificates.Certificate) -> Iterator[str]:
        now = self._clock.now()
        if now > one.not_after:
            yield f"it ended on {format_instant(one.not_after)[:10]}"
        elif one.not_after <= after(now, WARN_DAYS * DAY_S):
            left = (one.not_after - now) // (DAY_S * SECOND_US)
            yield f"it ends in {left} days" if left > 1 else "it ends within two days"
        if now < one.not_before:
            yield f"it does not hold before {format_instant(one.not_before)[:10]}"

    def _of_files(self, path: Path, one: certificates.Certificate) -> Iterator[str]:
        """What is wrong with the key and the list beside a certificate."""
        key = path.with_suffix(".key")
        with translated(f"cannot read {key}"):
            data = self._files.read(key)
        if data is not None:
            if stat.S_IMODE(key.stat().st_mode) & 0o077:
                yield f"{key} is open to others than its owner: chmod 600 {shlex.quote(str(key))}"
            try:
                if not certificates.matches(one, certificates.read_key(data)):
                    yield f"{key} is not its key"
            except ValueError as error:
                yield f"{key} {error}"
        has_list = path.parent == self._folder and self._list.path.exists() and not one.is_ca
        if has_list and one.fingerprint not in self._list.fingerprints():
            yield f"it is not on the list {self._list.path}"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == AUTHORITY:
        reason = "names the files of the authority; choose another name" if name == AUTHORITY else (
            "cannot name a node and its files: 1 to 64 letters, digits, dots, hyphens and underscores, a letter or a "
            "digit first")
        raise InvalidRequest(f"{name[:64]!r} {reason}", field="name")


def _unreachable(names: issuing.Names) -> Iterator[str]:
    if not names.dns and not names.addresses:
        yield f"{names.common!r} is no host name: nobody can reach the node by this certificate without --dns or --ip"


def _address(text: str) -> str:
    """The IP address as it is usually written, or nothing if the text is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    has_zone = isinstance(found, IPv6Address) and found.scope_id is not None
    return "" if has_zone else str(found)


def _read_certificates(pem: bytes, path: Path) -> tuple[certificates.Certificate, ...]:
    try:
        return certificates.read_certificates(pem)
    except ValueError as error:
        raise InvalidRequest(f"{path} {error}", field="file") from error
