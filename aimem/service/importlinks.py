"""Imported links, other names of entities, and registrations of agents."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from aimem.errors import InvalidRequest
from aimem.model import AgentId, FieldValue, Instant, Memory, PastValidity, Principal, parse_instant, rules
from aimem.service.arrivals import Bringer
from aimem.service.edit import BEFORE_ALL_EXPIRY, link_fields
from aimem.service.linking import PAST_KEPT, between, key_of, validity_of
from aimem.service.lookup import missing
from aimem.store import (
    AGENT,
    ALIAS,
    LINK,
    Transaction,
    alias_key_text,
    link_key_text,
    memories,
    visible_to,
)
from aimem.wire import ExportedAgent, ExportedAlias, ExportedLink, ExportedValidity, LinkRequest


def take_link(transaction: Transaction, by: Bringer, item: ExportedLink) -> bool:
    """State a link, or bring a standing one up to date. One that was taken back here stays so. Returns: whether it did.

    Raises: InvalidRequest; NotFound if an end is not here.
    """
    asked = key_of(LinkRequest(source_id=item.source_id, target_id=item.target_id, relation=item.relation))
    source, target = (_end(transaction, by.who, end) for end in (asked.source_id, asked.target_id))
    key = between(source.id, target.id, asked.relation)
    text, fields = link_key_text(key), _link_fields(transaction, by, item)
    state = transaction.load(LINK, text)
    if state.born is None:
        transaction.emit("link", [transaction.create(LINK, text, by.who.agent_id, fields)])
        return True
    stored = {name: cell.value for name, cell in state.fields.items()}
    if not stored.get("present") or _said_at(fields) <= _said_at(stored):
        return False
    del fields["created_at"], fields["present"]
    if "ended" not in fields and stored.get("ended"):
        fields["ended"] = ()
    changed = {name: value for name, value in fields.items() if stored.get(name) != value}
    if changed:
        transaction.emit("link", [transaction.change(LINK, text, changed)])
    return bool(changed)


def _end(transaction: Transaction, who: Principal, memory_id: str) -> Memory:
    """A memory that a link may refer to: live or archived."""
    known, visible = rules.memory_id(memory_id), visible_to(who)
    found = memories.find(transaction.conn, known, BEFORE_ALL_EXPIRY, visible)
    if found is not None:
        return found
    away = memories.find_archived(transaction.conn, known, visible)
    if away is None:
        raise missing(known)
    return away.memory


def _said_at(fields: dict[str, FieldValue]) -> tuple[int, int]:
    """When a link's present statement was made: it was stated, ended, or stated anew after that; for comparing two."""
    ended, text = fields.get("ended"), fields.get("past")
    past = _past_of(text) if isinstance(text, str) else ()
    moments = [fields.get("valid_from"), fields.get("created_at"), *(one.valid_until for one in past)]
    moments += [ended[2]] if isinstance(ended, tuple) and ended else []
    return max(moment for moment in moments if isinstance(moment, int)), len(past)


def _past_of(text: str) -> tuple[PastValidity, ...]:
    try:
        return msgspec.json.decode(text, type=tuple[PastValidity, ...])
    except msgspec.DecodeError:
        return ()       # what another version may have written there otherwise


def _link_fields(transaction: Transaction, by: Bringer, item: ExportedLink) -> dict[str, FieldValue]:
    now = transaction.now
    created = _past_moment(item.created_at, "created_at", now)
    begin, end = validity_of(item.valid_from or None, item.valid_until or None)
    fields = link_fields(_named(item.observed_by, by, "observed_by") or by.who.agent_id, now, begin, end)
    fields["created_at"] = now if created is None else created
    ended_at = _past_moment(item.ended_at, "ended_at", now)
    if ended_at is not None:
        reason = rules.title(item.reason or "", field="reason")[: rules.REASON_MAX_CHARS]
        fields["ended"] = (_named(item.ended_by, by, "ended_by") or by.who.agent_id, reason, ended_at)
    if item.past:
        past = tuple(_past(one, by) for one in item.past[-PAST_KEPT:])
        fields["past"] = msgspec.json.encode(past).decode()
    return fields


def _past(item: ExportedValidity, by: Bringer) -> PastValidity:
    reason = rules.title(item.reason or "", field="past.reason")[: rules.REASON_MAX_CHARS]
    return PastValidity(
        valid_from=parse_instant(item.valid_from, field="past.valid_from"),
        valid_until=parse_instant(item.valid_until, field="past.valid_until"),
        observed_by=_named(item.observed_by, by, "past.observed_by"),
        ended_by=_named(item.ended_by, by, "past.ended_by"), reason=reason or None)


def _named(given: str | None | UnsetType, by: Bringer, field: str) -> AgentId | None:
    """An agent that a row names; the caller in its place where the source is not trusted."""
    if given is UNSET or not given:
        return None
    return rules.agent_id(given, field=field) if by.is_trusted else by.who.agent_id


def _past_moment(given: str | None | UnsetType, field: str, now: Instant) -> Instant | None:
    if given is UNSET or not given:
        return None
    moment = parse_instant(given, field=field)
    if moment > now:
        raise InvalidRequest(f"{field} must not lie in the future", field=field)
    return moment


def take_alias(transaction: Transaction, by: Bringer, item: ExportedAlias) -> bool:
    """Give an entity another name. One that was taken away here stays so. Returns: whether it is new.

    Raises: InvalidRequest; NotFound if the entity is not here.
    """
    entity, alias = _end(transaction, by.who, item.entity_id), rules.alias(item.alias)
    rules.bounded(item.ordinal, 0, 2**31, field="ordinal")
    key = alias_key_text(entity.id, alias)
    if transaction.load(ALIAS, key).born is not None:
        return False
    created = _past_moment(item.created_at, "created_at", transaction.now)
    fields: dict[str, FieldValue] = {
        "alias": alias, "present": True, "created_at": transaction.now if created is None else created,
        "ordinal": item.ordinal,
    }
    transaction.emit("entity", [transaction.create(ALIAS, key, by.who.agent_id, fields)])
    return True


def take_agent(transaction: Transaction, by: Bringer, item: ExportedAgent) -> bool:
    """Register an agent, or note that it was seen later. One that was taken off the list here stays so.

    For a trusted source only: else anybody could register anybody. Returns: whether it did. Raises: InvalidRequest.
    """
    agent_id = rules.agent_id(item.agent_id)
    now = transaction.now
    fields: dict[str, FieldValue] = {
        "present": True,
        "agent_type": rules.agent_type(item.agent_type),
        "capabilities": rules.tags(item.capabilities, field="capabilities"),
        "registered_at": _past_moment(item.registered_at, "registered_at", now) or now,
        "last_seen_at": _past_moment(item.last_seen_at, "last_seen_at", now) or now,
    }
    registrar = _named(item.registered_by, by, "registered_by") or by.who.agent_id
    state = transaction.load(AGENT, agent_id)
    if state.born is None:
        transaction.emit("agent", [transaction.create(AGENT, agent_id, registrar, fields)])
        return True
    stored = {name: cell.value for name, cell in state.fields.items()}
    seen, known = fields["last_seen_at"], stored.get("last_seen_at")
    if not stored.get("present") or not isinstance(seen, int) or not isinstance(known, int) or seen <= known:
        return False
    changed = {name: value for name, value in fields.items() if stored.get(name) != value}
    transaction.emit("agent", [transaction.change(AGENT, agent_id, changed)])
    return True


