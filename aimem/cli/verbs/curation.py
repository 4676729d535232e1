"""Verbs that change many memories at once."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import NAMESPACE, TIER_FILTER, TIERS, TWO_IDS, WHOLE
from aimem.cli.verbs.table import Argument, Option, Verb

DRAFT: Final = 'ai-memory store -n draft -c "An idea."'
FORGET: Final = Verb(
    name="forget", summary="put away all memories that filters name", run="forgetting:forget",
    about="Archives all live memories that fit every filter; at least one is needed. At most 5000 go at once; a "
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
          "the relation derived_from to each, which show again when that one is restored.",
    options=(Option(flag="--title", short="-T", required=True, help="The new memory's title; one of theirs will do."),
             Option(flag="--summary", short="-s", required=True, help="The new memory's text."),
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
          "archive. What an earlier run has made is left alone, and so are namespaces that begin with _.",
    options=(NAMESPACE, Option(flag="--short-only", read=None, help="Only short-tier memories."),
             Option(flag="--min-count", read=integer, default=3, help="Only groups of at least so many, 2 to 100."),
             Option(flag="--dry-run", read=None, help="Only show the groups.")),
    prints='{"consolidated", "dry_run", "groups": [{"namespace", "tag", "count", "titles", "ids", "id"?, "title"?}], '
           '"more"}',
    examples=(("Show what would come together", "ai-memory auto-consolidate --dry-run --min-count 5"),),
)
