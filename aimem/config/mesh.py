"""The peers of a node, and how many nodes a write is on before it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aimem.config.checks import Given, invalid, is_server
from aimem.config.members import PEERS, read_list
from aimem.config.slices import ApiConfig, MeshConfig, TlsConfig

PEERS_MAX: Final = 32
NAME_MAX_CHARS: Final = 128
NO_PEERS_NOTICE: Final = "quorum_writes has no effect: no peers are named (quorum_peers)"
_PORTS: Final = {"http": 80, "https": 443}
_SELDOM_S: Final = 86_400.0


def mesh_of(given: Mapping[str, Given], api: ApiConfig, tls: TlsConfig, listed: Path | None) -> MeshConfig:
    """Read and check the mesh.

    Args:
      listed: the file that lists the peers, if the setting names one.
    Raises: InvalidRequest(config_invalid).
    """
    peers = _peers(given[PEERS], api, tls, listed) if PEERS in given else ()
    interval_s = _number(given, "mesh.catchup_interval_secs", 30.0)
    return MeshConfig(
        peers=peers, writes=_writes(given, len(peers)), timeout_s=_number(given, "mesh.quorum_timeout_ms", 2000) / 1000,
        interval_s=interval_s or _SELDOM_S, node_name=_name(given),
        compare_s=_number(given, "mesh.compare_interval_secs", 3600.0) or None,
        embedding_grace_s=_number(given, "mesh.embedding_grace_secs", 30.0),
        op_log_max_bytes=int(_number(given, "mesh.op_log_max_bytes", 1 << 30)),
        op_log_max_days=_number(given, "mesh.op_log_max_days", 30.0),
    )


def peers_in(text: str, origin: str) -> tuple[str, ...]:
    """The addresses of a list divided by commas, as they are compared: without slashes at their ends.

    Raises: InvalidRequest(config_invalid) for what is no address, and for one that is there twice.
    """
    return _checked(tuple(part.strip() for part in text.split(",") if part.strip()), origin, fewest=1)


def _checked(entries: tuple[str, ...], origin: str, *, fewest: int) -> tuple[str, ...]:
    peers = tuple(entry.rstrip("/") for entry in entries)
    if not fewest <= len(peers) <= PEERS_MAX:
        raise invalid(origin, "quorum_peers", f"names {len(peers)} peers; allowed are {fewest} to {PEERS_MAX}")
    seen: set[tuple[str, str, int | None, str]] = set()
    for number, peer in enumerate(peers, 1):
        if not is_server(peer):
            # Not shown, but by its place: what was written may hold a password.
            raise invalid(origin, "quorum_peers", f"holds something that is no address (entry {number} of "
                          f"{len(peers)}); wanted is a list like http://10.0.0.2:9077,http://10.0.0.3:9077")
        if _place(peer) in seen:
            raise invalid(origin, "quorum_peers", f"names {peer} twice")
        seen.add(_place(peer))
    return peers


def _peers(item: Given, api: ApiConfig, tls: TlsConfig, listed: Path | None) -> tuple[str, ...]:
    if listed is None:
        peers = peers_in(str(item.value), item.origin)
    else:
        # It may be empty: so the last peer is taken out while the node runs.
        peers = _checked(read_list(listed, item.origin), f"{item.origin}, {listed}", fewest=0)
    own_scheme = "http" if tls.cert is None else "https"
    for peer in peers:
        scheme, host, port, path = _place(peer)
        if (scheme, host, port, path) == (own_scheme, api.host.lower(), api.port, ""):
            raise invalid(item.origin, "quorum_peers", f"names this node itself ({peer}); list the others alone")
    return peers


def is_same_place(one: str, other: str) -> bool:
    """Whether two addresses lead to one place."""
    return is_server(one) and is_server(other) and _place(one) == _place(other)


def _place(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")


def _writes(given: Mapping[str, Given], peer_count: int) -> int:
    writes = int(_number(given, "mesh.quorum_writes", 0))
    members = 1 + peer_count
    if peer_count and writes > members:
        raise invalid(
            given["mesh.quorum_writes"].origin, "quorum_writes",
            f"is {writes}, and there are {members} nodes, this one and its peers; allowed is 0 to {members}",
        )
    return max(1, writes) if peer_count else 1


def mesh_notices(given: Mapping[str, Given], config: MeshConfig) -> Iterator[str]:
    """What an operator should know."""
    asked = int(_number(given, "mesh.quorum_writes", 0))
    if asked > 1 and not config.peers:
        yield NO_PEERS_NOTICE
    members = 1 + len(config.peers)
    if config.peers and config.writes <= members // 2:
        yield (
            f"a write is acknowledged by {config.writes} of {members} nodes, which is no majority: two halves of the "
            "mesh that do not see each other both go on acknowledging writes; they join when they meet again"
        )


def _name(given: Mapping[str, Given]) -> str | None:
    if "mesh.node_name" not in given:
        return None
    item = given["mesh.node_name"]
    name = str(item.value).strip()
    if len(name) > NAME_MAX_CHARS:
        raise invalid(item.origin, "node_name", f"has {len(name)} characters; at most {NAME_MAX_CHARS} are allowed")
    return name


def _number(given: Mapping[str, Given], key: str, default: float) -> float:
    value = given[key].value if key in given else default
    return float(value) if isinstance(value, (int, float)) else default
