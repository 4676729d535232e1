"""Verbs on one memory."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer, number
from aimem.cli.verbs.common import (
    CONFIDENCE,
    CONTENT,
    ID,
    ID_OR_PREFIX,
    NEW_ID,
    PRIORITY,
    RELATIONS,
    SCOPES,
    TAG_LIST,
    TIERS,
    TITLE,
    TWO_IDS,
    WHOLE,
)
from aimem.cli.verbs.table import Argument, Option, Verb

STORE: Final = Verb(
    name="store", summary="remember a text", run="memories:store",
    about="Stores a memory, or updates the visible memory of the same title and namespace, which then keeps its "
          "author. A note on standard error names memories of the namespace with similar titles, if there are any.",
    begins=True,
    options=(
        Option(flag="--title", short="-T", default_text="the first 80 characters of the content",
               help="The title, which names the memory in its namespace."),
        Option(flag="--content", short="-c", required=True, help="The text; - reads it from standard input."),
        Option(flag="--tier", short="-t", choices=TIERS, default="mid", help="How long it is meant to live."),
        Option(flag="--namespace", short="-n", default_text="the project's name",
               help="Where it belongs. The project's name is the repository of the git remote origin, else the "
                    "folder's name, else global."),
        TAG_LIST,
        Option(flag="--priority", short="-p", read=integer, default=5, help="1 (least) to 10."),
        Option(flag="--confidence", read=number, default=1.0, help="How sure it is, 0 to 1."),
        Option(flag="--source", short="-S", default="cli", help="Where it came from: a word of a-z, 0-9 and _ . : -"),
        Option(flag="--expires-at", help="RFC 3339 time when it expires, instead of the tier's lifetime."),
        Option(flag="--ttl-secs", read=integer,
               help="Seconds to live, instead of the tier's lifetime. Excludes --expires-at."),
        Option(flag="--scope", choices=SCOPES, help="Who may see it."),
    ),
    prints="the stored memory, with action, version and potential_contradictions",
    examples=(("Remember a decision for good",
               'ai-memory store -t long -T "Database" -c "We chose SQLite: it is one file."'),
              ("Remember what another program prints", "ai-memory store -T machine -c - < /etc/os-release"),
              ("Keep the id for later", 'id=$(ai-memory store -c "Tests run on Mondays." --json | jq -r .id)')),
)
UPDATE: Final = Verb(
    name="update", summary="change a memory", run="memories:update", arguments=(ID_OR_PREFIX,),
    about="Changes what is named and leaves the rest. A tier never goes down: a lower one leaves it as it is, which a "
          "note on standard error says.",
    options=(TITLE, CONTENT, Option(flag="--tier", short="-t", choices=TIERS, help="The tier."),
             Option(flag="--namespace", short="-n", help="The namespace to move it to."), TAG_LIST, PRIORITY,
             CONFIDENCE,
             Option(flag="--expires-at", help="RFC 3339 time when it expires; an empty text clears the expiry.")),
    prints="the memory as it is now, with version",
    examples=(("Keep a memory for ever", f'{NEW_ID}\nai-memory update "$id" --expires-at ""'),),
)
GET: Final = Verb(
    name="get", summary="show a memory and its links", run="memories:get", arguments=(ID_OR_PREFIX,),
    prints='{"memory", "links"}', examples=(("Show a memory as JSON", f'{NEW_ID}\nai-memory get --json "$id"'),),
)
DELETE: Final = Verb(
    name="delete", summary="delete a memory for ever", run="memories:delete", arguments=(ID,),
    prints='{"deleted", "id", "version"?, "warning"?}',
    examples=(("Delete a memory", f'{NEW_ID}\nai-memory delete "$id"'),),
)
PROMOTE: Final = Verb(
    name="promote", summary="make a memory long-lived", run="memories:promote", arguments=(ID,),
    about="Gives a memory the tier long and takes its expiry away. With --to-namespace the memory stays as it is, and "
          "a copy with an id of its own goes into that ancestor, linked to the original.",
    options=(Option(flag="--to-namespace", help="Instead clone it into this ancestor of its namespace."),),
    prints='{"promoted", "mode", "id", "tier"}, or with --to-namespace {"promoted", "mode", "source_id", "clone_id", '
           '"to_namespace"}',
    examples=(("Share a memory with the team",
               f'{NEW_ID.replace("store", "store -n team/app")}\nai-memory promote --to-namespace team "$id"'),),
)
LINK: Final = Verb(
    name="link", summary="state a relation of two memories", run="memories:link",
    arguments=(Argument(name="source", help=f"The memory that the relation starts at: {WHOLE}."),
               Argument(name="target", help=f"The memory that it leads to: {WHOLE}.")),
    options=(Option(flag="--relation", short="-r", choices=RELATIONS, default="related_to",
                    help="What the source is to the target."),),
    prints='{"linked", "source_id", "target_id", "relation", "created", "version"?}',
    examples=(("One memory replaces another", f'{TWO_IDS}\nai-memory link -r supersedes "$new" "$old"'),),
)
UNLINK: Final = Verb(
    name="unlink", summary="take a relation back", run="memories:unlink",
    about="Takes back exactly this relation of these two memories. If it does not stand the exit status is 5.",
    arguments=(Argument(name="source", help=f"The memory that the relation starts at: {WHOLE}."),
               Argument(name="target", help=f"The memory that it leads to: {WHOLE}.")),
    options=(Option(flag="--relation", short="-r", choices=RELATIONS, default="related_to",
                    help="Which relation."),),
    prints='{"deleted", "version"?}',
    examples=(("Take a relation back",
               f'{TWO_IDS}\nai-memory link "$new" "$old"\nai-memory unlink "$new" "$old"'),),
)
