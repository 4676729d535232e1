"""Fingerprints of certificates, and the list of those that may connect.

A fingerprint is the SHA-256 of a leaf certificate's DER form: 64 lower-case hexadecimal digits wherever it is kept.
"""

from __future__ import annotations

import re
import string
from typing import Final

from aimem.errors import Code, InvalidRequest

FINGERPRINT_DIGITS: Final = 64
ALLOWLIST_MAX: Final = 10_000
"""Fingerprints in a list; a mesh has a few tens of nodes, so a longer file is not the one that was meant."""

_PREFIX: Final = re.compile(r"(sha256:|sha256 fingerprint=)[ \t]*", re.ASCII | re.IGNORECASE)
"""What stands before the digits in a list of another program, and in what `openssl x509 -fingerprint` prints."""

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_HELP: Final = 'write one SHA-256 fingerprint a line, as "ai-memory pki fingerprint CERTIFICATE" prints it'


def read_allowlist(text: str) -> frozenset[str]:
    """Read a list of fingerprints: one a line, in hexadecimal digits of any case, with or without `:`.

    Blanks around, a prefix `sha256:` or `sha256 Fingerprint=` of any case, empty lines, comments from `#` to the end of
    their line, a byte order mark and any kind of line end are tolerated; so is a fingerprint that stands there twice.

    Returns: at least one fingerprint, at most `ALLOWLIST_MAX`.
    Raises: InvalidRequest(config_invalid) that begins with the number of the line at fault (in `details` as `line`), or
      says that the list is empty; whoever knows the file's name puts it in front.
    """
    found: set[str] = set()
    for number, line in enumerate(_LINE_END.split(text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")), start=1):
        entry = line.partition("#")[0].strip()
        if entry:
            found.add(_read_entry(entry, number))
        if len(found) > ALLOWLIST_MAX:
            raise _malformed(number, f"more than {ALLOWLIST_MAX:,} fingerprints; is this the right file?")
    if not found:
        raise InvalidRequest(
            f"the list is empty, so that nobody could connect: {_HELP}", code=Code.CONFIG_INVALID,
            field="mtls_allowlist",
        )
    return frozenset(found)


def shown(fingerprint: str) -> str:
    """A fingerprint as people compare it: `AB:CD:…`, the form that `openssl x509 -fingerprint` prints."""
    return ":".join(fingerprint[start:start + 2] for start in range(0, len(fingerprint), 2)).upper()


def _read_entry(entry: str, number: int) -> str:
    prefix = _PREFIX.match(entry)
    digits = entry[prefix.end() if prefix else 0:].replace(":", "")
    stranger = next((character for character in digits if character not in string.hexdigits), None)
    if stranger is not None:
        raise _malformed(number, f"{stranger!r} is no hexadecimal digit; {_HELP}")
    if len(digits) != FINGERPRINT_DIGITS:
        raise _malformed(number, f"{len(digits)} hexadecimal digits instead of {FINGERPRINT_DIGITS}; {_HELP}")
    return digits.lower()


def _malformed(number: int, what: str) -> InvalidRequest:
    return InvalidRequest(f"line {number}: {what}", code=Code.CONFIG_INVALID, field="mtls_allowlist", line=number)
