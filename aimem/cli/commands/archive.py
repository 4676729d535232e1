"""Verbs on the archive: list, restore, purge, stats."""

from __future__ import annotations

from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import age, counted, one_line
from aimem.wire import ArchiveRequest, GetArchivedQuery, PurgeQuery, RestoreQuery


def add(context: Context) -> int:
    """Archive memories. One that is not there is named, and the others are archived."""
    request = ArchiveRequest(ids=context.value("id"), reason=context.value("reason"))
    answer = context.ask(lambda client: client.archive(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        for memory_id in answer.archived:
            context.screen.line(f"archived: {memory_id}")
    if answer.warning is not UNSET:
        context.screen.say(f"warning: {answer.warning}")
    for memory_id in answer.missing:
        context.screen.say(f"not found: no memory has the id {memory_id!r}; give whole ids")
    return ExitStatus.NOT_FOUND if answer.missing else ExitStatus.OK


def list_archive(context: Context) -> int:
    """List archived memories, newest first."""
    value = context.value
    query = GetArchivedQuery(namespace=value("namespace"), limit=value("limit"), offset=value("offset"))
    page = context.ask(lambda client: client.list_archive(query))
    if context.wants_json:
        context.screen.json(page)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("id", "tier", "namespace", "archived", "reason", "title"),
        [(row.id, row.tier, row.namespace, age(row.archived_at, now), row.archive_reason,
          one_line(row.title, width=60)) for row in page.archived])
    context.screen.say(counted(page.count, "archived memory"))
    return ExitStatus.OK


def restore(context: Context) -> int:
    """Bring an archived memory back."""
    query = RestoreQuery(mode=context.value("mode"))
    answer = context.ask(lambda client: client.restore(context.value("id"), query))
    if context.wants_json:
        context.screen.json(answer)
    else:
        tier = "" if answer.tier is UNSET else f" [{answer.tier}]"
        context.screen.line(f"restored: {answer.id}{tier}")
    return ExitStatus.OK


def purge(context: Context) -> int:
    """Delete archived memories for ever. Everything only if that is said outright."""
    query = PurgeQuery(older_than_days=context.value("older_than_days"), all=context.value("all"))
    if (query.older_than_days is None) != query.all:
        raise UsageError("archive purge needs --older-than-days N or --all; see `ai-memory archive purge --help`")
    answer = context.ask(lambda client: client.purge_archive(query))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"purged: {counted(answer.purged, 'archived memory')}")
    return ExitStatus.OK


def stats(context: Context) -> int:
    """Count archived memories."""
    answer = context.ask(lambda client: client.archive_stats())
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    context.screen.line(f"archived: {counted(answer.archived_total, 'memory')}")
    context.screen.table(("count", "namespace"), [(str(row.count), row.namespace) for row in answer.by_namespace])
    return ExitStatus.OK
