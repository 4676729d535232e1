"""Writes the manual pages that follow from the tables of verbs and settings.

`python -m aimem.cli.man man/` writes `ai-memory-VERB.1` for each verb, and in `ai-memory-config.5` replaces what stands
between the marks; the rest of that page, and ai-memory(1), are written by hand. Tests compare the committed pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aimem.cli.exits import MEANING, ExitStatus
from aimem.cli.parser import (
    GLOBAL_HELP,
    default_words,
    global_settings,
    option_metavar,
    server_settings,
    setting_metavar,
)
from aimem.cli.verbs import VERBS, Option, Verb, within
from aimem.config import SETTINGS, Kind, Setting, kind_words

DATE = "November 21, 2026"
"""When the generated pages' words last changed."""

NO_HYPHENS = '.\\" Names must not be divided at the end of a line.\n.nr doc-hyphen-flags 0'
"""What every page sets: groff's mdoc would hyphenate options and fields, and switches that on anew in each section."""

CONFIG_PAGE = "ai-memory-config.5"
MCP_PAGE = "ai-memory-mcp.1"
BEGIN_TOOLS, END_TOOLS = '.\\" BEGIN GENERATED TOOLS', '.\\" END GENERATED TOOLS'
"""Between these aimem.mcp.man writes what the tools take; siblings do not import each other."""

BEGIN, END = '.\\" BEGIN GENERATED SETTINGS', '.\\" END GENERATED SETTINGS'

_SERVER_STATUSES = (ExitStatus.OK, ExitStatus.OTHER, ExitStatus.INVALID, ExitStatus.DENIED, ExitStatus.UNAVAILABLE)
_GOVERNING = ("agents", "namespace", "pending", "audit")
_MESHED = ("console", "demo", "mesh", "pki", "restore", "serve", "sync-daemon")
"""Verbs whose meaning ai-memory-governance(7) tells."""

_NAME = re.compile(r"(?<![\w-])(--[a-z][\w-]*|ai-memory[\w-]*)")
_SENTENCE_END = re.compile(r"(?<=[A-Za-z0-9)][.])\s+(?=[A-Z])")


def generated_pages(folder: Path) -> dict[str, str]:
    """Every page that is generated, whole or in part, by file name. `folder` holds the hand-written text."""
    pages = {f"ai-memory-{verb.name}.1": verb_page(verb) for verb in VERBS}
    pages[MCP_PAGE] = _with_tools(pages[MCP_PAGE], folder / MCP_PAGE)
    pages[CONFIG_PAGE] = config_page((folder / CONFIG_PAGE).read_text())
    return pages


def _with_tools(page: str, committed: Path) -> str:
    """The page with the section of tools that stands in the committed one; it is the MCP room's to renew."""
    text = committed.read_text() if committed.exists() else ""
    kept = text.partition(BEGIN_TOOLS + "\n")[2].partition(END_TOOLS + "\n")[0]
    place = ".Sh ENVIRONMENT\n"
    return page.replace(place, f"{BEGIN_TOOLS}\n{kept}{END_TOOLS}\n{place}", 1)


def verb_page(verb: Verb) -> str:
    """The page of one verb, in mdoc."""
    return "\n".join((
        f".Dd {DATE}", f".Dt AI-MEMORY-{verb.name.upper()} 1", ".Os", NO_HYPHENS,
        ".Sh NAME", f".Nm ai-memory-{verb.name}", f".Nd {_text(verb.summary)}",
        ".Sh SYNOPSIS", *_synopsis(verb),
        ".Sh DESCRIPTION", *_description(verb),
        ".Sh OPTIONS", *_options(verb),
        ".Sh ENVIRONMENT", *_environment(verb),
        ".Sh FILES", "The database and the configuration file; see", ".Xr ai-memory 1 .",
        ".Sh EXIT STATUS", *_statuses(verb),
        ".Sh EXAMPLES", *_examples(verb),
        ".Sh SEE ALSO", *_see_also(verb),
    )) + "\n"


def config_page(page: str) -> str:
    """The configuration page with its generated part renewed. Raises: ValueError if the marks are missing."""
    head, begin, rest = page.partition(BEGIN + "\n")
    _, end, tail = rest.partition(END + "\n")
    if not begin or not end:
        raise ValueError(f"{CONFIG_PAGE} has lost its marks of generated text")
    return head + begin + "\n".join(_settings_lists()) + "\n" + end + tail


def _leaves(verb: Verb) -> Iterator[tuple[str, Verb]]:
    """What can be carried out: the verb, if it does something by itself, and the verbs within it, by their words."""
    return ((path, leaf) for path, leaf in within(verb) if leaf.run or not leaf.children)


def _inner(verb: Verb) -> Iterator[tuple[str, Verb]]:
    """The verbs within it, by the words that follow its own."""
    return ((path.removeprefix(f"{verb.name} "), leaf) for path, leaf in within(verb) if leaf is not verb)


def _synopsis(verb: Verb) -> Iterator[str]:
    for path, leaf in _leaves(verb):
        yield ".Nm ai-memory"
        yield f".Cm {path}"
        for option in leaf.options:
            lead = "." if option.required else ".Op "
            yield lead + _flags([option.short or option.flag], _argument_of(option))
        for setting in server_settings(leaf):
            value = "" if setting.kind is Kind.SWITCH else setting_metavar(setting).lower()
            yield ".Op " + _flags([setting.flag or ""], value)
        yield ".Op Ar global-option ..."
        for argument in leaf.arguments:
            lead, tail = ("Op " if argument.count in "?*" else ""), (" ..." if argument.count in "+*" else "")
            yield f".{lead}Ar {argument.name}{tail}"


def _description(verb: Verb) -> Iterator[str]:
    yield from _sentences(verb.about or f"{verb.summary[0].upper()}{verb.summary[1:]}.")
    if verb.terms:
        yield ".Bl -tag -width Ds"
        for term, meaning in verb.terms:
            yield f".It Li {term}"
            yield from _sentences(meaning)
        yield ".El"
    if verb.prints:
        yield ".Pp"
        yield from _sentences(_prints(verb).strip())
    if verb.children:
        yield ".Pp"
        yield "Its verbs are:"
        yield ".Bl -tag -width Ds"
        for path, child in _inner(verb):
            yield f".It Cm {path}"
            about = f" {child.about}" if child.about else ""
            yield from _sentences(f"{child.summary[0].upper()}{child.summary[1:]}.{about}{_prints(child)}")
        yield ".El"


def _prints(verb: Verb) -> str:
    return f" With --json it prints {verb.prints}." if verb.prints else ""


def _options(verb: Verb) -> Iterator[str]:
    yield from _own_options(verb)
    for path, child in _inner(verb):
        if child.arguments or child.options:
            yield f".Ss {path}"
            yield from _own_options(child)
    if any(True for _ in _own_options(verb)) or verb.children:
        yield ".Pp"
    yield "Global options, before or after the verb, are described in"
    yield ".Xr ai-memory 1 ."


def _own_options(verb: Verb) -> Iterator[str]:
    settings = server_settings(verb)
    if not (verb.arguments or verb.options or settings):
        return
    yield ".Bl -tag -width Ds"
    for argument in verb.arguments:
        yield f".It Ar {argument.name}"
        yield from _sentences(argument.help)
    for option in verb.options:
        names = [name for name in (option.short, option.flag) if name]
        yield ".It " + _flags(names, _argument_of(option))
        yield from _sentences(option.help + _choices(option.choices) + default_words(option))
    for setting in settings:
        yield from _setting_flag(setting)
    yield ".El"


def _setting_flag(setting: Setting) -> Iterator[str]:
    names = [name for name in (setting.short, setting.flag) if name]
    value = "" if setting.kind is Kind.SWITCH else setting_metavar(setting).lower()
    yield ".It " + _flags(names, value)
    yield from _sentences(setting.help + _choices(setting.choices))


def _choices(choices: Sequence[str]) -> str:
    return f" One of {', '.join(choices)}." if choices else ""


def _environment(verb: Verb) -> Iterator[str]:
    settings = [setting for _, leaf in _leaves(verb) for setting in server_settings(leaf)]
    if settings:
        yield "Each option that is a setting has a variable, which the option overrides:"
        yield ".Bl -tag -width Ds"
        for setting in settings:
            yield f".It Ev {setting.variable}"
            yield f"As {setting.flag}."
        yield ".El"
        yield ".Pp"
    yield "The variables of every verb are in"
    yield ".Xr ai-memory 1 ,"
    yield "those of all settings in"
    yield ".Xr ai-memory-config 5 ."


def _statuses_of(verb: Verb) -> Sequence[ExitStatus]:
    return _SERVER_STATUSES if verb.name in ("serve", "mcp") else tuple(ExitStatus)


def _statuses(verb: Verb) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for status, meaning in verb.statuses or [(one.value, MEANING[one]) for one in _statuses_of(verb)]:
        yield f".It {status}"
        yield from _sentences(meaning)
    yield ".El"


def _examples(verb: Verb) -> Iterator[str]:
    for number, (what, line) in enumerate(verb.examples):
        if number:
            yield ".Pp"
        yield f"{what}:"
        yield ".Bd -literal -offset indent"
        yield from (_text(f"$ {one}") for one in line.split("\n"))
        yield ".Ed"


def _see_also(verb: Verb) -> Iterator[str]:
    pages = ["ai-memory 1", "ai-memory-config 5"] + (["ai-memory-api 7"] if verb.name == "serve" else [])
    pages += ["ai-memory-governance 7"] if verb.name in _GOVERNING else []
    pages += ["ai-memory-mesh 7"] if verb.name in _MESHED else []
    yield from (f".Xr {page} ," for page in pages[:-1])
    yield f".Xr {pages[-1]}"


def _settings_lists() -> Iterator[str]:
    """The tables of ai-memory-config(5): top-level keys, then each table's."""
    tables = dict.fromkeys(setting.key.rpartition(".")[0] for setting in SETTINGS)
    for table in tables:
        yield f".Ss {'Table ' + table if table else 'Top level'}"
        yield ".Bl -tag -width Ds"
        for setting in SETTINGS:
            if setting.key.rpartition(".")[0] == table:
                yield from _setting_entry(setting)
        yield ".El"


def _setting_entry(setting: Setting) -> Iterator[str]:
    yield f".It Cm {setting.key.rpartition('.')[2]}"
    yield from _sentences(setting.help + (f" It {setting.unused}." if setting.unused else ""))
    yield ".br"
    yield from _sentences(f"Value: {kind_words(setting)}.")
    if setting.default:
        yield ".br"
        yield _text(f"Default: {setting.default}.")
    yield ".br"
    yield "Variable:"
    if not setting.flag:
        yield f".Ev {setting.variable} ."
        return
    yield f".Ev {setting.variable} ;"
    yield "option:"
    yield f".Fl {_dashes(setting.flag)} ."


def global_option_entries() -> Iterator[str]:
    """What ai-memory(1) must describe, as flags; its text is written by hand and compared with this by a test."""
    yield from (setting.flag for setting in global_settings() if setting.flag)
    yield from GLOBAL_HELP


def _argument_of(option: Option) -> str:
    if option.read is None:
        return ""
    return option.name if option.choices else option_metavar(option).lower()


def _flags(names: Sequence[str], value: str) -> str:
    argument = f" Ar {value}" if value else ""
    return " , ".join(f"Fl {_dashes(name)}{argument}" for name in names)


def _dashes(flag: str) -> str:
    """A flag as the Fl macro wants it: it supplies the first dash."""
    return flag.removeprefix("-")


def _sentences(text: str) -> Iterator[str]:
    """One sentence a line, as mdoc wants it to space them; names with hyphens of their own stay whole too."""
    yield from (_NAME.sub(r"\\%\g<0>", _text(sentence)) for sentence in _SENTENCE_END.split(text))


def _text(text: str) -> str:
    """Text that mdoc shows as it is: no escapes, and no line that looks like a request."""
    escaped = text.replace("\\", "\\e").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped


def main(arguments: Sequence[str]) -> int:
    """Write the generated pages into a folder."""
    folder = Path(arguments[0] if arguments else "man")
    for name, page in generated_pages(folder).items():
        (folder / name).write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
