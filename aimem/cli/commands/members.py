"""Verbs that change who the members of the mesh are: they edit what tells this node, and have it read anew."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.runtime import Attached
from aimem.cli.text import counted
from aimem.config import (
    is_same_place,
    peer_in,
    peers_written,
    read_text,
    replace_text,
    with_entry,
    with_settings,
    without_entry,
)
from aimem.errors import AimemError, Code, Conflict, InvalidRequest, NotFound, Unavailable
from aimem.wire import CatchUpRequest, MeshDocument, PeerStatus, reloading

if TYPE_CHECKING:
    from aimem.client import Client

_FIXED = ("flag", "variable")
SHOWN_DIGITS = 8
"""Of an id, for people."""


class Change(Struct, frozen=True, kw_only=True):
    """What is wished: one address more, or one less, or none of both; and another W or the same."""

    added: str | None = None
    removed: str | None = None
    writes: int | None = None


class Edit(Struct, frozen=True):
    """A file's text, before and after; `before` is None where there was none."""

    path: Path
    before: str | None
    after: str


def add(context: Context) -> int:
    """Tell this node of one more member."""
    url = peer_in(context.value("url"))

    async def act(attached: Attached, client: Client) -> reloading.MembersChanged:
        document = await client.mesh()
        known = next((peer for peer in document.peers if is_same_place(peer.url, url)), None)
        writes = context.value("quorum_writes")
        if known is None:
            return await _carry_out(context, client, document, Change(added=url, writes=writes), attached)
        sentence = f"{url} is a peer already ({known.node or 'not met yet'})"
        if writes is None:
            raise Conflict(sentence)
        changed = await _carry_out(context, client, document, Change(writes=writes), attached)
        changed.notices = (f"{sentence}, and stays as it is", *changed.notices)
        return changed

    return _show(context, context.visit(act))


def remove(context: Context) -> int:
    """Tell this node of one member less."""

    async def act(attached: Attached, client: Client) -> reloading.MembersChanged:
        document = await client.mesh()
        gone = _meant(document.peers, context.value("node"))
        change = Change(removed=gone.url, writes=context.value("quorum_writes"))
        return await _carry_out(context, client, document, change, attached)

    return _show(context, context.visit(act))


def reload(context: Context) -> int:
    """Have the running daemon read its configuration anew."""
    answer = context.ask(lambda client: client.reload())
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    context.screen.line(f"read anew: {counted(answer.members, 'member')}, writes wait for "
                        f"{counted(answer.writes, 'node')}")
    for name in ("added", "removed"):
        for url in getattr(answer, name):
            context.screen.line(f"{name + ':':<9}{url}")
    if answer.restart:
        context.screen.say(f"note: {', '.join(answer.restart)} was changed too, which holds from the next start on")
    for notice in (*answer.notices, *answer.told.overruled):
        context.screen.say(f"note: {notice}")
    return ExitStatus.OK


def rejoin(context: Context) -> int:
    """Have this node join its mesh anew, and wait until it is ready."""
    asked = reloading.RejoinRequest(forget_cluster=context.value("forget_cluster"))

    async def act(client: Client) -> reloading.RejoinAnswer:
        answer = await client.rejoin(asked)
        known, told = 0, frozenset[str]()
        with context.screen.progress("joining anew (Ctrl-C leaves it going on)", None) as advance:
            while not answer.ready:
                advance(max(0, answer.known - known))
                known = max(known, answer.known)
                for reason in sorted(frozenset(answer.failing) - told):
                    context.screen.say(f"note: {reason}")
                told |= frozenset(answer.failing)
                answer = await client.rejoin(reloading.RejoinRequest(look=True))
        return answer

    answer = context.ask(act)
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"ready: {counted(answer.known, 'write')} known; stream {answer.stream}")
    return ExitStatus.OK


def _meant(peers: Sequence[PeerStatus], text: str) -> PeerStatus:
    found = [peer for peer in peers if is_same_place(peer.url, text)] or [peer for peer in peers if peer.node == text]
    if not found:
        known = ", ".join(f"{peer.node or '?'} ({peer.url})" for peer in peers) or "none"
        raise NotFound(f"no peer has the name or the address {text!r}; these are known: {known}")
    if len(found) > 1:
        raise Conflict(f"{len(found)} addresses are of {text!r}: name one of {', '.join(peer.url for peer in found)}")
    return found[0]


async def _carry_out(
    context: Context, client: Client, document: MeshDocument, change: Change, attached: Attached
) -> reloading.MembersChanged:
    """Edit, have it read anew, and look at what came of it. Whatever fails leaves the files as they were."""
    told = document.told if isinstance(document.told, reloading.ToldOut) and not attached.holder else (
        reloading.told_out(context.config.told))
    edits = edits_of(told, tuple(peer.url for peer in document.peers), change)
    changed = reloading.MembersChanged(
        files=tuple(str(edit.path) for edit in edits), is_dry=context.value("dry_run"), in_force=False,
        peers=tuple(peer.url for peer in document.peers), members=document.members, writes=document.writes,
        say=sayings(document, change),
    )
    if changed.is_dry:
        if change.added is not None and not attached.holder:
            changed.found = await client.look_at(reloading.LookRequest(url=change.added))
        return changed
    for edit in edits:
        replace_text(edit.path, edit.after)
    try:
        found = await _put_in_force(context, client, change, attached)
    except AimemError as error:
        _undo(edits)
        if not attached.holder:
            await _reread_quietly(client)
        error.message += "; nothing was changed"
        raise
    if found is None:
        return changed
    changed.in_force, changed.peers, changed.members = True, found.peers, found.members
    changed.writes, changed.notices = found.writes, (*found.notices, *found.told.overruled)
    return changed


async def _put_in_force(
    context: Context, client: Client, change: Change, attached: Attached
) -> reloading.ReloadAnswer | None:
    """Have the daemon read its files anew. Returns: None where none runs. Raises: AimemError if they are no good."""
    if attached.holder:
        context.reread()
        return None
    try:
        answer = await client.reload()
    except InvalidRequest as error:
        if error.code == Code.CONFIG_INVALID:
            raise
        context.reread()        # a session holds the database, which reads nothing anew
        return None
    if change.added is not None and not context.value("force"):
        await _meet(client, change.added)
    return answer


async def _meet(client: Client, url: str) -> None:
    """See that a member of this mesh answers there. Raises: Unavailable, Conflict."""
    document = await client.catch_up(CatchUpRequest(peers=[url]))
    peer = next(peer for peer in document.peers if peer.url == url)
    match peer.state:
        case "reachable":
            return
        case "self":
            raise Conflict(f"{url} leads to this node itself: say the address of the other node")
        case "duplicate":
            raise Conflict(f"{url} leads to node {peer.node!r}, which is a peer already")
        case "unreachable" | "unasked":
            reason = peer.last_error or "no answer"
        case _:
            reason = f"{peer.state}: {peer.last_error}" if peer.last_error else peer.state
    raise Unavailable(f"{url} does not answer as a member ({reason}); --force adds it all the same")


async def _reread_quietly(client: Client) -> None:
    """What is wrong is told already; and if the files were at fault before, the node goes on as it was."""
    try:
        await client.reload()
    except AimemError:
        return


def _undo(edits: Sequence[Edit]) -> None:
    for edit in edits:
        if edit.before is None:
            edit.path.unlink(missing_ok=True)
        else:
            replace_text(edit.path, edit.before)


def edits_of(told: reloading.ToldOut, peers: tuple[str, ...], change: Change) -> tuple[Edit, ...]:
    """What has to be written, and where. Raises: InvalidRequest where it cannot be, with the ways on."""
    settings: dict[str, str | int | None] = {}
    edits: list[Edit] = []
    if change.added is None and change.removed is None:
        pass    # the peers stay as they are told, by whatever place
    elif told.listed is not None:
        path = Path(told.listed)
        text = read_text(path, "the list of peers")
        kept = text if change.removed is None else without_entry(text, change.removed)
        edits.append(Edit(path, text, kept if change.added is None else with_entry(kept, change.added)))
    else:
        _refuse_fixed(told.peers, told.peers_by, _after(peers, change))
        written = _written(told) if told.peers == "file" else ()
        settings["mesh.quorum_peers"] = ",".join(_after(written, change)) or None
    if change.writes is not None:
        _refuse_fixed(told.writes, told.writes_by, (str(change.writes),))
        settings["mesh.quorum_writes"] = change.writes
    if settings:
        edits.append(_edit_of(told, settings))
    return tuple(edits)


def _after(peers: tuple[str, ...], change: Change) -> tuple[str, ...]:
    kept = tuple(url for url in peers if change.removed is None or not is_same_place(url, change.removed))
    return kept if change.added is None else (*kept, change.added)


def _written(told: reloading.ToldOut) -> tuple[str, ...]:
    """The peers as the file names them by now, which may be others than those that hold."""
    return () if told.file is None else peers_written(Path(told.file))


def _refuse_fixed(place: str, name: str, values: tuple[str, ...]) -> None:
    if place not in _FIXED:
        return
    joint = " " if place == "flag" else "="
    changed = f"with {name}{joint}{','.join(values)}, or " if values else ""    # without its last peer it is alone
    raise InvalidRequest(
        f"{name} fixes this for as long as the daemon runs: start it anew {changed}without it, so that the "
        "configuration file tells it; peers may also be listed in a file that is read while it runs: "
        "quorum_peers = @FILE", code=Code.CONFIG_INVALID,
    )


def _edit_of(told: reloading.ToldOut, settings: Mapping[str, str | int | None]) -> Edit:
    if told.file is None:
        raise InvalidRequest("no configuration file is read (AI_MEMORY_NO_CONFIG): start it with one", field="config")
    path = Path(told.file)
    before = read_text(path, "the configuration file") if path.exists() else None
    return Edit(path, before, with_settings(before or "", settings, path))


def sayings(document: MeshDocument, change: Change) -> tuple[reloading.Saying, ...]:
    """What is to be said on the other nodes, so that all are told of the same members; nothing if they stay."""
    if change.added is None and change.removed is None:
        return ()
    own = document.node or "this node"
    others = [peer for peer in document.peers if peer.url != change.removed]
    writes = "" if change.writes is None else f" --quorum-writes {change.writes}"
    if change.added is None:
        gone = next(peer for peer in document.peers if peer.url == change.removed)
        command = f"ai-memory mesh remove {shlex.quote(gone.node or gone.url)}{writes}"
        return tuple(reloading.Saying(peer.node or peer.url, command) for peer in others)
    to_others = [
        reloading.Saying(peer.node or peer.url, f"ai-memory mesh add {shlex.quote(change.added)}{writes}")
        for peer in others
    ]
    addresses = [*(shlex.quote(peer.url) for peer in others), f"ADDRESS-OF-{own}"]
    to_new = [
        reloading.Saying(change.added, f"ai-memory mesh add {address}{_writes_among(change, nodes)}")
        for nodes, address in enumerate(addresses, 2)
    ]
    return (*to_others, *to_new)


def _writes_among(change: Change, nodes: int) -> str:
    """The flag for a node that knows so many nodes, itself included: a larger W it would refuse."""
    return "" if change.writes is None else f" --quorum-writes {min(change.writes, nodes)}"


def _found(found: reloading.LookedAt) -> str:
    """Who answers, in words."""
    is_of = f"of mesh {found.cluster[:SHOWN_DIGITS]}" if found.cluster else "of no mesh yet"
    node = f"a node {is_of}, stream {found.stream[:SHOWN_DIGITS]}, version {found.version}"
    return {
        "none": f"nobody answers as a node ({found.reason}): without --force it would be taken back",
        "self": "this node itself answers: it would be taken back",
        "peer": f"node {found.node} answers, which is a peer already: it would be taken back",
        "other_cluster": f"{node}, answers; that is another mesh than this one: it would be taken back",
        "member": f"{node}, answers; that is the mesh of this one",
    }.get(found.verdict, f"{node}, answers")


def _show(context: Context, changed: reloading.MembersChanged) -> int:
    if context.wants_json:
        context.screen.json(changed)
        return ExitStatus.OK
    word = "would change" if changed.is_dry else "changed"
    context.screen.line(f"{word}: {', '.join(changed.files)}")
    if changed.found is not None:
        context.screen.line(f"{changed.found.url}: {_found(changed.found)}")
    if changed.in_force:
        context.screen.line(f"in force: {counted(changed.members, 'node')}, writes wait for {changed.writes}")
    elif not changed.is_dry:
        context.screen.line("no daemon runs here: it holds from its next start on; whether the address answers was not "
                            "looked at")
    if changed.say:
        context.screen.line("to be said on the other nodes, so that all know the same members:")
    for one in changed.say:
        context.screen.line(f"  {one.node}: {one.command}")
    for notice in changed.notices:
        context.screen.say(f"note: {notice}")
    return ExitStatus.OK
