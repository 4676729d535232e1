"""The files of TLS: which go together. What is in them is looked at by whoever starts a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from aimem.config.checks import Given, invalid, is_public
from aimem.config.slices import MeshConfig, NamedFile, TlsConfig

_PAIRS: Final = (("tls.cert", "tls.key"), ("mesh.quorum_client_cert", "mesh.quorum_client_key"))
_WHAT: Final = {
    "tls.cert": "--tls-cert", "tls.key": "--tls-key", "mesh.quorum_client_cert": "--quorum-client-cert",
    "mesh.quorum_client_key": "--quorum-client-key",
}
_PEER_FLAGS: Final = {
    "--client-cert": "mesh.quorum_client_cert", "--client-key": "mesh.quorum_client_key",
    "--ca-cert": "mesh.quorum_ca_cert",
}
LIST_ALONE: Final = "none"
"""Instead of authorities: there are none, although the peers' servers have some. A file of that name is `./none`."""
FILE_KEYS: Final = (
    "tls.cert", "tls.key", "tls.mtls_allowlist", "tls.mtls_ca_cert", "mesh.quorum_client_cert",
    "mesh.quorum_client_key", "mesh.quorum_ca_cert",
)


def tls_of(given: Mapping[str, Given], paths: Mapping[str, Path]) -> TlsConfig:
    """Read and check which files are named.

    Args:
      paths: the absolute path of each file that is named, by its key.
    Raises: InvalidRequest(config_invalid): half a pair, or a list that nothing could verify.
    """
    for one, other in (pair for first, second in _PAIRS for pair in ((first, second), (second, first))):
        if one in given and other not in given:
            problem = f"is given without {_WHAT[other]}: a certificate and its key go together; name both, or neither"
            raise invalid(given[one].origin, one, problem)
    for key in ("tls.mtls_allowlist", "tls.mtls_ca_cert"):
        if key in given and "tls.cert" not in given:
            raise invalid(
                given[key].origin, key, "is given without --tls-cert and --tls-key: clients show certificates only to "
                "a server that speaks TLS, so nothing would be verified; name these two as well")
    if "tls.mtls_ca_cert" in given and "tls.mtls_allowlist" not in given:
        raise invalid(
            given["tls.mtls_ca_cert"].origin, "tls.mtls_ca_cert", "is given without --mtls-allowlist: who may connect "
            "is the list's to say; name the file with the fingerprints of the peers' certificates")
    files = {key: NamedFile(path=path, origin=given[key].origin, key=key) for key, path in paths.items()}
    clients_ca = files.get("tls.mtls_ca_cert") or files.get("mesh.quorum_ca_cert")
    if "tls.mtls_ca_cert" in given and given["tls.mtls_ca_cert"].value == LIST_ALONE:
        clients_ca = None
    return TlsConfig(
        cert=files.get("tls.cert"), key=files.get("tls.key"), allowlist=files.get("tls.mtls_allowlist"),
        clients_ca=clients_ca if "tls.mtls_allowlist" in given else None,
        client_cert=files.get("mesh.quorum_client_cert"), client_key=files.get("mesh.quorum_client_key"),
        peers_ca=files.get("mesh.quorum_ca_cert"),
    )


def with_peer_files(tls: TlsConfig, named: Mapping[str, Path]) -> TlsConfig:
    """Ask peers with these files instead of those of the settings.

    Args:
      named: by option: some of `--client-cert`, `--client-key` and `--ca-cert`.
    Raises: InvalidRequest(config_invalid) for half a pair.
    """
    files = {
        flag: NamedFile(path=named[flag], origin=flag, key=key)
        for flag, key in _PEER_FLAGS.items() if flag in named
    }
    cert, key = (files.get(flag) for flag in ("--client-cert", "--client-key"))
    if (cert is None) != (key is None):
        given, missing = ("--client-key", "--client-cert") if cert is None else ("--client-cert", "--client-key")
        raise invalid(given, _PEER_FLAGS[given], f"is given without {missing}: a certificate and its key go together")
    pair = (tls.client_cert, tls.client_key) if cert is None else (cert, key)
    return replace(tls, client_cert=pair[0], client_key=pair[1], peers_ca=files.get("--ca-cert", tls.peers_ca))


def tls_notices(tls: TlsConfig, mesh: MeshConfig) -> Iterator[str]:
    """What an operator should know."""
    for key in (tls.key, tls.client_key):
        if key is not None and is_public(key.path):
            yield f"{key.path} holds a key and is readable by everybody; run: chmod 600 {key.path}"
    plain = [peer for peer in mesh.peers if peer.startswith("http://")]
    if plain and (tls.client_cert is not None or tls.peers_ca is not None):
        yield (
            f"the peer {plain[0]} is asked without TLS: neither is its certificate verified nor ours shown; write "
            "https:// if it speaks TLS"
        )
