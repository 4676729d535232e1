"""The verbs consolidate and auto-consolidate."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from aimem.cli.commands.confirming import is_agreed, is_asked
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.namespace import project_namespace
from aimem.cli.text import counted, one_line
from aimem.cli.values import comma_list
from aimem.wire import AutoConsolidated, AutoConsolidateRequest, ConsolidateRequest


def consolidate(context: Context) -> int:
    """Put one memory in place of several."""
    value = context.value
    request = ConsolidateRequest(
        ids=[part for text in value("ids") for part in comma_list(text) or []], title=value("title"),
        summary=value("summary"), namespace=value("namespace") or project_namespace(context.around.cwd),
        tier=value("tier"), source="cli")
    answer = context.ask(lambda client: client.consolidate(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        made_of = counted(answer.consolidated, "memory")
        context.screen.line(f"consolidated: {made_of} into {answer.id} [{answer.tier}] (ns={answer.namespace})")
        context.screen.line(_way_back(answer.id, request.ids))
    if answer.warning is not UNSET:
        context.screen.say(f"warning: {answer.warning}")
    return ExitStatus.OK


def auto_consolidate(context: Context) -> int:
    """Put together what shares a tag, after a look at it on a terminal."""
    value = context.value
    request = AutoConsolidateRequest(
        namespace=value("namespace"), short_only=value("short_only"), min_count=value("min_count"),
        dry_run=value("dry_run"))
    if not request.dry_run and is_asked(context) and not _is_confirmed(context, request):
        context.screen.say("nothing was consolidated")
        return ExitStatus.OK
    answer = context.ask(lambda client: client.auto_consolidate(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        _show(context, answer)
    if answer.more:
        context.screen.say("more groups are left than are done at once; repeat the command for the next")
    return ExitStatus.OK


def _is_confirmed(context: Context, request: AutoConsolidateRequest) -> bool:
    found = context.ask(lambda client: client.auto_consolidate(replace(request, dry_run=True)))
    _show(context, found)
    return bool(found.groups) and is_agreed(context, f"put {counted(len(found.groups), 'group')} together?")


def _show(context: Context, answer: AutoConsolidated) -> None:
    if answer.groups:
        context.screen.table(
            ("count", "namespace", "tag", "titles"),
            [(str(group.count), group.namespace, group.tag, one_line("; ".join(group.titles), width=60))
             for group in answer.groups])
    verb = "would consolidate" if answer.dry_run else "consolidated"
    total = sum(group.count for group in answer.groups)
    context.screen.line(f"{verb}: {counted(total, 'memory')} in {counted(len(answer.groups), 'group')}")
    for group in answer.groups:
        if group.id is not UNSET:
            context.screen.line(_way_back(group.id, group.ids))


def _way_back(made: str, sources: Sequence[str]) -> str:
    """What brings the sources back. The new memory goes first, because it may have the title of one of them."""
    delete = f"ai-memory delete {shlex.quote(made)}"
    return f"to take back: {delete}; for id in {shlex.join(sources)}; do ai-memory archive restore \"$id\"; done"
