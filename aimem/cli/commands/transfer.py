"""Verbs that carry many memories: import and export."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aimem.cli.commands.portions import BATCH_COUNT, Batch, Refused, Source, batches, read_source
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus, is_interrupt
from aimem.cli.runtime import Attached
from aimem.cli.screen import Advance
from aimem.cli.text import counted, one_line
from aimem.errors import AimemError, InvalidRequest
from aimem.wire import ImportRequest, ImportResult

if TYPE_CHECKING:
    from aimem.client import Client


class Tally:
    """What an import has come to so far."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.trusted_source: bool = context.value("trust_source")
        self.imported = self.restamped = self.unchanged = self.links_imported = 0
        self.errors: list[str] = []

    def refuse(self, reason: str) -> None:
        """Note a refused item, and say so at once: an import may be long."""
        self.errors.append(reason)
        self._context.screen.say(f"refused: {one_line(reason)}")

    def add(self, result: ImportResult, batch: Batch) -> None:
        """Count what the node did with one batch."""
        self.imported += result.imported
        self.restamped += result.restamped
        self.unchanged += result.unchanged
        self.links_imported += result.links_imported
        for reason in result.errors:
            self.refuse(batch.located(reason))

    def result(self) -> ImportResult:
        """The sum, in the shape of one answer."""
        return ImportResult(
            imported=self.imported, restamped=self.restamped, trusted_source=self.trusted_source,
            errors=tuple(self.errors), unchanged=self.unchanged, links_imported=self.links_imported)


def export(context: Context) -> int:
    """Print all memories and links as JSON."""
    context.screen.json(context.ask(lambda client: client.export()))
    return ExitStatus.OK


def import_memories(context: Context) -> int:
    """Take in exported memories, batch by batch. Refused items are named; the others are kept."""
    tally = Tally(context)
    with ExitStack() as stack:
        source = read_source(_open(context, stack))

        async def act(attached: Attached, client: Client) -> None:
            with context.screen.progress("importing", source.total) as advance:
                await _send_all(client, source, tally, advance)

        try:
            context.visit(act)
        except (AimemError, BaseExceptionGroup, KeyboardInterrupt) as error:
            # An interrupt is told by main, which ends with it; what is worth saying here is that nothing is lost.
            lead, tail = "note", "importing the same again is safe"
            if is_interrupt(error):
                # What was under way is not known to be stored, and not known to be lost.
                lead = "interrupted"
                tail = f"up to {BATCH_COUNT} more may be stored; run the same command again to go on"
            context.screen.say(f"{lead}: {_summary(tally)} before this; {tail}")
            raise
    if context.wants_json:
        context.screen.json(tally.result())
    else:
        context.screen.line(_summary(tally))
    return ExitStatus.INVALID if tally.errors else ExitStatus.OK


async def _send_all(client: Client, source: Source, tally: Tally, advance: Advance) -> None:
    for portion in batches(source.items):
        if isinstance(portion, Refused):
            tally.refuse(portion.reason)
        else:
            tally.add(await client.import_memories(_request(portion, tally)), portion)
        advance(portion.weight)


def _request(batch: Batch, tally: Tally) -> ImportRequest:
    return ImportRequest(
        memories=list(batch.memories), links=list(batch.links), trust_source=tally.trusted_source)


def _summary(tally: Tally) -> str:
    parts = [f"imported: {counted(tally.imported, 'memory')}", counted(tally.links_imported, "link")]
    parts += [f"{count} {word}" for count, word in (
        (tally.unchanged, "unchanged"), (tally.restamped, "restamped"), (len(tally.errors), "refused")) if count]
    return ", ".join(parts)


def _open(context: Context, stack: ExitStack) -> BinaryIO:
    name: str | None = context.value("file")
    if name is None or name == "-":
        return context.around.stdin
    path = context.around.cwd / Path(name)
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}", field="file") from error
