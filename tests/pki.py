"""Certificates for tests: authorities, and leaves that are good, or bad in one respect."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from aimem.ports import PeerMaterial, ServerMaterial, system_clock


class Issued(Struct, frozen=True, kw_only=True):
    """A certificate (PEM, leaf first) with its key (PEM)."""

    certificate: bytes
    key: bytes

    @property
    def der(self) -> bytes:
        """The leaf."""
        leaf, end, _ = self.certificate.partition(b"-----END CERTIFICATE-----")
        return ssl.PEM_cert_to_DER_cert((leaf + end).decode())

    @property
    def fingerprint(self) -> str:
        """The leaf's."""
        return hashlib.sha256(self.der).hexdigest()

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """As files, the key's private. Returns: certificate, key."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        return certificate, key

    def serves(self, client_ca: trustme.CA | None = None) -> ServerMaterial:
        """It as a server's, whose clients this authority signs, or nobody."""
        ca = None if client_ca is None else ca_pem(client_ca)
        return ServerMaterial(certificate=self.certificate, key=self.key, client_ca=ca)

    def asks(self, ca: trustme.CA) -> PeerMaterial:
        """It as a peer's, whose servers this authority signs."""
        return PeerMaterial(certificate=self.certificate, key=self.key, ca=ca_pem(ca))


def make_ca() -> trustme.CA:
    """A certificate authority."""
    return trustme.CA()


def ca_pem(ca: trustme.CA) -> bytes:
    """Its certificate."""
    return ca.cert_pem.bytes()


def write_ca(ca: trustme.CA, folder: Path, name: str = "ca") -> Path:
    """Its certificate as a file."""
    path = folder / f"{name}.pem"
    path.write_bytes(ca_pem(ca))
    return path


def issue(ca: trustme.CA, *names: str, days: float = 30.0, from_days: float = -1.0) -> Issued:
    """A leaf for servers and clients, signed by this authority.

    Args:
      names: DNS names and IP addresses; the first one is its common name, too.
      days: how many days from now it ends; below 0 it has expired.
      from_days: how many days from now it begins; above 0 it is not valid yet.
    """
    leaf = ca.issue_cert(*names, common_name=names[0], not_before=_moment(from_days), not_after=_moment(days))
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return Issued(certificate=chain, key=leaf.private_key_pem.bytes())


def issue_expired(ca: trustme.CA, *names: str) -> Issued:
    """A leaf that ended yesterday."""
    return issue(ca, *names, days=-1.0, from_days=-30.0)


def issue_not_yet(ca: trustme.CA, *names: str) -> Issued:
    """A leaf that begins tomorrow."""
    return issue(ca, *names, days=30.0, from_days=1.0)


def self_signed(
    *names: str, days: float = 30.0, from_days: float = -1.0, usage: x509.ObjectIdentifier | None = None
) -> Issued:
    """A leaf that nobody else signed, with these DNS names; of one extended usage, or of both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH] if usage is None else [usage]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(from_days)).not_valid_after(_moment(days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Issued(certificate=certificate.public_bytes(serialization.Encoding.PEM), key=private)


def client_context(server_ca: trustme.CA, shows: Issued | None, folder: Path) -> ssl.SSLContext:
    """How a client that trusts this authority asks, showing a certificate or none. The folder takes its files."""
    context = ssl.create_default_context()
    server_ca.configure_trust(context)
    if shows is not None:
        context.load_cert_chain(*shows.write(folder, shows.fingerprint))
    return context


def _moment(days_from_now: float) -> datetime:
    return datetime.fromtimestamp(system_clock().now() / 1e6, UTC) + timedelta(days=days_from_now)
