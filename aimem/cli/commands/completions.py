"""The verb that prints completion scripts."""

from __future__ import annotations

from aimem.cli.completing import SCRIPTS, places
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus


def completions(context: Context) -> int:
    """Print the script of one shell."""
    context.screen.line(SCRIPTS[context.value("shell")](places()).rstrip("\n"))
    return ExitStatus.OK
