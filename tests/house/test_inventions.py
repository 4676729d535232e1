"""The manual invents nothing: what it names is in the code, and what the code names is in it.

Tables that have a test of their own are not looked at again: routes, parameters and codes in tests/api/test_manual.py,
options, settings and exit statuses in tests/cli/test_man.py, tools in tests/mcp/test_man.py. Each check here takes a
text, and is tried on one that lacks something, and on one that invents something.
"""

from __future__ import annotations

import fnmatch
import io
import itertools
import re
import shlex
from collections.abc import Callable, Iterator

import pytest

from aimem.cli.parser import GLOBAL_HELP, UsageError, parse
from aimem.cli.verbs import VERBS, within
from aimem.config import SETTINGS, VARIABLES
from aimem.replication import Standing
from tests.house import spoken
from tests.house.sources import MANUAL, manual_pages

CONFIG = (MANUAL / "ai-memory-config.5").read_text()
API = (MANUAL / "ai-memory-api.7").read_text()
MESH = (MANUAL / "ai-memory-mesh.7").read_text()
RUNBOOK = MESH[MESH.index(".Sh ALARMS") : MESH.index(".Sh SEE ALSO")]
# The page on v0.6.3 names what that had, too, beside what is now; the one on reliability the options of our own tests.
PAGES = "\n".join((
    *(page.read_text() for page in manual_pages() if page.stem not in ("ai-memory-compat", "ai-memory-reliability")),
    *re.findall(r"\.Em Now :\n(.*?)(?=\n\.It |\n\.El)", (MANUAL / "ai-memory-compat.7").read_text(), re.DOTALL),
))

ALARMS = spoken.alarms()
EVENTS = spoken.events()
METRICS = spoken.metrics()
FLAGS = {*GLOBAL_HELP, "-h", "-V", "-v", *(flag for one in SETTINGS for flag in (one.flag, one.short) if flag)} | {
    flag for verb in VERBS for _, leaf in within(verb) for one in leaf.options for flag in (one.flag, one.short) if flag
}
VARIABLE_NAMES = {one.variable for one in SETTINGS} | {one.name for one in VARIABLES}
PATHS = {path for verb in VERBS for path, _ in within(verb)}
STANDARD_HEADERS = {"x-content-type-options"}


def metrics_at_odds(page: str) -> set[str]:
    """Heads of entries that are no metric with its labels, and metrics without an entry."""
    heads = set(re.findall(r"^\.It Li (ai_memory_\S+)$", page, re.MULTILINE))
    return heads ^ {f"{name}{{{','.join(labels)}}}" if labels else name for name, labels in METRICS.items()}


def unknown_metrics(text: str) -> set[str]:
    """Metrics that are named and not served; an asterisk stands for some."""
    named = set(re.findall(r"\bai_memory_[a-z_]+\*?", text))
    return {one for one in named if not any(fnmatch.fnmatchcase(known, one) for known in METRICS)}


def headers_at_odds(text: str) -> set[str]:
    """Headers of ours that no page names, and those that a page names and nothing reads or writes."""
    named = {word.lower() for word in re.findall(r"(?i)(?<![\w-])(?:x-[a-z][a-z-]+|Idempotency-Key)\b", text)}
    return named ^ (spoken.headers() - STANDARD_HEADERS)


def unknown_flags(text: str) -> set[str]:
    """Options that a page names and no verb takes."""
    words = re.findall(r"(?<![\w\\])Fl (\S+)", text)
    return {f"-{word.partition('=')[0]}" for word in words} - FLAGS - {"--"}


def unknown_variables(text: str) -> set[str]:
    """Environment variables of ours that nothing reads."""
    return set(re.findall(r"\bAI_MEMORY_[A-Z_]*[A-Z]\b", text)) - VARIABLE_NAMES


def unknown_verbs(text: str) -> set[str]:
    """Verbs that are written as such, `.Nm ai-memory Cm mesh status`, and are none."""
    named = re.findall(r"^\.(?:Pq )?(?:Nm|Ic|Li) ai-memory (?:Cm )?([a-z][a-z -]*[a-z])", text, re.MULTILINE)
    return {words for words in named if words not in PATHS}


def refused_commands(text: str) -> set[str]:
    """Commands of examples that the parser refuses."""
    return {shlex.join(words) for words in commands(text) if _is_refused(words)}


def commands(text: str) -> Iterator[list[str]]:
    """The words behind `ai-memory` in literal displays, up to what is the shell's."""
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\e\n[> ]*", " ", block).replace("\\(dq", '"').splitlines():
            for found in re.finditer(r"(?:^|(?<!-[ugo])[\s(])ai-memory(?= )", line):
                yield list(itertools.takewhile(lambda word: not _SHELLS.fullmatch(word), _words(line[found.end():])))


_SHELLS = re.compile(r"[();<>|&]+")


def _words(line: str) -> Iterator[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    yield from lexer


def _is_refused(words: list[str]) -> bool:
    try:
        parse(words, io.StringIO())
    except UsageError:
        return True
    except SystemExit:      # --help, --version
        return False
    return False


def unknown_events(text: str) -> set[str]:
    """Events of the log that are named and never logged."""
    kinds = {event.partition(".")[0] for event in EVENTS}
    named = {word for line in re.findall(r"^\.(?:It |Pq )?(?:ERROR , )?Li (.+)$", text, re.MULTILINE)
             for word in re.findall(r"\b[a-z]+\.[a-z_]+\b", line) if word.partition(".")[0] in kinds}
    return named - EVENTS.keys() - {one.key for one in SETTINGS} - {"permissions.mode"}


def unknown_keys(page: str) -> set[str]:
    """What the page of settings shows as a key and is none: not a key, a table, a verb, or a value."""
    written = page[: page.index("BEGIN GENERATED")] + page[page.index("END GENERATED") :]
    lines = "\n".join(re.findall(r"^\.Cm (.+)$", written, re.MULTILINE))
    words = set(re.findall(r"[a-z_]{2,}", lines))
    known = {part for one in SETTINGS for part in (*one.key.split("."), *one.choices)}
    return words - known - {part for path in PATHS for part in path.split()}


def alarms_at_odds(runbook: str) -> set[str]:
    """Alarms without an entry, and entries of which no alarm has the words."""
    heads = re.findall(r"^\.It Dq (.+)$", runbook, re.MULTILINE)
    return {head for head in heads if not any(head in alarm for alarm in ALARMS)} | {
        alarm for alarm in ALARMS if not any(head in alarm for head in heads)
    }


def words_at_odds(page: str) -> set[str]:
    """States of peers, and verdicts of a comparison, that the page lacks or invents."""
    lists = page[page.index(".Ss Looking at it") :].split(".Bl -tag")[1:3]
    named = [{word for head in re.findall(r"^\.It Li (.+)$", one.partition(".El")[0], re.MULTILINE)
              for word in head.split(" , ")} for one in lists]
    states = {standing.value for standing in Standing if standing is not Standing.PEER}
    states |= spoken.assigned(spoken.PACKAGE / "service" / "mesh.py", "word")
    verdicts = spoken.assigned(spoken.PACKAGE / "cli" / "commands" / "meshing.py", "verdict")
    return (named[0] ^ states) | (named[1] ^ verdicts)


def events_without_entry(runbook: str) -> set[str]:
    """What exchanging logs as a warning or an error, and the runbook lacks."""
    heads = set(re.findall(r"^\.It Li (\S+)$", runbook, re.MULTILINE))
    logged = spoken.events(spoken.PACKAGE / "replication")
    return {event for event, level in logged.items() if level in ("warning", "error", "exception")} - heads


CHECKS: tuple[tuple[Callable[[str], set[str]], str, str, str], ...] = (
    (metrics_at_odds, API, ".It Li ai_memory_mesh_lag_ops{peer}", ".It Li ai_memory_mesh_lag_ops{node}"),
    (metrics_at_odds, API, ".It Li ai_memory_db_bytes\n", ""),
    (unknown_metrics, PAGES, "ai_memory_mesh_ready", "ai_memory_mesh_steady"),
    (headers_at_odds, PAGES, "X-Min-Version", "X-Max-Version"),
    (unknown_flags, PAGES, "Fl -mtls-allowlist", "Fl -tls-allowlist"),
    (unknown_variables, PAGES, "AI_MEMORY_NO_CONFIG", "AI_MEMORY_NO_CONFIGS"),
    (unknown_verbs, PAGES, ".Nm ai-memory Cm mesh trust Ar", ".Nm ai-memory Cm mesh believe Ar"),
    (refused_commands, PAGES, "ai-memory mesh verify", "ai-memory mesh verify --all"),
    (unknown_keys, CONFIG, ".Cm api_key_file", ".Cm api_key_path"),
    (unknown_events, PAGES, ".It Li peer.lost", ".It Li peer.gone"),
    (alarms_at_odds, RUNBOOK, ".It Dq has not answered since", ".It Dq has not been seen since"),
    (alarms_at_odds, RUNBOOK, ".It Dq is no other node\n", ""),
    (words_at_odds, MESH, ".It Li forked\n", ".It Li split\n"),
    (events_without_entry, RUNBOOK, ".It Li stream.full\n", ""),
)


def _name(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("check", "text"), {check: text for check, text, _, _ in CHECKS}.items(), ids=_name)
def test_manual_and_code_name_the_same(check: Callable[[str], set[str]], text: str) -> None:
    assert check(text) == set()


@pytest.mark.parametrize(("check", "text", "right", "wrong"), CHECKS, ids=_name)
def test_what_is_lacking_or_invented_is_found(
    check: Callable[[str], set[str]], text: str, right: str, wrong: str
) -> None:
    assert right in text
    assert check(text.replace(right, wrong))


def test_the_code_was_read() -> None:
    assert min(len(ALARMS), len(EVENTS), len(METRICS), len(FLAGS), len(PATHS)) >= 30
    assert len(list(commands(PAGES))) > 50
