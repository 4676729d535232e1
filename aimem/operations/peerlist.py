"""The list of those that may connect, as a file that people write in, too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aimem.errors import InvalidRequest, Unavailable
from aimem.model import Instant, format_instant, read_allowlist, shown
from aimem.ports import Files

PUBLIC_MODE: Final = 0o644
"""Of what every node may read, whoever runs it: certificates and their list."""
_HEAD: Final = "# Who may connect: SHA-256 fingerprints of certificates, for --mtls-allowlist of every node.\n"


class PeerList:
    """A list of fingerprints. Whoever changes it holds the lock of its folder; it is replaced as a whole.

    Lines of people, and their comments, stay as they are. All raise Unavailable if the file cannot be read or written,
    and InvalidRequest if it is no text.
    """

    def __init__(self, path: Path, files: Files) -> None:
        self.path, self._files = path, files

    def fingerprints(self) -> frozenset[str]:
        """Those on the list; malformed lines are passed over."""
        return frozenset(mark for line in self._lines() if (mark := _fingerprint_of(line)))

    def add(self, fingerprint: str, name: str, until: Instant) -> None:
        """Put a certificate on it, with the name that it is for and its end as a comment."""
        lines = self._lines() or [_HEAD]
        if not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        if fingerprint not in map(_fingerprint_of, lines):
            self._write([*lines, f"{shown(fingerprint)}  # {name}, until {format_instant(until)[:10]}\n"])

    def take_off(self, name: str, *, current: str | None, keeps_current: bool) -> tuple[tuple[str, ...], int]:
        """Take off what is listed under a name.

        Args:
          current: the fingerprint of the certificate that the name has now, which goes too unless it is kept.
        Returns: the fingerprints that went, and how many are left.
        """
        kept, gone = list[str](), list[str]()
        for line in self._lines():
            mark = _fingerprint_of(line)
            is_current = mark is not None and mark == current
            if mark is None or (is_current and keeps_current) or not (is_current or _owner_of(line) == name):
                kept.append(line)
            else:
                gone.append(mark)
        if gone:
            self._write(kept)
        return tuple(gone), len({mark for line in kept if (mark := _fingerprint_of(line))})

    def _lines(self) -> list[str]:
        """Its lines with their ends."""
        with translated(f"cannot read {self.path}"):
            data = self._files.read(self.path)
        try:
            return (data or b"").decode().splitlines(keepends=True)
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{self.path} is no text in UTF-8; mend it", field="dir") from error

    def _write(self, lines: list[str]) -> None:
        with translated(f"cannot write {self.path}"):
            self._files.write_durably(self.path, "".join(lines).encode())
            self.path.chmod(PUBLIC_MODE)


def _fingerprint_of(line: str) -> str | None:
    """The fingerprint that a line has; None for one that has none, or is malformed."""
    try:
        return next(iter(read_allowlist(line)))
    except InvalidRequest:
        return None


def _owner_of(line: str) -> str:
    """The name that was written behind a fingerprint, or that of the file, as `pki fingerprint` prints it."""
    name, comma, _ = (part.strip() for part in line.partition("#")[2].partition(","))
    return name if comma else name.rpartition("/")[2].removesuffix(".pem")


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise the machine's errors as Unavailable, behind these words."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{what}: {error.strerror or error}") from error


@contextlib.contextmanager
def reached() -> Iterator[None]:
    """Raise as Unavailable, with its path and a remedy, that something is in a folder which this user may not enter."""
    try:
        yield
    except PermissionError as error:
        raise Unavailable(
            f"cannot look at {error.filename}: {error.strerror}; run this as root, or as a user who may enter its "
            "folder"
        ) from error
