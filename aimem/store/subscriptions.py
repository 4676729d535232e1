"""Queries over subscriptions, and over what decides what their makers may see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import AgentId, Credential, Instant, Namespace, Principal, Role, Subscription
from aimem.ports import Connection, Row
from aimem.store import agentkeys

_COLUMNS: Final = (
    "subscription_id, url, events, signing_key, namespace, namespace_filter, agent_filter, author, by_operator, "
    "created_at"
)
_THERE: Final = "born IS NOT NULL AND present = 1"
_ALL: Final = f"SELECT {_COLUMNS} FROM subscriptions WHERE {_THERE}"
_ONE: Final = f"{_ALL} AND subscription_id = :id"
_WANTED: Final = "(:maker IS NULL OR author = :maker)"
_PAGE: Final = f"{_ALL} AND {_WANTED} ORDER BY created_at, subscription_id LIMIT :limit OFFSET :offset"
_OF_NAMESPACE: Final = f"{_ALL} AND author = :maker AND namespace = :namespace ORDER BY created_at, subscription_id"
_COUNT: Final = f"SELECT count(*), count(*) FILTER (WHERE {_WANTED}) FROM subscriptions WHERE {_THERE}"
_BY_EVENT: Final = (
    f"SELECT e.value, count(*) FROM subscriptions, json_each(events) AS e WHERE {_THERE} GROUP BY e.value ORDER BY 1"
)
_FARE: Final = (
    "SELECT subscription_id, dispatch_count, failure_count, dropped_count, last_dispatched_at, last_error "
    "FROM webhook_state WHERE subscription_id IN (SELECT value FROM json_each(:ids))"
)
_KEYS: Final = (
    "SELECT agent_id, role, home, expires_at, revoked_at FROM agent_keys WHERE born IS NOT NULL AND agent_id IN "
    "(SELECT value FROM json_each(:makers))"
)

_texts: Final = msgspec.json.Decoder(tuple[str, ...])


class Fare(Struct, frozen=True, kw_only=True):
    """How a subscription fares on this node.

    Attributes:
      dispatch_count, failure_count: attempts that the receiver took, and those that failed.
      dropped_count: events that were not even tried: too many waited.
    """

    dispatch_count: int = 0
    failure_count: int = 0
    dropped_count: int = 0
    last_dispatched_at: Instant | None = None
    last_error: str | None = None


class Right(Struct, frozen=True, kw_only=True):
    """On whose behalf a subscription is told of events, until when."""

    who: Principal
    expires_at: Instant | None = None


class Subscriber(Struct, frozen=True, kw_only=True):
    """A subscription and what its maker's credentials let it see; without any it is told nothing."""

    subscription: Subscription
    rights: tuple[Right, ...]

    def principals(self, now: Instant) -> Iterator[Principal]:
        """On whose behalf it is told now."""
        return (right.who for right in self.rights if right.expires_at is None or right.expires_at > now)


def find(conn: Connection, subscription_id: str) -> Subscription | None:
    """A subscription that was not taken back."""
    return next(_read(conn.execute(_ONE, {"id": subscription_id})), None)


def page(conn: Connection, maker: AgentId | None, limit: int, offset: int) -> list[Subscription]:
    """Subscriptions, of one maker or of all, the oldest first."""
    return list(_read(conn.execute(_PAGE, {"maker": maker, "limit": limit, "offset": offset})))


def of_namespace(conn: Connection, maker: AgentId, namespace: str) -> list[Subscription]:
    """Those that an agent made for a namespace."""
    return list(_read(conn.execute(_OF_NAMESPACE, {"maker": maker, "namespace": namespace})))


def count(conn: Connection, maker: AgentId | None) -> tuple[int, int]:
    """How many there are: in all, and of one maker."""
    row = conn.execute(_COUNT, {"maker": maker}).fetchone()
    return (0, 0) if row is None else (cast("int", row[0]), cast("int", row[1]))


def count_by_event(conn: Connection) -> dict[str, int]:
    """How many subscriptions ask for each event, by its name as it was given."""
    return {str(row[0]): cast("int", row[1]) for row in conn.execute(_BY_EVENT)}


def fares(conn: Connection, ids: Sequence[str]) -> dict[str, Fare]:
    """How subscriptions fare; none for those of which nothing is known."""
    rows = conn.execute(_FARE, {"ids": msgspec.json.encode(ids).decode()})
    return {
        str(row[0]): Fare(
            dispatch_count=cast("int", row[1]), failure_count=cast("int", row[2]), dropped_count=cast("int", row[3]),
            last_dispatched_at=None if row[4] is None else Instant(cast("int", row[4])),
            last_error=cast("str | None", row[5]),
        )
        for row in rows
    }


def subscribers(conn: Connection) -> list[Subscriber]:
    """All subscriptions that have an address, with what their makers may see."""
    return _with_rights(conn, [one for one in _read(conn.execute(_ALL)) if one.is_sent])


def subscriber(conn: Connection, subscription_id: str) -> Subscriber | None:
    """One of them."""
    one = find(conn, subscription_id)
    return None if one is None or not one.is_sent else _with_rights(conn, [one])[0]


def _with_rights(conn: Connection, found: Sequence[Subscription]) -> list[Subscriber]:
    if not found:
        return []
    if not agentkeys.exist(conn):
        return [Subscriber(subscription=one, rights=(_open(one),)) for one in found]
    keys: dict[str, list[Row]] = {}
    makers = sorted({one.created_by for one in found})
    for row in conn.execute(_KEYS, {"makers": msgspec.json.encode(makers).decode()}):
        keys.setdefault(str(row[0]), []).append(row)
    return [Subscriber(subscription=one, rights=tuple(_rights(one, keys.get(one.created_by)))) for one in found]


def _open(one: Subscription) -> Right:
    """While nobody has a key, everybody sees everything."""
    role = Role.OPERATOR if one.by_operator else Role.OPEN
    return Right(who=Principal(agent_id=one.created_by, credential=Credential.OPEN, role=role))


def _rights(one: Subscription, keys: Sequence[Row] | None) -> Iterator[Right]:
    """An agent's own keys; an operator's too, if it ever had any: else it came by the socket, and its right lasts."""
    if keys is None:
        if one.by_operator:
            who = Principal(agent_id=one.created_by, credential=Credential.SOCKET, role=Role.OPERATOR)
            yield Right(who=who)
        return
    for _, role, home, expires_at, revoked_at in keys:
        is_operator = role == Role.OPERATOR
        if revoked_at is not None or (one.by_operator and not is_operator) or role not in (Role.AGENT, Role.OPERATOR):
            continue
        who = Principal(
            agent_id=one.created_by, credential=Credential.AGENT_KEY,
            role=Role.OPERATOR if is_operator else Role.AGENT, home=None if home is None else Namespace(str(home)),
        )
        yield Right(who=who, expires_at=None if expires_at is None else Instant(cast("int", expires_at)))


def _read(rows: Iterable[Row]) -> Iterator[Subscription]:
    for row in rows:
        try:
            names = (
                "id", "url", "events", "signing_key", "namespace", "namespace_filter", "agent_filter", "created_by",
                "by_operator", "created_at",
            )
            values: dict[str, object] = dict(zip(names, row, strict=True))
            values |= {"events": _texts.decode(str(row[2])), "by_operator": bool(row[8])}
            yield msgspec.convert(values, Subscription)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue    # what another version wrote and this one cannot read must not stop the others
