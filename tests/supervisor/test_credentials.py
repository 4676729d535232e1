"""The files of TLS: each fault is a sentence that names the setting, the file and what to do."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from aimem.config import NamedFile, TlsConfig
from aimem.errors import Code, InvalidRequest
from aimem.model import DAY_S, after
from aimem.ports import system_clock, system_files
from aimem.service import Which
from aimem.supervisor.credentials import Credentials, load_credentials
from tests import pki

CA = pki.make_ca()
NODE = pki.issue(CA, "node-a", "127.0.0.1", days=60)
FLAGS = {
    "cert": "--tls-cert", "key": "--tls-key", "allowlist": "--mtls-allowlist", "clients_ca": "--mtls-ca-cert",
    "client_cert": "--quorum-client-cert", "client_key": "--quorum-client-key", "peers_ca": "--quorum-ca-cert",
}


class Folder:
    """The files of a node, each by the name of its setting; what is not overwritten is good."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.put(cert=NODE.certificate, key=NODE.key, client_cert=NODE.certificate, client_key=NODE.key,
                 peers_ca=pki.ca_pem(CA), clients_ca=pki.ca_pem(CA), allowlist=NODE.fingerprint.encode())

    def put(self, **files: bytes) -> None:
        for name, data in files.items():
            (self.path / name).write_bytes(data)

    def config(self, *names: str) -> TlsConfig:
        return TlsConfig(**{
            name: NamedFile(path=self.path / name, key=name, origin=FLAGS[name]) for name in names or FLAGS
        })

    def load(self, *names: str, days: float = 0, running: frozenset[str] = frozenset()) -> Credentials:
        now = after(system_clock().now(), days * DAY_S)
        return load_credentials(self.config(*names), system_files(), now, running)

    def fault(self, *names: str, days: float = 0) -> str:
        with pytest.raises(InvalidRequest) as caught:
            self.load(*names, days=days)
        assert caught.value.code is Code.CONFIG_INVALID
        return caught.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_good_files_become_material_and_dates(folder: Folder) -> None:
    found = folder.load()
    assert found.server is not None and found.server.client_ca is not None
    assert found.allowlist == {NODE.fingerprint}
    assert found.peers.certificate is not None and found.peers.ca is not None
    assert [one.which for one in found.own] == [Which.SERVER, Which.CLIENT, Which.PEERS_CA, Which.CLIENTS_CA]
    assert found.own[0].fingerprint == NODE.fingerprint


def test_without_files_there_is_nothing(folder: Folder) -> None:
    assert load_credentials(TlsConfig(), system_files(), system_clock().now()) == Credentials()


def test_one_authority_for_both_is_read_once(folder: Folder) -> None:
    config = folder.config("cert", "key", "allowlist", "peers_ca")
    both = TlsConfig(cert=config.cert, key=config.key, allowlist=config.allowlist, peers_ca=config.peers_ca,
                     clients_ca=config.peers_ca)
    found = load_credentials(both, system_files(), system_clock().now())
    assert [one.which for one in found.own] == [Which.SERVER, Which.PEERS_CA]
    assert found.server is not None and found.server.client_ca == found.peers.ca


OTHER = pki.issue(CA, "node-b")
CERT = b"-----BEGIN CERTIFICATE-----\n"


@pytest.mark.parametrize(("name", "data", "expected"), [
    ("cert", b"", "cert is empty"),
    ("cert", b"\x30\x82", "openssl x509 -inform der"),
    ("key", b"\x30\x82", "openssl pkey -inform der"),
    ("cert", CERT + b"AAAA", "breaks off"),
    ("cert", NODE.key, "holds no certificate"),
    ("key", NODE.certificate, "holds no private key"),
    ("key", NODE.key + OTHER.key, "holds 2 private keys"),
    ("key", OTHER.key, "is not the key of"),
    ("client_key", OTHER.key, "is not the key of"),
    ("cert", OTHER.certificate + NODE.certificate, "does not begin with the certificate of the key"),
    ("client_cert", b"nothing", "is no PEM file"),
    ("peers_ca", b"nothing", "is no PEM file"),
    ("clients_ca", OTHER.key, "holds no certificate"),
    ("peers_ca", OTHER.certificate, "holds no authority: "),
    ("clients_ca", OTHER.certificate, "holds no authority: "),
    ("allowlist", b"# nobody\n", "the list is empty"),
    ("allowlist", b"\xff\xfe\x00", "is no text (line 1)"),
    ("allowlist", NODE.fingerprint.encode() + b"\nab:cd\n", "line 2: 4 hexadecimal digits instead of 64"),
    ("cert", pki.issue_expired(CA, "a").certificate, "is not the key of"),
], ids=itertools.count())
def test_what_is_wrong_with_a_file_is_said_with_its_name(
    folder: Folder, name: str, data: bytes, expected: str
) -> None:
    folder.put(**{name: data})
    message = folder.fault()
    assert expected in message
    assert message.startswith("--")
    assert f"{folder.path}/" in message


@pytest.mark.parametrize("name", FLAGS)
def test_a_file_that_is_not_there_is_named(folder: Folder, name: str) -> None:
    (folder.path / name).unlink()
    assert folder.fault() == f"{FLAGS[name]}: {folder.path / name} is not there; check the path"
    (folder.path / name).mkdir()
    assert folder.fault().endswith(f"{folder.path / name} cannot be read: it is no regular file")


@pytest.mark.usefixtures("bound_by_permissions")
def test_a_file_that_may_not_be_read_is_said_with_what_to_check(folder: Folder) -> None:
    (folder.path / "key").chmod(0)
    assert "; check its permissions" in folder.fault()


@pytest.mark.parametrize("name", ["key", "client_key"])
def test_a_key_that_openssl_would_not_show_is_named_with_what_is_wanted(folder: Folder, name: str) -> None:
    small = rsa.generate_private_key(public_exponent=65_537, key_size=1024)    # that is the point
    folder.put(**{name: small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())})
    fault = folder.fault()
    assert fault.startswith(f"{FLAGS[name]}: {folder.path / name} holds an RSA key of 1024 bits")
    assert "fewer than 2048" in fault


@pytest.mark.parametrize(("cert", "key"), [("cert", "key"), ("client_cert", "client_key")])
def test_a_certificate_that_does_not_hold_now_is_refused(folder: Folder, cert: str, key: str) -> None:
    for issued, expected in (
        (pki.issue_expired(CA, "a"), "expired on "), (pki.issue_not_yet(CA, "a"), "is not valid before "),
    ):
        folder.put(**{cert: issued.certificate, key: issued.key})
        message = folder.fault(cert, key)
        assert message.startswith(f"{FLAGS[cert]}: {folder.path / cert} {expected}")


def test_an_authority_that_has_expired_is_refused_unless_another_stands_beside_it(folder: Folder) -> None:
    old = pki.self_signed("old", days=1, from_days=-1)
    folder.put(peers_ca=old.certificate)
    assert "peers_ca expired on" in folder.fault("peers_ca", days=2)
    folder.put(peers_ca=old.certificate + pki.ca_pem(CA))
    found = folder.load("peers_ca", days=2)
    assert found.peers.ca is not None and found.peers.ca.count(CERT.strip()) == 1


def test_who_signs_itself_is_an_authority_of_one_and_a_leaf_beside_one_is_passed_over(folder: Folder) -> None:
    alone = pki.self_signed("node-c")
    folder.put(peers_ca=alone.certificate + OTHER.certificate, clients_ca=OTHER.certificate + pki.ca_pem(CA))
    found = folder.load()
    assert found.peers.ca == alone.certificate
    assert found.server is not None and found.server.client_ca == pki.ca_pem(CA)


def test_one_that_is_in_use_may_have_expired(folder: Folder) -> None:
    assert folder.load("cert", "key", days=61, running=frozenset({NODE.fingerprint})).server is not None
    assert "expired on" in folder.fault("cert", "key", days=61)
