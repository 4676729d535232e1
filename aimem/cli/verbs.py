"""The table of verbs: what each takes, what it prints, and the function that does it.

Parser and manual are built from it. Functions are named as text (`module:function` under `aimem.cli.commands`), because
importing them would load what `--help` must not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from aimem.cli.values import integer, number, one_tag
from aimem.model import Relation, Scope, Tier


class Argument(Struct, frozen=True, kw_only=True):
    """A positional argument. `count` is `1`, `?` (may be left out), `+` (one or more) or `*` (any number)."""

    name: str
    help: str
    count: str = "1"


class Option(Struct, frozen=True, kw_only=True):
    """An option of one verb.

    Attributes:
      flag, short: `--content`, `-c`.
      help: one sentence; the manual and `--help` show it.
      dest: the name that its value gets; by default the flag's.
      read: turns the text into a value (ValueError if it cannot), or None for a switch.
      default: without the option.
      default_text: the default in words, where it is not a value.
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

    @property
    def name(self) -> str:
        """The name of its value among the parsed arguments."""
        return self.dest or self.flag.removeprefix("--").replace("-", "_")


class Verb(Struct, frozen=True, kw_only=True):
    """A verb, or a group of verbs (`children`).

    Attributes:
      prints: what `--json` prints.
      begins: whether it makes sense where no database is yet; the other verbs refuse a named one that is not there.
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
    examples: tuple[tuple[str, str], ...] = ()


_TIERS = tuple(tier.value for tier in Tier)
_SCOPES = tuple(scope.value for scope in Scope)
_RELATIONS = tuple(relation.value for relation in Relation)
_ID = Argument(name="id", help="The memory's whole id, as get shows it; a prefix does not do here.")
_WHOLE = "the whole id; a prefix does not do here"
_ID_OR_PREFIX = Argument(name="id", help="The memory's id, or a unique prefix of at least 4 characters.")
_NAMESPACE = Option(flag="--namespace", short="-n", help="Only this namespace.")
_TIER_FILTER = Option(flag="--tier", short="-t", choices=_TIERS, help="Only this tier.")
_SINCE = Option(flag="--since", help="Only memories created at or after this RFC 3339 time.")
_UNTIL = Option(flag="--until", help="Only memories created at or before this RFC 3339 time.")
_TAGS = Option(flag="--tags", read=one_tag, help="Only memories with this tag, one.")
_AUTHOR = Option(flag="--agent-id", dest="author", help="Only memories of this author (not who asks).")
_AS_AGENT = Option(flag="--as-agent", help="Only what an agent living in this namespace may see.")
_TITLE = Option(flag="--title", short="-T", help="The title.")
_CONTENT = Option(flag="--content", short="-c", help="The text; - reads it from standard input.")
_PRIORITY = Option(flag="--priority", short="-p", read=integer, help="1 (least) to 10.")
_CONFIDENCE = Option(flag="--confidence", read=number, help="How sure it is, 0 to 1.")
_TAG_LIST = Option(flag="--tags", help="Tags, divided by commas.")


def _limit(default: int) -> Option:
    return Option(flag="--limit", read=integer, default=default, help="At most so many.")


_NEW_ID = 'id=$(ai-memory store -c "Tests run on Mondays." --json | jq -r .id)'
_TWO_IDS = ('old=$(ai-memory store -T A -c "Tests run on Mondays." --json | jq -r .id)\n'
            'new=$(ai-memory store -T B -c "Tests run every day." --json | jq -r .id)')
"""Beginnings of examples that need ids; all of an example can be run as it stands."""

_STORE = Verb(
    name="store", summary="remember a text", run="memories:store",
    about="Stores a memory, or updates the visible memory of the same title and namespace, which then keeps its "
          "author. A note on standard error names memories of the namespace with similar titles, if there are any.",
    begins=True,
    options=(
        Option(flag="--title", short="-T", default_text="the first 80 characters of the content",
               help="The title, which names the memory in its namespace."),
        Option(flag="--content", short="-c", required=True, help="The text; - reads it from standard input."),
        Option(flag="--tier", short="-t", choices=_TIERS, default="mid", help="How long it is meant to live."),
        Option(flag="--namespace", short="-n", default_text="the project's name",
               help="Where it belongs. The project's name is the repository of the git remote origin, else the "
                    "folder's name, else global."),
        _TAG_LIST,
        Option(flag="--priority", short="-p", read=integer, default=5, help="1 (least) to 10."),
        Option(flag="--confidence", read=number, default=1.0, help="How sure it is, 0 to 1."),
        Option(flag="--source", short="-S", default="cli", help="Where it came from: a word of a-z, 0-9 and _ . : -"),
        Option(flag="--expires-at", help="RFC 3339 time when it expires, instead of the tier's lifetime."),
        Option(flag="--ttl-secs", read=integer,
               help="Seconds to live, instead of the tier's lifetime. Excludes --expires-at."),
        Option(flag="--scope", choices=_SCOPES, help="Who may see it."),
    ),
    prints="the stored memory, with action, version and potential_contradictions",
    examples=(("Remember a decision for good",
               'ai-memory store -t long -T "Database" -c "We chose SQLite: it is one file."'),
              ("Remember what another program prints", "ai-memory store -T machine -c - < /etc/os-release"),
              ("Keep the id for later", 'id=$(ai-memory store -c "Tests run on Mondays." --json | jq -r .id)')),
)
_UPDATE = Verb(
    name="update", summary="change a memory", run="memories:update", arguments=(_ID_OR_PREFIX,),
    about="Changes what is named and leaves the rest. A tier never goes down: a lower one leaves it as it is, which a "
          "note on standard error says.",
    options=(_TITLE, _CONTENT, Option(flag="--tier", short="-t", choices=_TIERS, help="The tier."),
             Option(flag="--namespace", short="-n", help="The namespace to move it to."), _TAG_LIST, _PRIORITY,
             _CONFIDENCE,
             Option(flag="--expires-at", help="RFC 3339 time when it expires; an empty text clears the expiry.")),
    prints="the memory as it is now, with version",
    examples=(("Keep a memory for ever", f'{_NEW_ID}\nai-memory update "$id" --expires-at ""'),),
)
_RECALL = Verb(
    name="recall", summary="find memories by meaning", run="finding:recall",
    arguments=(Argument(name="context", help="What to find: a question or a few words."),),
    about="Finds memories by meaning and words, best first, and marks them as used: each recall counts as an access "
          "and lengthens their life, and the fifth makes a mid-tier memory long-lived. If this process holds the "
          "database itself, memories that have no embedding yet get one first; with --tier keyword that is left out. "
          "If another process holds it, that one's tier decides how recall works.",
    options=(Option(flag="--namespace", short="-n", help="Only this namespace and, if it is a path, its ancestors."),
             _limit(10), _TAGS, _SINCE, _UNTIL, _AS_AGENT,
             Option(flag="--budget-tokens", read=integer, help="Return memories of at most about so many tokens."),
             Option(flag="--context-tokens", help="Words of the conversation, divided by commas: they colour it."),
             Option(flag="--no-floor", read=None, help="Show also what has nothing to do with the question."),
             Option(flag="--explain", read=None, help="Say of each memory what its score is made of.")),
    prints='{"memories", "count", "mode", "tokens_used", "below_floor", "budget_tokens"?, "ranking"?}; each memory has '
           'a score, "contradicted_by"? and, with --explain, an "explanation"',
    examples=(("Ask a question", 'ai-memory recall "which database did we choose?"'),
              ("Ask of a time, and why the answer is what it is",
               'ai-memory recall --explain "what broke last Friday?"')),
)
_SEARCH = Verb(
    name="search", summary="find memories that hold all words", run="finding:search",
    arguments=(Argument(name="query", help="Words that must all occur."),),
    about="Finds memories that hold all the words, in title, content or tags, in any order and form (deploy finds "
          "deployed). There are no operators: quotes, * and - are read over, and NOT is a word like any other. Very "
          "common words such as and, or, the need not occur.",
    options=(_NAMESPACE, _TIER_FILTER, _limit(20), _SINCE, _UNTIL, _TAGS, _AUTHOR, _AS_AGENT),
    prints='{"results", "memories", "count", "query"}',
    examples=(("Search one namespace", "ai-memory search -n project sqlite"),),
)
_GET = Verb(
    name="get", summary="show a memory and its links", run="memories:get", arguments=(_ID_OR_PREFIX,),
    prints='{"memory", "links"}', examples=(("Show a memory as JSON", f'{_NEW_ID}\nai-memory get --json "$id"'),),
)
_LIST = Verb(
    name="list", summary="list memories", run="finding:list_memories",
    about="Lists live memories by priority, then by latest change.",
    options=(_NAMESPACE, _TIER_FILTER, _limit(20), _SINCE, _UNTIL, _TAGS,
             Option(flag="--min-priority", read=integer, help="Only memories of at least this priority."),
             Option(flag="--offset", read=integer, default=0, help="Skip so many."),
             Option(flag="--cursor", help="Continue after a page: its next_cursor. Excludes --offset."), _AUTHOR),
    prints='{"memories", "count", "next_cursor"?}',
    examples=(("List long-lived memories", "ai-memory list -t long --limit 50"),),
)
_DELETE = Verb(
    name="delete", summary="delete a memory for ever", run="memories:delete", arguments=(_ID,),
    prints='{"deleted", "id", "version"?}',
    examples=(("Delete a memory", f'{_NEW_ID}\nai-memory delete "$id"'),),
)
_PROMOTE = Verb(
    name="promote", summary="make a memory long-lived", run="memories:promote", arguments=(_ID,),
    about="Gives a memory the tier long and takes its expiry away. With --to-namespace the memory stays as it is, and "
          "a copy with an id of its own goes into that ancestor, linked to the original.",
    options=(Option(flag="--to-namespace", help="Instead clone it into this ancestor of its namespace."),),
    prints='{"promoted", "mode", "id", "tier"}, or with --to-namespace {"promoted", "mode", "source_id", "clone_id", '
           '"to_namespace"}',
    examples=(("Share a memory with the team",
               f'{_NEW_ID.replace("store", "store -n team/app")}\nai-memory promote --to-namespace team "$id"'),),
)
_LINK = Verb(
    name="link", summary="state a relation of two memories", run="memories:link",
    arguments=(Argument(name="source", help=f"The memory that the relation starts at: {_WHOLE}."),
               Argument(name="target", help=f"The memory that it leads to: {_WHOLE}.")),
    options=(Option(flag="--relation", short="-r", choices=_RELATIONS, default="related_to",
                    help="What the source is to the target."),),
    prints='{"linked", "source_id", "target_id", "relation", "created", "version"?}',
    examples=(("One memory replaces another", f'{_TWO_IDS}\nai-memory link -r supersedes "$new" "$old"'),),
)
_UNLINK = Verb(
    name="unlink", summary="take a relation back", run="memories:unlink",
    about="Takes back exactly this relation of these two memories. If it does not stand the exit status is 5.",
    arguments=(Argument(name="source", help=f"The memory that the relation starts at: {_WHOLE}."),
               Argument(name="target", help=f"The memory that it leads to: {_WHOLE}.")),
    options=(Option(flag="--relation", short="-r", choices=_RELATIONS, default="related_to",
                    help="Which relation."),),
    prints='{"deleted", "version"?}',
    examples=(("Take a relation back",
               f'{_TWO_IDS}\nai-memory link "$new" "$old"\nai-memory unlink "$new" "$old"'),),
)
_STATS = Verb(
    name="stats", summary="count memories", run="upkeep:stats", prints="the counts, by tier and namespace",
    examples=(("Count", "ai-memory stats"),),
)
_NAMESPACES = Verb(
    name="namespaces", summary="list namespaces", run="upkeep:namespaces",
    prints='{"namespaces": [{"namespace", "count"}]}', examples=(("List namespaces", "ai-memory namespaces"),),
)
_GC = Verb(
    name="gc", summary="collect expired memories", run="upkeep:collect",
    about="Archives (or deletes, see archive_on_gc in ai-memory-config(5)) what has expired. A daemon does so itself. "
          "In the JSON, collected is how many have expired, and expired_deleted how many of them were taken away now: "
          "the same number, or 0 with --dry-run.",
    options=(Option(flag="--dry-run", read=None, help="Only count them."),),
    prints='{"expired_deleted", "collected", "dry_run"}', examples=(("Count what would go", "ai-memory gc --dry-run"),),
)
_ARCHIVE = Verb(
    name="archive", summary="look after archived memories",
    children=(
        Verb(name="add", summary="take memories out of sight", run="archive:add",
             arguments=(Argument(name="id", count="+", help=f"The memories: of each {_WHOLE}."),),
             options=(Option(flag="--reason", default="archive", help="Why, in at most 128 characters."),),
             prints='{"archived", "missing", "count", "reason", "version"?}'),
        Verb(name="list", summary="list archived memories, newest first", run="archive:list_archive",
             options=(_NAMESPACE, _limit(50), Option(flag="--offset", read=integer, default=0, help="Skip so many.")),
             prints='{"archived", "count"}'),
        Verb(name="restore", summary="bring an archived memory back", run="archive:restore", arguments=(_ID,),
             options=(Option(flag="--mode", choices=("keep", "long"), default="keep",
                             help="keep its tier and expiry, or make it long-lived, as v0.6.3 did."),),
             prints='{"restored", "id", "tier", "expires_at"?, "version"}'),
        Verb(name="purge", summary="delete archived memories for ever", run="archive:purge",
             options=(Option(flag="--older-than-days", read=integer, help="Those archived more than so many days ago."),
                      Option(flag="--all", read=None, help="All of them.")),
             prints='{"purged"}'),
        Verb(name="stats", summary="count archived memories", run="archive:stats",
             prints='{"archived_total", "by_namespace"}'),
    ),
    examples=(("Put a memory away and bring it back",
               f'{_NEW_ID}\nai-memory archive add "$id"\nai-memory archive restore "$id"'),
              ("Forget what has lain there for a year", "ai-memory archive purge --older-than-days 365")),
)
_IMPORT = Verb(
    name="import", summary="take in exported memories", run="transfer:import_memories", begins=True,
    arguments=(Argument(name="file", count="?",
                        help="An export document, or JSON Lines of memories; standard input if left out."),),
    about="Sends the memories in batches and says on standard error which were refused and why; the others are kept. "
          "The importing agent becomes the author, and the original one is noted in metadata.imported_from_agent_id. "
          "After an interruption the same command goes on: what is stored already stays as it is.",
    options=(Option(flag="--trust-source", read=None, help="Keep the authors that the file names."),),
    prints='{"imported", "restamped", "trusted_source", "errors", "unchanged", "links_imported"}',
    examples=(("Copy all memories to another database",
               "ai-memory export > memories.json\nai-memory --db other.db import --trust-source memories.json"),),
)
_EXPORT = Verb(
    name="export", summary="print all memories as JSON", run="transfer:export",
    about="Prints live memories in order of creation, and their links.",
    prints='{"memories", "links", "count", "exported_at"}, with or without --json',
    examples=(("Save all memories", "ai-memory export > memories.json"),),
)
_REINDEX = Verb(
    name="reindex", summary="make the search indexes anew", run="upkeep:reindex",
    about="Drops the indexes of words and vectors and makes them anew from what the database holds, and waits until "
          "that is done. The old vector index goes on answering meanwhile; by words, searches find less. A damaged "
          "vector index is found and made anew without this.",
    options=(Option(flag="--what", choices=("vectors", "text", "all"), default="all", help="Which of them."),
             Option(flag="--embeddings", read=None,
                    help="Drop the embeddings too and have the model make them again; until then words answer."),),
    prints="the state of the index, as GET /api/v1/index",
    examples=(
        ("Make the index anew", "ai-memory reindex"), ("Embed everything again", "ai-memory reindex --embeddings"),
    ),
)
_STATUS = Verb(
    name="status", summary="show how the node is", run="upkeep:status",
    about="Shows the node, the database and who holds it, and how recall works. The tier (keyword or semantic) is what "
          "recall may use; the mode is what it does: hybrid, by words and meaning, or keyword, by words alone because "
          "the tier says so or the model cannot be loaded. Without a running daemon the command does not load the "
          "model just to say so. Embeddings are counted in memories.",
    prints="the node's health, its index, and who holds the database", examples=(("Look", "ai-memory status"),),
)
_BENCH = Verb(
    name="bench", summary="measure this program on this machine", run="benching:bench", begins=True,
    about="Times store, search and recall on databases in a temporary folder (not on yours), stores a second by one "
          "caller and by 64, whole commands, and the memory of a daemon. The vectors of the timed recalls are made up, "
          "so that embedding a question costs nothing; that is timed apart, if the model is installed. The kg_* "
          "operations of v0.6.3 are left out. Exits with 1 if a 95th percentile or a process's memory is more than "
          "10 % over its target, or a percentile regressed.",
    options=(Option(flag="--iterations", read=integer, default=200, help="Timed calls an operation, 1 to 100000."),
             Option(flag="--warmup", read=integer, default=20, help="Calls before those, 0 to 10000."),
             Option(flag="--rows", read=integer, default=10_000,
                    help="Memories that the large recall goes over, 1 to 2000000. Storing 100000 takes minutes."),
             Option(flag="--baseline", help="A file with an earlier report (--json) to compare with."),
             Option(flag="--regression-threshold", read=number, default=10.0,
                    help="Percent by which a 95th percentile may grow over the baseline's."),
             Option(flag="--history", help="A file to append the results to, as a line of JSON.")),
    prints='{"iterations", "warmup", "results", "regressions", "rows", "rates", "sizes", "notes"}',
    examples=(("Keep a report and compare a later one with it", "ai-memory bench --json > before.json"),
              ("Compare", "ai-memory bench --baseline before.json"),
              ("Time recall over a million memories", "ai-memory bench --rows 1000000")),
)
_SERVE = Verb(
    name="serve", summary="run the daemon", run="servers:serve", begins=True,
    about="Serves the HTTP interface, ai-memory-api(7), until SIGTERM or SIGINT, then lets requests finish. If the "
          "port is taken it ends with exit status 7 and says so: stop what listens there, or choose another port with "
          "--port, 0 taking a free one.",
    examples=(("Serve on another port", "ai-memory serve --bind 127.0.0.1:9078"),),
)
_MCP = Verb(
    name="mcp", summary="speak the Model Context Protocol on standard input and output", run="servers:mcp",
    begins=True,
    about="Started by an MCP client. Any number of these, the daemon and the command line may share one database. It "
          "ends with status 0 when the client closes standard input or goes away, and after SIGTERM or SIGINT, once "
          "what was accepted is answered.",
    options=(Option(flag="--print-config", read=None,
                    help="Print the JSON to paste into an MCP client's configuration."),),
    examples=(("Configure a client", "ai-memory mcp --print-config"),),
)

_HELP = Verb(
    name="help", summary="show the help of a verb", begins=True,
    arguments=(Argument(name="words", count="*", help="The verb, and the verb within it; without one, the program."),),
    examples=(("What recall takes", "ai-memory help recall"),),
)

VERBS: Final = (
    _SERVE, _MCP, _STORE, _UPDATE, _RECALL, _SEARCH, _GET, _LIST, _DELETE, _PROMOTE, _LINK, _UNLINK, _STATS,
    _NAMESPACES, _GC, _ARCHIVE, _IMPORT, _EXPORT, _REINDEX, _STATUS, _BENCH, _HELP,
)
