"""Links: stating and taking back that two memories are related."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from aimem.errors import InvalidRequest
from aimem.model import Entry, FieldValue, Instant, Link, LinkKey, MemoryId, PastValidity, Principal, Relation, rules
from aimem.service.edit import link_fields
from aimem.service.lookup import exact, moment
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.writing import write_as
from aimem.store import LINK, Transaction, link_key_text, linkage, memories, visible_to
from aimem.wire import Deleted, Linked, LinkRequest

PAST_KEPT: Final = 16
"""So many earlier validities of one link are kept, the latest."""

TAKEN_BACK: Final = "taken back"

Validity: TypeAlias = tuple[Instant | None, Instant | None]
"""The bounds that a statement names, if it names them."""


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


def validity_of(valid_from: str | None, valid_until: str | None) -> Validity:
    """The validity that a request names. Raises: InvalidRequest if it would end before it begins."""
    begin, end = moment(valid_from, "valid_from"), moment(valid_until, "valid_until")
    if begin is not None and end is not None and end < begin:
        raise InvalidRequest("valid_until lies before valid_from", field="valid_until")
    return begin, end


async def link(node: Node, who: Principal, request: LinkRequest, once: Once | None = None) -> Linked:
    """State a relation. What is stated already and still valid does not change.

    What had ended or was taken back holds anew, and the time in which it held before is kept.

    Raises: NotFound if an end is missing, InvalidRequest, Unavailable.
    """
    key, validity = key_of(request), validity_of(request.valid_from, request.valid_until)
    answer: Linked = (await write_as(node, who, _link, node, who, key, validity, once)).value
    return answer


def _link(
    transaction: Transaction, node: Node, who: Principal, asked: LinkKey, validity: Validity, once: Once | None
) -> Linked:
    def run() -> Linked:
        conn, now = transaction.conn, transaction.now
        source = exact(conn, asked.source_id, who, now, field="source_id")
        target = exact(conn, asked.target_id, who, now, field="target_id")
        key = between(source.id, target.id, asked.relation)
        said = linkage.find_statement(conn, key)
        entry = entry_of_statement(transaction, key, who, said, validity)
        is_anew = said is not None and _has_ended(said, now)
        return Linked(
            linked=True,
            source_id=key.source_id,
            target_id=key.target_id,
            relation=key.relation.value,
            created=entry is not None and (said is None or is_anew),
            version=UNSET if entry is None else str(transaction.emit("link", [entry])),
            reasserted=True if entry is not None and is_anew else UNSET,
        )

    return answer_once(transaction, node, who, once, Linked, run)


def entry_of_statement(
    transaction: Transaction,
    key: LinkKey,
    who: Principal,
    said: linkage.Statement | None,
    validity: Validity = (None, None),
) -> Entry | None:
    """The entry that states a link, or None if it is stated so already.

    Args:
      said: what is known of it (`linkage.find_statement`).
    """
    now, text = transaction.now, link_key_text(key)
    if said is not None and said.is_present and _says_already(said.link, validity, now):
        return None
    fields = link_fields(who.agent_id, now, _begin_of(said, validity, now), validity[1])
    if said is None and transaction.load(LINK, text).born is None:
        return transaction.create(LINK, text, who.agent_id, fields)
    del fields["created_at"]
    if said is not None and _has_ended(said, now):
        fields["past"] = _past_text(said)
    if said is not None and said.link.ended is not None:
        fields["ended"] = ()
    return transaction.change(LINK, text, fields)


def _says_already(standing: Link, validity: Validity, now: Instant) -> bool:
    """Whether a link that shows says what is to be said; without bounds that it holds now."""
    begin, end = validity
    if begin is None and end is None:
        return holds_at(standing, now)
    return standing.valid_until == end and begin in (None, standing.valid_from)


def holds_at(link: Link, now: Instant) -> bool:
    """Whether a link is valid at a moment."""
    return link.valid_from <= now and (link.valid_until is None or link.valid_until > now)


def _has_ended(said: linkage.Statement, now: Instant) -> bool:
    """Whether what was said holds no longer: to say it again begins another validity."""
    return not said.is_present or (said.link.valid_until is not None and said.link.valid_until <= now)


def _past_text(said: linkage.Statement) -> str:
    """The earlier validities with the last one, which ended at its end or when the link was taken back."""
    link, end = said.link, said.link.valid_until
    if not said.is_present:
        end = said.changed_at if end is None else Instant(min(end, said.changed_at))
    past = link.past
    if end is not None and end > link.valid_from:
        ended = link.ended
        past += (
            PastValidity(
                link.valid_from,
                end,
                link.observed_by,
                None if ended is None else ended.by,
                None if ended is None else ended.reason,
            ),
        )
    return msgspec.json.encode(past[-PAST_KEPT:]).decode()


def _begin_of(said: linkage.Statement | None, validity: Validity, now: Instant) -> Instant:
    """From when a statement holds: as given; else, if a link that holds is only given an end, as it was; else now."""
    begin, end = validity
    if begin is not None:
        return begin
    if end is None:
        return now
    keeps = said is not None and said.is_present and holds_at(said.link, now)
    return min(end, said.link.valid_from if said is not None and keeps else now)


async def unlink(node: Node, who: Principal, request: LinkRequest, once: Once | None = None) -> Deleted:
    """Take back exactly this triple; `deleted` is false if it does not stand. Raises: InvalidRequest, Unavailable."""
    key = key_of(request)
    answer: Deleted = (await write_as(node, who, _unlink, node, who, key, once)).value
    return answer


def _unlink(transaction: Transaction, node: Node, who: Principal, asked: LinkKey, once: Once | None) -> Deleted:
    def run() -> Deleted:
        conn, now, visible = transaction.conn, transaction.now, visible_to(who)
        source = memories.find(conn, asked.source_id, now, visible)
        target = memories.find(conn, asked.target_id, now, visible)
        if source is None or target is None:
            return Deleted(deleted=False)
        key = LinkKey(source.id, target.id, asked.relation)
        standing = linkage.find_link(conn, key, now, visible)
        if standing is None:
            return Deleted(deleted=False)
        # Who and when: an end that it had already was told before.
        fields: dict[str, FieldValue] = {"present": False}
        if holds_at(standing, now) or standing.valid_from > now:
            fields["ended"] = (who.agent_id, TAKEN_BACK, now)
        entry = transaction.change(LINK, link_key_text(key), fields)
        return Deleted(deleted=True, version=str(transaction.emit("link_delete", [entry])))

    return answer_once(transaction, node, who, once, Deleted, run)
