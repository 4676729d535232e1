"""The verb that exchanges memories between two database files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from aimem.cli.commands.portions import SECTIONS, Batch, Item, batches
from aimem.cli.commands.transfer import Tally
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.runtime import Purpose
from aimem.cli.screen import Advance
from aimem.cli.text import counted
from aimem.config import Config
from aimem.errors import Code, InvalidRequest, NotFound
from aimem.wire import ExportDocument, ImportRequest, ImportResult, decode_body, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aimem.client import Client

DIRECTIONS: Final = ("merge", "pull", "push")


_FIELDS: Final = ({"pull": "imported", "push": "exported"}, {"pull": "pulled", "push": "pushed"})
"""What v0.6.3 calls the counts, alone and in a merge."""


class Course(Struct, frozen=True, kw_only=True):
    """What one direction came to.

    Attributes:
      new, update, noop: memories that were not there, were older, or were there as new already (or deleted there).
      links, archived: links stated, memories that went into the archive.
      deleted_there: rows of `noop` whose memory was deleted at the receiving end, and stays deleted.
      refused: reasons.
    """

    new: int = 0
    update: int = 0
    noop: int = 0
    links: int = 0
    archived: int = 0
    deleted_there: int = 0
    refused: tuple[str, ...] = ()


class _CourseTally(Tally):
    """Counts one direction, in which the receiver's deletions are no errors."""

    def __init__(self, context: Context, manner: ImportRequest) -> None:
        super().__init__(context, manner)
        self.dead: set[str] = set()
        self.foreseen_links = 0

    def add(self, result: ImportResult, batch: Batch) -> None:
        others = tuple(one for one in result.refused if not self._is_expected(one.code, one.item, result))
        super().add(replace(result, refused=others), batch)

    def _is_expected(self, code: str, item: str, result: ImportResult) -> bool:
        if code == Code.GONE:
            self.dead.add(item)
            return True
        if code != Code.NOT_FOUND:
            return False
        # The sender shows a link only where it shows both ends: one is missing because it was deleted here, or
        # because a dry run does not bring it.
        is_of_dead = any(end in self.dead for end in item.split(" -> "))
        self.foreseen_links += result.dry_run and not is_of_dead
        return is_of_dead or result.dry_run

    def course(self) -> Course:
        done = self.sum
        return Course(
            new=done.imported - done.updated, update=done.updated, noop=done.unchanged + len(self.dead),
            links=done.links_imported + self.foreseen_links, archived=done.archived_imported,
            deleted_there=len(self.dead), refused=tuple(self.errors))


def sync(context: Context) -> int:
    """Exchange memories with another database file; of what both have, the newer wins."""
    value = context.value
    other = _other_database(context)
    direction: str = value("direction")

    async def session() -> dict[str, Course]:
        runtime = context.runtime
        async with (
            runtime.open_client(context.config, Purpose.COMMAND) as here,
            runtime.open_client(other, Purpose.COMMAND) as there,
        ):
            agent = context.agent_id()
            near, far = here.client.for_agent(agent), there.client.for_agent(agent)
            pulling = ImportRequest(memories=[], trust_source=value("trust_source"), dry_run=value("dry_run"))
            # What goes out keeps its authors: they are not for the other end to doubt.
            pushing = replace(pulling, trust_source=True)
            courses: dict[str, Course] = {}
            if direction != "push":
                courses["pull"] = await _carry(context, far, near, pulling, "pulling")
            if direction != "pull":
                courses["push"] = await _carry(context, near, far, pushing, "pushing")
            return courses

    courses = context.runtime.run(session)
    _show(context, direction, courses)
    return ExitStatus.INVALID if any(course.refused for course in courses.values()) else ExitStatus.OK


def _other_database(context: Context) -> Config:
    """The configuration of the other end: ours, with its file. Raises: NotFound; InvalidRequest if it is the same."""
    config, path = context.config, context.path(context.value("file"))
    try:
        ours, is_there = config.store.db, path.exists()
        # A hard link is the same file under another name.
        is_same = path.resolve() == ours.resolve() or (is_there and ours.exists() and path.samefile(ours))
    except (OSError, RuntimeError) as error:    # a name that is too long; a ring of links
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidRequest(f"{path} cannot be looked for: {reason}", field="file") from error
    if not is_there:
        raise NotFound(f"no database at {path}; to copy everything into a new one, export and import", field="file")
    if is_same:
        raise InvalidRequest(f"{path} is the database of this command; name another one", field="file")
    # A key is of the agents of one database; on another this is the owner of its file.
    identity = replace(config.identity, agent_key=None)
    return replace(config, store=replace(config.store, db=path), identity=identity)


async def _carry(context: Context, source: Client, target: Client, manner: ImportRequest, what: str) -> Course:
    """Bring everything that one end shows to the other, page by page."""
    tally = _CourseTally(context, manner)
    counts = await source.stats()
    with context.screen.progress(what, counts.total + counts.archived + counts.links_count) as advance:
        async for page in source.export_pages():
            await _send(target, page, tally, advance)
    return tally.course()


async def _send(target: Client, page: ExportDocument, tally: Tally, advance: Advance) -> None:
    for batch in batches(_items(page)):
        if isinstance(batch, Batch):
            tally.add(await target.import_memories(tally.request(batch)), batch)
        advance(batch.weight)


def _items(page: ExportDocument) -> Iterator[Item]:
    for section, kind in SECTIONS.items():
        for row in getattr(page, section):
            data = encode(row)
            yield Item(
                section=section, where=section, value=decode_body(kind, data), size_bytes=len(data), weight=1)


def _show(context: Context, direction: str, courses: dict[str, Course]) -> None:
    taken = {name: course.new + course.update for name, course in courses.items()}
    is_dry = context.value("dry_run")
    report: dict[str, object] = {"dry_run": True, "direction": direction} if is_dry else {"direction": direction}
    if not is_dry:
        report |= {_FIELDS[direction == "merge"][name]: count for name, count in taken.items()}
    if context.wants_json:
        context.screen.json({**report, **{name: asdict(course) for name, course in courses.items()}})
        return
    for name, course in courses.items():
        verb = f"would {name}" if is_dry else f"{name}ed"
        parts = [f"{verb}: {counted(taken[name], 'memory')}", counted(course.links, "link")]
        parts += [f"{count} {word}" for count, word in (
            (course.archived, "archived"), (course.update, "of them updated"), (course.noop, "unchanged"),
            (course.deleted_there, "of these deleted there"), (len(course.refused), "refused")) if count]
        context.screen.line(", ".join(parts))
