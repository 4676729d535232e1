"""The keys of agents in memory: read anew once a commit touched one: a revocation holds for the next request."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import trio

from aimem.errors import Unauthenticated
from aimem.governance import Keyring, refuse_ended
from aimem.model import DAY_S, AgentKey, Credential, Instant, Principal, Role, after
from aimem.ports import Connection
from aimem.service.refusals import note_refusal
from aimem.store import KEY, agentkeys

if TYPE_CHECKING:
    from aimem.service.node import Node

ENDED_KEPT_S: Final = 30 * DAY_S
"""So long a key that ended is told that it did; after that it is like one that never was."""


class AccessMode(StrEnum):
    """What callers over TCP are asked for."""

    OPEN = "open"
    API_KEY = "api_key"
    AGENT_KEYS = "agent_keys"


class HeldKeyring:
    """The keyring as it was read last."""

    def __init__(self) -> None:
        self.ring = Keyring()
        self.revision: int | None = None
        self.reading = trio.Lock()


async def keyring(node: Node) -> Keyring:
    """The keys as of the latest commit that was answered. Raises: Unavailable, Corrupt: then nobody gets in."""
    held = node.held_keyring
    if held.revision == node.store.revision(KEY):
        return held.ring
    async with held.reading:
        # Before the keys are read: a commit in between makes the next caller read again.
        revision = node.store.revision(KEY)
        if held.revision != revision:
            held.ring = await node.store.read(_read, node.clock.now())
            held.revision = revision
        return held.ring


async def access_mode(node: Node) -> AccessMode:
    """What callers over TCP are asked for now. Raises: Unavailable, Corrupt."""
    if (await keyring(node)).is_closed:
        return AccessMode.AGENT_KEYS
    return AccessMode.OPEN if node.policy.open_access else AccessMode.API_KEY


async def is_still_admitted(node: Node, who: Principal) -> bool:
    """Whether a caller who got in a while ago would get in again now.

    Its key has not ended; and where it came without one, none is asked for yet. Raises: Unavailable, Corrupt.
    """
    ring = await keyring(node)
    if who.key_id is not None:
        return ring.is_valid(who.key_id, node.clock.now())
    return not (_came_without_key(who) and ring.is_closed)


async def refuse_ended_caller(node: Node, who: Principal) -> None:
    """Refuse a caller that got in, and would not any more: its request's body may have taken long to come.

    Raises: Unauthenticated, Unavailable, Corrupt.
    """
    if await is_still_admitted(node, who):
        return
    try:
        await node.store.read(refuse_ended_in, who, node.clock.now())
    except Unauthenticated as error:
        note_refusal(node, who, action="request", rule=error.code)
        raise


def refuse_ended_in(conn: Connection, who: Principal, now: Instant) -> None:
    """As refuse_ended_caller, by the keys of a transaction: what a revocation came before is not done.

    Raises: Unauthenticated; with the codes key_expired and key_revoked for a key that ended.
    """
    if who.key_id is not None:
        key = agentkeys.find(conn, who.key_id)
        if key is None:
            raise Unauthenticated("the caller's key is not known any more", agent_id=who.agent_id)
        refuse_ended(key, now)
    elif _came_without_key(who) and agentkeys.exist(conn):
        raise Unauthenticated("agents have keys since this request began, and it came without one; repeat it with one")


def _came_without_key(who: Principal) -> bool:
    return who.role is Role.OPEN and who.credential is not Credential.SOCKET


def _read(conn: Connection, now: Instant) -> Keyring:
    keys: dict[str, AgentKey] = {key.key_id: key for key in agentkeys.since(conn, after(now, -ENDED_KEPT_S))}
    return Keyring(keys=keys, is_closed=agentkeys.exist(conn))
