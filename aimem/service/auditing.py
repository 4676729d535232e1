"""The audit for those who may read it: its rows, whether it is whole, and cutting it."""

from __future__ import annotations

import logging
import re
from typing import Final

from msgspec import UNSET

from aimem.errors import Code, Conflict, Denied, InvalidRequest
from aimem.model import SYSTEM, Instant, Principal, after, format_instant, parse_instant, rules
from aimem.service.node import Node
from aimem.service.refusals import write_refusals
from aimem.store import AuditRow, audit, auditcheck
from aimem.wire import (
    AuditCheckpoint,
    AuditDamage,
    AuditPage,
    AuditPruned,
    AuditPruneQuery,
    AuditQuery,
    AuditRowOut,
    AuditVerified,
    AuditVerifyQuery,
)

log = logging.getLogger(__name__)

PAGE_MAX: Final = 1000
CHECK_BATCH: Final = 5_000
CHECK_MAX_ROWS: Final = 50_000
"""Rows that one check looks at; the next goes on there."""
PRUNE_BATCH: Final = 2_000
PRUNE_ACTION: Final = "audit_prune"
SEQ_MAX: Final = 2**62
DAY_S: Final = 86_400
DECISIONS: Final = (audit.ALLOWED, audit.DENIED, audit.ASKED)
_MARK: Final = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


async def list_audit(node: Node, who: Principal, query: AuditQuery) -> AuditPage:
    """A page of the audit, the latest first; an agent finds its own rows only.

    Raises: InvalidRequest naming the parameter; Unavailable.
    """
    rules.bounded(query.limit, 1, PAGE_MAX, field="limit")
    if query.before is not None:
        rules.bounded(query.before, 1, SEQ_MAX, field="before")
    if query.decision is not None and query.decision not in DECISIONS:
        raise InvalidRequest(f"decision is unknown; allowed are {', '.join(DECISIONS)}", field="decision")
    filters = audit.AuditFilters(
        agent_id=query.agent, action=query.action, decision=query.decision, namespace=query.namespace,
        since=_moment(query.since, "since"), until=_moment(query.until, "until"), before=query.before,
    )
    await write_refusals(node)
    end = await node.store.read(audit.head)
    is_of_others = not who.may_administer and query.agent not in (None, who.agent_id)
    own = filters if who.may_administer else _of(filters, who)
    found = () if is_of_others else await node.store.read(audit.page, own, query.limit)
    return AuditPage(rows=tuple(map(_row_out, found)), count=len(found), head=str(end))


async def verify_audit(node: Node, who: Principal, query: AuditVerifyQuery) -> AuditVerified:
    """Check the audit from its beginning, or from a place that an earlier check or another reader noted.

    Raises: InvalidRequest; Denied(operator_required); Unavailable.
    """
    _require_operator(who, "checks the audit")
    begin = _mark(query.after)
    if begin is None:
        await write_refusals(node)
    count, first_seq = 0, None
    while True:
        found = await node.store.read(auditcheck.check, node.store.stream, begin, CHECK_BATCH)
        count, begin = count + found.row_count, found.end
        first_seq = found.first.seq if first_seq is None else first_seq
        if found.finding is not None or found.is_whole or count >= CHECK_MAX_ROWS:
            break
    cut = await node.store.read(auditcheck.checkpoint)
    return AuditVerified(
        ok=found.finding is None, checked=count, first_seq=first_seq + 1, head=str(found.end),
        more=found.finding is None and not found.is_whole,
        problem=UNSET if found.finding is None else _damage(found.finding),
        checkpoint=UNSET if cut is None else _checkpoint_out(cut),
    )


async def prune_audit(node: Node, who: Principal, query: AuditPruneQuery) -> AuditPruned:
    """Delete old rows behind a checkpoint that this node signs.

    Raises: InvalidRequest; Denied(operator_required); Conflict(audit_damaged) if what would go is not as it was
      written: it stays, and nothing signs it away; Unavailable.
    """
    _require_operator(who, "cuts the audit")
    before = _moment(query.before, "before")
    if (before is None) == (query.before_seq is None):
        raise InvalidRequest("give either before, a time, or before_seq, the number of a row", field="before")
    if query.before_seq is not None:
        rules.bounded(query.before_seq, 1, SEQ_MAX, field="before_seq")
    await write_refusals(node)
    end = await node.store.read(audit.head)
    # Rows that tell of this cut itself come behind the end: a bound beyond it would have them cut each other.
    before_seq = min(end.seq + 1, query.before_seq or SEQ_MAX)
    count, finding = await _prune(node, who, before=before, before_seq=before_seq)
    if finding is not None and not count:
        raise Conflict(
            f"{_damage(finding).text}; it stays, with all behind it: see ai-memory audit verify",
            code=Code.AUDIT_DAMAGED, seq=finding.seq, damage=finding.damage.value,
        )
    cut = await node.store.read(auditcheck.checkpoint)
    return AuditPruned(
        pruned=count, checkpoint=UNSET if cut is None else _checkpoint_out(cut),
        problem=UNSET if finding is None else _damage(finding),
    )


async def expire_audit(node: Node) -> None:
    """Let rows go that are older, or more, than the configuration keeps. Damaged ones stay, and the log says so."""
    days, most = node.policy.audit_keep_days, node.policy.audit_keep_count
    if days is not None:
        await _expire(node, before=after(node.clock.now(), -DAY_S * days), before_seq=None)
    if most is not None:
        end, cut = await node.store.read(audit.head), await node.store.read(auditcheck.checkpoint)
        count = end.seq - (0 if cut is None else cut.mark.seq)
        if count > most + most // 100:      # each cut leaves a row of its own
            await _expire(node, before=None, before_seq=end.seq - most + 1)


async def _expire(node: Node, *, before: Instant | None, before_seq: int | None) -> None:
    count, finding = await _prune(node, SYSTEM, before=before, before_seq=before_seq)
    if finding is not None:
        log.error("audit.damaged", extra={"row": finding.seq, "damage": finding.damage.value})
    elif count:
        log.info("audit.pruned", extra={"rows": count})


async def _prune(
    node: Node, who: Principal, *, before: Instant | None, before_seq: int | None
) -> tuple[int, auditcheck.Finding | None]:
    told = AuditRow(
        at=node.clock.now(), agent_id=who.agent_id, credential=who.credential.value, action=PRUNE_ACTION,
        decision=audit.ALLOWED,
    )
    total = 0
    while True:
        pruned: auditcheck.Pruned = (await node.store.write(
            auditcheck.prune, node.store.stream, told, before=before, before_seq=before_seq, limit=PRUNE_BATCH
        )).value
        total += pruned.row_count
        if not pruned.more:
            return total, pruned.finding


def _require_operator(who: Principal, does: str) -> None:
    if not who.may_administer:
        raise Denied(f"an operator {does}; ask one", code=Code.OPERATOR_REQUIRED)


def _of(filters: audit.AuditFilters, who: Principal) -> audit.AuditFilters:
    return audit.AuditFilters(
        agent_id=who.agent_id, action=filters.action, decision=filters.decision, namespace=filters.namespace,
        since=filters.since, until=filters.until, before=filters.before,
    )


def _moment(text: str | None, field: str) -> Instant | None:
    return None if text is None else parse_instant(text, field=field)


def _mark(text: str | None) -> audit.Mark | None:
    if text is None:
        return None
    found = _MARK.fullmatch(text)
    if found is None:
        raise InvalidRequest("after is no SEQ:HASH, as GET /api/v1/audit gives it in head", field="after")
    return audit.Mark(int(found[1]), bytes.fromhex(found[2]))


def _row_out(entry: audit.Entry) -> AuditRowOut:
    row = entry.row
    return AuditRowOut(
        seq=entry.mark.seq, at=format_instant(row.at), agent_id=row.agent_id, credential=row.credential,
        action=row.action, decision=row.decision, namespace=row.namespace, target=row.target, rule=row.rule,
        version=row.version, count=row.count, detail=row.detail, hash=entry.mark.hash.hex(),
    )


def _damage(finding: auditcheck.Finding) -> AuditDamage:
    said = {
        auditcheck.Damage.MISSING: f"row {finding.seq} is missing",
        auditcheck.Damage.CHANGED: f"row {finding.seq} is not as it was written",
        auditcheck.Damage.REORDERED: f"row {finding.seq} stands where row {finding.other_seq} was written",
        auditcheck.Damage.FORGED: f"the checkpoint at row {finding.seq} is not signed by this node",
    }
    return AuditDamage(seq=finding.seq, damage=finding.damage.value, text=said[finding.damage])


def _checkpoint_out(cut: auditcheck.Checkpoint) -> AuditCheckpoint:
    return AuditCheckpoint(
        seq=cut.mark.seq, row_count=cut.row_count, made_at=format_instant(cut.made_at), made_by=cut.made_by,
        public_key=cut.public_key,
    )
