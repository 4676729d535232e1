"""The verb curator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.rounds import run_rounds
from aimem.cli.runtime import Attached, Purpose
from aimem.cli.text import counted, one_line, short_id
from aimem.errors import Unavailable
from aimem.wire import ActOut, CurateRequest, CurationReport, RollbackRequest, RolledBack

if TYPE_CHECKING:
    from aimem.client import Client

INTERVAL_MIN_S: Final = 60
INTERVAL_MAX_S: Final = 86_400
_MODES: Final = ("once", "daemon", "rollback", "rollback_last", "reports")


def curator(context: Context) -> int:
    """Run a cycle, or many, or take back what one did. Exactly one of these is asked for."""
    value = context.value
    chosen = [name for name in _MODES if value(name) is not None and value(name) is not False]
    if len(chosen) != 1:
        words = ", ".join("--" + name.replace("_", "-") for name in _MODES)
        raise UsageError(f"curator needs exactly one of {words}; see `ai-memory curator --help`")
    if value("rollback") is not None or value("rollback_last") is not None:
        return _roll_back(context, RollbackRequest(id=value("rollback"), last=value("rollback_last")))
    if value("reports"):
        return _reports(context)
    request = CurateRequest(
        max_ops=value("max_ops"), dry_run=value("dry_run"), include_namespaces=value("include_namespace"),
        exclude_namespaces=value("exclude_namespace"))
    if value("once"):
        return _show(context, context.ask(lambda client: client.curate(request)))
    interval_s = value("interval_secs")
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        raise UsageError(f"--interval-secs is {interval_s}; allowed are {INTERVAL_MIN_S} to {INTERVAL_MAX_S}")
    return context.visit(lambda attached, client: _run(context, attached, client, request, interval_s), Purpose.SESSION)


async def _run(
    context: Context, attached: Attached, client: Client, request: CurateRequest, interval_s: float
) -> int:
    """A cycle after the other, until a signal; the one that runs then ends first."""
    context.screen.say(f"curating {attached.db} every {interval_s} s")

    async def curate_once() -> None:
        try:
            _show(context, await client.curate(request))
            context.around.stdout.flush()
        except Unavailable as error:
            context.screen.say(f"this cycle was skipped: {error.message}")

    await run_rounds(curate_once, interval_s)
    return ExitStatus.OK


def _show(context: Context, report: CurationReport) -> int:
    if context.wants_json:
        context.screen.json(report)
    else:
        counts = report.autonomy
        lines = {
            "looked at": f"{counted(report.memories_scanned, 'memory')}, {report.memories_eligible} eligible",
            "put together": counts.memories_consolidated, "forgotten": counts.memories_forgotten,
            "priorities": counts.priority_adjustments, "tagged": report.auto_tagged,
            "left over": report.operations_skipped_cap,
        }
        for name, shown in lines.items():
            context.screen.line(f"{name + ':':<14}{shown}")
        for act in report.acts:
            undo = "" if act.rollback_id is UNSET else f" (undo: ai-memory curator --rollback {act.rollback_id})"
            context.screen.line(f"{'would ' if report.dry_run else ''}{act.action}: {_acted_on(act)}{undo}")
    for error in report.errors:
        context.screen.say(f"not done: {error}")
    if report.more:
        context.screen.say("there is more to look at; the next cycle goes on here")
    return ExitStatus.OK


def _acted_on(act: ActOut) -> str:
    """What an act touches, by title as far as it is known; what stays first."""
    titles = dict(zip(act.ids, act.titles, strict=False))
    names = {i: f'"{one_line(titles[i], width=60)}" ({short_id(i)})' if titles.get(i) else i for i in act.ids}
    if act.kept is UNSET:
        return ", ".join(names.values())
    away = ", ".join(name for i, name in names.items() if i != act.kept)
    return f"keep {names.get(act.kept, act.kept)}, put away {away}"


def _roll_back(context: Context, request: RollbackRequest) -> int:
    answer: RolledBack = context.ask(lambda client: client.roll_back(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        for one in answer.records:
            if one.reversed:
                before = " (it was before)" if one.already else ""
                context.screen.line(f"taken back: {one.action} {one.id}{before}")
        if not answer.records:
            context.screen.line("nothing to take back")
    for one in answer.records:
        for what, ids in (("is no longer there", one.missing), ("was changed since and stays", one.kept)):
            for memory_id in ids:
                context.screen.say(f"note: {memory_id} {what}")
        if not one.reversed:
            context.screen.say(f"not taken back: {one.id}: {one.error}")
    return ExitStatus.OK if all(one.reversed for one in answer.records) else ExitStatus.CONFLICT


def _reports(context: Context) -> int:
    page = context.ask(lambda client: client.curation_reports())
    if context.wants_json:
        context.screen.json(page)
        return ExitStatus.OK
    context.screen.table(
        ("started", "scanned", "put together", "forgotten", "priorities", "tagged", "errors"),
        [(report.started_at, str(report.memories_scanned), str(report.autonomy.memories_consolidated),
          str(report.autonomy.memories_forgotten), str(report.autonomy.priority_adjustments), str(report.auto_tagged),
          str(len(report.errors))) for report in page.reports])
    return ExitStatus.OK
