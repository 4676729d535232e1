"""Verbs on the whole: stats, namespaces, gc, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct

from aimem.cli.commands.meshing import ACCESS
from aimem.cli.commands.waiting import Backlog, left_in, wait_for_index
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.runtime import Attached, Purpose
from aimem.cli.text import counted, size_words
from aimem.config import FeatureTier
from aimem.wire import GcQuery, IndexStatus, ReindexRequest

if TYPE_CHECKING:
    from aimem.client import Client


THIS_PROCESS: Final = "this process"


class StatusReport(Struct, frozen=True, kw_only=True):
    """What `status --json` prints; `held_by` is `this process` or `another process`, `holder` its note in the lock."""

    status: str
    version: str
    compatible_with: str
    db: str
    held_by: str
    holder: str
    mode: str
    model: str
    reason: str
    embedded: int
    embedding_backlog: int
    indexed: int
    index_backlog: int
    stream: str
    memories: int
    archived: int
    db_size_bytes: int
    open_access: bool
    warnings: tuple[str, ...]
    llm: str
    llm_ready: bool
    access: str
    mesh_access: str
    behind: int


_ACCESS_WORDS: Final = {
    "open": "open: no key is asked for, ids are claimed", "api_key": "by one shared key, ids are claimed",
    "agent_keys": "by agents' keys",
}


def stats(context: Context) -> int:
    """Count memories."""
    answer = context.ask(lambda client: client.stats())
    if context.wants_json:
        context.screen.json(answer)
        return ExitStatus.OK
    lines = {
        "memories": answer.total, "expiring soon": answer.expiring_soon, "archived": answer.archived,
        "links": answer.links_count, "tombstones": answer.tombstones, "awaiting embedding": answer.embedding_backlog,
        "op log": answer.op_log_count, "size": size_words(answer.db_size_bytes),
    }
    for name, value in lines.items():
        if value is not UNSET:
            context.screen.line(f"{name + ':':<20}{value}")
    context.screen.line()
    context.screen.table(("count", "tier"), [(str(row.count), row.tier) for row in answer.by_tier])
    context.screen.line()
    context.screen.table(("count", "namespace"), [(str(row.count), row.namespace) for row in answer.by_namespace])
    return ExitStatus.OK


def namespaces(context: Context) -> int:
    """List namespaces, the largest first."""
    answer = context.ask(lambda client: client.namespaces())
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.table(("count", "namespace"), [(str(row.count), row.namespace) for row in answer.namespaces])
    return ExitStatus.OK


def collect(context: Context) -> int:
    """Collect expired memories, or count them."""
    answer = context.ask(lambda client: client.collect(GcQuery(dry_run=context.value("dry_run"))))
    if context.wants_json:
        context.screen.json(answer)
    else:
        verb = "would collect" if answer.dry_run else "collected"
        context.screen.line(f"{verb}: {counted(answer.collected, 'expired memory')}")
    return ExitStatus.OK


def reindex(context: Context) -> int:
    """Make the search indexes anew, and wait for them."""
    request = ReindexRequest(what=context.value("what"), embeddings=context.value("embeddings"))

    async def act(attached: Attached, client: Client) -> IndexStatus:
        await client.reindex(request)
        await wait_for_index(context, client, "indexing", Backlog())
        return await client.index_status()

    after = context.visit(act, Purpose.RECALL)
    has_model = after.model != "none"
    if context.wants_json:
        context.screen.json(after)
    else:
        left = after.embedding_backlog + after.index_backlog
        vectors = f"{after.indexed} done, {left} to do" if has_model else f"none ({after.reason})"
        context.screen.line(f"vectors: {vectors}")
        context.screen.line(f"words:   {after.text_backlog} to do")
    # Without a model nothing will ever embed what waits for it.
    return ExitStatus.UNAVAILABLE if (left_in(after) if has_model else after.text_backlog) else ExitStatus.OK


def status(context: Context) -> int:
    """Show how the node is. An unwell node is an answer with the status of an unavailable one."""
    report = context.visit(_report)
    context.say_notices()
    if context.wants_json:
        context.screen.json(report)
    else:
        _show(context, report)
    return ExitStatus.UNAVAILABLE if report.status == "error" else ExitStatus.OK


async def _report(attached: Attached, client: Client) -> StatusReport:
    health = await client.health()
    index = await client.index_status()
    counts = await client.stats()
    return StatusReport(
        status=health.status, version=health.version, compatible_with=health.compatible_with, db=str(attached.db),
        held_by=THIS_PROCESS if attached.holder else "another process", holder=attached.hint, mode=index.mode,
        model=index.model, reason=index.reason, embedded=index.embedded, embedding_backlog=index.embedding_backlog,
        indexed=index.indexed, index_backlog=index.index_backlog,
        stream=health.stream, memories=counts.total, archived=counts.archived, db_size_bytes=counts.db_size_bytes,
        open_access=health.open_access, warnings=health.warnings, llm=health.llm, llm_ready=health.llm_ready,
        access=health.access, mesh_access=health.mesh_access, behind=health.behind)


def _show(context: Context, report: StatusReport) -> None:
    index = f"{report.indexed} done, {report.index_backlog} to do"
    if report.held_by == THIS_PROCESS and not report.indexed + report.index_backlog:
        # Only a node that recalls opens it: its counts would read as if the embedded memories were missing there.
        index = "not opened by this command"
    reason = f" ({report.reason})" if report.reason else ""
    recall = {"recall": report.mode + reason, "model": report.model}
    if report.held_by == THIS_PROCESS and context.config.search.tier is not FeatureTier.KEYWORD:
        # Loading the model to say that it can be loaded would take longer than the rest of this command.
        tier = context.config.search.tier.value
        recall = {"recall": f"not loaded by this command (tier {tier}: by words and meaning)"}
    lines = {
        "node": report.status, "version": f"{report.version} (compatible with {report.compatible_with})",
        "database": report.db, "held by": report.holder or report.held_by,
        "size": f"{size_words(report.db_size_bytes)}, {counted(report.memories, 'memory')}, {report.archived} archived",
        **recall, "language": _language_words(report),
        "embeddings": f"{counted(report.embedded, 'memory')} done, {report.embedding_backlog} to do",
        "index": index, "stream": report.stream,
        "access": _ACCESS_WORDS.get(report.access, report.access),
    }
    if report.mesh_access:
        behind = f", {counted(report.behind, 'write')} behind" if report.behind else ""
        lines["mesh"] = f"open to {ACCESS.get(report.mesh_access, report.mesh_access)}{behind}"
    for name, value in lines.items():
        context.screen.line(f"{name + ':':<12}{value}")
    for warning in report.warnings:
        context.screen.say(f"warning: {warning}")


def _language_words(report: StatusReport) -> str:
    if report.llm == "none":
        return "no model (tier smart or autonomous has one)"
    if report.held_by == THIS_PROCESS:
        return f"{report.llm} (not asked by this command)"
    return report.llm + (", answers" if report.llm_ready else ", does not answer")
