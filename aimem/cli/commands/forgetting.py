"""The verb forget."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from aimem.cli.commands.confirming import is_agreed, is_asked
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.cli.text import counted, one_line
from aimem.wire import ForgetRequest, Forgotten


def forget(context: Context) -> int:
    """Put away what filters name, after a look at it on a terminal; or bring it back."""
    value = context.value
    request = ForgetRequest(
        namespace=value("namespace"), pattern=value("pattern"), tier=value("tier"), dry_run=value("dry_run"),
        undo=value("undo"))
    if request == ForgetRequest(dry_run=request.dry_run):
        raise UsageError("forget needs --namespace, --pattern or --tier, or --undo; see `ai-memory forget --help`")
    if request.undo is not None and request != ForgetRequest(undo=request.undo):
        raise UsageError("--undo goes alone; leave --namespace, --pattern, --tier and --dry-run out")
    if request.undo is None and not request.dry_run and is_asked(context) and not _is_confirmed(context, request):
        context.screen.say("nothing was forgotten")
        return ExitStatus.OK
    answer = context.ask(lambda client: client.forget(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        _show(context, answer)
    if answer.more:
        context.screen.say("more memories match than go at once; repeat the command for the next")
    if answer.not_restored:
        for item in answer.not_restored:
            context.screen.say(f"not restored: {item.id}: {item.error}")
        return ExitStatus.CONFLICT
    return ExitStatus.OK


def _is_confirmed(context: Context, request: ForgetRequest) -> bool:
    found = context.ask(lambda client: client.forget(replace(request, dry_run=True)))
    _show(context, found)
    if not found.would_delete:
        return False
    return is_agreed(context, f"forget {counted(found.would_delete, 'memory')}?")


def _show(context: Context, answer: Forgotten) -> None:
    screen = context.screen
    if answer.memories is not UNSET and answer.would_delete is not UNSET:
        if answer.memories:
            screen.table(
                ("id", "tier", "namespace", "title"),
                [(row.id, row.tier, row.namespace, one_line(row.title, width=60)) for row in answer.memories])
        screen.line(f"would forget: {counted(answer.would_delete, 'memory')}")
    elif answer.restored is not UNSET:
        screen.line(f"restored: {counted(answer.restored, 'memory')}")
    elif answer.forget_id is UNSET:
        screen.line("forgotten: nothing matches")
    else:
        screen.line(f"forgotten: {counted(answer.deleted, 'memory')}")
        screen.line(f"to bring back: ai-memory forget --undo {answer.forget_id}")
