"""Export: all that a caller may see as a document, at once or page by page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, TypeVar, cast

import msgspec
from msgspec import UNSET, Struct

from aimem.errors import Code, InvalidRequest
from aimem.model import Agent, ArchivedMemory, Instant, NamespaceRule, Principal, format_instant, rules
from aimem.ports import Connection
from aimem.service.node import Node
from aimem.store import Clause, namespaces, transfer, visible_to
from aimem.wire import (
    ArchivedOut,
    ExportDocument,
    ExportedAgent,
    ExportedAlias,
    ExportedNamespace,
    ExportQuery,
    MemoryOut,
    canonical_row,
    digest_rows,
    link_out,
    memory_fields,
    memory_out,
)

T = TypeVar("T")

PAGE_MAX_ROWS: Final = 1_000
PAGE_MAX_BYTES: Final = 1_048_576
"""A page ends behind the row that goes over this."""

WHOLE_MAX_ROWS: Final = 50_000
WHOLE_MAX_BYTES: Final = 67_108_864
"""Bounds of a document without pages: both ends hold it in memory."""

_BEGINNINGS: Final[dict[str, transfer.Key]] = {
    "memories": (0,), "archived": (0,), "links": ("", "", ""), "aliases": ("", ""), "agents": ("",),
    "namespaces": ("",),
}
"""The sections in their order, each with a key that stands before all of its rows."""


class Mark(Struct, frozen=True, array_like=True):
    """Where an export goes on: in this section, behind this key. `newest` is fixed by its beginning."""

    section: str
    after: tuple[str | int, ...]
    newest: int


class _Gathered:
    """Rows of a page, and what they come to."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Struct]] = {section: [] for section in _BEGINNINGS}
        self.canonical: list[bytes] = []
        self.size_bytes = 0

    def add(self, section: str, row: Struct) -> None:
        data = canonical_row(section, row)
        self.rows[section].append(row)
        self.canonical.append(data)
        self.size_bytes += len(data)


async def export(node: Node, who: Principal, query: ExportQuery | None = None) -> ExportDocument:
    """All that the caller may see: live and archived memories, links, aliases, agents; or, if asked for, a page of it.

    Pages are read one after another: what is written meanwhile may be in or not, what was there before and stays is in.

    Raises: InvalidRequest; InvalidRequest(export_too_large) beyond 50,000 rows or 64 MiB without pages; Unavailable.
    """
    query = query or ExportQuery()
    now = node.clock.now()
    if query.limit is None and query.cursor is None:
        return await node.store.read(_whole, who, now)
    limit = PAGE_MAX_ROWS if query.limit is None else rules.bounded(query.limit, 1, PAGE_MAX_ROWS, field="limit")
    mark = None if query.cursor is None else _read_cursor(query.cursor)
    return await node.store.read(_page, who, now, mark, limit)


def _whole(conn: Connection, who: Principal, now: Instant) -> ExportDocument:
    if not who.sights and transfer.count_at_most(conn) > 2 * WHOLE_MAX_ROWS:
        # Told before gathering; shadows and removed links are counted, hence the factor. Who does not see everything
        # is not told how much there is.
        raise _too_large()
    gathered, mark = _Gathered(), Mark(next(iter(_BEGINNINGS)), (0,), transfer.newest_number(conn))
    rest = _gather(conn, who, now, mark, gathered, rows=WHOLE_MAX_ROWS, size_bytes=WHOLE_MAX_BYTES)
    if rest is not None:
        raise _too_large()
    memories = cast("list[MemoryOut]", gathered.rows["memories"])
    memories.sort(key=lambda memory: (memory.created_at, memory.id))
    return _document(gathered, now, None)


def _too_large() -> InvalidRequest:
    return InvalidRequest(
        f"this export has more than {WHOLE_MAX_ROWS} rows or {WHOLE_MAX_BYTES} bytes; read it in pages: "
        "GET /api/v1/export?limit=1000, then with cursor as next_cursor says (`ai-memory export` does so)",
        code=Code.EXPORT_TOO_LARGE, max_rows=WHOLE_MAX_ROWS, max_bytes=WHOLE_MAX_BYTES,
    )


def _page(conn: Connection, who: Principal, now: Instant, mark: Mark | None, limit: int) -> ExportDocument:
    gathered = _Gathered()
    begin = mark or Mark(next(iter(_BEGINNINGS)), (0,), transfer.newest_number(conn))
    rest = _gather(conn, who, now, begin, gathered, rows=limit, size_bytes=PAGE_MAX_BYTES)
    return _document(gathered, now, rest)


def _gather(
    conn: Connection, who: Principal, now: Instant, begin: Mark, gathered: _Gathered, *, rows: int, size_bytes: int
) -> Mark | None:
    """Read rows until there are none, or so many of them or their bytes. Returns: where to go on, if there is more."""
    sections = list(_BEGINNINGS)
    visible, left = visible_to(who), rows
    if who.sights:
        sections.remove("namespaces")     # what is set may name memories that the caller does not see
    if begin.section not in sections:
        raise _bad_cursor()
    for section in sections[sections.index(begin.section):]:
        after = begin.after if section == begin.section else _BEGINNINGS[section]
        for key, row in _rows(conn, section, visible, now, after, begin.newest):
            if left == 0 or gathered.size_bytes >= size_bytes:
                return Mark(section, after, begin.newest)
            gathered.add(section, row)
            after, left = key, left - 1
    return None


def _rows(
    conn: Connection, section: str, visible: Clause, now: Instant, after: transfer.Key, newest: int
) -> Iterator[tuple[transfer.Key, Struct]]:
    """The rows of one section behind a key, in wire form."""
    match section, after:
        case "memories", (int() as number,):
            return _shaped(memory_out, transfer.live_behind(conn, visible, now, number, newest))
        case "archived", (int() as number,):
            return _shaped(_archived_out, transfer.archived_behind(conn, visible, number, newest))
        case "links", (str() as source, str() as target, str() as relation):
            return _shaped(link_out, transfer.links_behind(conn, visible, now, (source, target, relation), newest))
        case "aliases", (str() as entity, str() as alias):
            return _shaped(_alias_out, transfer.aliases_behind(conn, visible, now, (entity, alias), newest))
        case "agents", (str() as agent,):
            return _shaped(_agent_out, transfer.agents_behind(conn, agent))
        case "namespaces", (str() as namespace,):
            return _shaped(_namespace_out, (((rule.namespace,), rule) for rule in namespaces.behind(conn, namespace)))
    raise _bad_cursor()


def _shaped(
    make: Callable[[T], Struct], found: Iterator[tuple[transfer.Key, T]]
) -> Iterator[tuple[transfer.Key, Struct]]:
    return ((key, make(row)) for key, row in found)


def _archived_out(item: ArchivedMemory) -> ArchivedOut:
    return ArchivedOut(
        **memory_fields(item.memory), archived_at=format_instant(item.archived_at), archive_reason=item.reason)


def _alias_out(alias: transfer.Alias) -> ExportedAlias:
    return ExportedAlias(
        entity_id=alias.entity_id, alias=alias.alias, created_at=format_instant(alias.created_at),
        ordinal=alias.ordinal)


def _agent_out(agent: Agent) -> ExportedAgent:
    return ExportedAgent(
        agent_id=agent.agent_id, agent_type=agent.agent_type, capabilities=agent.capabilities,
        registered_at=format_instant(agent.registered_at), last_seen_at=format_instant(agent.last_seen_at),
        registered_by=agent.registered_by)


def _namespace_out(rule: NamespaceRule) -> ExportedNamespace:
    return ExportedNamespace(
        namespace=rule.namespace, standard_id=rule.standard_id, parent=rule.parent, governance=rule.governance,
        owner=rule.owner, changed_by=rule.changed_by, changed_at=format_instant(rule.changed_at))


def _document(gathered: _Gathered, now: Instant, rest: Mark | None) -> ExportDocument:
    sections = {name: tuple(rows) for name, rows in gathered.rows.items()}
    whole = partial(
        ExportDocument, count=len(sections["memories"]), exported_at=format_instant(now),
        digest=digest_rows(gathered.canonical), next_cursor=UNSET if rest is None else _write_cursor(rest))
    return whole(**sections)  # type: ignore[arg-type]  # each section holds rows of its own type


def _write_cursor(mark: Mark) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(mark)).decode().rstrip("=")


def _read_cursor(text: str) -> Mark:
    try:
        packed = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        mark = msgspec.msgpack.decode(packed, type=Mark)
        for number in (*mark.after, mark.newest):
            if isinstance(number, int):
                rules.bounded(number, 0, 2**62, field="cursor")
        for part in mark.after:
            if isinstance(part, str):
                part.encode()
    except (ValueError, msgspec.DecodeError):
        raise _bad_cursor() from None
    if mark.section not in _BEGINNINGS or list(map(type, mark.after)) != list(map(type, _BEGINNINGS[mark.section])):
        raise _bad_cursor()
    return mark


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest("cursor: not one that an export gave; begin again without it", field="cursor")
