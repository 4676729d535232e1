"""Import: rows of an export into this store. Newer wins, what was deleted here stays deleted, a second time is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from aimem.errors import AimemError, Code
from aimem.model import Principal, rules
from aimem.service.arrivals import Arrival, Bringer, arrival_of, label_of
from aimem.service.callers import require_operator
from aimem.service.importlinks import take_agent, take_alias, take_link
from aimem.service.importrules import downmost_first, take_namespace
from aimem.service.node import Node, Once
from aimem.service.once import answer_once
from aimem.service.refusals import note_refused_items
from aimem.service.taking import Taken, take
from aimem.service.writing import in_sure_part, write_as
from aimem.store import Transaction
from aimem.wire import ImportMemory, ImportRefusal, ImportRequest, ImportResult, translated

IMPORT_MAX: Final = 1000
SECTIONS: Final = ("memories", "archived", "links", "aliases", "agents", "namespaces")
"""In this order: what refers to memories comes after them."""


class _DryRun(Exception):
    """Takes the answer of a dry run past the writer, which undoes what was done."""

    def __init__(self, answer: ImportResult) -> None:
        super().__init__()
        self.answer = answer


class _Checked(Struct, frozen=True, kw_only=True):
    """A request whose memories are checked: those that may be taken, and those refused already."""

    request: ImportRequest
    arrivals: tuple[Arrival, ...]
    refused: tuple[ImportRefusal, ...]


class _Tally:
    """What an import comes to."""

    def __init__(self, checked: _Checked) -> None:
        self.request = checked.request
        self.taken = dict.fromkeys(Taken, 0)
        self.restamped = self.links = self.aliases = self.agents = self.namespaces = self.skipped = 0
        self.merged: dict[str, str] = {}
        self.refused = list(checked.refused)

    def refuse(self, section: str, position: int, item: str, error: AimemError) -> None:
        self.refused.append(ImportRefusal(
            section=section, position=position, item=item, code=error.code, error=error.message))

    def result(self) -> ImportResult:
        refused = sorted(self.refused, key=lambda one: (SECTIONS.index(one.section), one.position))
        created, updated = self.taken[Taken.CREATED], self.taken[Taken.UPDATED]
        return ImportResult(
            imported=created + updated, updated=updated, unchanged=self.taken[Taken.UNCHANGED],
            archived_imported=self.taken[Taken.ARCHIVED], restamped=self.restamped, links_imported=self.links,
            aliases_imported=self.aliases, agents_imported=self.agents,
            namespaces_imported=self.namespaces, trusted_source=self.request.trust_source,
            dry_run=self.request.dry_run, skipped=self.skipped, merged=self.merged, refused=tuple(refused),
            errors=tuple(f"{one.item}: {one.error}" for one in refused),
        )


async def import_memories(node: Node, who: Principal, request: ImportRequest, once: Once | None = None) -> ImportResult:
    """Store the rows of an export, all that are sound in one transaction, each refused one with its reason.

    Importing the same document again changes nothing: an id (or else a name) that is here is updated only by a row
    whose `updated_at` is later. What lies in the archive comes back only by a row that was changed after it was put
    there; what was deleted does not come back. Authors are restamped with the caller unless `trust_source` is set.

    Raises: InvalidRequest if there are too many rows; Denied(operator_required) if sources are to be trusted;
      Unavailable.
    """
    if request.trust_source:
        require_operator(who, "trust_source, which keeps the authors that rows name,")
    for section in SECTIONS:
        rules.bounded(len(getattr(request, section)), 0, IMPORT_MAX, field=section)
    checked = _checked(node, who, request)
    try:
        answer: ImportResult = (await write_as(node, who, _import, node, who, checked, once)).value
    except _DryRun as dry:
        return dry.answer
    node.counters.stored += answer.imported - answer.updated
    node.counters.updated += answer.updated
    return answer


def _checked(node: Node, who: Principal, request: ImportRequest) -> _Checked:
    now, arrivals, refused = node.clock.now(), [], []
    errors: list[AimemError] = []
    sections: tuple[tuple[str, list[ImportMemory]], ...] = (
        ("memories", request.memories), ("archived", list(request.archived)))
    for section, items in sections:
        for position, item in enumerate(items):
            try:
                arrivals.append(arrival_of(item, position, request, who, now, node.policy))
            except AimemError as error:
                errors.append(error)
                refused.append(ImportRefusal(
                    section=section, position=position, item=label_of(item, position), code=error.code,
                    error=error.message))
    if not request.dry_run:
        note_refused_items(node, who, errors, "import")
    return _Checked(request=request, arrivals=tuple(arrivals), refused=tuple(refused))


def _import(
    transaction: Transaction, node: Node, who: Principal, checked: _Checked, once: Once | None
) -> ImportResult:
    def run() -> ImportResult:
        tally = _Tally(checked)
        by = Bringer(who=who, is_trusted=checked.request.trust_source)
        _take_memories(transaction, node, by, checked.arrivals, once, tally)
        _take_others(transaction, by, checked.request, tally)
        return tally.result()

    if checked.request.dry_run:
        raise _DryRun(run())
    return answer_once(transaction, node, who, once, ImportResult, run)


def _take_memories(
    transaction: Transaction, node: Node, by: Bringer, left: tuple[Arrival, ...], once: Once | None, tally: _Tally
) -> None:
    """Take every memory. One whose name is taken waits for those that may give it up, as long as any is taken."""
    while left:
        waiting: list[tuple[Arrival, AimemError]] = []
        for arrival in left:
            try:
                outcome = in_sure_part(transaction, partial(take, transaction, node, by, arrival, once))
            except AimemError as error:
                if error.code is Code.NAME_TAKEN:
                    waiting.append((arrival, error))
                else:
                    tally.refuse(arrival.section, arrival.position, arrival.label, error)
                continue
            tally.taken[outcome.taken] += 1
            tally.restamped += arrival.original is not None and outcome.taken is not Taken.UNCHANGED
            if arrival.memory_id not in (None, outcome.memory_id):
                tally.merged[str(arrival.memory_id)] = outcome.memory_id
        if len(waiting) == len(left):
            for arrival, taken_by in waiting:
                tally.refuse(arrival.section, arrival.position, arrival.label, taken_by)
            return
        left = tuple(arrival for arrival, _ in waiting)


def _take_others(transaction: Transaction, by: Bringer, request: ImportRequest, tally: _Tally) -> None:
    """Take what refers to memories, or to nothing; policies at last, for they govern what comes after them."""
    links, aliases = translated(request.links, tally.merged), translated(request.aliases, tally.merged)
    ruled = translated(request.namespaces, tally.merged)

    def each(
        section: str, names: list[str], take_at: Callable[[int], bool], order: Sequence[int] | None = None
    ) -> int:
        taken = 0
        for position in range(len(names)) if order is None else order:
            try:
                taken += in_sure_part(transaction, partial(take_at, position))
            except AimemError as error:
                tally.refuse(section, position, names[position], error)
        return taken

    tally.links = each(
        "links", [f"{item.source_id} -> {item.target_id}" for item in links],
        lambda at: take_link(transaction, by, links[at]))
    tally.aliases = each(
        "aliases", [f"{item.entity_id} {item.alias}" for item in aliases],
        lambda at: take_alias(transaction, by, aliases[at]))
    if by.is_trusted:
        tally.agents = each(
            "agents", [item.agent_id for item in request.agents],
            lambda at: take_agent(transaction, by, request.agents[at]))
        tally.namespaces = each(
            "namespaces", [item.namespace for item in ruled], lambda at: take_namespace(transaction, by, ruled[at]),
            downmost_first(ruled))
    else:
        tally.skipped = len(request.agents) + len(request.namespaces)
