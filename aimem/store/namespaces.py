"""Queries over what is set for namespaces: standards, parents, policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from aimem.model import AgentId, Instant, MemoryId, Namespace, NamespaceRule
from aimem.ports import Connection, Row
from aimem.store.kinds import NAMESPACE, load_object

_COLUMNS: Final = "namespace, standard_id, parent, governance, owner, changed_by, changed_at"
_HAS_POLICY: Final = "SELECT 1 FROM namespaces WHERE governance IS NOT NULL AND born IS NOT NULL LIMIT 1"
_OF: Final = (
    f"SELECT {_COLUMNS} FROM namespaces WHERE born IS NOT NULL AND namespace IN (SELECT value FROM json_each(:names))"
)


def has_policy(conn: Connection) -> bool:
    """Whether any namespace has a policy: if none has, nothing needs to be judged by one."""
    return conn.execute(_HAS_POLICY).fetchone() is not None


def nearest_policy(conn: Connection, chain: Sequence[Namespace]) -> NamespaceRule | None:
    """The first namespace of the chain that has a policy, with the policy's stamp."""
    found = {rule.namespace: rule for rule in rules_of(conn, chain)}
    for namespace in chain:
        rule = found.get(namespace)
        if rule is not None and rule.governance is not None:
            cell = load_object(conn, NAMESPACE, namespace).fields["governance"]
            return msgspec.structs.replace(rule, stamp=cell.stamp.text())
    return None


def rules_of(conn: Connection, names: Sequence[Namespace]) -> list[NamespaceRule]:
    """What is set for these namespaces, in no order."""
    names_text = msgspec.json.encode(list(names)).decode()
    return [_rule(row) for row in conn.execute(_OF, {"names": names_text}).fetchall()]


def _rule(row: Row) -> NamespaceRule:
    namespace, standard_id, parent, governance, owner, changed_by, changed_at = row
    return NamespaceRule(
        namespace=Namespace(str(namespace)),
        standard_id=None if standard_id is None else MemoryId(str(standard_id)),
        parent=None if parent is None else Namespace(str(parent)),
        governance=None if governance is None else str(governance),
        owner=None if owner is None else AgentId(str(owner)),
        changed_by=AgentId(str(changed_by or "")),
        changed_at=Instant(cast("int", changed_at or 0)),
    )
