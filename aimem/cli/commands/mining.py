"""The verb that takes in other programs' conversations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from aimem.cli.commands.portions import Batch, Item, Refused, Source
from aimem.cli.commands.transfer import Tally, send_all
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus, is_interrupt
from aimem.cli.mining import Conversation, Manner, Problem, Shape, memories_of, open_files, read_conversations
from aimem.cli.mining.files import Files
from aimem.cli.runtime import Attached
from aimem.cli.text import counted
from aimem.errors import AimemError, Code
from aimem.model import rules
from aimem.wire import ImportMemory, ImportRequest, ImportResult, encode

if TYPE_CHECKING:
    from aimem.client import Client

SHOWN_MAX: Final = 1_000
"""Memories that a dry run names; it counts them all."""


class _Mine:
    """An export on its way to the node, and what it comes to."""

    def __init__(self, files: Files, manner: Manner) -> None:
        self._files, self._manner = files, manner
        self.conversations = self.short = 0
        self.other_format = ""
        self.shown: list[dict[str, object]] = []

    def items(self) -> Iterator[Item | Refused]:
        for found, weight in read_conversations(self._manner.kind, self._files):
            if isinstance(found, Problem):
                yield Refused(reason=found.reason, weight=weight)
            else:
                yield from self._of(found, weight)

    def _of(self, conversation: Conversation, weight: int) -> Iterator[Item | Refused]:
        self.conversations += 1
        self.other_format = self.other_format or conversation.looks_like
        memories = memories_of(conversation, self._manner)
        if memories is None:
            self.short += 1
            return
        for memory in memories:
            if len(self.shown) < SHOWN_MAX:
                self.shown.append(_shown(memory))
            yield Item(
                section="memories", where=f"conversation {self.conversations}", value=memory,
                size_bytes=len(encode(memory)), weight=weight)
            weight = 0


def _shown(memory: ImportMemory) -> dict[str, object]:
    messages = (memory.metadata or {}).get("messages")
    return {
        "title": memory.title, "content_length": len(memory.content.encode()), "messages": messages,
        "source": memory.source}


class _MineTally(Tally):
    """What mining has come to. What was deleted here since it was mined is no error: it stays deleted."""

    deleted = 0

    def add(self, result: ImportResult, batch: Batch) -> None:
        gone = [one for one in result.refused if one.code == Code.GONE]
        self.deleted += len(gone)
        others = tuple(one for one in result.refused if one.code != Code.GONE)
        super().add(msgspec.structs.replace(result, refused=others), batch)


def mine(context: Context) -> int:
    """Take in conversations. What was mined before and did not grow stays as it is."""
    value = context.value
    kind: str = value("format")
    manner = Manner(
        kind=kind, namespace=rules.writable_namespace(value("namespace") or f"{kind}-export"), tier=value("tier"),
        min_messages=rules.bounded(value("min_messages"), 0, 1_000_000, field="min-messages"),
        shape=Shape.TURN if value("per_turn") else Shape.CONVERSATION, now=context.around.now())
    files = open_files(context.path(value("path")))
    work = _Mine(files, manner)
    source = Source(items=work.items(), total=files.total_bytes)
    tally = _MineTally(context, ImportRequest(memories=[], conversations=True, dry_run=value("dry_run")))

    async def act(attached: Attached, client: Client) -> None:
        with context.screen.progress("mining", source.total) as advance:
            await send_all(client, source, tally, advance)

    try:
        context.visit(act)
    except (AimemError, BaseExceptionGroup, KeyboardInterrupt) as error:
        # What cannot be read at all is not gone on with by running it again.
        if is_interrupt(error) or work.conversations:
            lead = "interrupted" if is_interrupt(error) else "note"
            context.screen.say(f"{lead}: {_summary(work, tally)} before this; run the same command again to go on")
        raise
    _show(context, work, tally, manner)
    if work.other_format:
        context.screen.say(
            f"note: this looks like an export of {work.other_format}, read as one of {kind}: titles and times may be "
            f"missing; see `mine --format {work.other_format}`")
    return ExitStatus.INVALID if tally.errors else ExitStatus.OK


def _summary(work: _Mine, tally: _MineTally) -> str:
    done = tally.sum
    what = f"{counted(done.imported, 'memory')} of {counted(work.conversations, 'conversation')}"
    parts = [f"{'would mine' if done.dry_run else 'mined'}: {what}"]
    parts += [f"{count} {word}" for count, word in (
        (done.updated, "of them updated"), (done.unchanged, "unchanged"), (work.short, "too short"),
        (tally.deleted, "deleted before"), (len(tally.errors), "refused")) if count]
    return ", ".join(parts)


def _show(context: Context, work: _Mine, tally: _MineTally, manner: Manner) -> None:
    done = tally.sum
    report: dict[str, object] = {
        "imported": done.imported, "skipped": work.short, "errors": len(tally.errors),
        "total_conversations": work.conversations, "namespace": manner.namespace, "tier": manner.tier,
        "updated": done.updated, "unchanged": done.unchanged, "deleted_before": tally.deleted, "refused": tally.errors}
    if done.dry_run:
        report |= {
            "imported": 0, "dry_run": True, "filtered": work.conversations - work.short,
            "would_import": done.imported, "memories": work.shown}
    if context.wants_json:
        context.screen.json(report)
        return
    if done.dry_run:
        context.screen.table(
            ("messages", "bytes", "title"),
            [(str(one["messages"]), str(one["content_length"]), str(one["title"])) for one in work.shown])
    context.screen.line(_summary(work, tally))
