"""Verbs that carry many memories: import and export."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from aimem.cli.commands.portions import BATCH_COUNT, SECTIONS, Batch, Refused, Source, batches, read_source
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus, is_interrupt
from aimem.cli.runtime import Attached
from aimem.cli.screen import Advance
from aimem.cli.text import counted, one_line
from aimem.errors import AimemError, InvalidRequest
from aimem.wire import (
    DOCUMENT_SCHEMA,
    ExportDocument,
    ImportRequest,
    ImportResult,
    add_digests,
    encode,
    translated,
)

if TYPE_CHECKING:
    from aimem.client import Client

_COUNTS: Final = (
    "imported", "updated", "unchanged", "restamped", "skipped", "archived_imported", "links_imported",
    "aliases_imported", "agents_imported", "namespaces_imported",
)


class Tally:
    """What an import has come to so far."""

    def __init__(self, context: Context, manner: ImportRequest) -> None:
        self._context, self._manner = context, manner
        self.sum = ImportResult(
            imported=0, errors=(), trusted_source=manner.trust_source, dry_run=manner.dry_run)
        self.errors: list[str] = []
        self._ids: dict[str, str] = {}

    def refuse(self, reason: str) -> None:
        """Note a refused row, and say so at once: an import may be long."""
        self.errors.append(reason)
        self._context.screen.say(f"refused: {one_line(reason)}")

    def add(self, result: ImportResult, batch: Batch) -> None:
        """Count what the node did with one batch."""
        counts = {name: getattr(self.sum, name) + getattr(result, name) for name in _COUNTS}
        self.sum = msgspec.structs.replace(self.sum, **counts)
        self._ids |= result.merged
        for one in result.refused:
            name = batch.places[one.position] if one.item.startswith("item ") else one.item
            self.refuse(f"{name}: {one.error}")

    def request(self, batch: Batch) -> ImportRequest:
        """The request that carries a batch; what refers to memories names them as they are known there."""
        refers = batch.section in ("links", "aliases", "namespaces")
        values = translated(batch.values, self._ids) if refers else list(batch.values)
        return msgspec.structs.replace(
            self._manner, **{section: values if section == batch.section else [] for section in SECTIONS})

    def result(self) -> ImportResult:
        """The sum, in the shape of one answer."""
        return msgspec.structs.replace(self.sum, errors=tuple(self.errors))

    def summary(self) -> str:
        """The sum in words."""
        done = self.sum
        parts = [f"{'would import' if done.dry_run else 'imported'}: {counted(done.imported, 'memory')}",
                 counted(done.links_imported, "link")]
        parts += [f"{count} {word}" for count, word in (
            (done.archived_imported, "archived"), (done.aliases_imported, "aliases"),
            (done.agents_imported, "agents"), (done.namespaces_imported, "namespaces"),
            (done.updated, "of them updated"), (done.unchanged, "unchanged"), (done.restamped, "restamped"),
            (done.skipped, "agents and policies left out"), (len(self.errors), "refused")) if count]
        return ", ".join(parts)


class Printer:
    """Prints an export as one JSON document while its pages come in, a row a line."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sections = iter(SECTIONS)
        self._section = ""
        self._is_first = True
        self.count = 0
        self.digests: list[str] = []

    def add(self, page: ExportDocument) -> int:
        """Print what a page brings. Returns: how many rows."""
        if not self._section:
            self._write(f'{{"schema": {DOCUMENT_SCHEMA}, "exported_at": {encode(page.exported_at).decode()}')
        rows = 0
        for section in SECTIONS:
            found: Iterable[msgspec.Struct] = getattr(page, section)
            for row in found:
                self._reach(section)
                self._write(("\n" if self._is_first else ",\n") + encode(row).decode())
                self._is_first = False
                rows += 1
        self.count += page.count
        self.digests.append(page.digest)
        return rows

    def end(self) -> None:
        """Print what stands behind the rows."""
        self._reach("")
        self._write(f',\n"count": {self.count}, "digest": "{add_digests(self.digests)}"}}\n')

    def _reach(self, section: str) -> None:
        """Close and open sections until this one is open; empty: until all are closed."""
        while self._section != section or not section:
            if self._section:
                self._write("\n]")
            upcoming = next(self._sections, None)
            if upcoming is None:
                return
            self._section, self._is_first = upcoming, True
            self._write(f',\n"{upcoming}": [')

    def _write(self, text: str) -> None:
        self._context.around.stdout.write(text)


def export(context: Context) -> int:
    """Print everything as JSON, page by page; or only its digest."""
    if context.value("digest_only"):
        digest, count = context.ask(_digest)
        if context.wants_json:
            context.screen.json({"digest": digest, "count": count})
        else:
            context.screen.line(digest)
        return ExitStatus.OK

    async def act(attached: Attached, client: Client) -> None:
        printer = Printer(context)
        counts = await client.stats()
        total = counts.total + counts.archived + counts.links_count
        with context.screen.progress("exporting", total) as advance:
            async for page in client.export_pages():
                advance(printer.add(page))
        printer.end()

    context.visit(act)
    return ExitStatus.OK


async def _digest(client: Client) -> tuple[str, int]:
    """The digest of all that can be exported, and how many memories that are."""
    digests, count = [], 0
    async for page in client.export_pages():
        digests.append(page.digest)
        count += page.count
    return add_digests(digests), count


def import_memories(context: Context) -> int:
    """Take in exported memories, batch by batch. Refused rows are named; the others are kept."""
    manner = ImportRequest(memories=[], trust_source=context.value("trust_source"), dry_run=context.value("dry_run"))
    tally = Tally(context, manner)
    with ExitStack() as stack:
        source = read_source(_open(context, stack))

        async def act(attached: Attached, client: Client) -> str | None:
            with context.screen.progress("importing", source.total) as advance:
                await send_all(client, source, tally, advance)
            return (await _digest(client))[0] if context.value("verify") else None

        try:
            found = context.visit(act)
        except (AimemError, BaseExceptionGroup, KeyboardInterrupt) as error:
            # An interrupt is told by main, which ends with it; what is worth saying here is that nothing is lost.
            lead, tail = "note", "importing the same again is safe"
            if is_interrupt(error):
                # What was under way is not known to be stored, and not known to be lost.
                lead = "interrupted"
                tail = f"up to {BATCH_COUNT} more may be stored; run the same command again to go on"
            context.screen.say(f"{lead}: {tally.summary()} before this; {tail}")
            raise
    if context.wants_json:
        context.screen.json(tally.result())
    else:
        context.screen.line(tally.summary())
    if context.value("verify") and not _is_verified(context, source, found):
        return ExitStatus.OTHER
    return ExitStatus.INVALID if tally.errors else ExitStatus.OK


def _is_verified(context: Context, source: Source, found: str | None) -> bool:
    if source.digest is None:
        context.screen.say("not verified: the file names no digest")
        return False
    if source.digest != found:
        context.screen.say(
            f"not verified: the digest of all that is here is {found}, the file's is {source.digest}; they are equal "
            "only if the database was empty before, all rows were taken, and none has expired since the export")
        return False
    context.screen.say(f"verified: the digest is {found}")
    return True


async def send_all(client: Client, source: Source, tally: Tally, advance: Advance) -> None:
    """Send a source's rows batch by batch."""
    done = 0
    for portion in batches(source.items):
        if isinstance(portion, Refused):
            tally.refuse(portion.reason)
        else:
            tally.add(await client.import_memories(tally.request(portion)), portion)
        advance(portion.weight)
        done += portion.weight
    if source.total and done < source.total:
        advance(source.total - done)  # What stands between rows, or was passed over, is behind us as well.


def _open(context: Context, stack: ExitStack) -> BinaryIO:
    name: str | None = context.value("file")
    if name is None or name == "-":
        return context.around.stdin
    path = context.path(name)
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}", field="file") from error
