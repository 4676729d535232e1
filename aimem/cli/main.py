"""The entry of the command line, and its last line: every failure becomes a sentence and an exit status."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from aimem.cli.context import Context
from aimem.cli.doubt import sentence_of
from aimem.cli.exits import ExitStatus, is_interrupt, status_of
from aimem.cli.parser import Parsed, UsageError, help_text, parse
from aimem.cli.runtime import Runtime
from aimem.cli.surroundings import Surroundings, abandon, system_surroundings
from aimem.cli.text import one_line
from aimem.cli.verbs import VERBS, Verb, within
from aimem.config import StoreConfig, load_config
from aimem.errors import AimemError, ApprovalRequired, NotFound, Unavailable, leaves
from aimem.wire import ErrorOut, encode, to_builtins

Command = Callable[[Context], int]
_OF_OUTPUT = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})


def main(argv: Sequence[str], runtime: Runtime, around: Surroundings | None = None) -> int:
    """Carry out one command line.

    Args:
      argv: the arguments, without the program's name.
      runtime: the effects.
      around: the process's surroundings; the real ones if None.
    Returns: the exit status (ExitStatus; a server's own). Never raises: failures are said on stderr.
    """
    around = around or system_surroundings()
    try:
        try:
            status = _carry_out(argv, runtime, around)
        except SystemExit as exit_:  # argparse after --help and --version
            status = exit_.code if isinstance(exit_.code, int) else ExitStatus.OK
        around.stdout.flush()
    except (KeyboardInterrupt, BaseExceptionGroup, Exception) as error:  # noqa: BLE001  # the door's last line
        return _report(error, argv, around)
    return int(status)


def _carry_out(argv: Sequence[str], runtime: Runtime, around: Surroundings) -> int:
    parsed = parse(argv, around.stdout)
    if parsed.verb is None:
        around.stdout.write(help_text())
        return ExitStatus.OK
    if parsed.verb.children and not parsed.verb.run:
        names = ", ".join(child.name for child in parsed.verb.children)
        path = next(path for verb in VERBS for path, one in within(verb) if one is parsed.verb)
        raise UsageError(f"{path} needs one of {names}; see `ai-memory {path} --help`")
    if parsed.verb.name == "help":
        return _carry_out([*parsed.values["words"], "--help"], runtime, around)
    flags, environ = ({}, {"AI_MEMORY_NO_CONFIG": ""}) if parsed.verb.is_plain else (parsed.settings, around.environ)
    reread = partial(load_config, flags, environ, cwd=around.cwd, home=around.home)
    config = reread()
    if not parsed.verb.is_plain:
        _refuse_missing(parsed.verb, config.store)
    context = Context(parsed, config, runtime, around, reread)
    try:
        return command_of(parsed.verb)(context)
    except (ApprovalRequired, BaseExceptionGroup) as error:
        pending = next((leaf for leaf in leaves(error) if isinstance(leaf, ApprovalRequired)), None)
        if pending is None:
            raise
        return _pending(pending, parsed, context)


def _refuse_missing(verb: Verb, store: StoreConfig) -> None:
    """A named database that is not there is a misspelt one, unless the verb is there to begin one.

    A folder that is missing is told by whoever opens the database: no verb makes it.
    """
    if not store.named_by or verb.begins:
        return
    try:
        is_missing = store.db.parent.is_dir() and not store.db.exists() and not _is_coming(store.db)
    except OSError as error:    # a name that is too long, a folder that this user may not look into
        reason = error.strerror or str(error)
        raise Unavailable(f"cannot look for {store.db} (named by {store.named_by}): {reason}") from error
    if is_missing:
        raise NotFound(f"no database at {store.db} (named by {store.named_by}); `store` or `serve` would create it")


def _is_coming(db: Path) -> bool:
    """Whether a restore was cut off between the old database and the new one."""
    from aimem.store import replacing

    return replacing.is_pending(db.resolve())


def command_of(verb: Verb) -> Command:
    """The function that carries a verb out; importing it loads what the verb needs."""
    module, _, name = verb.run.partition(":")
    command: Command = getattr(importlib.import_module(f"aimem.cli.commands.{module}"), name)
    return command


def _pending(error: ApprovalRequired, parsed: Parsed, context: Context) -> int:
    """The action is queued: that is an answer, with a status of its own."""
    details = error.details
    if parsed.wants_json:
        context.screen.json({"status": "pending", "reason": error.message, **details, "code": error.code})
    name = details.get("action") or (parsed.verb.name if parsed.verb else "action")
    context.screen.say(
        f"{name} queued for approval: pending_id={details.get('pending_id')} ns={details.get('namespace')}")
    return ExitStatus.PENDING


def _report(error: BaseException, argv: Sequence[str], around: Surroundings) -> int:
    """Say what went wrong, in the order of what matters: the user's own doing first, then our errors, then bugs."""
    inside = list(leaves(error))
    if is_interrupt(error):
        return ExitStatus.INTERRUPTED
    if inside and all(isinstance(leaf, BrokenPipeError) for leaf in inside):
        abandon(around.stdout)
        return ExitStatus.BROKEN_PIPE
    if inside and all(_is_of_output(leaf) for leaf in inside):
        abandon(around.stdout)
        reason = one_line(os.strerror(_errno(inside[0])))
        _tell(f"ai-memory: error: the output cannot be written: {reason}\n", around)
        return ExitStatus.OTHER
    known = [leaf for leaf in inside if isinstance(leaf, AimemError)]
    if known and len(known) == len(inside):
        _tell(_said(known[0], argv), around)
        return status_of(known[0])
    return _report_bug(inside[0] if inside else error, error, around)


def _said(error: AimemError, argv: Sequence[str]) -> str:
    """The error as a line of stderr: a sentence, or the envelope of ai-memory-api(7) where data is JSON as well."""
    if "--json" in argv[: argv.index("--") if "--" in argv else None]:
        # An argument that is no UTF-8 stands in the message as half of a surrogate pair, which JSON cannot hold.
        envelope = ErrorOut(error=one_line(sentence_of(error)), code=error.code, field=error.field)
        return encode({**to_builtins(envelope), **error.details}).decode() + "\n"
    return f"ai-memory: error: {one_line(sentence_of(error))}\n"


def _errno(error: BaseException) -> int:
    return (error.errno or 0) if isinstance(error, OSError) else 0


def _is_of_output(error: BaseException) -> bool:
    """Whether stdout failed: its errors name no file, and every room below translates those of its own files."""
    return _errno(error) in _OF_OUTPUT and isinstance(error, OSError) and error.filename is None


def _tell(line: str, around: Surroundings) -> None:
    try:
        around.stderr.write(line)
        around.stderr.flush()
    except OSError:
        # Nobody is left to tell; the exit status still says it, if the interpreter's last flush does not fail as well.
        abandon(around.stderr)


def _report_bug(first: BaseException, error: BaseException, around: Surroundings) -> int:
    if around.environ.get("AI_MEMORY_DEBUG") == "1":
        import traceback

        around.stderr.write("".join(traceback.format_exception(error)))
    what = one_line(f"{type(first).__name__}: {first}", width=200)
    _tell(
        f"ai-memory: error: this is a bug in ai-memory ({what}); please report it with what AI_MEMORY_DEBUG=1 prints\n",
        around)
    return ExitStatus.OTHER
