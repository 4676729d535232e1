"""Verbs of governance: the audit."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import limit
from aimem.cli.verbs.table import Option, Verb

NOTE_HEAD: Final = ('ai-memory audit list --limit 1 --json | jq -r .head > head.txt\n'
                    'ai-memory audit verify --after "$(cat head.txt)"')
AUDIT: Final = Verb(
    name="audit", summary="see who did what on this node, and what was refused",
    about="Every write leaves rows in the audit in the same transaction, and every refusal by policy, identity or "
          "limits leaves one too; of many alike (one caller, one rule) the first in a minute is told at once and the "
          "others as one row with their count. Rows never hold text of memories. The audit is this node's own: it is "
          "not copied to peers, and tells what was done here.",
    children=(
        Verb(name="list", summary="list rows, the latest first", run="auditing:list_audit",
             about="Operators see all rows, an agent its own.",
             options=(Option(flag="--agent", help="Only what this agent did, or whoever said it was that."),
                      Option(flag="--action", help="Only this: store, update, delete, link and so on, or of a refusal "
                                                   "at the door the name of the route, or request."),
                      Option(flag="--decision", choices=("allowed", "denied", "asked"), help="Only this decision."),
                      Option(flag="--namespace", short="-n", help="Only this namespace and what lies below it."),
                      Option(flag="--since", help="Only at or after this RFC 3339 time."),
                      Option(flag="--until", help="Only at or before this RFC 3339 time."),
                      Option(flag="--before", read=integer, help="Only rows with a smaller number: the next page."),
                      limit(50)),
             prints='{"rows": [{"seq", "at", "agent_id", "credential", "action", "decision", "namespace", "target", '
                    '"rule", "version", "count", "detail", "hash"}], "count", "head"}'),
        Verb(name="verify", summary="check that no row was changed, removed or moved", run="auditing:verify",
             about="Each row holds a hash over itself and the row before; a check computes them anew, from the last "
                   "checkpoint, whose signature it checks too, to the end, and names the first row that is wrong. "
                   "It exits with 1 if one is. What it cannot find is a history that somebody who can write to the "
                   "database file has made anew as a whole: for that, note the end that it prints in another place, "
                   "and give it to --after later.",
             options=(Option(flag="--after", help="Begin behind this SEQ:HASH, an end that was noted earlier: the row "
                                                  "must still be there and have that hash."),),
             prints='{"ok", "checked", "first_seq", "head", "more", "problem"?: {"seq", "damage", "text"}, '
                    '"checkpoint"?: {"seq", "row_count", "made_at", "made_by", "public_key"}}'),
        Verb(name="prune", summary="delete old rows behind a signed checkpoint", run="auditing:prune",
             about="Rows go from the beginning only, after they were checked; a checkpoint signed with this node's "
                   "key takes their place, and a new row tells of it. Rows that are damaged stay, and all behind "
                   "them. The node does so by itself with what is older than audit.keep_days, or more than "
                   "audit.keep_count, see ai-memory-config(5).",
             options=(Option(flag="--before", help="Rows from before this RFC 3339 time."),
                      Option(flag="--before-row", read=integer, help="Rows with smaller numbers than this.")),
             prints='{"pruned", "checkpoint"?, "problem"?}'),
    ),
    examples=(("See what was refused", "ai-memory audit list --decision denied"),
              ("Check it", "ai-memory audit verify"),
              ("Note its end, and check later that it still is part of it", NOTE_HEAD)),
)
