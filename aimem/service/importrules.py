"""Import of what is set for namespaces: standards and policies."""

from __future__ import annotations

from collections.abc import Sequence

from aimem.errors import InvalidRequest
from aimem.governance import dump_policy, parse_policy
from aimem.model import FieldValue, Instant, parse_instant, rules
from aimem.service.arrivals import Bringer
from aimem.service.rulemaking import LABEL, settable
from aimem.service.standards import EVERYWHERE
from aimem.store import NAMESPACE, Transaction, namespaces
from aimem.wire import ExportedNamespace


def downmost_first(items: Sequence[ExportedNamespace]) -> list[int]:
    """The places of rows in the order in which they are taken: a policy would govern what is set below it."""
    names = [item.namespace for item in items]
    return sorted(range(len(names)), key=lambda at: (names[at] == EVERYWHERE, -names[at].count("/")))


def take_namespace(transaction: Transaction, by: Bringer, item: ExportedNamespace) -> bool:
    """Set what a row says of a namespace, unless it was set here as late or later.

    For a trusted source only: it names owners. A policy that cannot be read is refused, and not stored to deny.
    Returns: whether it was set. Raises: InvalidRequest, Denied.
    """
    namespace, now = settable(item.namespace), transaction.now
    changed_at = now if item.changed_at is None else parse_instant(item.changed_at, field="changed_at")
    if changed_at > now:
        raise InvalidRequest("changed_at must not lie in the future", field="changed_at")
    present = namespaces.find(transaction.conn, namespace)
    if present is not None and present.changed_at >= changed_at:
        return False
    fields = _fields(item, by, changed_at)
    is_new = transaction.load(NAMESPACE, namespace).born is None
    transaction.emit(LABEL, [
        transaction.create(NAMESPACE, namespace, by.who.agent_id, fields) if is_new
        else transaction.change(NAMESPACE, namespace, fields)
    ])
    return True


def _fields(item: ExportedNamespace, by: Bringer, changed_at: Instant) -> dict[str, FieldValue]:
    """Raises: InvalidRequest naming the field."""
    changed_by = by.who.agent_id if not item.changed_by else rules.agent_id(item.changed_by, field="changed_by")
    return {
        "standard_id": rules.memory_id(item.standard_id, field="standard_id") if item.standard_id else None,
        "parent": rules.namespace(item.parent, field="parent") if item.parent else None,
        "governance": None if item.governance is None else dump_policy(parse_policy(item.governance)),
        "owner": rules.agent_id(item.owner, field="owner") if item.owner else None,
        "changed_by": changed_by,
        "changed_at": changed_at,
    }
