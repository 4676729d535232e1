"""The verbs backup, restore and verify."""

from __future__ import annotations

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.text import counted, size_words
from aimem.wire import keeping


def back_up(context: Context) -> int:
    """Make a backup."""
    keeper = context.runtime.open_keeper(context.config)
    made = keeper.back_up(context.path(context.value("to")), context.value("keep"))
    _warn(context, made.warnings)
    if context.wants_json:
        context.screen.json(made)
        return ExitStatus.OK
    context.screen.line(f"{made.path}  {size_words(made.bytes)}, {counted(made.memories, 'memory')}, checked")
    for name in made.removed:
        context.screen.line(f"{name}  removed")
    return ExitStatus.OK


def restore(context: Context) -> int:
    """Put a backup in the place of the database."""
    trust = keeping.Trust.SOUNDNESS if context.value("skip_verify") else keeping.Trust.MANIFEST
    done = context.runtime.open_keeper(context.config).restore(context.path(context.value("source")), trust)
    _warn(context, done.warnings)
    if context.wants_json:
        context.screen.json(done)
        return ExitStatus.OK
    context.screen.line(f"{done.to}  restored from {done.source}, {counted(done.memories, 'memory')}")
    if done.kept is not None:
        context.screen.line(f"{done.kept}  what it was before")
    return ExitStatus.OK


def verify(context: Context) -> int:
    """Look whether the database or backups are sound."""
    paths = [context.path(text) for text in context.value("file")]
    found = context.runtime.open_keeper(context.config).verify(paths)
    if context.wants_json:
        context.screen.json(found)
    else:
        for one in found.databases:
            _show(context, one)
    return ExitStatus.OK if found.sound else ExitStatus.OTHER


def _show(context: Context, one: keeping.SoundnessOut) -> None:
    line = context.screen.line
    line(f"{one.path}  {'sound' if one.sound else 'NOT SOUND'}")
    for check in one.checks:
        line(f"  {check.check:<12}{check.count:>10}  {'ok' if not check.findings else 'wrong:'}")
        for finding in check.findings:
            line(f"    {finding}")
    if one.digest:
        line(f"  {'digest':<12}{one.digest}")


def _warn(context: Context, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        context.screen.say(f"warning: {warning}")
