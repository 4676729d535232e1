"""Verbs about the mesh: sync-daemon, and what the mesh looks like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.rounds import run_rounds
from aimem.cli.runtime import Attached, Purpose
from aimem.cli.text import counted, short_id
from aimem.config import MeshConfig, peers_in, with_peer_files
from aimem.errors import Code, Denied, Unavailable
from aimem.wire import CatchUpRequest, ConflictOut, MeshDocument, MeshQuery, PeerStatus, copies, trusting

if TYPE_CHECKING:
    from aimem.client import Client

INTERVAL_MAX_S: Final = 3600
_FILES: Final = {"client_cert": "--client-cert", "client_key": "--client-key", "ca_cert": "--ca-cert"}
KEY_DIGITS: Final = 16
"""Of a key, for people to compare."""
ACCESS: Final = {
    "mtls": "nodes with a certificate that is listed", "keys": "whoever has the key", "open": "everybody",
}
NAMED_MAX: Final = 100
"""Differing objects that are named for each peer."""
_WAYS_ON: Final = {
    "here": "`ai-memory mesh verify --repair` gets back what this node lost",
    "there": "say `ai-memory mesh verify --repair` on the node that lost it",
    "both": "say `ai-memory mesh verify --repair` on both nodes",
    "unclear": "two values stand under one write; update the memory, or store it anew, where its value is right, and "
               "both have that; look at the disk of the node where it is wrong",
}
"""What to do about an object, by who lost something of it."""


def sync_daemon(context: Context) -> int:
    """Exchange with peers until a signal."""
    value = context.value
    interval_s = value("interval")
    if not 1 <= interval_s <= INTERVAL_MAX_S:
        raise UsageError(f"--interval is {interval_s}; allowed are 1 to {INTERVAL_MAX_S}")
    peers = peers_in(value("peers"), "--peers")
    mesh = MeshConfig(peers=peers, interval_s=float(interval_s), node_name=context.config.mesh.node_name)
    context.config = msgspec.structs.replace(context.config, mesh=mesh)
    if value("insecure_skip_server_verify"):
        raise UsageError("--insecure-skip-server-verify is refused: a server's certificate is always verified; name "
                         "who signed the peers' certificates with --ca-cert")
    files = {flag: context.path(value(name)) for name, flag in _FILES.items() if value(name)}
    tls = with_peer_files(context.config.tls, files)
    context.config = msgspec.structs.replace(context.config, tls=tls)
    if value("api_key"):
        api = msgspec.structs.replace(context.config.api, api_key=value("api_key"))
        context.config = msgspec.structs.replace(context.config, api=api)
    return context.visit(
        lambda attached, client: _run(context, attached, client, peers, float(interval_s)), Purpose.SESSION
    )


async def _run(
    context: Context, attached: Attached, client: Client, peers: tuple[str, ...], interval_s: float
) -> int:
    """A round after the other, until a signal."""
    doer = "this process" if attached.holder else attached.hint or "another process"
    context.screen.say(f"{doer} exchanges {attached.db} with {', '.join(peers)}")
    shown: tuple[object, ...] = ()

    async def exchange_once() -> None:
        nonlocal shown
        try:
            document = await client.catch_up(CatchUpRequest(peers=list(peers)))
        except Unavailable as error:
            context.screen.say(f"this round was skipped: {error.message}")
            return
        now = (document.vector, tuple((peer.state, peer.lag_ops, peer.last_error) for peer in document.peers))
        if now != shown:
            shown = now
            _show_round(context, document)

    await run_rounds(exchange_once, interval_s)
    return ExitStatus.OK


def _show_round(context: Context, document: MeshDocument) -> None:
    if context.wants_json:
        context.screen.json(document)
    else:
        known = sum(document.vector.values())
        told = "; ".join(f"{peer.url} is {_state(peer)}" for peer in document.peers)
        context.screen.line(f"{counted(known, 'write')} known here; {told}")
    context.around.stdout.flush()


def _state(peer: PeerStatus) -> str:
    told = peer.state if peer.state == "reachable" or not peer.last_error else (
        f"{peer.state} ({_why(peer.state, peer.last_error)})")
    return f"{told}, {counted(peer.lag_ops, 'write')} behind" if peer.lag_ops else told


def _joining(document: MeshDocument) -> str:
    now = document.joining
    if now is None:
        return "nothing"
    told = f"{now.url}, {counted(now.objects, 'object')}"
    return f"{told} of {now.of}, chunk {now.chunk} of {now.chunks}" if now.chunks else told


def status(context: Context) -> int:
    """Show the mesh as this node sees it."""
    document = context.ask(lambda client: client.mesh(MeshQuery(digest=True)))
    if context.wants_json:
        context.screen.json(document)
        return ExitStatus.OK
    lines = {
        "node": document.node or "-", "stream": document.stream, "mesh": document.cluster or "-",
        "members": str(document.members),
        "member lists": document.agreement or "-",
        "writes wait for": counted(document.writes, "node"), "writes known": str(sum(document.vector.values())),
        "behind": counted(document.behind, "write"),
        "key": document.key[:KEY_DIGITS], "open to": ACCESS.get(document.mesh_access, document.mesh_access),
        "held": str(document.held_count), "conflicts": str(document.conflict_count), "digest": str(document.digest),
    }
    for name, value in lines.items():
        context.screen.line(f"{name + ':':<18}{value}")
    if document.joining is not None:
        context.screen.line(f"{'joining:':<18}{_joining(document)}")
    for own in document.certificates:
        context.screen.line(f"{own.which + ':':<18}{own.subject}, {_expiry(own.days_left, own.expires_at)}")
    if document.peers:
        context.screen.line()
        _table(context, document)
    for alarm in document.alarms:
        context.screen.say(f"warning: {alarm}")
    if document.peers and document.mesh_access == "open":
        context.screen.say("warning: the mesh is open: give the nodes certificates or an api_key")
    return ExitStatus.OK


def trust(context: Context) -> int:
    """Say that a node with another key is the one of its name."""
    request = trusting.TrustRequest(node=context.value("node"), key=context.value("key"))
    answer = context.ask(lambda client: client.trust_node(request))
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    context.screen.line(f"known key: {answer.known_key[:KEY_DIGITS] or 'none'}")
    context.screen.line(f"new key:   {'the next that comes' if answer.key is None else answer.key[:KEY_DIGITS]}")
    if answer.key is None:
        context.screen.say(f"note: nobody was refused under the name {request.node!r}: it is forgotten here, and "
                           "whoever comes under it next is believed")
    return ExitStatus.OK


def peers(context: Context) -> int:
    """List the peers."""
    document = context.ask(lambda client: client.mesh())
    if context.wants_json:
        context.screen.json(document.peers)
    else:
        _table(context, document)
    return ExitStatus.OK


def _table(context: Context, document: MeshDocument) -> None:
    rows: list[tuple[str, ...]] = [
        (peer.state, peer.node or "-", peer.url, str(peer.protocol or "-"), str(peer.lag_ops), f"{peer.lag_s:.1f}",
         "-" if peer.clock_offset_ms is None else f"{peer.clock_offset_ms:+.0f}",
         "-" if peer.certificate is None else counted(peer.certificate.days_left, "day"),
         _why(peer.state, peer.last_error))
        for peer in document.peers
    ]
    titles = ["state", "node", "address", "protocol", "behind", "for s", "clock ms", "certificate", "last error"]
    if all(peer.certificate is None for peer in document.peers):
        place = titles.index("certificate")
        titles.pop(place)
        rows = [(*row[:place], *row[place + 1 :]) for row in rows]
    context.screen.table(titles, rows)


def _expiry(days: int, at: str) -> str:
    return f"expires in {counted(days, 'day')} ({at[:10]})" if days >= 0 else f"expired on {at[:10]}"


def _why(state: str, reason: str) -> str:
    """A reason beside a state; it does not say the state's word again."""
    return reason.removeprefix(f"{state}: ") or "-"


def conflicts(context: Context) -> int:
    """List writes that lost."""
    limit = context.value("limit")
    document = context.ask(lambda client: client.mesh(MeshQuery(conflicts=limit)))
    found = document.conflicts if isinstance(document.conflicts, tuple) else ()
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    rows = [(lost.noted_at, lost.kind, short_id(lost.key), lost.field, _value(lost.value)) for lost in _telling(found)]
    context.screen.table(("noted", "kind", "object", "field", "value that lost"), rows)
    if not found:
        context.screen.say("no write lost to one that did not know of it")
    return ExitStatus.OK


def _telling(found: Sequence[ConflictOut]) -> Iterator[ConflictOut]:
    """Without the times of edits that lost another field too: they tell nothing that the row beside them does not."""
    edits = {_edit_of(lost) for lost in found if lost.field != "updated_at"}
    return (lost for lost in found if lost.field != "updated_at" or _edit_of(lost) not in edits)


def _edit_of(lost: ConflictOut) -> tuple[str, str, int, str]:
    return lost.kind, lost.key, lost.version_hlc, lost.stream


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()[:80]


def verify(context: Context) -> int:
    """Compare with every peer, and mend this node if asked."""
    found = context.ask(lambda client: _verify_all(context, client))
    if context.wants_json:
        context.screen.json(found)
    else:
        rows = [
            (one.verdict, one.node or "-", one.url, str(one.compared), str(one.differing), str(one.repaired),
             str(one.pending), _why(one.verdict, one.reason)) for one in found
        ]
        columns = ("verdict", "node", "address", "compared", "differing", "repaired", "pending", "reason")
        context.screen.table(columns, rows)
        _show_differing(context, found)
    if not found:
        context.screen.say("nothing was compared: this node has no peers")
    verdicts = {one.verdict for one in found}
    if "differs" in verdicts:
        return ExitStatus.CONFLICT
    return ExitStatus.UNAVAILABLE if verdicts - {"equal", "repaired"} else ExitStatus.OK


def _show_differing(context: Context, found: Sequence[copies.VerifiedOut]) -> None:
    rows = [(one.node or one.url, other.kind, other.key, other.lost) for one in found for other in one.objects]
    if rows:
        context.screen.line()
        context.screen.table(("node", "kind", "object", "lost"), rows)
    lost = {other.lost for one in found if one.left for other in one.objects}
    if context.value("repair"):
        lost -= {"here"}
    for word in sorted(lost & _WAYS_ON.keys()):
        context.screen.say(f"note: {word}: {_WAYS_ON[word]}")
    for one in found:
        if one.differing > len(one.objects):
            context.screen.say(f"{counted(one.differing - len(one.objects), 'object')} more differ from {one.url}")


async def _verify_all(context: Context, client: Client) -> list[copies.VerifiedOut]:
    document = await client.mesh()
    return [await _verify(context, client, peer) for peer in document.peers]


async def _verify(context: Context, client: Client, peer: PeerStatus) -> copies.VerifiedOut:
    """Compare with one peer, step by step."""
    request = copies.VerifyRequest(peer=peer.url, repair=context.value("repair"))
    found = copies.VerifiedOut(url=peer.url, node=peer.node, verdict="equal")
    try:
        answer = await client.verify_mesh(request)
        with context.screen.progress(f"comparing with {peer.url}", answer.total) as advance:
            while True:
                advance(answer.compared)
                _add(found, answer)
                if answer.after is None:
                    break
                answer = await client.verify_mesh(msgspec.structs.replace(request, after=answer.after))
    except Unavailable as error:
        found.verdict, found.reason = "unreachable", error.message
        return found
    except Denied as error:
        # Of this one peer; the others are compared all the same. Any other denial is of whoever asks.
        if error.code != Code.NODE_UNTRUSTED:
            raise
        found.verdict, found.reason = "untrusted", error.message
        return found
    if found.left:
        found.verdict = "differs"
    elif found.pending:
        found.verdict = "behind"
    elif found.differing:
        found.verdict = "repaired"
    return found


def _add(found: copies.VerifiedOut, answer: copies.VerifyAnswer) -> None:
    for name in ("compared", "differing", "pending", "repaired", "left", "undecided"):
        setattr(found, name, getattr(found, name) + getattr(answer, name))
    found.objects += answer.objects[: max(0, NAMED_MAX - len(found.objects))]
