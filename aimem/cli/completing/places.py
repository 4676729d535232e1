"""What may come next on the command line, place by place: what every shell's script is made of."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from aimem.cli.parser import GLOBAL_HELP, global_settings, server_settings
from aimem.cli.verbs import VERBS, Option, Verb
from aimem.config import Kind, Setting


class Flag(Struct, frozen=True, kw_only=True):
    """An option of a place.

    Attributes:
      names: long, and short if there is one.
      is_valued: whether a value follows.
      choices: the values, if they are a closed set.
      is_file: whether the value names a file.
    """

    names: tuple[str, ...]
    help: str
    is_valued: bool = False
    choices: tuple[str, ...] = ()
    is_file: bool = False


class Place(Struct, frozen=True, kw_only=True):
    """One verb, or the program itself.

    Attributes:
      path: the verbs up to here, divided by blanks; empty for the program.
      verbs: the verbs that may follow, with their summaries.
      words: what its argument may be, if that is a closed set.
      takes_files: whether an argument names a file.
    """

    path: str
    verbs: tuple[tuple[str, str], ...]
    flags: tuple[Flag, ...]
    words: tuple[str, ...] = ()
    takes_files: bool = False


def places() -> tuple[Place, ...]:
    """Every place, the program first. A flag has a value at all places or at none (checked by a test)."""
    top = Place(path="", verbs=_named(VERBS), flags=(*_global_flags(), _version()))
    return (top, *(place for verb in VERBS for place in _below(verb, "")))


def _below(verb: Verb, above: str) -> Iterator[Place]:
    path = f"{above} {verb.name}".strip()
    own = [_flag(option) for option in verb.options] + [_of_setting(setting) for setting in server_settings(verb)]
    taken = {flag.names[0] for flag in own}
    flags = (*own, *(flag for flag in _global_flags() if flag.names[0] not in taken))
    words = tuple(word for argument in verb.arguments for word in argument.choices)
    if verb.name in ("help", "man"):
        words = tuple(other.name for other in VERBS)
    takes_files = any(argument.is_file for argument in verb.arguments)
    yield Place(path=path, verbs=_named(verb.children), flags=flags, words=words, takes_files=takes_files)
    for child in verb.children:
        yield from _below(child, path)


def _named(verbs: tuple[Verb, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((verb.name, verb.summary) for verb in verbs)


def _flag(option: Option) -> Flag:
    return Flag(
        names=tuple(name for name in (option.flag, option.short) if name), help=option.help,
        is_valued=option.read is not None, choices=option.choices, is_file=option.is_file)


def _of_setting(setting: Setting) -> Flag:
    return Flag(
        names=tuple(name for name in (setting.flag, setting.short) if name), help=setting.help,
        is_valued=setting.kind is not Kind.SWITCH, choices=setting.choices, is_file=setting.kind is Kind.PATH)


def _global_flags() -> tuple[Flag, ...]:
    return (
        *(_of_setting(setting) for setting in global_settings()),
        Flag(names=("--config",), help=GLOBAL_HELP["--config"], is_valued=True, is_file=True),
        Flag(names=("--json",), help=GLOBAL_HELP["--json"]),
        Flag(names=("--help", "-h"), help=GLOBAL_HELP["--help"]),
    )


def _version() -> Flag:
    return Flag(names=("--version", "-V"), help=GLOBAL_HELP["--version"])
