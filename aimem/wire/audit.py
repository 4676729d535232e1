"""The audit: its rows, whether it is whole, and cutting it."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class AuditQuery(Struct, kw_only=True):
    """Query of GET /audit; `before` is the number of a row, for the page behind one that ended there."""

    agent: str | None = None
    action: str | None = None
    decision: str | None = None
    namespace: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None
    limit: int = 50


class AuditRowOut(Struct, kw_only=True):
    """One row; `count` says for how many alike it stands. Never text of memories."""

    seq: int
    at: str
    agent_id: str
    credential: str
    action: str
    decision: str
    namespace: str | None
    target: str | None
    rule: str | None
    version: str | None
    count: int
    detail: str | None
    hash: str


class AuditPage(Struct, kw_only=True):
    """Rows, the latest first, and the end of the whole audit as `seq:hash`."""

    rows: tuple[AuditRowOut, ...]
    count: int
    head: str


class AuditVerifyQuery(Struct, kw_only=True):
    """Query of GET /audit/verify: `after` is a `seq:hash` to begin behind, which must still stand there."""

    after: str | None = None


class AuditDamage(Struct, kw_only=True):
    """The first thing that is wrong: missing, changed, reordered or forged."""

    seq: int
    damage: str
    text: str


class AuditCheckpoint(Struct, kw_only=True):
    """Where the audit was last cut: the last row that is gone, and how many are gone by now."""

    seq: int
    row_count: int
    made_at: str
    made_by: str
    public_key: str


class AuditVerified(Struct, kw_only=True):
    """What a check found: of so many rows, up to `head`; with `more` the next check goes on `after` that."""

    ok: bool
    checked: int
    first_seq: int
    head: str
    more: bool
    problem: AuditDamage | UnsetType = UNSET
    checkpoint: AuditCheckpoint | UnsetType = UNSET


class AuditPruneQuery(Struct, kw_only=True):
    """Query of DELETE /audit: rows of before a time, or with smaller numbers than one."""

    before: str | None = None
    before_seq: int | None = None


class AuditPruned(Struct, kw_only=True):
    """How many rows went, up to which checkpoint, and which damaged row keeps the others that were to go."""

    pruned: int
    checkpoint: AuditCheckpoint | UnsetType = UNSET
    problem: AuditDamage | UnsetType = UNSET
