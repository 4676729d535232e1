"""Writes the part of ai-memory-mcp(1) that is about the protocol: what follows from the tables, and words around it.

`python -m aimem.mcp.man man/` replaces what stands between the marks; the rest of that page is the command line's. A
test compares the committed page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aimem.mcp.asked import STREAM_TYPE
from aimem.mcp.profile import CORE
from aimem.mcp.prompts import PROMPTS, Prompt
from aimem.mcp.resources import PAGE_COUNT, TEMPLATES
from aimem.mcp.schema import JsonSchema, describe
from aimem.mcp.tools import TOOLS, Tool
from aimem.mcp.toon import COLUMNS, PREVIEW_CHARS, Format

PAGE = "ai-memory-mcp.1"
BEGIN, END = '.\\" BEGIN GENERATED TOOLS', '.\\" END GENERATED TOOLS'

_SENTENCE_END = re.compile(r"(?<=[A-Za-z0-9)][.])\s+(?=[A-Z])")


_PROFILES = f"""\
.Sh PROFILES
A model reads every tool that it is shown before its first word, so the profile
.Cm core ,
which is the default, shows only the tools that most work needs:
{{core}} .
The profile
.Cm full
shows all.
A tool that is not shown works all the same when it is called by name, and
.Li memory_capabilities
says which these are.
The profile of a process is
.Fl -profile ,
.Ev AI_MEMORY_MCP_PROFILE
or
.Li mcp_profile
in the configuration; over HTTP the address may ask for another, as in
.Pa /mcp?profile=full .
.Pp
.Li toolsVersion
in the answer to
.Li tools/list
changes exactly when that list does.
.Sh HTTP
The daemon,
.Xr ai-memory-serve 1 ,
speaks the same protocol at the path
.Pa /mcp ,
under the rules of
.Xr ai-memory-api 7 :
the key in
.Li X-API-Key ,
the guard of a loopback listener, the bound of a body and the deadline of a request.
A message is one POST, its answer one JSON value, or one event for a client that accepts
.Li {STREAM_TYPE}
alone.
GET is answered 405: there is nothing to send a client unasked.
.Pp
The answer to
.Li initialize
names a session in
.Li Mcp-Session-Id .
It holds what the client said of itself, and the server keeps nothing: a restart of the daemon ends no session, any
number of clients may come and go, and a request without a session is served as well.
DELETE ends a session; it is answered 404 from then on, until the daemon restarts or some thousands more have
ended.
.Pp
The author of a call is
.Li X-Agent-Id ,
else
.Li ai:CLIENT@HOST:mcp-SESSION ,
made of the name that the client gave at its handshake; else it is anonymous, each request for itself.
A client on the Unix socket needs no key.
.Sh RESOURCES
Memories are resources, for a person to pick and hand to a model.
Both kinds are Markdown, and show what the caller may see.
.Bl -tag -width Ds
{{templates}}
.El
.Pp
Ids and namespaces are percent-encoded.
.Li resources/list
shows pages of {PAGE_COUNT}, the most important and then the latest first.
There are no subscriptions.
.Sh PROMPTS
.Bl -tag -width Ds
{{prompts}}
.El
.Sh TABLES
Recall, search, list and session start answer as a table unless
.Li format
is
.Li json .
The first line holds facts like
.Li count:2|mode:hybrid ,
the next names the columns, and each further line is one memory, its cells divided by vertical bars.
Backslash, vertical bar, colon, line feed and carriage return within a cell are written with a backslash before them,
the last two as
.Li \\en
and
.Li \\er ;
within the items of an array the comma is, too.
The columns of
.Cm toon_compact
are
{{compact}} ,
and of a content longer than {PREVIEW_CHARS} characters it shows so many and says how many follow;
those of
.Cm toon
are
{{full}} ,
the content whole.
What an answer has to add comes in columns behind these.
"""


def about_section() -> str:
    """Profiles, HTTP, resources, prompts and tables, in mdoc."""
    templates = "\n".join(f".It Li {one.uri}\n{one.description}" for one in TEMPLATES)
    prompts = "\n".join(map(_about_prompt, PROMPTS.values()))
    return _PROFILES.format(
        core=_list(CORE), templates=templates, prompts=prompts, compact=_list(COLUMNS[Format.TOON_COMPACT]),
        full=_list(COLUMNS[Format.TOON]),
    )


def _about_prompt(prompt: Prompt) -> str:
    lines = [f".It Li {prompt.name}", prompt.description]
    for argument in prompt.arguments:
        lines += ["Takes", f".Ar {argument.name} :", argument.description]
    return "\n".join(lines)


def _list(names: Sequence[str]) -> str:
    return " ,\n".join(f".Li {name}" for name in names).removesuffix(" ,")


def tools_section() -> str:
    """The tools with their parameters, in mdoc."""
    lines = [
        ".Sh TOOLS",
        "An argument that a tool does not know is refused.",
        "Answers are JSON, or a table of",
        ".Li toon",
        "where",
        ".Li format",
        "is offered.",
        ".Bl -tag -width Ds",
    ]
    for tool in TOOLS.values():
        lines += _entry(tool)
    return "\n".join([*lines, ".El"]) + "\n"


def _entry(tool: Tool) -> Iterator[str]:
    yield f".It Li {tool.name}"
    yield from _sentences(tool.description)
    schema = tool.schema
    if not schema["properties"]:
        return
    yield ".Bl -tag -width Ds -compact"
    for name, field in schema["properties"].items():
        yield f".It Ar {name}"
        yield from _sentences(" ".join(_facts(name, field, schema["required"])))
    yield ".El"


def _facts(name: str, field: JsonSchema, required: Sequence[str]) -> Iterator[str]:
    kind = describe(field)
    yield f"{kind[0].upper()}{kind[1:]}{', required' if name in required else ''}."
    if "description" in field:
        yield field["description"].rstrip(".") + "."
    if field.get("default") not in (None, [], {}):
        yield f"Default: {field['default']}."


def _sentences(text: str) -> Iterator[str]:
    """One sentence a line, as mdoc wants it to space them."""
    yield from _SENTENCE_END.split(text)


def renewed(page: str) -> str:
    """The page with its generated part renewed. Raises: ValueError if the marks are missing."""
    head, begin, rest = page.partition(BEGIN + "\n")
    _, end, tail = rest.partition(END + "\n")
    if not begin or not end:
        raise ValueError(f"{PAGE} has lost its marks of generated text")
    return head + begin + about_section() + tools_section() + end + tail


def main(arguments: Sequence[str]) -> int:
    """Renew the page in a folder."""
    path = Path(arguments[0] if arguments else "man", PAGE)
    path.write_text(renewed(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
