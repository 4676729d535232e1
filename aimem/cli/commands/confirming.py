"""Asking before many memories go: on a terminal, unless told not to."""

from __future__ import annotations

from aimem.cli.context import Context

_YES = ("y", "yes")


def is_asked(context: Context) -> bool:
    """Whether somebody sits there who can answer, and no --yes or program that reads says otherwise."""
    around = context.around
    return not (context.value("yes") or context.wants_json) and around.stdin.isatty() and around.stderr.isatty()


def is_agreed(context: Context, question: str) -> bool:
    """Ask; whatever is not clearly yes is no."""
    return context.screen.question(f"{question} [y/N]", context.around.stdin).lower() in _YES
