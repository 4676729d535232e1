"""The peers of a node, and how many nodes a write is on before it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aimem.config.checks import Given, invalid, is_server, server_fault, subject
from aimem.config.members import PEERS, Entry, read_list
from aimem.config.slices import ApiConfig, MeshConfig, TlsConfig
from aimem.errors import Code, InvalidRequest

PEERS_MAX: Final = 32
NAME_MAX_CHARS: Final = 128
WANTED: Final = "an address like http://10.0.0.2:9077"
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
    return _addresses(_checked(_entries(text, origin), origin, fewest=1))


def peer_in(text: str) -> str:
    """The one address that somebody says, as it is compared. Raises: InvalidRequest(config_invalid)."""
    peer = text.strip().rstrip("/")
    fault = "it holds a comma: say one address at a time" if "," in peer else server_fault(peer)
    if fault:
        raise InvalidRequest(
            f"that is no address of a node: {fault}; wanted is {WANTED}", code=Code.CONFIG_INVALID, field="url"
        )
    return peer


def _entries(text: str, origin: str) -> tuple[Entry, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    place = subject(origin, "quorum_peers")
    return tuple(
        Entry(text=part, place=place, at=f"entry {number} of {len(parts)}") for number, part in enumerate(parts, 1)
    )


def _addresses(entries: tuple[Entry, ...]) -> tuple[str, ...]:
    return tuple(entry.text.rstrip("/") for entry in entries)


def _checked(entries: tuple[Entry, ...], origin: str, *, fewest: int) -> tuple[Entry, ...]:
    if not fewest <= len(entries) <= PEERS_MAX:
        raise invalid(origin, "quorum_peers", f"names {len(entries)} peers; allowed are {fewest} to {PEERS_MAX}")
    seen: dict[tuple[str, str, int | None, str], Entry] = {}
    for entry, peer in zip(entries, _addresses(entries), strict=True):
        fault = server_fault(peer)
        if fault:
            # Not shown, but by its place: what was written may hold a password.
            at = "" if entry.place.endswith(entry.at) else f" ({entry.at})"
            raise _wrong(entry, f"holds something that is no address{at}: {fault}; wanted is {WANTED}")
        first = seen.setdefault(_place(peer), entry)
        if first is not entry:
            raise _wrong(entry, f"names {peer} twice ({first.at} and {entry.at})")
    return entries


def _wrong(entry: Entry, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{entry.place} {problem}", code=Code.CONFIG_INVALID, field="quorum_peers")


def _peers(item: Given, api: ApiConfig, tls: TlsConfig, listed: Path | None) -> tuple[str, ...]:
    if listed is None:
        entries = _checked(_entries(str(item.value), item.origin), item.origin, fewest=1)
    else:
        # It may be empty: so the last peer is taken out while the node runs.
        entries = _checked(read_list(listed, item.origin), f"{item.origin}, {listed}", fewest=0)
    own = ("http" if tls.cert is None else "https", api.host.lower(), api.port, "")
    peers = _addresses(entries)
    for entry, peer in zip(entries, peers, strict=True):
        if _place(peer) == own:
            raise _wrong(entry, f"names this node itself ({peer}); list the others alone")
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
