"""Links: stating and taking back that two memories are related."""

from __future__ import annotations

from msgspec import UNSET

from aimem.errors import InvalidRequest
from aimem.model import Entry, Instant, LinkKey, Principal, Relation, rules
from aimem.service.edit import link_fields
from aimem.service.lookup import exact, moment
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.store import LINK, Transaction, link_key_text, linkage, visible_to
from aimem.wire import Deleted, Linked, LinkRequest


def key_of(request: LinkRequest) -> LinkKey:
    """The identity that a request names. Raises: InvalidRequest naming the field."""
    key = LinkKey(
        rules.memory_id(request.source_id, field="source_id"),
        rules.memory_id(request.target_id, field="target_id"),
        rules.choice(Relation, request.relation, field="relation"),
    )
    if key.source_id == key.target_id:
        raise InvalidRequest(
            "a memory cannot be linked to itself: source_id and target_id are equal", field="target_id"
        )
    return key


def validity_of(valid_from: str | None, valid_until: str | None) -> tuple[Instant | None, Instant | None]:
    """The validity that a request names. Raises: InvalidRequest if it would end before it begins."""
    begin, end = moment(valid_from, "valid_from"), moment(valid_until, "valid_until")
    if begin is not None and end is not None and end < begin:
        raise InvalidRequest("valid_until lies before valid_from", field="valid_until")
    return begin, end


async def link(node: Node, who: Principal, request: LinkRequest, once: Once | None = None) -> Linked:
    """State a relation. Stated already and still valid: nothing changes; invalidated or taken back: stated anew.

    Raises: NotFound if an end is missing, InvalidRequest, Unavailable.
    """
    key, validity = key_of(request), validity_of(request.valid_from, request.valid_until)
    answer: Linked = (await node.store.write(_link, node, who, key, validity, once)).value
    return answer


def _link(
    transaction: Transaction,
    node: Node,
    who: Principal,
    key: LinkKey,
    validity: tuple[Instant | None, Instant | None],
    once: Once | None,
) -> Linked:
    def run() -> Linked:
        conn, now = transaction.conn, transaction.now
        exact(conn, key.source_id, who, now, field="source_id")
        exact(conn, key.target_id, who, now, field="target_id")
        standing = linkage.find_link(conn, key, now, visible_to(who))
        begin, end = validity
        is_same = standing is not None and standing.valid_until == end and begin in (None, standing.valid_from)
        version = UNSET if is_same else str(transaction.emit("link", [_entry(transaction, key, who, now, begin, end)]))
        return Linked(
            linked=True,
            source_id=key.source_id,
            target_id=key.target_id,
            relation=key.relation.value,
            created=standing is None,
            version=version,
        )

    return answer_once(transaction, node, who, once, Linked, run)


def _entry(
    transaction: Transaction, key: LinkKey, who: Principal, now: Instant, begin: Instant | None, end: Instant | None
) -> Entry:
    text, fields = link_key_text(key), link_fields(who.agent_id, now, begin, end)
    if end is not None and begin is None and end < now:
        fields["valid_from"] = end
    if transaction.load(LINK, text).born is None:
        return transaction.create(LINK, text, who.agent_id, fields)
    return transaction.change(LINK, text, {name: value for name, value in fields.items() if name != "created_at"})


async def unlink(node: Node, who: Principal, request: LinkRequest, once: Once | None = None) -> Deleted:
    """Take back exactly this triple; `deleted` is false if it does not stand. Raises: InvalidRequest, Unavailable."""
    key = key_of(request)
    answer: Deleted = (await node.store.write(_unlink, node, who, key, once)).value
    return answer


def _unlink(transaction: Transaction, node: Node, who: Principal, key: LinkKey, once: Once | None) -> Deleted:
    def run() -> Deleted:
        if linkage.find_link(transaction.conn, key, transaction.now, visible_to(who)) is None:
            return Deleted(deleted=False)
        entry = transaction.change(LINK, link_key_text(key), {"present": False})
        return Deleted(deleted=True, version=str(transaction.emit("link_delete", [entry])))

    return answer_once(transaction, node, who, once, Deleted, run)
