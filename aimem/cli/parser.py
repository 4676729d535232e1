"""The argparse parser, built from the tables of settings and verbs."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TextIO  # Any: argparse keeps its values in an untyped namespace

import aimem
from aimem.cli.values import integer, number
from aimem.cli.verbs import VERBS, Argument, Option, Verb
from aimem.config import EVERY_VERB, SETTINGS, Kind, Setting
from aimem.errors import InvalidRequest

_SETTING = "setting."
_CHOICE = re.compile(r"argument (\S+): invalid choice: '([^']*)' \(choose from (.*)\)")

_NO_VALUE = re.compile(r"argument ([^:]+): expected one argument")

_VERBS_NAMED_MAX = 8

GLOBAL_HELP = {
    "--config": "The configuration file to read, instead of the usual places.",
    "--json": "Print data as JSON.",
    "--help": "Show help and exit.",
    "--version": "Show the version and exit.",
}
"""Global flags that are no settings."""


_EPILOG = """\
A verb's help: ai-memory help VERB. The manual: man ai-memory, or where it is
not installed, ai-memory man | man -l -; its pages are ai-memory(1),
ai-memory-VERB(1), ai-memory-config(5), ai-memory-api(7),
ai-memory-governance(7), ai-memory-mesh(7), ai-memory-reliability(7),
ai-memory-service(7), ai-memory-compat(7) and ai-memory-glossary(7)."""

_NOT_THERE_YET = frozenset(("migrate", "--db-passphrase-file"))
"""Verbs and options of v0.6.3 that this version has not: who comes from there is told so, not that it is a typo."""


class UsageError(InvalidRequest):
    """The command line cannot be understood."""


class Parsed:
    """A parsed command line: the verb, the values of its options, and the settings that were given as flags."""

    def __init__(self, verb: Verb | None, values: Mapping[str, Any]) -> None:
        self.verb = verb
        self.settings: Mapping[str, object] = {
            name.removeprefix(_SETTING): value for name, value in values.items() if name.startswith(_SETTING)}
        self.values: Mapping[str, Any] = {
            name: value for name, value in values.items() if not name.startswith(_SETTING)}
        self.wants_json = bool(values.get("json"))


class _Parser(argparse.ArgumentParser):
    """argparse, raising instead of exiting, and writing its help where it is told."""

    out: TextIO | None = None
    fill: Callable[[], None] | None = None
    """Adds what this parser takes, once it is this one's turn: the other verbs' options are never made."""

    def parse_known_args(  # type: ignore[override]  # argparse's overloads are for namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        fill, self.fill = self.fill, None
        if fill is not None:
            fill()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        if choice := _CHOICE.search(message):
            where, given, allowed = choice[1].partition("/")[0].strip("[]"), choice[2], re.findall(r"[\w-]+", choice[3])
            if where == "VERB" and given in _NOT_THERE_YET:
                raise UsageError(_not_there_yet(given))
            near = _did_you_mean(given, allowed)
            # The verbs are too many for one line; the help that is named has them with what they do.
            named = "" if len(allowed) > _VERBS_NAMED_MAX else (
                f" of {self.prog.removeprefix('ai-memory ')}; allowed are {', '.join(allowed)}")
            message = f"{given[:64]!r} is no verb{named}{near}" if where == "VERB" else (
                f"{where}: {given[:64]!r} is unknown; allowed are {', '.join(allowed)}{near}")
        elif bare := _NO_VALUE.fullmatch(message):
            message = f"{bare[1]} needs a value (one that begins with a dash: behind an equals sign)"
        raise UsageError(f"{message}; see `{self.prog} --help`")

    def _print_message(self, message: str, file: object = None) -> None:
        if message and self.out:
            self.out.write(message)


def parse(argv: Sequence[str], out: TextIO) -> Parsed:
    """Read a command line (without the program's name).

    Raises: UsageError saying what is wrong; SystemExit after `--help` and `--version`, which print on `out`.
    """
    options = [word.partition("=")[0] for word in (argv[: argv.index("--")] if "--" in argv else argv)]
    if missing := next((word for word in options if word.startswith("--") and word in _NOT_THERE_YET), None):
        raise UsageError(_not_there_yet(missing))
    arguments, rest = build_parser(out).parse_known_args(argv)
    values = vars(arguments)
    verb: Verb | None = values.pop("verb", None)
    where: str = values.pop("called", "ai-memory")
    if rest:
        unknown = rest[0].partition("=")[0]
        if not unknown.startswith("-"):
            raise UsageError(
                f"{rest[0][:64]!r} is one argument too many; quotes keep words together; see `{where} --help`")
        raise UsageError(f"unknown argument {unknown}{_whose(unknown) or _did_you_mean(unknown, _flags_of(verb))}; "
                         f"see `{where} --help`")
    return Parsed(verb, values)


def _flags_of(verb: Verb | None) -> list[str]:
    """The long options that can follow a verb, or stand alone."""
    settings = [*global_settings(), *(server_settings(verb) if verb else ())]
    own = [option.flag for option in verb.options] if verb else []
    return [*own, *(setting.flag for setting in settings if setting.flag), *GLOBAL_HELP]


def _whose(flag: str) -> str:
    """Which verbs take a setting's option that this one does not take."""
    verbs = next((setting.flag_of for setting in SETTINGS if setting.flag == flag), ())
    return f": it is an option of {', '.join(verbs)}" if verbs else ""


def _not_there_yet(word: str) -> str:
    return f"{word} of v0.6.3 is not there yet; see ai-memory-compat(7)"


def help_text() -> str:
    """The help of the whole program."""
    return build_parser().format_help()


def build_parser(out: TextIO | None = None) -> _Parser:
    """The parser of the whole program; `--help` and `--version` print on `out`."""
    root = _Parser(
        prog="ai-memory", add_help=False, allow_abbrev=False,
        description="Persistent memory for AI agents: over HTTP, MCP and this command line.",
        formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_EPILOG)
    root.out = out
    _add_global(root, own_flags=frozenset())
    root.add_argument("-V", "-v", "--version", action="version", version=f"ai-memory {aimem.__version__}",
                      help=GLOBAL_HELP["--version"])
    _add_verbs(root, VERBS, title="verbs")
    return root


def _add_verbs(parser: _Parser, verbs: Sequence[Verb], *, title: str, metavar: str = "VERB") -> None:
    group = parser.add_subparsers(title=title, metavar=metavar)
    for verb in verbs:
        child = group.add_parser(
            verb.name, help=verb.summary, description=verb.about or f"{verb.summary.capitalize()}.", add_help=False,
            allow_abbrev=False)
        child.out = parser.out
        child.fill = partial(_fill, child, verb)


def _fill(parser: _Parser, verb: Verb) -> None:
    for argument in verb.arguments:
        _add_argument(parser, argument)
    for option in verb.options:
        _add_option(parser, option)
    for setting in server_settings(verb):
        _add_setting(parser, setting)
    _add_global(parser, own_flags=frozenset(option.flag for option in verb.options))
    parser.set_defaults(verb=verb, called=parser.prog)
    if verb.children:
        # What does something by itself needs none of its verbs.
        metavar = "[VERB]" if verb.run else "VERB"
        _add_verbs(parser, verb.children, title=f"verbs of {verb.name}", metavar=metavar)


def server_settings(verb: Verb) -> list[Setting]:
    """The settings whose flags this verb takes beside the global ones."""
    return [setting for setting in SETTINGS if verb.run and verb.name in setting.flag_of]


def global_settings() -> list[Setting]:
    """The settings whose flags every verb takes."""
    return [setting for setting in SETTINGS if setting.flag_of == EVERY_VERB]


def _add_global(parser: argparse.ArgumentParser, *, own_flags: frozenset[str]) -> None:
    """Add the global flags.

    They stand on every parser, so that they may come before or after the verb; SUPPRESS keeps the verb's parser from
    resetting what stood before it.
    """
    group = parser.add_argument_group("global options")
    for setting in global_settings():
        if setting.flag not in own_flags:
            _add_setting(group, setting)
    group.add_argument("--config", dest=_SETTING + "config", metavar="FILE", default=argparse.SUPPRESS,
                       help=GLOBAL_HELP["--config"])
    group.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=GLOBAL_HELP["--json"])
    group.add_argument("-h", "--help", action="help", help=GLOBAL_HELP["--help"])


def _add_setting(parser: argparse._ActionsContainer, setting: Setting) -> None:
    """A setting's value stays text: the loader reads and checks it as it does those of file and environment."""
    names = [name for name in (setting.flag, setting.short) if name]
    dest = _SETTING + setting.key
    if setting.kind is Kind.SWITCH:
        parser.add_argument(*names, dest=dest, action="store_const", const=True, default=argparse.SUPPRESS,
                            help=setting.help)
        return
    metavar = "|".join(setting.choices) if setting.choices else setting_metavar(setting)
    parser.add_argument(*names, dest=dest, metavar=metavar, default=argparse.SUPPRESS, help=setting.help)


def setting_metavar(setting: Setting) -> str:
    """The placeholder of a setting's value."""
    words = {Kind.PATH: "PATH", Kind.INTEGER: "N", Kind.NUMBER: "N", Kind.ADDRESS: "HOST:PORT"}
    return words.get(setting.kind, setting.key.rpartition("_")[2].upper())


def _add_argument(parser: argparse.ArgumentParser, argument: Argument) -> None:
    choices = argument.choices or None
    if argument.count == "1":
        parser.add_argument(argument.name, choices=choices, metavar=argument.name, help=argument.help)
    else:
        parser.add_argument(
            argument.name, nargs=argument.count, choices=choices, metavar=argument.name, help=argument.help)


def _add_option(parser: argparse.ArgumentParser, option: Option) -> None:
    names = [name for name in (option.flag, option.short) if name]
    words = option.help + default_words(option)
    if option.read is None:
        parser.add_argument(*names, dest=option.name, action="store_true", help=words)
    elif option.repeats:
        parser.add_argument(
            *names, dest=option.name, type=option.read, action="append", default=[], metavar=option_metavar(option),
            help=words)
    else:
        parser.add_argument(
            *names, dest=option.name, type=option.read, default=option.default, required=option.required,
            choices=option.choices or None, metavar=option_metavar(option), help=words)


def option_metavar(option: Option) -> str:
    """The placeholder of an option's value."""
    if option.choices:
        return "|".join(option.choices)
    word = "N" if option.read in (integer, number) else option.flag.rpartition("-")[2].upper()
    return option.placeholder or word


def default_words(option: Option) -> str:
    """` Default: x.`, or nothing."""
    default = option.default_text or ("" if option.default is None else str(option.default))
    return f" Default: {default}." if default else ""


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
