"""Queries over what is set for namespaces: standards, parents, policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from aimem.model import AgentId, Instant, MemoryId, Namespace, NamespaceRule, unpack_stamp
from aimem.ports import Connection, Row
from aimem.store.kinds import NAMESPACE, load_object

_COLUMNS: Final = "namespace, standard_id, parent, governance, owner, changed_by, changed_at"
_HAS_POLICY: Final = "SELECT 1 FROM namespaces WHERE governance IS NOT NULL AND born IS NOT NULL LIMIT 1"
_COUNT_POLICIES: Final = "SELECT count(*) FROM namespaces WHERE governance IS NOT NULL AND born IS NOT NULL"
_STANDING: Final = (
    "SELECT namespace FROM namespaces WHERE born IS NOT NULL "
    "AND standard_id IN (SELECT value FROM json_each(:ids)) ORDER BY namespace LIMIT :limit"
)
_STANDING_ONE: Final = (
    "SELECT namespace FROM namespaces WHERE born IS NOT NULL AND standard_id = ? ORDER BY namespace LIMIT ?"
)
_BEHIND: Final = (
    f"SELECT {_COLUMNS} FROM namespaces WHERE born IS NOT NULL AND namespace > :after AND changed_by IS NOT NULL "
    "AND changed_at IS NOT NULL AND coalesce(standard_id, parent, governance, owner) IS NOT NULL ORDER BY namespace"
)
_PAST: Final = (
    f"SELECT {_COLUMNS}, stamp FROM namespace_history WHERE namespace = :namespace ORDER BY stamp DESC LIMIT :limit"
)
_OF: Final = (
    f"SELECT {_COLUMNS} FROM namespaces WHERE born IS NOT NULL AND namespace IN (SELECT value FROM json_each(:names))"
)


def has_policy(conn: Connection) -> bool:
    """Whether any namespace has a policy: if none has, nothing needs to be judged by one."""
    return conn.execute(_HAS_POLICY).fetchone() is not None


def count_policies(conn: Connection) -> int:
    """How many namespaces have a policy of their own."""
    row = conn.execute(_COUNT_POLICIES).fetchone()
    return cast("int", row[0]) if row else 0


def find(conn: Connection, namespace: Namespace) -> NamespaceRule | None:
    """What is set for a namespace; None if nothing ever was."""
    found = rules_of(conn, [namespace])
    return found[0] if found else None


def with_standard(conn: Connection, ids: Sequence[MemoryId], limit: int) -> tuple[Namespace, ...]:
    """Namespaces whose standard is one of these memories, by name."""
    if len(ids) == 1:       # each delete asks for one, and a list takes SQLite ten times as long
        return tuple(Namespace(str(row[0])) for row in conn.execute(_STANDING_ONE, (ids[0], limit)))
    found = conn.execute(_STANDING, {"ids": msgspec.json.encode(list(ids)).decode(), "limit": limit})
    return tuple(Namespace(str(row[0])) for row in found)


def behind(conn: Connection, after: str) -> Iterator[NamespaceRule]:
    """Namespaces for which anything is set, by name, behind a name."""
    for row in conn.execute(_BEHIND, {"after": after}):
        yield _rule(row)


def past_of(conn: Connection, namespace: Namespace, limit: int) -> tuple[NamespaceRule, ...]:
    """What was set for a namespace, as far as this node learned of it, the latest first; each with its own stamp."""
    found = conn.execute(_PAST, {"namespace": namespace, "limit": limit}).fetchall()
    return tuple(
        msgspec.structs.replace(_rule(row[:-1]), stamp=unpack_stamp(cast("bytes", row[-1])).text()) for row in found
    )


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
