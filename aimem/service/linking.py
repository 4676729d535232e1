"""Links: stating and taking back that two memories are related."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from aimem.errors import InvalidRequest
from aimem.model import Entry, Instant, Link, LinkKey, MemoryId, Principal, Relation, rules
from aimem.service.edit import link_fields
from aimem.service.lookup import exact, moment
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.store import LINK, Transaction, link_key_text, linkage, memories, visible_to
from aimem.wire import Deleted, Linked, LinkRequest


def key_of(request: LinkRequest) -> LinkKey:
    """The identity that a request names. Raises: InvalidRequest naming the field."""
    return between(
        rules.memory_id(request.source_id, field="source_id"),
        rules.memory_id(request.target_id, field="target_id"),
        rules.choice(Relation, request.relation, field="relation"),
    )


def between(source_id: MemoryId, target_id: MemoryId, relation: Relation) -> LinkKey:
    """The identity of a link between two memories. Raises: InvalidRequest if they are one."""
    if source_id == target_id:
        raise InvalidRequest(
            "a memory cannot be linked to itself: source_id and target_id are equal", field="target_id"
        )
    return LinkKey(source_id, target_id, relation)


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
    asked: LinkKey,
    validity: tuple[Instant | None, Instant | None],
    once: Once | None,
) -> Linked:
    def run() -> Linked:
        conn, now = transaction.conn, transaction.now
        source = exact(conn, asked.source_id, who, now, field="source_id")
        target = exact(conn, asked.target_id, who, now, field="target_id")
        key = between(source.id, target.id, asked.relation)
        standing = linkage.find_link(conn, key, now, visible_to(who))
        version: str | UnsetType = UNSET
        if standing is None or not _says_already(standing, validity, now):
            version = str(transaction.emit("link", [_entry(transaction, key, who, standing, validity)]))
        return Linked(
            linked=True,
            source_id=key.source_id,
            target_id=key.target_id,
            relation=key.relation.value,
            created=standing is None,
            version=version,
        )

    return answer_once(transaction, node, who, once, Linked, run)


def _says_already(standing: Link, validity: tuple[Instant | None, Instant | None], now: Instant) -> bool:
    """Whether a link that shows says what is to be said; without bounds that it holds now."""
    begin, end = validity
    if begin is None and end is None:
        return holds_at(standing, now)
    return standing.valid_until == end and begin in (None, standing.valid_from)


def holds_at(link: Link, now: Instant) -> bool:
    """Whether a link is valid at a moment."""
    return link.valid_from <= now and (link.valid_until is None or link.valid_until > now)


def _entry(
    transaction: Transaction,
    key: LinkKey,
    who: Principal,
    standing: Link | None,
    validity: tuple[Instant | None, Instant | None],
) -> Entry:
    text, now = link_key_text(key), transaction.now
    fields = link_fields(who.agent_id, now, _begin_of(standing, validity, now), validity[1])
    if transaction.load(LINK, text).born is None:
        return transaction.create(LINK, text, who.agent_id, fields)
    return transaction.change(LINK, text, {name: value for name, value in fields.items() if name != "created_at"})


def _begin_of(
    standing: Link | None, validity: tuple[Instant | None, Instant | None], now: Instant
) -> Instant:
    """From when a statement holds: as given; else, if a link that holds is only given an end, as it was; else now."""
    begin, end = validity
    if begin is not None:
        return begin
    if end is None:
        return now
    return min(end, standing.valid_from if standing is not None and holds_at(standing, now) else now)


async def unlink(node: Node, who: Principal, request: LinkRequest, once: Once | None = None) -> Deleted:
    """Take back exactly this triple; `deleted` is false if it does not stand. Raises: InvalidRequest, Unavailable."""
    key = key_of(request)
    answer: Deleted = (await node.store.write(_unlink, node, who, key, once)).value
    return answer


def _unlink(transaction: Transaction, node: Node, who: Principal, asked: LinkKey, once: Once | None) -> Deleted:
    def run() -> Deleted:
        conn, now, visible = transaction.conn, transaction.now, visible_to(who)
        source = memories.find(conn, asked.source_id, now, visible)
        target = memories.find(conn, asked.target_id, now, visible)
        if source is None or target is None:
            return Deleted(deleted=False)
        key = LinkKey(source.id, target.id, asked.relation)
        if linkage.find_link(conn, key, now, visible) is None:
            return Deleted(deleted=False)
        entry = transaction.change(LINK, link_key_text(key), {"present": False})
        return Deleted(deleted=True, version=str(transaction.emit("link_delete", [entry])))

    return answer_once(transaction, node, who, once, Deleted, run)
