"""The files of TLS: which are named, and what cannot go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.config import Config, load_config
from aimem.errors import Code, InvalidRequest

KEYS = {
    "cert": "tls.cert", "key": "tls.key", "allowlist": "tls.mtls_allowlist", "mtls_ca": "tls.mtls_ca_cert",
    "client_cert": "mesh.quorum_client_cert", "client_key": "mesh.quorum_client_key",
    "peers_ca": "mesh.quorum_ca_cert", "peers": "mesh.quorum_peers", "host": "host", "port": "port",
}
SERVER = {"cert": "s.pem", "key": "s.key"}
CLIENT = {"client_cert": "c.pem", "client_key": "c.key"}


def loaded(given: dict[str, object], cwd: Path = Path("/w")) -> Config:
    flags = {KEYS[name]: value for name, value in given.items()}
    return load_config(flags, {}, cwd=cwd, home=Path("/h"), etc=Path("/e"))


def test_without_files_there_is_no_tls() -> None:
    tls = loaded({}).tls
    assert (tls.cert, tls.allowlist, tls.clients_ca, tls.client_cert, tls.peers_ca) == (None,) * 5


def test_paths_are_absolute_and_know_where_they_were_written() -> None:
    config = load_config(
        {"tls.cert": "s.pem"}, {"AI_MEMORY_TLS_KEY": "~/s.key"}, cwd=Path("/w"), home=Path("/h"), etc=Path("/e"))
    cert, key = config.tls.cert, config.tls.key
    assert cert is not None and key is not None
    assert (str(cert.path), cert.origin) == ("/w/s.pem", "--tls-cert")
    assert (str(key.path), key.origin) == ("/h/s.key", "AI_MEMORY_TLS_KEY")


def test_a_file_of_settings_names_them_in_two_tables(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[tls]\ncert = "s.pem"\nkey = "s.key"\nmtls_allowlist = "list"\nmtls_ca_cert = "m.pem"\n'
        '[mesh]\nquorum_client_cert = "c.pem"\nquorum_client_key = "c.key"\nquorum_ca_cert = "q.pem"\n')
    config = load_config({"config": str(tmp_path / "c.toml")}, {}, cwd=Path("/w"), home=Path("/h"), etc=Path("/e"))
    tls = config.tls
    assert [str(file.path) for file in (
        tls.cert, tls.key, tls.allowlist, tls.clients_ca, tls.client_cert, tls.client_key, tls.peers_ca,
    ) if file is not None] == ["/w/s.pem", "/w/s.key", "/w/list", "/w/m.pem", "/w/c.pem", "/w/c.key", "/w/q.pem"]


def test_who_signed_the_peers_servers_signed_their_clients_too_unless_told_otherwise() -> None:
    tls = loaded({**SERVER, "allowlist": "list", "peers_ca": "q.pem"}).tls
    assert tls.clients_ca == tls.peers_ca is not None
    assert loaded({**SERVER, "peers_ca": "q.pem"}).tls.clients_ca is None


def test_the_list_alone_can_be_asked_for_beside_an_authority_of_the_servers() -> None:
    given = {**SERVER, "allowlist": "list", "peers_ca": "q.pem"}
    tls = loaded({**given, "mtls_ca": "none"}).tls
    assert tls.clients_ca is None
    assert tls.allowlist is not None
    assert tls.peers_ca is not None
    named = loaded({**given, "mtls_ca": "./none"}).tls.clients_ca
    assert named is not None
    assert str(named.path) == "/w/none"


@pytest.mark.parametrize(("given", "expected"), [
    ({"cert": "s.pem"}, "--tls-cert is given without --tls-key"),
    ({"key": "s.key"}, "--tls-key is given without --tls-cert"),
    ({"client_cert": "c.pem"}, "--quorum-client-cert is given without --quorum-client-key"),
    ({"client_key": "c.key"}, "--quorum-client-key is given without --quorum-client-cert"),
    ({"allowlist": "list"}, "--mtls-allowlist is given without --tls-cert and --tls-key"),
    ({**CLIENT, "allowlist": "list"}, "nothing would be verified"),
    ({**SERVER, "mtls_ca": "m.pem"}, "--mtls-ca-cert is given without --mtls-allowlist"),
    ({"mtls_ca": "m.pem"}, "--mtls-ca-cert is given without --tls-cert"),
    ({**SERVER, "mtls_ca": "none"}, "--mtls-ca-cert is given without --mtls-allowlist"),
    ({"cert": "", "key": "s.key"}, "--tls-cert is empty"),
    ({**SERVER, "peers": "https://127.0.0.1:9077"}, "names this node itself"),
])
def test_what_does_not_go_together_is_refused_with_the_names_of_the_flags(
    given: dict[str, object], expected: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(given)
    assert caught.value.code is Code.CONFIG_INVALID
    assert expected in caught.value.message


def test_a_peer_with_tls_needs_no_certificate_of_ours() -> None:
    assert not loaded({"peers": "https://b:1"}).tls.client_cert
    assert loaded({**SERVER, "peers": "http://127.0.0.1:9077"}).mesh.peers == ("http://127.0.0.1:9077",)


def test_a_plain_peer_beside_a_certificate_for_peers_is_told() -> None:
    told = loaded({**CLIENT, "peers": "https://b:1,http://c:1,http://d:1"}).notices
    assert any("the peer http://c:1 is asked without TLS" in notice for notice in told)
    assert not any("without TLS" in notice for notice in loaded({**CLIENT, "peers": "https://b:1,https://c:1"}).notices)


def test_a_key_that_everybody_may_read_is_told(tmp_path: Path) -> None:
    for name in ("s.key", "c.key"):
        (tmp_path / name).write_text("a key")
        (tmp_path / name).chmod(0o640)
    (tmp_path / "c.key").chmod(0o644)
    told = loaded({**SERVER, **CLIENT}, tmp_path).notices
    assert [notice for notice in told if "readable by everybody" in notice] == [
        f"{tmp_path}/c.key holds a key and is readable by everybody; run: chmod 600 {tmp_path}/c.key"]
