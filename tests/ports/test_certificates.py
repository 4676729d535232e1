"""Reading certificates and keys: what a file says, and what is said of a file that is none."""

from __future__ import annotations

import contextlib
import hashlib
import random
import ssl
import warnings

import pytest
import trustme
from cryptography.utils import CryptographyDeprecationWarning

from aimem.ports import certificates


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("node-b", "127.0.0.1", common_name="node-b.example")


def chain(leaf: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def key_of(leaf: trustme.LeafCert) -> bytes:
    return leaf.private_key_pem.bytes()


def test_a_certificate_says_what_tls_will_see_of_it(leaf: trustme.LeafCert) -> None:
    found = certificates.read_certificates(chain(leaf))[0]
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert found.fingerprint == hashlib.sha256(der).hexdigest() == certificates.fingerprint(der)
    assert found.names == ("node-b", "127.0.0.1", "node-b.example")
    assert "node-b.example" in found.subject
    assert not found.is_ca
    plain = ssl.PEM_cert_to_DER_cert(found.pem.decode())
    assert plain == der
    assert found.not_before < found.not_after


def test_what_stands_between_the_blocks_of_a_file_is_passed_over(ca: trustme.CA, leaf: trustme.LeafCert) -> None:
    mixed = b"\xef\xbb\xbf" + (key_of(leaf) + chain(leaf)).replace(b"\n", b"\r\n") + b"\n# end\n"
    mixed += ca.cert_pem.bytes()
    found = certificates.read_certificates(mixed)
    assert [one.is_ca for one in found] == [False, True]
    assert certificates.matches(found[0], certificates.read_key(mixed))


def test_a_key_matches_its_own_certificate_alone(ca: trustme.CA, leaf: trustme.LeafCert) -> None:
    other = ca.issue_cert("node-c")
    found = certificates.read_certificates(chain(leaf))[0]
    assert certificates.matches(found, certificates.read_key(key_of(leaf)))
    assert not certificates.matches(found, certificates.read_key(key_of(other)))


def test_a_key_is_not_shown_by_its_value(leaf: trustme.LeafCert) -> None:
    assert repr(certificates.read_key(key_of(leaf))) == "Key(...)"


@pytest.mark.parametrize(("data", "problem"), [
    (b"", "is empty"),
    (b" \n\n", "is empty"),
    (b"0\x82\x01\x0a\x00\xff", "is no PEM file"),
    (b"hello\n", "is no PEM file"),
    (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "holds no certificate"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "breaks off: what begins in line 1"),
    (b"x\n-----BEGIN CERTIFICATE-----\nAA\n-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
     "breaks off: what begins in line 2"),
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read (the 1. of the file)"),
    (b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "cannot be read (the 1. of the file)"),
])
def test_a_file_without_certificates_is_told_as_what_it_is(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        certificates.read_certificates(data)
    assert problem in str(caught.value)


def test_altered_certificates_and_keys_are_refused_as_such_or_read(leaf: trustme.LeafCert) -> None:
    rng = random.Random(7)
    der = ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    for _ in range(1500):
        altered = bytearray(der)
        altered[rng.randrange(len(altered))] = rng.randrange(256)
        for read in (certificates.read_der, lambda data: certificates.read_certificates(pem_of(data))):
            with contextlib.suppress(ValueError), warnings.catch_warnings():
                warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                read(bytes(altered))
    of_another_version = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x39")
    with pytest.raises(ValueError):
        certificates.read_der(of_another_version)


def pem_of(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).encode()


ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
OLD_ENCRYPTED = (
    b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n"
    b"-----END RSA PRIVATE KEY-----\n"
)
BROKEN = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(("data", "problem"), [
    (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no private key"),
    (BROKEN + BROKEN, "holds 2 private keys; one is wanted"),
    (ENCRYPTED, "under a passphrase"),
    (OLD_ENCRYPTED, "under a passphrase"),
    (BROKEN, "holds a private key that cannot be read"),
    (b"", "is empty"),
])
def test_a_file_without_one_plain_key_is_told_as_what_it_is(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        certificates.read_key(data)
    assert problem in str(caught.value)
