"""Making certificates: an authority of one's own, and what it signs. Reading them is in `certificates`.

Loading X.509 takes 30 ms, which most commands need not spend: this module is imported where it is used, by its name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from aimem.model import Instant

COMMON_NAME_MAX_CHARS: Final = 64
"""X.520's bound."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Issued(Struct, frozen=True, kw_only=True):
    """A certificate and its private key, both PEM; the key (PKCS #8) is under no passphrase."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Without the key: it must not get into a log."""
        return "Issued(...)"


class Names(Struct, frozen=True, kw_only=True):
    """Whom a certificate is for.

    Attributes:
      common: the subject's common name, 1 to 64 characters.
      dns: host names in ASCII, perhaps with a leading `*.`.
      addresses: IP addresses, without a zone.
    """

    common: str
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Span(Struct, frozen=True, kw_only=True):
    """When a certificate holds, both ends included; certificates know whole seconds."""

    since: Instant
    until: Instant


def make_authority(common: str, span: Span) -> Issued:
    """A new authority (ECDSA P-256) that signs certificates of nodes, and no further authorities.

    Raises: ValueError if the name has not 1 to 64 characters.
    """
    key, subject = ec.generate_private_key(ec.SECP256R1()), _subject(common)
    known_as = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _begun(subject, key.public_key(), span)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(known_as, critical=False)
        .add_extension(_authority_known_as(known_as), critical=False)
    )
    return _signed(builder, key, key)


def issue(authority: Issued, names: Names, span: Span) -> Issued:
    """A new key (ECDSA P-256) and its certificate, good for both ends of a connection.

    Raises: ValueError if the authority cannot be read, or a name cannot stand in a certificate.
    """
    issuer, issuer_key = x509.load_pem_x509_certificate(authority.certificate), _authority_key(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [x509.DNSName(name) for name in names.dns]
    addresses = [x509.IPAddress(ip_address(address)) for address in names.addresses]
    known_as = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _begun(_subject(names.common), key.public_key(), span)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(known_as, critical=False)
        .add_extension(_authority_known_as(_own_identifier(issuer)), critical=False)
    )
    if alternatives or addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName([*alternatives, *addresses]), critical=False)
    return _signed(builder, key, issuer_key)


def _authority_key(authority: Issued) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(authority.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not one for ECDSA")
    return key


def _begun(subject: x509.Name, key: ec.EllipticCurvePublicKey, span: Span) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(span.since))
        .not_valid_after(_moment(span.until))
    )


def _signed(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> Issued:
    return Issued(
        certificate=builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _subject(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates alone; a node signs handshakes alone, which is all that ECDSA is asked for."""
    return x509.KeyUsage(
        digital_signature=not is_authority, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_authority, crl_sign=is_authority, encipher_only=False,
        decipher_only=False,
    )


def _own_identifier(authority: x509.Certificate) -> x509.SubjectKeyIdentifier:
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(authority.public_key())


def _authority_known_as(identifier: x509.SubjectKeyIdentifier) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _moment(instant: Instant) -> datetime:
    return (_EPOCH + timedelta(microseconds=instant)).replace(microsecond=0)
