"""Verbs that find memories: recall, search, list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from aimem.cli.commands.waiting import Backlog, wait_for_index
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus, is_interrupt
from aimem.cli.explaining import explanation_lines
from aimem.cli.parser import UsageError
from aimem.cli.runtime import Attached, Purpose
from aimem.cli.text import age, counted, one_line, short_id
from aimem.cli.values import comma_list
from aimem.config import FeatureTier
from aimem.model import Instant
from aimem.wire import ListQuery, MemoryOut, RecallRequest, RecallResult, SearchQuery

if TYPE_CHECKING:
    from aimem.client import Client

CONTENT_SHOWN_CHARS = 100

EMBED_FIRST: Final = "to embed first; `--tier keyword` answers at once, from words alone"


def recall(context: Context) -> int:
    """Find memories by meaning."""
    value = context.value
    request = RecallRequest(
        context=value("context"), namespace=value("namespace"), limit=value("limit"), tags=value("tags"),
        since=value("since"), until=value("until"), as_agent=value("as_agent"), budget_tokens=value("budget_tokens"),
        context_tokens=comma_list(value("context_tokens")), floor=not value("no_floor"), explain=value("explain"))

    backlog = Backlog()

    async def act(attached: Attached, client: Client) -> RecallResult:
        if not attached.holder and context.parsed.settings.get("tier"):
            context.screen.say(
                f"note: --tier has no effect: {attached.hint or 'another process'} holds the database and decides it")
        if attached.holder and context.config.search.tier is not FeatureTier.KEYWORD:
            # Nobody else embeds: what was stored by short-lived commands would else stay out of reach of meaning.
            await wait_for_index(context, client, "embedding", backlog, hint=EMBED_FIRST)
            if backlog.left:
                context.screen.say(f"note: {counted(backlog.left, 'memory')} without embedding; found by words only")
        return await client.recall(request)

    try:
        found = context.visit(act, Purpose.RECALL)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        if is_interrupt(error) and backlog.left:
            done = f"{backlog.total - backlog.left} of {counted(backlog.total, 'memory')}"
            context.screen.say(f"interrupted: {done} are embedded; run the same command again to go on")
        raise
    if context.wants_json:
        context.screen.json(found)
        return ExitStatus.OK
    now = context.around.now()
    context.screen.table(
        ("score", "id", "tier", "namespace", "updated", "title", "content"),
        [(f"{memory.score:.3f}", *_cells(memory, now=now)) for memory in found.memories])
    for line in explanation_lines(found):
        context.screen.line(line)
    _say_summary(context, found)
    return ExitStatus.OK


def _say_summary(context: Context, found: RecallResult) -> None:
    context.screen.say(f"{counted(found.count, 'memory')} ({found.mode}, {counted(found.tokens_used, 'token')})")
    if found.below_floor:
        nothing = "" if found.count else "nothing relevant: "
        context.screen.say(
            f"{nothing}{counted(found.below_floor, 'memory')} below the floor of relevance; --no-floor shows them")
    doubted = sum(memory.contradicted_by is not UNSET for memory in found.memories)
    if doubted:
        context.screen.say(f"{counted(doubted, 'memory')} contradicted by newer ones; --json names them")


def search(context: Context) -> int:
    """Find memories that hold all words."""
    value = context.value
    if not value("query").strip():
        raise UsageError("search needs words to look for; `ai-memory list` shows all memories")
    query = SearchQuery(
        q=value("query"), namespace=value("namespace"), tier=value("tier"), limit=value("limit"), since=value("since"),
        until=value("until"), tags=value("tags"), agent_id=value("author"), as_agent=value("as_agent"))
    found = context.ask(lambda client: client.search(query))
    if context.wants_json:
        context.screen.json(found)
    else:
        _show(context, found.results)
    return ExitStatus.OK


def list_memories(context: Context) -> int:
    """List memories."""
    value = context.value
    query = ListQuery(
        namespace=value("namespace"), tier=value("tier"), limit=value("limit"), since=value("since"),
        until=value("until"), tags=value("tags"), offset=value("offset"), cursor=value("cursor"),
        min_priority=value("min_priority"), agent_id=value("author"))
    page = context.ask(lambda client: client.list_memories(query))
    if context.wants_json:
        context.screen.json(page)
        return ExitStatus.OK
    _show(context, page.memories)
    if page.next_cursor is not UNSET:
        context.screen.say(f"more with --cursor {page.next_cursor}")
    return ExitStatus.OK


def _show(context: Context, memories: Sequence[MemoryOut]) -> None:
    now = context.around.now()
    context.screen.table(
        ("id", "tier", "namespace", "updated", "title", "content"), [_cells(memory, now=now) for memory in memories])
    context.screen.say(counted(len(memories), "memory"))


def _cells(memory: MemoryOut, *, now: Instant) -> tuple[str, ...]:
    return (
        short_id(memory.id), memory.tier, memory.namespace, age(memory.updated_at, now),
        one_line(memory.title, width=60), one_line(memory.content, width=CONTENT_SHOWN_CHARS))
