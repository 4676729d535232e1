"""The verb demo: a mesh before one's eyes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.parser import UsageError
from aimem.wire import demo


def demonstrate(context: Context) -> int:
    """Show a mesh, and keep it until a signal. One that comes before the last step is done is an interrupt."""
    value = context.value
    keep = value("keep")
    if value("console") and (value("once") or context.wants_json):
        raise UsageError("--console goes with neither --once nor --json")
    if value("console") and not (context.around.stdout.isatty() and context.around.stdin.isatty()):
        raise UsageError("--console needs a terminal")
    report = context.runtime.run_demo(
        demo.DemoRequest(
            nodes=value("nodes"), tier=value("tier"), keep=None if keep is None else str(context.path(keep)),
            once=value("once"), console=value("console"),
        ),
        context.around, _Stage(context),
    )
    return ExitStatus.OK if report.is_whole else ExitStatus.INTERRUPTED


class _Stage:
    """A terminal or a pipe: sentences and tables for people, or one JSON document with the sentences on stderr."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def tell(self, text: str) -> None:
        """Say a sentence."""
        if self._context.wants_json:
            self._context.screen.say(text)
        else:
            self._context.screen.sentence(text)
            self._context.around.stdout.flush()

    def begin_line(self) -> None:
        """Go on below the ^C that a terminal has shown."""
        self._context.screen.begin_line()

    def progress(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """A bar, or lines."""
        return self._context.screen.progress(what, total)

    def show(self, report: demo.DemoReport) -> None:
        """The nodes, and what to try."""
        context, screen = self._context, self._context.screen
        if context.wants_json:
            screen.json(report)
        else:
            screen.line()
            screen.table(
                ("node", "address", "process"), [(node.name, node.url, str(node.pid)) for node in report.nodes]
            )
            screen.line()
            screen.sentence(f"Databases (NODE.db), logs (NODE.log) and certificates (pki) are in {report.folder}")
            if not context.value("once"):
                screen.line()
                screen.line("To try, in another terminal:")
                for command in report.commands:
                    screen.line(f"  # {command.what}")
                    screen.line(f"  {command.line}")
        if context.value("console"):
            self.tell("The console opens; the nodes end when you leave it.")
        elif not context.value("once"):
            self.tell("The nodes serve until Ctrl-C.")
        context.around.stdout.flush()
