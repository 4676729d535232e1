"""Setting and clearing what holds in a namespace: its standard and its policy, in one op."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Struct

from aimem.errors import Code, Conflict, Denied, InvalidRequest, NotFound
from aimem.governance import Electorate, cautions, dump_policy, lasts, lockouts, parse_policy
from aimem.model import (
    AgentId,
    Approver,
    Entry,
    FieldValue,
    GovernancePolicy,
    Memory,
    MemoryId,
    Namespace,
    NamespaceRule,
    Principal,
    Role,
    Scope,
    Tier,
    rules,
)
from aimem.service.drafts import metadata_value, name_value
from aimem.service.edit import refuse_reserved
from aimem.service.gate import Gate
from aimem.service.lookup import exact
from aimem.service.names import free_name
from aimem.service.node import Node, Once
from aimem.service.once import answer_once, fresh_id, refuse_taken
from aimem.service.refusals import note_refusal
from aimem.service.standards import EMPTY, EVERYWHERE, TAG, shown_id
from aimem.service.writing import write_as
from aimem.store import (
    LIVE,
    MEMORY,
    NAMESPACE,
    Clause,
    Filters,
    Transaction,
    electorate,
    memories,
    namespaces,
    visible_to,
)
from aimem.wire import StandardCleared, StandardFields, StandardRequest, StandardSet, encode, policy_out

LABEL: Final = "namespace_meta"
CLEAR_LABEL: Final = "namespace_meta_clear"
EVERYTHING: Final = Clause("1", {})
TITLE_PREFIX: Final = "_standard:"
TITLE_KEPT_CHARS: Final = 480
PRIORITY: Final = 5
SOURCE: Final = "api"


class Setting(Struct, frozen=True, kw_only=True):
    """A request to set, checked; None for what stays as it is."""

    namespace: Namespace
    memory_id: MemoryId | None
    parent: Namespace | None
    policy: GovernancePolicy | None
    content: str | None
    owner: AgentId | None
    force: bool
    dry_run: bool


class _DryRun(Exception):
    """Takes the answer of a dry run past the writer, which undoes what was done."""

    def __init__(self, answer: StandardSet) -> None:
        super().__init__()
        self.answer = answer


def setting_of(request: StandardRequest, namespace: str | None) -> Setting:
    """Check a request.

    Args:
      namespace: from the path, if it is there.
    Raises: InvalidRequest naming the field; Denied(reserved_namespace).
    """
    outer = {name: getattr(request, name) for name in StandardFields.__struct_fields__}
    inner = {} if request.standard is None else msgspec.structs.asdict(request.standard)
    given = {**outer, **{name: value for name, value in inner.items() if value is not None}}
    checked = _namespace_of(given["namespace"], namespace)
    parent = None if not given["parent"] else rules.namespace(given["parent"], field="parent")
    if parent == checked:
        raise InvalidRequest(f"parent: {checked!r} cannot be its own parent", field="parent")
    if given["id"] and given["content"] is not None:
        raise InvalidRequest("give id or content, not both: a text of its own has a memory of its own", field="content")
    governance = given["governance"]
    return Setting(
        namespace=checked,
        memory_id=rules.memory_id(given["id"]) if given["id"] else None,
        parent=parent,
        policy=None if governance is None else parse_policy(encode(governance)),
        content=None if given["content"] is None else rules.content(given["content"]),
        owner=rules.agent_id(given["owner"], field="owner") if given["owner"] else None,
        force=request.force,
        dry_run=request.dry_run,
    )


def _namespace_of(named: str | None, path: str | None) -> Namespace:
    if not (named or path):
        raise InvalidRequest("namespace is missing; name the one to set the standard of", field="namespace")
    checked = settable(path or named or "")
    if path and named and rules.namespace(named) != checked:
        raise InvalidRequest(f"namespace: the body says {named[:80]!r}, the path {checked!r}", field="namespace")
    return checked


def settable(text: str) -> Namespace:
    """A namespace for which something may be set. Raises: InvalidRequest; Denied(reserved_namespace)."""
    checked = rules.namespace(text)
    return checked if checked == EVERYWHERE else rules.writable_namespace(checked)


async def set_standard(
    node: Node, who: Principal, request: StandardRequest, namespace: str | None = None, once: Once | None = None
) -> StandardSet:
    """Set the standard of a namespace, its policy, or both; what the request does not name stays.

    Whoever sets it first is its owner from then on. Without a memory the present standard stays, or one is made.
    Raises: InvalidRequest naming the field; Denied; Conflict(locks_out) for a policy under which nobody could act;
      ApprovalRequired if the present policy asks for that; Unavailable. A policy that is refused leaves its row in the
      audit, unless it was only tried.
    """
    try:
        setting = setting_of(request, namespace)
        answer: StandardSet = (await write_as(node, who, _set, node, who, setting, once)).value
    except _DryRun as dry:
        return dry.answer
    except (InvalidRequest, Conflict) as error:
        if not request.dry_run and (error.field or "").partition(".")[0] == "governance":
            note_refusal(node, who, action=LABEL, rule=error.code.value, detail=error.field)
        raise
    return answer


def _set(transaction: Transaction, node: Node, who: Principal, setting: Setting, once: Once | None) -> StandardSet:
    def run() -> StandardSet:
        rule = namespaces.find(transaction.conn, setting.namespace)
        standard = _standard(transaction, node, who, setting, rule, once)
        owner = _owner(who, setting, rule)
        warnings = (*standard.remarks, *_judged(transaction, who, setting, owner))
        parent = setting.parent or (rule.parent if rule else None) or _detected(transaction, setting.namespace)
        fields: dict[str, FieldValue] = {
            "standard_id": standard.memory_id, "parent": parent, "owner": owner,
            "governance": _governance(setting, rule),
        }
        dot = transaction.emit(LABEL, [*standard.entries, _row(transaction, who, setting.namespace, fields)])
        return StandardSet(
            set=True, namespace=setting.namespace, parent=parent or UNSET, owner=owner, warnings=warnings,
            # The id of what a dry run made and took back means nothing.
            standard_id=None if standard.is_hidden or (setting.dry_run and standard.is_new) else standard.memory_id,
            governance=UNSET if setting.policy is None else policy_out(setting.policy), version=str(dot),
        )

    if setting.dry_run:
        raise _DryRun(_would_be(transaction, run()))
    return answer_once(transaction, node, who, once, StandardSet, run)


def _would_be(transaction: Transaction, answer: StandardSet) -> StandardSet:
    gate = transaction.gate
    asks = isinstance(gate, Gate) and bool(gate.portion.asks)
    return msgspec.structs.replace(answer, set=False, dry_run=True, version=UNSET, decision="ask" if asks else "allow")


def _governance(setting: Setting, rule: NamespaceRule | None) -> str | None:
    if setting.policy is not None:
        return dump_policy(setting.policy)
    return None if rule is None else rule.governance


def _row(transaction: Transaction, who: Principal, namespace: Namespace, fields: dict[str, FieldValue]) -> Entry:
    """The entry of a namespace; a field that does not change is not written."""
    told: dict[str, FieldValue] = {"changed_by": who.agent_id, "changed_at": transaction.now}
    state = transaction.load(NAMESPACE, namespace)
    if state.born is None:
        return transaction.create(NAMESPACE, namespace, who.agent_id, {**fields, **told})
    cells = state.fields
    changed = {name: value for name, value in fields.items() if name not in cells or cells[name].value != value}
    return transaction.change(NAMESPACE, namespace, {**changed, **told})


def _owner(who: Principal, setting: Setting, rule: NamespaceRule | None) -> AgentId | None:
    """Raises: Denied(operator_required) for an owner that the caller may not name."""
    present = None if rule is None else rule.owner
    if setting.owner is None:
        return present if present is not None or not lasts(who) else who.agent_id
    if not who.may_administer and setting.owner != (present or who.agent_id):
        raise Denied(
            "an owner is named by operators; leave owner out: whoever sets a policy first is it",
            code=Code.OPERATOR_REQUIRED, field="owner", namespace=setting.namespace, rule="operator",
        )
    return setting.owner


def _judged(transaction: Transaction, who: Principal, setting: Setting, owner: AgentId | None) -> list[str]:
    """What is to be said of the policy. Raises: Conflict(locks_out)."""
    if setting.policy is None:
        return []
    there = _there(transaction, who, setting.policy)
    reasons = lockouts(setting.policy, owner, there)
    if reasons and not setting.force:
        raise Conflict(
            f"this policy would lock everybody out of {setting.namespace!r}: {'; '.join(reasons)}. Change it, or set "
            "it all the same with force (--force)",
            code=Code.LOCKS_OUT, field="governance", reasons=list(reasons),
        )
    return [*(f"locks everybody out: {reason}" for reason in reasons), *cautions(setting.policy, owner, there)]


def _there(transaction: Transaction, who: Principal, policy: GovernancePolicy) -> Electorate:
    conn, now, approver = transaction.conn, transaction.now, policy.approver
    agent = approver.agent if isinstance(approver, Approver) else None
    return Electorate(
        has_operators=who.role is not Role.OPEN,
        registered_count=electorate.count_registered(conn),
        is_approver_known=agent is None or electorate.is_known(conn, agent, now),
        # Operators are no agents: with keys there is always somebody else who may ask.
        has_others=agent is None or who.role is not Role.OPEN or agent != who.agent_id
        or electorate.has_others(conn, agent, now),
    )


def _detected(transaction: Transaction, namespace: Namespace) -> Namespace | None:
    """Without a word on it, v0.6.3's parent of `a-b-c`: the first of `a-b` and `a` that has a standard."""
    name = str(namespace)
    while "/" not in name and "-" in name:
        name = name.rpartition("-")[0]
        rule = namespaces.find(transaction.conn, Namespace(name)) if name else None
        if rule is not None and rule.standard_id is not None:
            return rule.namespace
    return None


class _Standard(Struct, frozen=True, kw_only=True):
    """The memory that will be the standard: what has to be written of it, and what is to be said."""

    memory_id: MemoryId
    entries: tuple[Entry, ...] = ()
    remarks: tuple[str, ...] = ()
    is_new: bool = False
    is_hidden: bool = False


def _standard(
    transaction: Transaction, node: Node, who: Principal, setting: Setting, rule: NamespaceRule | None,
    once: Once | None,
) -> _Standard:
    """Raises: InvalidRequest."""
    if setting.memory_id is not None:
        memory = _named(transaction, who, setting.memory_id)
        return _Standard(memory_id=memory.id, remarks=_remarks(memory))
    kept = _hidden(transaction, who, rule) if setting.content is None else None
    if kept is not None:
        return _Standard(memory_id=kept, is_hidden=True)
    present = _present(transaction, who, setting.namespace, rule)
    if present is None:
        return _made(transaction, node, who, setting, once)
    if setting.content is None or setting.content == present.content:
        return _Standard(memory_id=present.id, remarks=_remarks(present))
    fields: dict[str, FieldValue] = {
        "content": setting.content, "updated_at": max(transaction.now, present.updated_at),
    }
    if present.author != who.agent_id:
        fields["metadata"] = metadata_value({**present.metadata, "edited_by": who.agent_id})
    change = transaction.change(MEMORY, present.id, fields)
    return _Standard(memory_id=present.id, entries=(change,), remarks=_remarks(present))


def _hidden(transaction: Transaction, who: Principal, rule: NamespaceRule | None) -> MemoryId | None:
    """A standard that is there, though not for the caller to see: whoever sets the policy does not take it away."""
    if rule is None or rule.standard_id is None:
        return None
    conn, now = transaction.conn, transaction.now
    is_there = memories.find(conn, rule.standard_id, now, EVERYTHING) is not None
    is_seen = memories.find(conn, rule.standard_id, now, visible_to(who)) is not None
    return rule.standard_id if is_there and not is_seen else None


def _named(transaction: Transaction, who: Principal, memory_id: MemoryId) -> Memory:
    try:
        memory = exact(transaction.conn, memory_id, who, transaction.now)
    except NotFound as error:
        raise InvalidRequest(error.message, field="id") from error    # the id is of the body, not of the address
    refuse_reserved(memory)
    return memory


def _present(
    transaction: Transaction, who: Principal, namespace: Namespace, rule: NamespaceRule | None
) -> Memory | None:
    """The standard as it is; without one, a memory of the namespace that is tagged as such, or has the title of one."""
    conn, now, visible = transaction.conn, transaction.now, visible_to(who)
    if rule is not None and rule.standard_id is not None:
        found = memories.find(conn, rule.standard_id, now, visible)
        if found is not None:
            return found
    tagged = Filters(namespaces=(namespace,), tag=TAG)
    first = memories.page(conn, tagged, visible, now, limit=1, offset=0, after=None)
    if first:
        return first[0]
    holder = memories.find_holder(conn, namespace, _title(namespace), "", visible)
    return holder if holder is not None and (holder.expires_at is None or holder.expires_at > now) else None


def _title(namespace: Namespace) -> str:
    return f"{TITLE_PREFIX}{namespace}"[: rules.TITLE_MAX_CHARS]


def _made(transaction: Transaction, node: Node, who: Principal, setting: Setting, once: Once | None) -> _Standard:
    """A new standard, which those see whom it is for: everybody below its namespace, and for `*` everybody."""
    memory_id, namespace, now = fresh_id(node, who, once), setting.namespace, transaction.now
    refuse_taken(transaction, memory_id)
    title = _title(namespace)
    holder = memories.find_holder(transaction.conn, namespace, title, "", EVERYTHING)
    if holder is not None and memories.find_holder(transaction.conn, namespace, title, "", visible_to(who)) is None:
        title = f"{title[:TITLE_KEPT_CHARS]} ~{memory_id[:8]}"
    freed = free_name(transaction, node, who, namespace, title, "")
    depth = namespace.count("/") + 1
    scope = Scope.COLLECTIVE if namespace == EVERYWHERE else Scope.ORG if depth == 1 else Scope.UNIT
    fields: dict[str, FieldValue] = {
        "name": name_value(namespace, title, is_generated=False), "content": setting.content or EMPTY,
        "tags": (TAG,), "tier": Tier.LONG.value, "priority": PRIORITY, "confidence": 1.0, "source": SOURCE,
        "metadata": metadata_value({}), "scope": scope.value, "created_at": now, "updated_at": now,
        "expires_at": None, "lifecycle": LIVE,
    }
    made = transaction.create(MEMORY, memory_id, who.agent_id, fields)
    return _Standard(memory_id=memory_id, entries=(*freed, made), is_new=True)


def _remarks(memory: Memory) -> tuple[str, ...]:
    found = []
    if memory.expires_at is not None:
        found.append("the standard is a memory that expires; promote it, or the namespace will be without one")
    if memory.scope is Scope.PRIVATE:
        found.append("the standard is a private memory: agents that may not see it are not told of it")
    return tuple(found)


async def clear_standard(node: Node, who: Principal, namespace: str, once: Once | None = None) -> StandardCleared:
    """Take standard, parent, policy and owner of a namespace away. The memory stays; what it inherits holds again.

    Raises: InvalidRequest, Denied, ApprovalRequired, Unavailable.
    """
    answer: StandardCleared = (await write_as(node, who, clear_in, node, who, settable(namespace), once)).value
    return answer


def clear_in(
    transaction: Transaction, node: Node, who: Principal, namespace: Namespace, once: Once | None
) -> StandardCleared:
    """As `clear_standard`, inside a write's transaction."""

    def run() -> StandardCleared:
        rule = namespaces.find(transaction.conn, namespace)
        nothing: dict[str, FieldValue] = dict.fromkeys(("standard_id", "parent", "governance", "owner"))
        if rule is None or all(getattr(rule, name) is None for name in nothing):
            return StandardCleared(cleared=False, namespace=namespace)
        memory = None if rule.standard_id is None else memories.find(
            transaction.conn, rule.standard_id, transaction.now, visible_to(who))
        dot = transaction.emit(CLEAR_LABEL, [_row(transaction, who, namespace, nothing)])
        return StandardCleared(
            cleared=True, namespace=namespace, standard_id=shown_id(who, rule.standard_id, memory) or UNSET,
            version=str(dot),
        )

    return answer_once(transaction, node, who, once, StandardCleared, run)
