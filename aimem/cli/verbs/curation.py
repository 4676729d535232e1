"""Verbs that change many memories at once."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import NAMESPACE, TIER_FILTER, TIERS, TWO_IDS, WHOLE
from aimem.cli.verbs.table import Argument, Option, Verb

DRAFT: Final = 'ai-memory store -n draft -c "An idea."'
FORGET: Final = Verb(
    name="forget", summary="put away all memories that filters name", run="forgetting:forget",
    about="Archives all live memories that fit every filter; at least one is needed. At most 2000 go at once; a "
          "note on standard error says if there are more. On a terminal it first shows what would go and asks. It "
          "prints an id with which --undo brings exactly these memories back, as they were; one whose title was "
          "taken since stays in the archive and is named, with exit status 6. Namespaces that begin with _ are "
          "never touched.",
    options=(NAMESPACE,
             Option(flag="--pattern", short="-p",
                    help="Only memories with at least one of these words in title, text or tags, in any form."),
             TIER_FILTER,
             Option(flag="--dry-run", read=None, help="Only show what would go."),
             Option(flag="--yes", short="-y", read=None, help="Do not ask."),
             Option(flag="--undo", help="Bring back what a forget of this id put away. Excludes the filters.")),
    prints='{"deleted", "archived", "dry_run", "more", "forget_id"?, "version"?}, with --dry-run also '
           '"would_delete" and "memories", with --undo "restored" and "not_restored"',
    examples=(("See what would go", "ai-memory forget --dry-run -n project -t short"),
              ("Forget it, and change your mind",
               f'{DRAFT}\nid=$(ai-memory forget -n draft --json | jq -r .forget_id)\nai-memory forget --undo "$id"')),
)
CONSOLIDATE: Final = Verb(
    name="consolidate", summary="put one memory in place of several", run="consolidating:consolidate",
    arguments=(Argument(name="ids", count="+",
                        help=f"The memories, 2 to 100, divided by commas or spaces: {WHOLE}."),),
    about="Stores a new memory and archives the ones that it was made of, in one step. It gets all their tags, the "
          "highest of their priorities (at least 5), their metadata and the strictest of their scopes, and links of "
          "the relation derived_from to each, which show again when that one is restored. It prints how to take "
          "it back.",
    options=(Option(flag="--title", short="-T", required=True, help="The new memory's title; one of theirs will do."),
             Option(flag="--summary", short="-s", default_text="the language model writes one, if the node has one",
                    help="The new memory's text."),
             Option(flag="--namespace", short="-n", default_text="the project's name",
                    help="Where the new memory belongs."),
             Option(flag="--tier", short="-t", choices=TIERS, default="long", help="How long it is meant to live.")),
    prints='{"id", "consolidated", "title", "namespace", "tier", "agent_id", "version", "warning"?}',
    examples=(("Put two notes together",
               f'{TWO_IDS}\nai-memory consolidate "$old,$new" -T "Tests" -s "Tests run every day."'),),
)
AUTO_CONSOLIDATE: Final = Verb(
    name="auto-consolidate", summary="put memories together that share a tag", run="consolidating:auto_consolidate",
    about="In each namespace, makes one long-lived memory of those that share a tag (or have none) and the scope: "
          "the largest group first, a memory in one group only, at most 100 in a group and 100 groups at once. The "
          "new text has a line for each: its title and the first 200 bytes. The memories themselves go to the "
          "archive. What an earlier run has made is left alone, and so are namespaces that begin with _. On a terminal "
          "it first shows the groups and asks. For each group it prints how to take it back.",
    options=(NAMESPACE, Option(flag="--short-only", read=None, help="Only short-tier memories."),
             Option(flag="--min-count", read=integer, default=3, help="Only groups of at least so many, 2 to 100."),
             Option(flag="--dry-run", read=None, help="Only show the groups."),
             Option(flag="--yes", short="-y", read=None, help="Do not ask.")),
    prints='{"consolidated", "dry_run", "groups": [{"namespace", "tag", "count", "titles", "ids", "id"?, "title"?}], '
           '"more"}',
    examples=(("Show what would come together", "ai-memory auto-consolidate --dry-run --min-count 5"),),
)
CURATOR: Final = Verb(
    name="curator", summary="look after memories by itself, and take that back", run="curating:curator",
    about="Puts memories away that say nothing but what a newer one says (of the same author, or in the same "
          "words), and memories that a newer, no less certain one in the same namespace contradicts (by a link of "
          "the relation contradicts; a language model's word is not enough); raises the priority of what is used "
          "much, and lowers that of what never was for 30 days. If the node has a language model, it also sums up "
          "memories that are much alike, and tags those that have no tags of its. It looks at mid- and long-tier "
          "memories of at least 50 bytes, up to 2000 a cycle, in the order of their names, and goes on there the "
          "next time; namespaces that begin with _ and entities are left alone. Nothing is deleted: what goes is in "
          "the archive, and each act has a record in the namespace _curator/rollback that takes it back. What was "
          "taken back is not done again as long as the memory is not changed. The daemon runs cycles by itself if "
          "curator.interval_secs is set, see ai-memory-config(5).",
    options=(Option(flag="--once", read=None, help="Run one cycle."),
             Option(flag="--daemon", read=None, help="Run a cycle now and then, until SIGTERM or SIGINT."),
             Option(flag="--rollback", help="Take the act with this record back; its id stands in the report."),
             Option(flag="--rollback-last", read=integer,
                    help="Take the last so many acts back that are not taken back yet, 1 to 100."),
             Option(flag="--reports", read=None, help="Show the reports of the last cycles."),
             Option(flag="--interval-secs", read=integer, default=3600,
                    help="Seconds between the cycles of --daemon, 60 to 86400."),
             Option(flag="--max-ops", read=integer, default=100, help="Acts of one cycle at most, 0 to 1000."),
             Option(flag="--dry-run", read=None, help="Only tell what would be done."),
             Option(flag="--include-namespace", repeats=True,
                    help="Only this namespace; may be given several times."),
             Option(flag="--exclude-namespace", repeats=True,
                    help="Not this namespace; may be given several times.")),
    prints="the report of the cycle (of --daemon, one after the other); with --rollback and --rollback-last "
           '{"reversed", "records"}; with --reports {"reports", "count"}',
    examples=(("See what a cycle would do", "ai-memory curator --once --dry-run"),
              ("Take the last ten acts back", "ai-memory curator --rollback-last 10")),
)
