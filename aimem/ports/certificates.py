"""Certificates and their keys, as files hold them: PEM in, values out.

Loading X.509 takes 30 ms, which most commands need not spend: this module is imported where it is used, by its name.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from aimem.model import Instant

CERTIFICATES_MAX: Final = 1024
"""In one file: the bundles of browsers have a tenth."""

RSA_MIN_BITS: Final = 2048
"""OpenSSL shows no smaller key at its usual level of security, and trusts none."""

_UNREADABLE: Final = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that are no certificate, as trying 30,000 altered ones showed."""
_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_CERTIFICATE: Final = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Certificate(Struct, frozen=True, kw_only=True):
    """One certificate.

    Attributes:
      fingerprint: SHA-256 of its DER, 64 lower-case hexadecimal digits.
      subject, issuer: as RFC 4514 writes them (`CN=node-a`).
      names: DNS names and IP addresses that it is for, then its common name if that is none of them.
      not_before, not_after: between which it holds, both included.
      is_ca: whether it may sign others.
      public_key: its SubjectPublicKeyInfo, DER.
      pem: itself.
    """

    fingerprint: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: Instant
    not_after: Instant
    is_ca: bool
    public_key: bytes
    pem: bytes


class Key(Struct, frozen=True, kw_only=True):
    """A private key: `pem` is itself, `public_key` the SubjectPublicKeyInfo of its other half, DER."""

    public_key: bytes
    pem: bytes

    def __repr__(self) -> str:
        """Without the key: it must not get into a log."""
        return "Key(...)"


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def read_certificates(pem: bytes) -> tuple[Certificate, ...]:
    """All certificates of a file, in its order: at least one. What else the file holds is passed over.

    Raises: ValueError whose text says what the file is or has, to go on from its name (`holds no certificate`).
    """
    blocks = [block for label, block in _blocks(pem, "x509") if label in _CERTIFICATE]
    if not blocks:
        raise ValueError("holds no certificate (no BEGIN CERTIFICATE)")
    if len(blocks) > CERTIFICATES_MAX:
        raise ValueError(f"holds {len(blocks)} certificates; at most {CERTIFICATES_MAX} are read")
    return tuple(_read(block, number) for number, block in enumerate(blocks, 1))


def read_der(der: bytes) -> Certificate:
    """One certificate as it comes over a connection. Raises: ValueError."""
    try:
        return _certificate(x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        raise ValueError("is a certificate that cannot be read") from error


def read_key(pem: bytes) -> Key:
    """The one private key of a file. What else the file holds is passed over.

    Raises: ValueError whose text says what the file is or has, to go on from its name (`holds no private key`).
    """
    blocks = [(label, block) for label, block in _blocks(pem, "pkey") if label.endswith(b"PRIVATE KEY")]
    if len(blocks) != 1:
        raise ValueError(f"holds {len(blocks) or 'no'} private key{'s; one is wanted' if blocks else ''}")
    label, block = blocks[0]
    if label.startswith(b"ENCRYPTED") or b"Proc-Type: 4,ENCRYPTED" in block:
        raise ValueError("holds a key under a passphrase, which nobody is there to type; write it without one "
                         "(openssl pkey -in OLD -out NEW; chmod 600 NEW)")
    try:
        key = load_pem_private_key(block, password=None)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's sentence may quote what it read.
        raise ValueError("holds a private key that cannot be read; write it anew") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < RSA_MIN_BITS:
        raise ValueError(f"holds an RSA key of {key.key_size} bits, and TLS takes none of fewer than {RSA_MIN_BITS}; "
                         "make another key, and a certificate for it")
    return Key(public_key=public, pem=block)


def matches(certificate: Certificate, key: Key) -> bool:
    """Whether the key is that of the certificate."""
    return certificate.public_key == key.public_key


def _blocks(pem: bytes, tool: str) -> Iterator[tuple[bytes, bytes]]:
    """Label and text of each block of a PEM file, whatever stands between them.

    Args:
      tool: the command of openssl that makes such a file of its DER form.
    Raises: ValueError if it has none, or one without an end.
    """
    label, lines, begun_at, is_pem = b"", list[bytes](), 0, False
    for number, line in enumerate(pem.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        text = line.strip()
        if text.startswith(_BEGIN) and text.endswith(_DASHES):
            if label:
                break
            label, lines, begun_at, is_pem = text[len(_BEGIN) : -len(_DASHES)], [], number, True
        if label:
            lines.append(text)
        if label and text == _END + label + _DASHES:
            yield label, b"\n".join(lines) + b"\n"
            label = b""
    if label:
        raise ValueError(f"breaks off: what begins in line {begun_at} has no end; copy it anew")
    if not is_pem:
        raise ValueError("is empty" if not pem.strip() else
                         "is no PEM file: nothing in it begins with -----BEGIN (a DER file is turned into one by: "
                         f"openssl {tool} -inform der -in OLD -out NEW)")


def _read(block: bytes, number: int) -> Certificate:
    try:
        return _certificate(x509.load_pem_x509_certificate(block.replace(b"X509 CERTIFICATE", b"CERTIFICATE")))
    except _UNREADABLE as error:
        raise ValueError(f"holds a certificate that cannot be read (the {number}. of the file)") from error


def _certificate(found: x509.Certificate) -> Certificate:
    """Raises: what the library raises for what it does not understand."""
    return Certificate(
        fingerprint=fingerprint(found.public_bytes(Encoding.DER)),
        subject=found.subject.rfc4514_string(), issuer=found.issuer.rfc4514_string(), names=_names(found),
        not_before=_instant(found.not_valid_before_utc), not_after=_instant(found.not_valid_after_utc),
        is_ca=_is_ca(found), pem=found.public_bytes(Encoding.PEM),
        public_key=found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = []
    else:
        names = alternatives.get_values_for_type(x509.DNSName)
        names += [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)]
    common = [str(part.value) for part in found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return tuple(dict.fromkeys([*names, *common]))


def _is_ca(found: x509.Certificate) -> bool:
    try:
        return found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _instant(moment: datetime) -> Instant:
    return Instant((moment - _EPOCH) // _MICROSECOND)
