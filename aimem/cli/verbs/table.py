"""What a verb is: the rows of the table from which parser and manual are built."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct


class Argument(Struct, frozen=True, kw_only=True):
    """A positional argument. `count` is `1`, `?` (may be left out), `+` (one or more) or `*` (any number)."""

    name: str
    help: str
    count: str = "1"
    choices: tuple[str, ...] = ()
    is_file: bool = False


class Option(Struct, frozen=True, kw_only=True):
    """An option of one verb.

    Attributes:
      flag, short: `--content`, `-c`.
      help: one sentence; the manual and `--help` show it.
      dest: the name that its value gets; by default the flag's.
      read: turns the text into a value (ValueError if it cannot), or None for a switch.
      default: without the option.
      default_text: the default in words, where it is not a value.
      is_file: whether the value names a file, which shells then complete.
      repeats: whether it may be given several times; its value is then a list, empty without it.
      placeholder: what stands for its value in help and manual; by default the last word of the flag.
    """

    flag: str
    help: str
    short: str | None = None
    dest: str | None = None
    read: Callable[[str], object] | None = str
    default: object = None
    default_text: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()
    is_file: bool = False
    repeats: bool = False
    placeholder: str = ""

    @property
    def name(self) -> str:
        """The name of its value among the parsed arguments."""
        return self.dest or self.flag.removeprefix("--").replace("-", "_")


class Verb(Struct, frozen=True, kw_only=True):
    """A verb, or a group of verbs (`children`), which may do something by itself too (`run`).

    Attributes:
      prints: what `--json` prints.
      begins: whether it makes sense where no database is yet; the other verbs refuse a named one that is not there.
      is_plain: whether it needs neither database nor configuration, and so works also where that is broken.
      judges_settings: whether it reads them itself, to say what is wrong with them; it is handed the usual ones.
      terms: words that it prints, with their meanings; a list of the manual.
      statuses: what it exits with, where that is not the table of all verbs.
    """

    name: str
    summary: str
    about: str = ""
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    children: tuple[Verb, ...] = ()
    run: str = ""
    prints: str = ""
    begins: bool = False
    is_plain: bool = False
    judges_settings: bool = False
    terms: tuple[tuple[str, str], ...] = ()
    statuses: tuple[tuple[int, str], ...] = ()
    examples: tuple[tuple[str, str], ...] = ()


def within(verb: Verb, above: str = "") -> Iterator[tuple[str, Verb]]:
    """A verb and all the verbs within it, each with the words that call it (`agents key add`), groups first."""
    path = f"{above} {verb.name}".strip()
    yield path, verb
    for child in verb.children:
        yield from within(child, path)
