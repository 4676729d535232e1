"""The gate: what judges every op inside the transaction that writes it.

Nothing but a job of `write_as` writes ops, and each of its ops passes here, whatever door or use case it came by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import Code, Denied, Unavailable
from aimem.governance import Act, Allow, Ask, Deny, Ruling, acts_of, chain, decide
from aimem.model import CURATOR, AgentId, Dot, Entry, Instant, ObjectState, Principal, Relation, Role, Verb
from aimem.replication import Mesh
from aimem.service.allowance import Allowance
from aimem.service.node import Once
from aimem.store import (
    AGENT,
    ALIAS,
    KEY,
    KINDS,
    LINK,
    MEMORY,
    NAMESPACE,
    PENDING,
    SUBSCRIPTION,
    VOTE,
    Transaction,
    agents,
    audit,
    effective_expiry,
    namespaces,
    standing,
)

ALLOWED: Final = audit.ALLOWED
DENIED: Final = audit.DENIED
_OF_THE_SYSTEM: Final = "_curator"
_JUDGING: Final = frozenset({Relation.SUPERSEDES.value, Relation.CONTRADICTS.value})
_GOVERNING: Final = frozenset({NAMESPACE.name, PENDING.name, VOTE.name})
"""Kinds that all members have to go by: they are written only while the members are agreed on."""
_COPIES: Final = frozenset({"promote", "consolidate", "curate", "restore", "rollback"})


class Captured(Struct, frozen=True):
    """An op that was not to be written yet."""

    label: str
    entries: tuple[Entry, ...]


class Portion(Struct):
    """The ops of a job, or of one of its items: what they ask for, and what they are."""

    asks: list[Ask] = []
    ops: list[Captured] = []


class Gate:
    """Judges the ops of one job on behalf of one caller, and keeps what the audit has to tell."""

    def __init__(self, who: Principal, mesh: Mesh | None = None) -> None:
        self.who = who
        self._mesh = mesh
        self.portion = Portion()
        self.rows: list[audit.AuditRow] = []
        self.once: Once | None = None
        self.allowance: Allowance | None = None
        self._label = "write"
        self._where: tuple[str | None, str | None] = (None, None)
        self._is_open = False
        self._rulings: dict[str, Ruling | None] = {}
        self._has_policy: bool | None = None
        self._is_registered: bool | None = None

    def is_governed(self, transaction: Transaction) -> bool:
        """Whether any policy could make an op wait or be refused."""
        if self._has_policy is None:
            self._has_policy = namespaces.has_policy(transaction.conn)
        return self._has_policy

    @property
    def adds_up(self) -> bool:
        """Whether amounts are limited: they are counted op by op."""
        return self.allowance is not None

    def judge(self, transaction: Transaction, label: str, entries: Sequence[Entry]) -> None:
        """Let an op pass, or note that it has to wait.

        Raises: Denied, QuotaExceeded, Unavailable(members_unequal); then nothing of it is written.
        """
        if self._mesh is not None and any(entry.kind in _GOVERNING for entry in entries):
            _refuse_unequal(self._mesh)
        if self._is_open:
            return
        self._label = label
        self._where = _place(transaction, entries)      # now: of what a delete buries nothing is left to tell it by
        for entry in entries:
            self._judge_administration(transaction, entry)
        is_judged = self.is_governed(transaction) or self.who.role is Role.AGENT
        for act in self._acts(transaction, label, entries) if is_judged else ():
            self._judge(transaction, act)
        if self.allowance is not None:
            self.allowance.judge(transaction, entries)
        if is_judged:
            self.portion.ops.append(Captured(label, tuple(entries)))

    def write_own(self, transaction: Transaction, label: str, entries: Sequence[Entry]) -> Dot:
        """Write an op of governance's own, which no policy judges. What the audit has to say of it is told apart."""
        self._is_open = True
        try:
            return transaction.emit(label, entries)
        finally:
            self._is_open = False

    def begin(self, label: str) -> None:
        """Say what is tried, for what the audit tells of a refusal before any op."""
        self._label = label

    def forget_done(self) -> None:
        """What was done was taken back: keep for the audit only what was refused or asked."""
        self.rows = [row for row in self.rows if row.decision != ALLOWED]

    def note(self, transaction: Transaction, label: str, entries: Sequence[Entry], dot: Dot) -> None:
        """Keep for the audit that an op was written."""
        if any(entry.kind == NAMESPACE.name for entry in entries):
            self._rulings.clear()       # what follows in this job is judged by what it says
            self._has_policy = None
        is_upkeep = self.who.role is Role.LIFETIMES and label == "extend"     # what recalls earn: nobody's act
        if self._is_open or is_upkeep:
            return
        namespace, target = self._where
        last = self.rows[-1] if self.rows else None
        if last is not None and (last.action, last.namespace, last.decision) == (label, namespace, ALLOWED):
            # One row a job for many alike: an import of a thousand rows is one act of its caller.
            self.rows[-1] = self._row(transaction.now, label, ALLOWED, namespace, last.target, str(dot), last.count + 1)
            return
        self.rows.append(self._row(transaction.now, label, ALLOWED, namespace, target, str(dot), 1))

    def refuse(self, now: Instant, error: Denied) -> None:
        """Keep for the audit that something was refused, once."""
        if error.is_noted:
            return
        error.is_noted = True
        details = error.details
        namespace, rule = details.get("namespace"), details.get("rule", error.code.value)
        target = details.get("pending_id")
        self.rows.append(self._row(
            now, self._label, DENIED, None if namespace is None else str(namespace),
            None if target is None else str(target), None, 1, str(rule),
        ))

    def refuse_amounts(self, now: Instant) -> None:
        """Keep for the audit how often the caller wanted to keep more than it may."""
        for limit, count in (self.allowance.refused if self.allowance else {}).items():
            self.rows.append(self._row(now, self._label, DENIED, None, None, None, count, limit.rule))

    def tell(
        self, now: Instant, action: str, decision: str, namespace: str, target: str, rule: str, *,
        version: str | None = None, detail: str | None = None,
    ) -> None:
        """Keep for the audit what was decided."""
        row = self._row(now, action, decision, namespace, target, version, 1, rule)
        self.rows.append(msgspec.structs.replace(row, detail=detail))

    def _row(
        self, now: Instant, action: str, decision: str, namespace: str | None, target: str | None, version: str | None,
        count: int, rule: str | None = None,
    ) -> audit.AuditRow:
        return audit.AuditRow(
            at=now, agent_id=self.who.agent_id, credential=self.who.credential.value, action=action, decision=decision,
            namespace=namespace, target=target, rule=rule, version=version, count=count, detail=None,
        )

    def _acts(self, transaction: Transaction, label: str, entries: Sequence[Entry]) -> Iterator[Act]:
        standing = {entry.key for entry in entries if entry.kind == NAMESPACE.name}
        for entry in entries:
            if entry.kind == MEMORY.name and _is_made_to_stand(entry, standing):
                _refuse_forged(self.who, label, "" if entry.create is None else entry.create.author)
            elif entry.kind == MEMORY.name:
                yield from self._acts_of_memory(transaction, label, entry)
            elif entry.kind in (LINK.name, ALIAS.name):
                yield from _acts_of_end(transaction, label, entry)
            elif entry.kind == NAMESPACE.name:
                yield Act(verb=Verb.POLICY, namespace=entry.key)

    def _acts_of_memory(self, transaction: Transaction, label: str, entry: Entry) -> Iterator[Act]:
        before = transaction.load(MEMORY, entry.key)
        if entry.create is not None:
            _refuse_forged(self.who, label, entry.create.author)
        if before.dead is not None or (entry.dead and _has_run_out(transaction, before)):
            return
        for act in acts_of(label, entry, before):
            is_own_inbox = act.namespace == f"_messages/{self.who.agent_id}" and act.target is not None
            is_its_own = act.namespace.startswith(_OF_THE_SYSTEM) and self.who.role is not Role.AGENT
            if is_its_own or (is_own_inbox and entry.create is None):
                continue
            yield act

    def _judge(self, transaction: Transaction, act: Act) -> None:
        ruling = self._ruling(transaction, act.namespace)
        is_asked = ruling is not None and ruling.asks_registration(act.verb)
        match decide(act, self.who, ruling, registered=is_asked and self._registered(transaction)):
            case Allow():
                return
            case Deny(reason=reason, namespace=namespace, rule=rule):
                raise Denied(
                    f"{act.verb} denied by governance in {namespace!r} ({rule}): {reason}",
                    code=Code.DENIED_BY_POLICY, namespace=namespace, rule=rule,
                )
            case Ask() as ask:
                self._ask(ask)

    def _ask(self, ask: Ask) -> None:
        first = self.portion.asks[0] if self.portion.asks else ask
        if first.policy.approver != ask.policy.approver:
            raise Denied(
                f"this touches {first.act.namespace!r} and {ask.act.namespace!r}, which different approvers decide on; "
                "ask for each by itself",
                code=Code.DENIED_BY_POLICY, namespace=ask.act.namespace, rule=ask.rule,
            )
        self.portion.asks.append(ask)

    def _ruling(self, transaction: Transaction, namespace: str) -> Ruling | None:
        if not self.is_governed(transaction):
            return None
        if namespace not in self._rulings:
            rule = namespaces.nearest_policy(transaction.conn, chain(namespace))
            self._rulings[namespace] = None if rule is None else Ruling.of(rule)
        return self._rulings[namespace]

    def _registered(self, transaction: Transaction) -> bool:
        if self._is_registered is None:
            self._is_registered = agents.find(transaction.conn, self.who.agent_id) is not None
        return self._is_registered

    def _judge_administration(self, transaction: Transaction, entry: Entry) -> None:
        """What policies have no level for: keys, registrations, subscriptions."""
        if self.who.may_administer:
            return
        if entry.kind == KEY.name:
            raise _operator_required("keys are made and revoked by operators")
        if entry.kind == AGENT.name and entry.key != self.who.agent_id:
            raise _operator_required(f"an agent registers and removes itself; {entry.key} is another")
        if entry.kind == SUBSCRIPTION.name:
            owner = entry.create.author if entry.create else transaction.load(SUBSCRIPTION, entry.key).author
            if owner != self.who.agent_id:
                raise _operator_required("a subscription is changed by whoever made it")


def _refuse_unequal(mesh: Mesh) -> None:
    """Nodes that count different members would each see a majority of its own, and hold by other rules."""
    if not mesh.members_agree:
        raise Unavailable(
            "the nodes of this mesh were not told of the same members, so that policies, approvals and votes are not "
            "taken; nothing was stored: make their --quorum-peers equal and retry",
            code=Code.MEMBERS_UNEQUAL, outcome="not_applied",
        )


def lets_anybody(transaction: Transaction, verb: Verb, namespace: str) -> bool:
    """Whether no policy stands against it, so that the node may do it by itself."""
    if not namespaces.has_policy(transaction.conn):
        return True
    rule = namespaces.nearest_policy(transaction.conn, chain(namespace))
    decision = decide(
        Act(verb=verb, namespace=namespace), CURATOR, None if rule is None else Ruling.of(rule), registered=False
    )
    return isinstance(decision, Allow)


def _is_made_to_stand(entry: Entry, standing: Set[str]) -> bool:
    """Whether a new memory is the standard that its op sets: that is part of the act on the policy, and no other.

    Else a policy that cannot be read could not be set anew, for it would deny the memory.
    """
    name = entry.fields.get("name")
    return entry.create is not None and isinstance(name, tuple) and name[0] in standing


def _operator_required(why: str) -> Denied:
    return Denied(f"{why}; ask an operator", code=Code.OPERATOR_REQUIRED, rule="operator")


def _refuse_forged(who: Principal, label: str, author: str) -> None:
    if who.role is Role.AGENT and author != who.agent_id and label not in _COPIES:
        raise Denied(
            f"the caller is {who.agent_id} and cannot write as {author}", code=Code.IDENTITY_MISMATCH, rule="identity"
        )


def _has_run_out(transaction: Transaction, before: ObjectState) -> bool:
    """Whether the clock has taken a row that nobody archived: what is left of it goes without asking."""
    if standing(before) != "live":
        return False
    expires_at = effective_expiry(before)
    return expires_at is not None and expires_at <= transaction.now


def _acts_of_end(transaction: Transaction, label: str, entry: Entry) -> Iterator[Act]:
    """A link is a write where its source lies, an alias where its entity does; a copy upwards promotes its target.

    What supersedes or contradicts a memory takes it out of recalls, its owner's too: that is a write where it lies.
    """
    kind = KINDS[entry.kind]
    parts = kind.split_key(entry.key)
    ends, is_judging = parts[: kind.end_count], entry.kind == LINK.name and parts[-1] in _JUDGING
    for position, end in enumerate(ends):
        before = transaction.load(MEMORY, end)
        if "name" not in before.fields:
            continue
        name = before.fields["name"].value
        namespace = str(name[0]) if isinstance(name, tuple) else ""
        author = None if before.author is None else AgentId(before.author)
        if position == 0 or is_judging:
            yield Act(verb=Verb.WRITE, namespace=namespace, owner=author, target=end)
        elif label == "promote":
            yield Act(verb=Verb.PROMOTE, namespace=namespace, owner=author, target=end)


def _place(transaction: Transaction, entries: Sequence[Entry]) -> tuple[str | None, str | None]:
    """Where the first entry of an op acts, and on what."""
    first = entries[0]
    if first.kind == NAMESPACE.name:
        return first.key, first.key
    kind = KINDS[first.kind]
    memory_id = first.key if first.kind == MEMORY.name else kind.split_key(first.key)[0] if kind.end_count else None
    if memory_id is None:
        return None, first.key
    name = first.fields.get("name") if first.kind == MEMORY.name else None
    if name is None:
        cell = transaction.load(MEMORY, memory_id).fields.get("name")
        name = None if cell is None else cell.value
    return (str(name[0]) if isinstance(name, tuple) and name else None), memory_id
