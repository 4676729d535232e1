"""Keys of agents: made, listed, replaced and ended by operators; the first one by the owner of the database.

The answers that hold a secret are not kept for retries: a request that is repeated makes one more key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Never

from msgspec import UNSET, Struct

from aimem.errors import Code, Conflict, Denied, InvalidRequest, NotFound, QuotaExceeded
from aimem.model import (
    KEY_ID_BYTES,
    SECRET_BYTES,
    SHARED_KEY_AGENT,
    SYSTEM_AGENT,
    AgentId,
    AgentKey,
    Credential,
    Entry,
    FieldValue,
    Instant,
    Namespace,
    Principal,
    Role,
    after,
    format_instant,
    is_key_id,
    key_hash,
    key_text,
    parse_instant,
    rules,
)
from aimem.service.agents import PAGE_MAX, registration_entry
from aimem.service.callers import require_operator
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.writing import write_as
from aimem.store import KEY, Transaction, agentkeys, agents
from aimem.wire import IssuedKey, KeyRequest, KeysOut, KeysQuery, RevokedKeys, RotateRequest, key_out

KEYS_MAX: Final = 10_000
KEYS_OF_AGENT_MAX: Final = 100
"""Valid keys at once, for the keyring is in memory."""

GRACE_MAX_S: Final = 30 * 86_400
LIFE_MAX_S: Final = 100 * 366 * 86_400
ROLES: Final = (Role.AGENT, Role.OPERATOR)
FIRST_KEY_COMMAND: Final = "ai-memory agents key add ID"
_NAMES_OF_NOBODY: Final = (SYSTEM_AGENT, SHARED_KEY_AGENT)


class _Wish(Struct, frozen=True, kw_only=True):
    """A key to be made, checked."""

    agent_id: AgentId
    role: Role
    home: Namespace | None
    expires_at: Instant | None
    agent_type: str
    force: bool = False


class _Fresh(Struct, frozen=True, kw_only=True):
    """A new key's id and text."""

    key_id: str
    text: str


def _fresh(node: Node) -> _Fresh:
    key_id = node.chance.token(KEY_ID_BYTES).hex()
    return _Fresh(key_id=key_id, text=key_text(key_id, node.chance.token(SECRET_BYTES)))


async def add_key(node: Node, who: Principal, request: KeyRequest) -> IssuedKey:
    """Make a key, and register its agent if it is not registered yet, in one op.

    Raises: InvalidRequest naming the field; Denied(operator_required), for the first key over TCP too;
      Conflict(locks_out) for a first key that would cut the mesh apart; QuotaExceeded; Unavailable.
    """
    require_operator(who, "making a key")
    wish, fresh = _wish_of(request, node.clock.now()), _fresh(node)
    answer: IssuedKey = (await write_as(node, who, _add, node, who, wish, fresh)).value
    return answer


def _wish_of(request: KeyRequest, now: Instant) -> _Wish:
    agent_id = rules.agent_id(request.agent_id)
    if agent_id in _NAMES_OF_NOBODY:
        raise InvalidRequest(f"agent_id: {agent_id} is no agent's; choose another id", field="agent_id")
    role = rules.choice(Role, request.role, field="role") if request.role in set(Role) else None
    if role not in ROLES:
        raise InvalidRequest(f"role: {request.role[:64]!r} is unknown; allowed are {', '.join(ROLES)}", field="role")
    return _Wish(
        agent_id=agent_id, role=role,
        home=rules.writable_namespace(request.home, field="home") if request.home else None,
        expires_at=_end_of(request.expires_at, request.ttl_secs, now),
        agent_type=rules.agent_type(request.agent_type) if request.agent_type else _type_of(agent_id, role),
        force=request.force,
    )


def _end_of(expires_at: str | None, ttl_secs: int | None, now: Instant) -> Instant | None:
    if expires_at and ttl_secs is not None:
        raise InvalidRequest("give expires_at or ttl_secs, not both", field="expires_at")
    if ttl_secs is not None:
        return after(now, rules.bounded(ttl_secs, 1, LIFE_MAX_S, field="ttl_secs"))
    if not expires_at:
        return None
    end = parse_instant(expires_at, field="expires_at")
    if end <= now:
        raise InvalidRequest(
            f"expires_at: {format_instant(end)} is past; name a moment to come, or leave it out", field="expires_at"
        )
    return end


def _type_of(agent_id: AgentId, role: Role) -> str:
    """As what an agent is registered whose operator did not say: its id often tells."""
    kind, _, rest = agent_id.partition(":")
    if kind in ("human", "system"):
        return kind
    if kind == "ai" and (name := rest.partition("@")[0].partition(":")[0].replace("/", "-")):
        return rules.agent_type(f"ai:{name}")
    return "human" if role is Role.OPERATOR else "ai:unknown"


def _add(transaction: Transaction, node: Node, who: Principal, wish: _Wish, fresh: _Fresh) -> IssuedKey:
    is_first = not agentkeys.exist(transaction.conn)
    _refuse_stranger(who, is_first=is_first)
    if is_first and not wish.force:
        _refuse_split(node)
    _refuse_too_many(transaction, wish.agent_id)
    entries = [_creation(transaction, who, wish, fresh)]
    is_new = agents.find(transaction.conn, wish.agent_id) is None
    if is_new:
        entries.append(registration_entry(transaction, who, wish.agent_id, None, wish.agent_type, ()))
    dot = transaction.emit("key_add", entries)
    return _issued(transaction, wish, fresh, is_first=is_first, is_registered=is_new, version=str(dot))


def _refuse_stranger(who: Principal, *, is_first: bool) -> None:
    """Nobody over the network makes the first key: it would take the node from its owner."""
    if is_first and who.credential not in (Credential.SOCKET, Credential.SYSTEM):
        raise Denied(
            f"the first key is made over the Unix socket, by the owner of the database: run `{FIRST_KEY_COMMAND}` on "
            "the node's machine",
            code=Code.OPERATOR_REQUIRED, rule="first_key",
        )
    if not is_first and who.role is Role.OPEN:
        # It got in while everybody was an operator, and the first key was made while it was under way.
        raise Denied("keys exist now; come with one", code=Code.OPERATOR_REQUIRED, rule="operator")


def _refuse_split(node: Node) -> None:
    """With keys each node asks its peers for one: those that have none to show are cut off, and hear of no change.

    Not where they show certificates, which open the routes between nodes without a key.
    """
    is_asked = node.policy.open_access and not node.policy.mutual_tls
    if node.mesh is None or not node.mesh.peers or not is_asked:
        return
    raise Conflict(
        "the first key would cut the mesh apart: from then on nodes refuse peers that show no key, and api_key is not "
        "set here. Set api_key on all nodes, the same, and start them again; then make the key. Or make it all the "
        "same with force (--force)",
        code=Code.LOCKS_OUT, reasons=["peers have no key to show"],
    )


def _refuse_too_many(transaction: Transaction, agent_id: AgentId) -> None:
    in_all, own = agentkeys.count_valid(transaction.conn, agent_id, transaction.now)
    if in_all >= KEYS_MAX or own >= KEYS_OF_AGENT_MAX:
        raise QuotaExceeded(
            f"{agent_id} has {own} valid keys and this node {in_all}; at most {KEYS_OF_AGENT_MAX} and {KEYS_MAX} are "
            "allowed: revoke some",
            field="agent_id", limit=KEYS_OF_AGENT_MAX if own >= KEYS_OF_AGENT_MAX else KEYS_MAX,
        )


def _creation(transaction: Transaction, who: Principal, wish: _Wish, fresh: _Fresh) -> Entry:
    fields: dict[str, FieldValue] = {
        "agent_id": wish.agent_id, "secret_hash": key_hash(fresh.text), "role": wish.role.value, "home": wish.home,
        "created_at": transaction.now, "expires_at": wish.expires_at, "revoked_at": None,
    }
    return transaction.create(KEY, fresh.key_id, who.agent_id, fields)


def _issued(
    transaction: Transaction, wish: _Wish, fresh: _Fresh, *, is_first: bool, is_registered: bool, version: str
) -> IssuedKey:
    return IssuedKey(
        key=fresh.text, key_id=fresh.key_id, agent_id=wish.agent_id, role=wish.role.value, home=wish.home,
        created_at=format_instant(transaction.now),
        expires_at=None if wish.expires_at is None else format_instant(wish.expires_at),
        registered=is_registered, is_first=is_first, version=version,
    )


async def list_keys(node: Node, who: Principal, query: KeysQuery) -> KeysOut:
    """Keys by agent and age, ended ones included; no secrets. Raises: InvalidRequest, Denied(operator_required)."""
    require_operator(who, "listing keys")
    rules.bounded(query.limit, 0, PAGE_MAX, field="limit")
    rules.bounded(query.offset, 0, 2**31, field="offset")
    agent_id = rules.agent_id(query.agent_id) if query.agent_id else None
    found, now = await node.store.read(agentkeys.page, agent_id, query.limit, query.offset), node.clock.now()
    return KeysOut(
        count=len(found.keys), keys=tuple(key_out(key, now) for key in found.keys), total=found.total,
        unreadable=found.unreadable_count or UNSET,
    )


async def rotate_key(node: Node, who: Principal, key_id: str, request: RotateRequest) -> IssuedKey:
    """Make a new key of the same agent, role and home; the old one ends at once, or after the grace.

    Raises: NotFound; Conflict(key_ended) for a key that ended already; InvalidRequest; Denied(operator_required).
    """
    require_operator(who, "replacing a key")
    grace_s = rules.bounded(request.grace_secs, 0, GRACE_MAX_S, field="grace_secs")
    end, fresh = _end_of(request.expires_at, request.ttl_secs, node.clock.now()), _fresh(node)
    answer: IssuedKey = (await write_as(node, who, _rotate, who, _key_id(key_id), end, grace_s, fresh)).value
    return answer


def _rotate(
    transaction: Transaction, who: Principal, key_id: str, end: Instant | None, grace_s: int, fresh: _Fresh
) -> IssuedKey:
    now, old = transaction.now, _found(transaction, key_id)
    if not old.is_valid(now):
        raise Conflict(
            f"the key {key_id} has ended; make a new one for {old.agent_id}", code=Code.KEY_ENDED, field="key_id"
        )
    if end is None and old.expires_at is not None:
        end = Instant(now + old.expires_at - old.created_at)
    if _is_replaced(transaction, key_id):
        raise Conflict(
            f"the key {key_id} was replaced already, and goes on until {format_instant(old.expires_at or now)}; rotate "
            "the newer one (ai-memory agents key list)",
            code=Code.KEY_ENDED, field="key_id",
        )
    # The type matters to a registration only, and this writes none: an agent that took its own back stays away.
    wish = _Wish(agent_id=old.agent_id, role=old.role, home=old.home, expires_at=end, agent_type="")
    until = now if grace_s == 0 else after(now, grace_s)
    if old.expires_at is not None:
        until = min(until, old.expires_at)
    ending: dict[str, FieldValue] = {"revoked_at": now} if grace_s == 0 else {"expires_at": until}
    dot = transaction.emit(
        "key_rotate", [_creation(transaction, who, wish, fresh), transaction.change(KEY, key_id, ending)]
    )
    issued = _issued(transaction, wish, fresh, is_first=False, is_registered=False, version=str(dot))
    issued.replaces, issued.replaced_until = key_id, format_instant(until)
    return issued


def _is_replaced(transaction: Transaction, key_id: str) -> bool:
    """Whether a key lives through its grace: nothing else sets the end of a key anew."""
    fields = transaction.load(KEY, key_id).fields
    return fields["expires_at"].stamp != fields["created_at"].stamp


async def revoke_key(node: Node, who: Principal, key_id: str, once: Once | None = None) -> RevokedKeys:
    """End a key, for the very next request; one that ended stays so. Raises: NotFound, InvalidRequest, Denied."""
    require_operator(who, "revoking a key")
    answer: RevokedKeys = (await write_as(node, who, _revoke_one, node, who, _key_id(key_id), once)).value
    return answer


def _revoke_one(transaction: Transaction, node: Node, who: Principal, key_id: str, once: Once | None) -> RevokedKeys:
    def run() -> RevokedKeys:
        key = _found(transaction, key_id)
        return _revoke(transaction, key.agent_id, () if key.revoked_at is not None else (key,))

    return answer_once(transaction, node, who, once, RevokedKeys, run)


async def revoke_keys(node: Node, who: Principal, agent_id: str, once: Once | None = None) -> RevokedKeys:
    """End all keys of an agent. Raises: NotFound if it never had one; InvalidRequest, Denied."""
    require_operator(who, "revoking keys")
    checked = rules.agent_id(agent_id)
    answer: RevokedKeys = (await write_as(node, who, _revoke_all, node, who, checked, once)).value
    return answer


def _revoke_all(
    transaction: Transaction, node: Node, who: Principal, agent_id: AgentId, once: Once | None
) -> RevokedKeys:
    def run() -> RevokedKeys:
        valid = agentkeys.valid_of(transaction.conn, agent_id, transaction.now)
        if not valid and not agentkeys.page(transaction.conn, agent_id, 1, 0).total:
            raise NotFound(f"not found: {agent_id!r} never had a key", field="agent_id")
        return _revoke(transaction, agent_id, valid)

    return answer_once(transaction, node, who, once, RevokedKeys, run)


def _revoke(transaction: Transaction, agent_id: AgentId, keys: Sequence[AgentKey]) -> RevokedKeys:
    ids = tuple(key.key_id for key in keys)
    entries = [transaction.change(KEY, key_id, {"revoked_at": transaction.now}) for key_id in ids]
    version = str(transaction.emit("key_revoke", entries)) if entries else UNSET
    return RevokedKeys(revoked=len(ids), key_ids=ids, agent_id=agent_id, version=version)


def _key_id(text: str) -> str:
    if not is_key_id(text):
        _unknown(text)
    return text


def _found(transaction: Transaction, key_id: str) -> AgentKey:
    return agentkeys.find(transaction.conn, key_id) or _unknown(key_id)


def _unknown(key_id: str) -> Never:
    raise NotFound(
        f"not found: there is no key {key_id[:64]!r}; the id is the middle part of aim_ID_SECRET", field="key_id"
    )
