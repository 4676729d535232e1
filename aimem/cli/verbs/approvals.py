"""Verbs on actions that wait for approval."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import limit
from aimem.cli.verbs.table import Argument, Option, Verb
from aimem.model import PendingStatus

_ID: Final = Argument(name="id", help="The action's whole id, as pending list shows it.")
_COMMENT: Final = Option(flag="--comment", short="-m", help="Why; kept with the vote.")
_LIST: Final = Verb(
    name="list", summary="list actions, the latest first", run="approving:list_pending",
    about="Shows what the caller asked for and what it may decide on; operators, and everybody while no agent has a "
          "key, see all.",
    options=(Option(flag="--status", choices=tuple(status.value for status in PendingStatus),
                    help="Only those that stand so."),
             Option(flag="--namespace", short="-n", help="Only this namespace and what lies below it."),
             Option(flag="--requested-by", placeholder="AGENT", help="Only what this agent asked for."),
             Option(flag="--action", choices=("store", "delete", "promote", "policy"), help="Only this."),
             limit(100), Option(flag="--offset", read=integer, default=0, help="Skip so many.")),
    prints='{"count", "pending", "more"}; texts of the payloads are cut to 2,000 characters',
)
PENDING: Final = Verb(
    name="pending", summary="see and decide what waits for approval", run="approving:list_pending",
    about="What a policy wants approved first waits as a pending action, and the command that asked for it exits with "
          "3. Whoever the policy names decides: a person (an operator), one agent, or so many registered agents. "
          "Nobody approves what it asked for itself. An approval does what was asked for, with the ids that were told "
          "then; where its memories were changed since, it is marked as failed and nothing is overwritten. An action "
          "that nobody decides on expires. ai-memory-governance(7) tells the whole of it.",
    options=_LIST.options, prints=_LIST.prints,
    children=(
        _LIST,
        Verb(name="get", summary="show an action: what would change now, votes, comments", run="approving:get",
             arguments=(_ID,), prints="the action with changes, changes_total and comments"),
        Verb(name="approve", summary="vote for an action", run="approving:approve", arguments=(_ID,),
             about="Exits with 3 while it is not decided, and with 6 if it was approved and could not be done, or "
                   "was decided otherwise before the vote arrived.",
             options=(_COMMENT,),
             prints='{"approved", "id", "status", "decided_by"?, "executed"?, "memory_id"?, "votes"?, "quorum"?, '
                    '"reason"?, "error"?, "version"?}'),
        Verb(name="reject", summary="vote against an action, or withdraw your own", run="approving:reject",
             arguments=(_ID,), options=(_COMMENT,),
             prints='{"rejected", "id", "status", "decided_by"?, "reason"?, "version"?}'),
        Verb(name="comment", summary="say something about an action", run="approving:comment",
             arguments=(_ID, Argument(name="text", help="What to say, at most 2,000 characters.")),
             prints='{"commented", "id", "comment_id", "version"}'),
        Verb(name="again", summary="ask again for an action that expired or failed", run="approving:again",
             about="Also for one whose deciding node is gone. Whoever asked for it may do so, and operators. The "
                   "policy of now judges it: it waits anew (exit status 3), or is done at once.",
             arguments=(_ID,),
             prints='{"asked_again", "id", "status", "executed", "pending_id"?, "memory_id"?, "namespace"?, '
                    '"expires_at"?, "version"?}'),
    ),
    examples=(("See what waits", "ai-memory pending list --status pending"),),
)
