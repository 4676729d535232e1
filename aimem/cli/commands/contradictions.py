"""The verb that settles a contradiction."""

from __future__ import annotations

from msgspec import UNSET

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.wire import ResolveRequest


def resolve(context: Context) -> int:
    """Say which of two memories holds."""
    request = ResolveRequest(winner=context.value("winner"), loser=context.value("loser"))
    answer = context.ask(lambda client: client.resolve(request))
    if context.wants_json:
        context.screen.json(answer)
    else:
        context.screen.line(f"resolved: {answer.winner} supersedes {answer.loser}")
    if answer.version is UNSET:
        context.screen.say("note: it was settled so already")
    return ExitStatus.OK
