"""The verb that reads verbs, one a line.

Each line is a command line of its own and reaches the node anew: an idle shell holds no database.
"""

from __future__ import annotations

import contextlib
import shlex
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from aimem.cli.completing import Place, places
from aimem.cli.context import Context
from aimem.cli.exits import ExitStatus
from aimem.cli.surroundings import Surroundings
from aimem.cli.text import one_line
from aimem.config import setting
from aimem.errors import AimemError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROMPT: Final = "ai-memory> "
LINE_MAX_BYTES: Final = 256 * 1024
"""Four times the longest text of a memory. shlex takes time with the square of a line: at this one second, at 1 MiB a
quarter of a minute."""

SHORT_FORMS: Final = {
    "r": "recall", "s": "search", "ls": "list", "ns": "namespaces", "del": "delete", "rm": "delete", "h": "help",
    "exit": "quit", "q": "quit",
}
SENTENCES: Final = frozenset({"recall", "search"})
"""Verbs whose argument is the rest of the line."""

ELSEWHERE: Final = frozenset({"serve", "mcp", "shell"})
"""Verbs that would take the terminal for themselves."""

HELP: Final = """\
recall WORDS    find memories by meaning (r)      store -c TEXT    remember a text
search WORDS    find memories by words (s)        get ID           show a memory
list [NS]       list memories (ls)                delete ID        delete one, after asking (del, rm)
namespaces      list namespaces (ns)              stats            count memories
help VERB       what a verb takes (h)             quit             leave (exit, q, Ctrl-D)
Every other verb of ai-memory works too; `help` with its name says how."""


def shell(context: Context) -> int:
    """Carry out lines until there are no more."""
    return _Shell(context).run()


class _Shell:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._around = _settled(context)
        self._places = {place.path: place for place in places()}
        self._is_asking = context.around.stdin.isatty() and context.around.stdout.isatty()

    def run(self) -> int:
        last_failure = int(ExitStatus.OK)
        for line in self._lines():
            words = self._words(line)
            if words is None:
                last_failure = ExitStatus.INVALID
                continue
            if words == ["quit"]:
                break
            status = self._carry_out(words) if words else ExitStatus.OK
            if status == ExitStatus.BROKEN_PIPE:
                return status
            if status == ExitStatus.INTERRUPTED and not self._is_asking:
                return status
            last_failure = status or last_failure
        return ExitStatus.OK if self._is_asking else last_failure

    def _lines(self) -> Iterator[str]:
        if not self._is_asking:
            yield from self._piped()
            return
        # Loading it is what gives input() its editing and history; nothing is ever written to a file. Some Pythons, and
        # the one-file program, are without it.
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401

        self._context.screen.say("`help` lists what there is, Ctrl-D leaves")
        while True:
            try:
                yield input(PROMPT)
            except EOFError:
                self._context.screen.line()
                return
            except KeyboardInterrupt:
                self._context.screen.line()

    def _piped(self) -> Iterator[str]:
        stdin = self._context.around.stdin
        while line := stdin.readline(LINE_MAX_BYTES + 1):
            rest = line
            # The rest of a line that is too long is no line of its own: who knows what it would do.
            while rest and not rest.endswith(b"\n"):
                rest = stdin.readline(LINE_MAX_BYTES)
            # Broken bytes become lone surrogates, which every verb refuses by name.
            yield line.decode(errors="surrogateescape")

    def _words(self, line: str) -> list[str] | None:
        """The line as arguments; empty for a blank line or a comment; None if it cannot be read, which was said."""
        if len(line.encode(errors="surrogateescape")) > LINE_MAX_BYTES:
            self._context.screen.say(f"error: a line has more than {LINE_MAX_BYTES} bytes; it was left out")
            return None
        text = line.strip()
        if not text or text.startswith("#"):
            return []
        name = text.split(maxsplit=1)[0]
        verb = SHORT_FORMS.get(name, name)
        try:
            words = shlex.split(text)[1:]
        except ValueError as error:
            if verb not in SENTENCES:
                self._context.screen.say(f"error: {one_line(str(error))}; close the quotation, or write \\' for a mark")
                return None
            words = text.split()[1:]
        if verb in SENTENCES:
            return [verb, *_sentence(self._places[verb], words)]
        if verb == "list" and words and not words[0].startswith("-"):
            return [verb, "--namespace", *words]
        return [verb, *words]

    def _carry_out(self, words: Sequence[str]) -> int:
        if words[0] in ELSEWHERE:
            self._context.screen.say(f"error: {words[0]} is no verb of the shell; run it by itself")
            return ExitStatus.INVALID
        if words == ["help"]:
            self._context.screen.line(HELP)
            return ExitStatus.OK
        try:
            if self._is_asking and words[0] == "delete" and len(words) == 2 and not words[1].startswith("-"):
                return self._delete(words[1])
            return self._main(words)
        except KeyboardInterrupt:
            return ExitStatus.INTERRUPTED

    def _main(self, words: Sequence[str]) -> int:
        # Loaded here, because the entry loads us.
        from aimem.cli.main import main

        flags = ["--json"] if self._context.wants_json else []
        return main([*flags, *words], self._context.runtime, self._around)

    def _delete(self, given: str) -> int:
        """Show what would go, and ask. The beginning of an id is enough, as somebody looks at what it means."""
        try:
            found = self._context.ask(lambda client: client.get(given))
        except (AimemError, BaseExceptionGroup):
            return self._main(["get", "--", given])     # it says what is wrong
        self._context.screen.line(f"{found.id} [{found.tier}] (ns={found.namespace}) {one_line(found.title)}")
        try:
            answer = input("delete it for ever? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() not in ("y", "yes"):
            self._context.screen.say("nothing is deleted")
            return ExitStatus.OK
        return self._main(["delete", "--", found.id])


def _settled(context: Context) -> Surroundings:
    """What each line sees: the flags of the shell as variables, and one author."""
    around = context.around
    environ = dict(around.environ)
    for key, value in context.parsed.settings.items():
        name = "AI_MEMORY_CONFIG" if key == "config" else setting(key).variable
        environ[name] = "true" if value is True else str(value)
    if (agent_id := context.agent_id()) is not None:
        environ["AI_MEMORY_AGENT_ID"] = agent_id
    return replace(around, environ=environ)


def _sentence(place: Place, words: Sequence[str]) -> list[str]:
    """Arguments of a verb that looks for something: its options wherever they stand, the other words as one."""
    valued = {name: flag.is_valued for flag in place.flags for name in flag.names}
    options: list[str] = []
    text: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, separator, _ = word.partition("=")
        if name not in valued:
            text.append(word)
            continue
        options.append(word)
        if valued[name] and not separator and rest:
            options.append(rest.pop(0))
    return [*options, "--", " ".join(text)] if text else options
