"""Deliveries of webhooks: what waits to be sent, and what was given up. This node's own, and not replicated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, cast

from msgspec import Struct

from aimem.model import Instant
from aimem.ports import Connection, Row
from aimem.store.transaction import Transaction

WAITING_MAX: Final = 1000
"""So many deliveries of one subscription wait; what happens beyond is not sent to it, and counted."""

_CURSOR: Final = "SELECT value FROM meta WHERE name = 'webhooks_after'"
_SET_CURSOR: Final = (
    "INSERT INTO meta (name, value) VALUES ('webhooks_after', :no) ON CONFLICT (name) DO UPDATE SET value = :no"
)
_STATE: Final = "INSERT INTO webhook_state (subscription_id) VALUES (:id) ON CONFLICT (subscription_id) DO NOTHING"
_COUNT_WAITING: Final = "SELECT count(*) FROM deliveries WHERE subscription_id = :id AND next_at IS NOT NULL"
_INSERT: Final = (
    "INSERT INTO deliveries (delivery_id, subscription_id, event_no, body, next_at, made_at) "
    "VALUES (:delivery_id, :subscription_id, :event_no, :body, :at, :at)"
)
_DROPPED: Final = "UPDATE webhook_state SET dropped_count = dropped_count + :count WHERE subscription_id = :id"
_COLUMNS: Final = (
    "delivery_id, subscription_id, event_no, body, attempt_count, next_at, last_error, made_at"
)
_NEXT: Final = (
    f"SELECT {_COLUMNS} FROM deliveries WHERE subscription_id = :id AND next_at IS NOT NULL ORDER BY event_no LIMIT 1"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM deliveries WHERE delivery_id = :delivery_id"
_WAITING_IDS: Final = "SELECT DISTINCT subscription_id FROM deliveries WHERE next_at IS NOT NULL"
_FORGET: Final = "DELETE FROM deliveries WHERE delivery_id = :delivery_id"
_TAKEN: Final = (
    "UPDATE webhook_state SET dispatch_count = dispatch_count + 1, last_dispatched_at = :at WHERE subscription_id = :id"
)
_FAILED: Final = (
    "UPDATE webhook_state SET failure_count = failure_count + 1, last_error = :problem WHERE subscription_id = :id"
)
_PUT_OFF: Final = (
    "UPDATE deliveries SET attempt_count = attempt_count + 1, next_at = :next_at, last_error = :problem "
    "WHERE delivery_id = :delivery_id"
)
_OF: Final = {
    "waiting": "subscription_id = :id AND next_at IS NOT NULL",
    "dead": "subscription_id = :id AND next_at IS NULL",
    "all": "subscription_id = :id",
}
_PAGES: Final = {
    state: f"SELECT {_COLUMNS} FROM deliveries WHERE {where} ORDER BY event_no LIMIT :limit OFFSET :offset"
    for state, where in _OF.items()
}
_COUNTS: Final = {state: f"SELECT count(*) FROM deliveries WHERE {where}" for state, where in _OF.items()}
_AGAIN: Final = (
    "UPDATE deliveries SET attempt_count = 0, next_at = :at, made_at = :at WHERE delivery_id IN "
    "(SELECT delivery_id FROM deliveries WHERE subscription_id = :id AND next_at IS NULL "
    "AND (:delivery_id IS NULL OR delivery_id = :delivery_id) ORDER BY event_no LIMIT :limit)"
)
_GONE: Final = (
    "SELECT 1 FROM webhook_state WHERE subscription_id NOT IN "
    "(SELECT subscription_id FROM subscriptions WHERE born IS NOT NULL AND present = 1) LIMIT 1"
)
_FORGET_GONE: Final = tuple(
    f"DELETE FROM {table} WHERE subscription_id NOT IN "
    "(SELECT subscription_id FROM subscriptions WHERE born IS NOT NULL AND present = 1)"
    for table in ("deliveries", "webhook_state")
)
_TRIM_DEAD: Final = (
    "DELETE FROM deliveries WHERE delivery_id IN (SELECT delivery_id FROM deliveries WHERE next_at IS NULL "
    "AND made_at < :before LIMIT :limit)"
)
_TRIM_DEAD_OF: Final = (
    "DELETE FROM deliveries WHERE delivery_id IN (SELECT delivery_id FROM deliveries WHERE subscription_id = :id "
    "AND next_at IS NULL ORDER BY event_no DESC LIMIT -1 OFFSET :keep)"
)
_TOTALS: Final = "SELECT count(next_at), count(*) - count(next_at) FROM deliveries"


class DeliveryState(StrEnum):
    """Which deliveries are asked for."""

    WAITING = "waiting"
    DEAD = "dead"
    ALL = "all"


class Delivery(Struct, frozen=True, kw_only=True):
    """One event on its way to one subscription.

    Attributes:
      body: as JSON, without what is only known when it is sent.
      attempt_count: how many attempts failed.
      next_at: when it is tried next; None if it was given up.
      made_at: when it began to be tried.
    """

    id: str
    subscription_id: str
    event_no: int
    body: bytes
    attempt_count: int = 0
    next_at: Instant | None
    last_error: str | None = None
    made_at: Instant


def cursor(conn: Connection) -> int:
    """Number of the last event of which all deliveries were made."""
    row = conn.execute(_CURSOR).fetchone()
    return 0 if row is None else int(str(row[0]))


def set_cursor(transaction: Transaction, no: int) -> None:
    """Note how far deliveries were made."""
    transaction.conn.execute(_SET_CURSOR, {"no": str(no)})


def add(transaction: Transaction, found: Sequence[Delivery], no: int) -> int:
    """Note deliveries to be made, in order, and how far the events were read.

    Returns: how many were left out because too many of their subscription wait.
    """
    conn, dropped = transaction.conn, 0
    for subscription_id in dict.fromkeys(one.subscription_id for one in found):
        mine = [one for one in found if one.subscription_id == subscription_id]
        conn.execute(_STATE, {"id": subscription_id})
        room = max(0, WAITING_MAX - _one(conn, _COUNT_WAITING, {"id": subscription_id}))
        for one in mine[:room]:
            conn.execute(_INSERT, {
                "delivery_id": one.id, "subscription_id": subscription_id, "event_no": one.event_no, "body": one.body,
                "at": one.made_at,
            })
        if mine[room:]:
            conn.execute(_DROPPED, {"id": subscription_id, "count": len(mine) - room})
            dropped += len(mine) - room
    set_cursor(transaction, no)
    return dropped


def next_of(conn: Connection, subscription_id: str) -> Delivery | None:
    """The delivery of a subscription that is to be made next: of those that wait, the one of the earliest event."""
    return next(_read(conn, _NEXT, {"id": subscription_id}), None)


def find(conn: Connection, delivery_id: str) -> Delivery | None:
    """A delivery that waits or was given up."""
    return next(_read(conn, _ONE, {"delivery_id": delivery_id}), None)


def waiting_subscriptions(conn: Connection) -> list[str]:
    """Ids of the subscriptions for which something waits."""
    return [str(row[0]) for row in conn.execute(_WAITING_IDS)]


def note_taken(transaction: Transaction, delivery: Delivery) -> None:
    """The receiver took it."""
    transaction.conn.execute(_FORGET, {"delivery_id": delivery.id})
    transaction.conn.execute(_TAKEN, {"id": delivery.subscription_id, "at": transaction.now})


def note_failed(transaction: Transaction, delivery: Delivery, problem: str, next_at: Instant | None) -> None:
    """An attempt failed; it is tried again at a moment, or given up (None)."""
    given = {"delivery_id": delivery.id, "next_at": next_at, "problem": problem}
    transaction.conn.execute(_PUT_OFF, given)
    transaction.conn.execute(_FAILED, {"id": delivery.subscription_id, "problem": problem})
    if next_at is None:
        transaction.conn.execute(_TRIM_DEAD_OF, {"id": delivery.subscription_id, "keep": WAITING_MAX})


def forget(transaction: Transaction, delivery: Delivery) -> None:
    """It is not to be made any more: its subscriber may not be told."""
    transaction.conn.execute(_FORGET, {"delivery_id": delivery.id})
    transaction.conn.execute(_DROPPED, {"id": delivery.subscription_id, "count": 1})


def page(conn: Connection, subscription_id: str, state: DeliveryState, limit: int, offset: int) -> list[Delivery]:
    """Deliveries of a subscription, by their events."""
    return list(_read(conn, _PAGES[state.value], {"id": subscription_id, "limit": limit, "offset": offset}))


def count(conn: Connection, subscription_id: str, state: DeliveryState) -> int:
    """How many there are."""
    return _one(conn, _COUNTS[state.value], {"id": subscription_id})


def again(transaction: Transaction, subscription_id: str, delivery_id: str | None) -> int:
    """Try what was given up anew, one or all, as far as there is room. Returns: how many."""
    given: dict[str, str | int | None] = {"id": subscription_id, "delivery_id": delivery_id, "at": transaction.now}
    given["limit"] = max(0, WAITING_MAX - _one(transaction.conn, _COUNT_WAITING, {"id": subscription_id}))
    return transaction.conn.execute(_AGAIN, given).rowcount


def has_gone(conn: Connection) -> bool:
    """Whether anything is noted of subscriptions that were taken back."""
    return conn.execute(_GONE).fetchone() is not None


def forget_gone(transaction: Transaction) -> None:
    """Forget all of subscriptions that were taken back."""
    for statement in _FORGET_GONE:
        transaction.conn.execute(statement)


def trim_dead(transaction: Transaction, before: Instant, limit: int) -> int:
    """Forget deliveries that were given up and are older, at most `limit`. Returns: how many."""
    return transaction.conn.execute(_TRIM_DEAD, {"before": before, "limit": limit}).rowcount


def totals(conn: Connection) -> tuple[int, int]:
    """How many deliveries wait, and how many were given up."""
    row = conn.execute(_TOTALS).fetchone()
    return (0, 0) if row is None else (cast("int", row[0]), cast("int", row[1]))


def _one(conn: Connection, sql: str, given: dict[str, str]) -> int:
    row = conn.execute(sql, given).fetchone()
    return 0 if row is None else cast("int", row[0])


def _read(conn: Connection, sql: str, given: dict[str, str | int]) -> Iterator[Delivery]:
    return (_delivery(row) for row in conn.execute(sql, given))


def _delivery(row: Row) -> Delivery:
    next_at = row[5]
    return Delivery(
        id=str(row[0]), subscription_id=str(row[1]), event_no=cast("int", row[2]), body=cast("bytes", row[3]),
        attempt_count=cast("int", row[4]), next_at=None if next_at is None else Instant(cast("int", next_at)),
        last_error=cast("str | None", row[6]), made_at=Instant(cast("int", row[7])),
    )
