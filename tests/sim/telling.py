"""What subscribers are told: each happening by the node where it happened, at least once, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import trio

from aimem.model import Dot, Entry, covers, decode_entry
from aimem.ports import Connection
from aimem.store import MEMORY, SUBSCRIPTION
from tests.sim.history import Deed, dots_of
from tests.sim.hooks import HOST, Happening, Receiver
from tests.sim.watch import Watcher

LOOKS: Final = 30
LOOK_S: Final = 2.0
_BODIES: Final = "SELECT body FROM deliveries"
_PRIVATE: Final = "private"


async def check_hooks(
    receiver: Receiver, deeds: Sequence[Deed], nodes: Callable[[], Mapping[str, Connection]], lost: Sequence[str],
    watcher: Watcher,
) -> None:
    """What was stored is told by the node that stored it, and by no other, to whoever had subscribed there.

    Args:
      lost: machines whose files were taken away; what they had not told is told by nobody.
    """
    expected = {one for one, node in _expected(deeds, watcher) if node not in lost}
    watcher.checks += len(expected) + len(receiver.taken)
    for _ in range(LOOKS):
        if expected <= receiver.heard:
            break
        await trio.sleep(LOOK_S)
    for subscription, version in sorted(expected - receiver.heard - _waiting(nodes())):
        watcher.find("hooks", f"{subscription} was not told of {version}, and nobody is about to")
    for about, ids in sorted(receiver.taken.items()):
        if len(ids) > 1:
            watcher.find("hooks", f"{' '.join(about)} was told as {len(ids)} happenings: {sorted(ids)}")


def _expected(deeds: Sequence[Deed], watcher: Watcher) -> Iterator[tuple[Happening, str]]:
    """What is to be told, and which machine has to."""
    ended = {subject for deed in deeds if deed.kind == "unsubscribe" for subject in deed.subjects}
    subscribed = [
        (dot, entry) for dot, entry in _made(watcher, SUBSCRIPTION.name)
        if entry.key not in ended and HOST in str(entry.fields["url"])
    ]
    told = {dot for deed in deeds if deed.kind == "store" and deed.done is not None and deed.done.status == 201
            for dot in dots_of(deed.done.answer)}
    for dot, entry in _made(watcher, MEMORY.name):
        if dot not in told or entry.fields.get("scope") == _PRIVATE:
            continue
        context = {**watcher.written[dot].context, dot.stream: dot.seq - 1}
        for at, subscription in subscribed:
            # A subscription is of what happens later, by the clock of whoever made it.
            if covers(context, at) and _created(entry) > _created(subscription):
                yield (subscription.key, str(dot)), watcher.written[dot].node


def _made(watcher: Watcher, kind: str) -> Iterator[tuple[Dot, Entry]]:
    for dot, written in watcher.written.items():
        for data in written.op.entries:
            entry = decode_entry(data)
            if isinstance(entry, Entry) and entry.kind == kind and entry.create is not None:
                yield dot, entry


def _created(entry: Entry) -> int:
    at = entry.fields.get("created_at")
    return at if isinstance(at, int) else 0


def _waiting(nodes: Mapping[str, Connection]) -> set[Happening]:
    """What nodes are about to tell."""
    bodies = [msgspec.json.decode(bytes(row[0])) for conn in nodes.values() for row in conn.execute(_BODIES)]
    return {(body["subscription_id"], body["version"]) for body in bodies}
