"""Queries over links. A link shows if, and only if, both its ends do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Struct

from aimem.model import Hlc, Instant, Link, LinkKey, MemoryId, Relation, instant_of
from aimem.ports import Connection, Row, SqlValue
from aimem.store import rows
from aimem.store.filters import Clause, live_at
from aimem.store.kinds import LINK, link_key_text, load_object

_ENDS = (
    "JOIN memory_view vs ON vs.id = l.source_id JOIN memory_view vt ON vt.id = l.target_id "
    "JOIN memories ms ON ms.id = vs.id JOIN memories mt ON mt.id = vt.id WHERE l.present = 1 AND l.born IS NOT NULL"
)
# Most memories have no such link: CROSS keeps the planner from looking both ends up before there is one.
_ENDS_OF_FEW = _ENDS.replace("JOIN ", "CROSS JOIN ")
_SHOWN = f"SELECT {rows.LINK_COLUMNS} FROM links l {_ENDS}"
_COUNT = f"SELECT count(*) FROM links l {_ENDS}"
_OF = "(l.source_id = :id OR l.target_id = :id)"
_ONE = "l.source_id = :source_id AND l.target_id = :target_id AND l.relation = :relation"
_STATED = f"SELECT {rows.LINK_COLUMNS} FROM links l WHERE {_ONE} AND l.valid_from IS NOT NULL"

FACTS_A_MEMORY: Final = 8
"""Of more statements about one memory the latest count: a bound for what one recall reads."""

_FACT = (
    "SELECT source_id, target_id, relation, valid_from, source_created_at, target_created_at FROM (SELECT l.source_id, "
    "l.target_id, l.relation, l.valid_from, ms.created_at AS source_created_at, mt.created_at AS target_created_at, "
    "row_number() OVER (PARTITION BY asked.value, l.relation ORDER BY l.valid_from DESC, l.source_id, l.target_id) "
    f"AS place FROM json_each(:ids) AS asked CROSS JOIN links l ON l.{{end}} = asked.value {_ENDS_OF_FEW} "
    "AND l.relation IN ({relations}) AND l.valid_from <= :now AND (l.valid_until IS NULL OR l.valid_until > :now) "
    "AND {where}) WHERE place <= :most"
)
_ORDER = " ORDER BY l.valid_from, l.created_at, l.source_id, l.target_id, l.relation"


def both_ends(now: Instant, visible: Clause) -> Clause:
    """Links whose two ends the caller may see now, over `vs`, `ms`, `vt` and `mt`."""
    end = live_at(now) & visible
    source = end.sql.replace("v.", "vs.").replace("m.", "ms.")
    target = end.sql.replace("v.", "vt.").replace("m.", "mt.")
    return Clause(f"{source} AND {target}", end.parameters)


def _parameters(key: LinkKey) -> dict[str, SqlValue]:
    return {"source_id": key.source_id, "target_id": key.target_id, "relation": key.relation.value}


def links_of(conn: Connection, memory_id: MemoryId, now: Instant, visible: Clause) -> tuple[Link, ...]:
    """Links that begin or end at a memory, in the order of their validity."""
    where = both_ends(now, visible) & Clause(_OF, {"id": memory_id})
    return tuple(rows.link(row) for row in conn.execute(f"{_SHOWN} AND {where.sql}{_ORDER}", where.parameters))


def find_link(conn: Connection, key: LinkKey, now: Instant, visible: Clause) -> Link | None:
    """One link, if it shows."""
    where = both_ends(now, visible) & Clause(_ONE, _parameters(key))
    row = conn.execute(f"{_SHOWN} AND {where.sql}", where.parameters).fetchone()
    return None if row is None else rows.link(row)


class Statement(Struct, frozen=True, kw_only=True):
    """A link as it was last stated, taken back or not.

    Attributes:
      changed_at: when it was last stated or taken back, to the millisecond.
    """

    link: Link
    is_present: bool
    changed_at: Instant


def find_statement(conn: Connection, key: LinkKey) -> Statement | None:
    """One link between memories that show, even if it was taken back since."""
    state = load_object(conn, LINK, link_key_text(key))
    row = conn.execute(_STATED, _parameters(key)).fetchone()
    if row is None or state.born is None or "present" not in state.fields:
        return None
    present = state.fields["present"]
    return Statement(
        link=rows.link(row), is_present=present.value is True, changed_at=instant_of(Hlc(present.stamp.hlc))
    )


def count_links(conn: Connection, now: Instant, visible: Clause) -> int:
    """How many links show."""
    where = both_ends(now, visible)
    row = conn.execute(f"{_COUNT} AND {where.sql}", where.parameters).fetchone()
    return cast("int", row[0]) if row else 0


class Fact(Struct, frozen=True, kw_only=True):
    """A link that says which of two facts holds: `source_id` supersedes or contradicts `target_id`.

    Attributes:
      stated_at: since when it holds.
      source_created_at, target_created_at: how old the facts themselves are.
    """

    source_id: MemoryId
    target_id: MemoryId
    relation: Relation
    stated_at: Instant
    source_created_at: Instant
    target_created_at: Instant


def facts_about(conn: Connection, ids: Sequence[MemoryId], now: Instant, visible: Clause) -> tuple[Fact, ...]:
    """What memories that show say now against these, and which others these contradict; the oldest statement first.

    Of many such statements about one memory the latest 8 of each sort count.
    """
    where = both_ends(now, visible)
    # Who is said anything against, by one index; whom these contradict, by another. UNION drops what both find.
    against = _FACT.format(end="target_id", relations="'supersedes', 'contradicts'", where=where.sql)
    by_these = _FACT.format(end="source_id", relations="'contradicts'", where=where.sql)
    asked = msgspec.json.encode(list(ids)).decode()
    found = conn.execute(
        f"{against} UNION {by_these} ORDER BY valid_from, source_id, target_id, relation",
        {**where.parameters, "now": now, "ids": asked, "most": FACTS_A_MEMORY},
    )
    return tuple(_fact(row) for row in found)


def _fact(row: Row) -> Fact:
    return Fact(
        source_id=MemoryId(cast("str", row[0])),
        target_id=MemoryId(cast("str", row[1])),
        relation=Relation(cast("str", row[2])),
        stated_at=Instant(cast("int", row[3])),
        source_created_at=Instant(cast("int", row[4])),
        target_created_at=Instant(cast("int", row[5])),
    )
