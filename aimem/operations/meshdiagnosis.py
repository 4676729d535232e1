"""The same for what the daemon says: of itself, of its peers, and of versions."""

from __future__ import annotations

import shlex
from typing import Final
from urllib.parse import urlsplit

import aimem
from aimem.config import FeatureTier
from aimem.operations.diagnosis import Findings, Kind, critical, info, warning
from aimem.operations.seen import Answers, Daemon
from aimem.replication import CLOCK_WARN_S
from aimem.service import WARN_DAYS
from aimem.wire import TIER_IS_KEYWORD, PeerStatus

BEHIND_LONG_S: Final = 60.0
_EXCLUDED: Final = frozenset({"self", "duplicate", "untrusted", "other_cluster", "forked"})
_MESH_PAGE: Final = "ai-memory-mesh(7)"
_OTHER_NAME: Final = "certificate is not for the name"
"""In the daemon's reason for a peer that it does not reach."""


def daemon_findings(daemon: Daemon, tier: FeatureTier) -> Findings:
    """Whether one serves, and how it is by its own word; `tier` is what was asked for."""
    if not daemon.holder:
        yield info(Kind.NO_DAEMON, "no process holds the database, so nothing was asked of a daemon or of peers",
                   "nothing, if none is to run; else ai-memory serve, or systemctl start ai-memory")
        return
    if daemon.answers is None:
        yield critical(
            Kind.DAEMON_SILENT, f"{daemon.holder} holds the database and does not answer on its socket",
            "wait if it is just starting or ending; else see its log (journalctl -u ai-memory), and start it anew",
        )
        return
    yield from _own_word(daemon.answers, tier)


def _own_word(answers: Answers, tier: FeatureTier) -> Findings:
    health, index = answers.health, answers.index
    if health.status == "error":
        yield critical(Kind.DAEMON_UNWELL, "the daemon says that it cannot read or write its database",
                       "see its log: journalctl -u ai-memory")
    elif not health.ready:
        yield warning(Kind.DAEMON_UNWELL, "the daemon takes no writes yet: it fetches what its peers know",
                      f"wait; ai-memory mesh status shows how far it is, {_MESH_PAGE} why")
    for sentence in health.warnings:
        if sentence not in answers.mesh.alarms:
            yield warning(Kind.DAEMON_UNWELL, sentence, "do what it says; ai-memory status shows it until then")
    if tier is not FeatureTier.KEYWORD and index.reason == TIER_IS_KEYWORD:
        yield info(Kind.OTHER_SETTINGS, "the daemon serves with tier keyword, and the settings of this command have "
                   f"tier {tier}", "nothing, if that is meant; else give both the same settings: see "
                   "ai-memory-service(7), THE DOCTOR")
    elif tier is not FeatureTier.KEYWORD and index.mode == "keyword" and index.reason:
        yield warning(Kind.MODEL_AWAY, f"the daemon recalls by words alone: {index.reason}",
                      "mend that, and start the daemon anew")


def peer_findings(answers: Answers) -> Findings:
    """How the peers are, as the daemon sees them."""
    mesh = answers.mesh
    for peer in mesh.peers:
        yield from _peer(peer)
    answering = 1 + sum(peer.state == "reachable" for peer in mesh.peers)
    if answering < mesh.writes:
        yield critical(Kind.NO_QUORUM, f"{answering} of {mesh.members} nodes answer, and writes wait for {mesh.writes}",
                       f"start the others, or see {_MESH_PAGE}, How many nodes a write waits for")
    if mesh.peers and mesh.mesh_access == "open":
        yield warning(Kind.MESH_OPEN, "whoever reaches this node may pose as a peer",
                      f"give the nodes certificates or an api_key: see {_MESH_PAGE}, TLS, and who may connect")
    for alarm in mesh.alarms:
        yield warning(Kind.MESH_ALARM, alarm, f"do what it says; {_MESH_PAGE} tells of each")


def _peer(peer: PeerStatus) -> Findings:
    named = f"{peer.node} ({peer.url})" if peer.node else peer.url
    why = peer.last_error.removeprefix(f"{peer.state}: ")
    if peer.state in _EXCLUDED:
        yield critical(Kind.PEER_EXCLUDED, f"{named} does not count: {why or peer.state}",
                       f"see {_MESH_PAGE}, Who is who, and ai-memory mesh status")
    elif peer.state == "unreachable":
        yield warning(Kind.PEER_UNREACHABLE, f"{named} does not answer: {why or _last_answer(peer)}", _road_to(peer))
    if peer.lag_s > BEHIND_LONG_S:
        yield warning(Kind.PEER_BEHIND, f"{named} lacks {peer.lag_ops} writes, for {peer.lag_s:.0f} s",
                      "wait if it was away and catches up (ai-memory mesh peers); else see its log")
    if peer.certificate is not None and peer.certificate.days_left < WARN_DAYS[0]:
        told = critical if peer.certificate.days_left < WARN_DAYS[-1] else warning
        yield told(Kind.PEER_CERTIFICATE_ENDS,
                   f"the certificate of {named} ends in {peer.certificate.days_left} days",
                   f"put a new one there and send that daemon SIGHUP: see {_MESH_PAGE}, Changing certificates")


def _last_answer(peer: PeerStatus) -> str:
    return "it was never reached" if peer.last_ok_s is None else f"its last answer came {peer.last_ok_s:.0f} s ago"


def _road_to(peer: PeerStatus) -> str:
    """What to do so that it is reached."""
    if _OTHER_NAME not in peer.last_error:
        return "start it, see its log if it runs, and look at what is between the two: address, firewall, certificates"
    host = urlsplit(peer.url).hostname or ""
    option = "--ip" if host.replace(".", "").isdigit() or ":" in host else "--dns"
    name = shlex.quote(peer.node or "NAME")
    return (f"make it a certificate for that name: ai-memory pki issue --renew --name {name} {option} "
            f"{shlex.quote(host)} and its other names, too (see {_MESH_PAGE}, Changing certificates); or have "
            "--quorum-peers name it as its certificate does")


def peer_clock_findings(answers: Answers) -> Findings:
    """Whose clock is off, as the daemon measured it."""
    for peer in answers.mesh.peers:
        offset_s = (peer.clock_offset_ms or 0.0) / 1000
        if abs(offset_s) > CLOCK_WARN_S:
            yield warning(Kind.CLOCK_OFF_PEER, f"the clock of {peer.node or peer.url} is {offset_s:+.1f} s off this "
                          "node's", "have both set by NTP (timedatectl status); beyond 5 s writes are refused")


def version_findings(answers: Answers) -> Findings:
    """Who is of another version than this command, or older than this node."""
    if answers.health.version != aimem.__version__:
        yield warning(Kind.OTHER_VERSION, f"the daemon is ai-memory {answers.health.version}, this command "
                      f"{aimem.__version__}", "start the daemon anew, or call the command of its version")
    for peer in answers.mesh.peers:
        if 0 < peer.protocol < answers.mesh.protocol:
            yield warning(Kind.OTHER_PROTOCOL, f"{peer.node or peer.url} speaks version {peer.protocol} of what nodes "
                          f"speak, this one {answers.mesh.protocol}",
                          f"upgrade it when you can: see {_MESH_PAGE}, Nodes of two versions")
