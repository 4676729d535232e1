"""Verbs on what is set for namespaces: standards and policies."""

from __future__ import annotations

from typing import Final

from aimem.cli.verbs.common import limit
from aimem.cli.verbs.table import Argument, Option, Verb

_NAMESPACE: Final = Argument(name="namespace", help="The namespace; * (in quotes) is above all others.")
_SHOWN: Final = (
    '"namespace", "standard_id", "title"?, "content"?, "priority"?, "warning"?, "governance", "governance_error"?, '
    '"effective", "from", "parent"?, "owner"?, "changed_by"?, "changed_at"?'
)
_POLICY: Final = (
    '{"write": "any", "promote": "any", "delete": "owner", "policy": "owner", "approver": "human"}'
)

NAMESPACE: Final = Verb(
    name="namespace", summary="say what holds in a namespace: its standard and its policy",
    about="A standard is a memory that says how things are done in a namespace; agents are shown it with what they "
          "recall there. A policy says who may write, promote and delete there, and who changes the policy. Both hold "
          "below the namespace too; the nearest policy counts alone. ai-memory-governance(7) tells more.",
    children=(
        Verb(name="set-standard", summary="set the standard of a namespace, its policy, or both",
             run="namespaces:set_standard", arguments=(_NAMESPACE,), begins=True,
             about="What is not given stays. Without a memory the present standard stays, or one is made. Whoever sets "
                   "a namespace's policy first, under an id of its own, owns it from then on.",
             options=(
                 Option(flag="--id", dest="memory_id", help="The memory that becomes the standard: its whole id."),
                 Option(flag="--content", short="-c",
                        help="Text of the standard, instead of --id; - reads it from standard input."),
                 Option(flag="--governance",
                        help=f"The policy as JSON; only write is required: {_POLICY}. An approver may also be "
                             '{"agent": "ID"} or {"consensus": N}.'),
                 Option(flag="--parent", help="A namespace whose standards hold here too."),
                 Option(flag="--owner", help="The agent that owner means in the policy; for operators."),
                 Option(flag="--force", read=None, help="Set a policy although it locks everybody out."),
                 Option(flag="--dry-run", read=None, help="Only say whether it would be set.")),
             prints='{"set", "namespace", "standard_id", "parent"?, "governance"?, "owner", "warnings", "version"?, '
                    '"dry_run"?, "decision"?}'),
        Verb(name="get-standard", summary="show what is set for a namespace, and which policy holds there",
             run="namespaces:get_standard", arguments=(_NAMESPACE,),
             options=(Option(flag="--inherit", read=None,
                             help="Also those that it inherits, the most general first."),),
             prints=f'{{{_SHOWN}}}; with --inherit {{"namespace", "chain", "standards": [the same], "count", '
                    '"effective", "from", "governance_error"?}'),
        Verb(name="clear-standard", summary="take standard and policy of a namespace away",
             run="namespaces:clear_standard", arguments=(_NAMESPACE,),
             about="What the namespace inherits then holds there. The memory that was the standard stays.",
             prints='{"cleared", "namespace", "standard_id"?, "version"?}'),
        Verb(name="access", summary="show who could do what in a namespace", run="namespaces:access",
             arguments=(_NAMESPACE,),
             about="Says for each act whether it would be allowed, need approval or be denied, and which policy says "
                   "so: for what is new or one's own, and for memories of others.",
             options=(Option(flag="--agent", dest="subject", default_text="the caller",
                             help="The agent in question; for operators."),),
             prints='{"namespace", "agent_id", "role", "home"?, "registered", "owner"?, "access": [{"verb", "level", '
                    '"from", "decision", "on_others", "reason"?, "on_others_reason"?, "approver"?}], "warning"?}'),
        Verb(name="history", summary="show what was set for a namespace before, the latest first",
             run="namespaces:history", arguments=(_NAMESPACE,), options=(limit(64),),
             prints='{"namespace", "history": [{"version", "standard_id", "parent", "governance", '
                    '"governance_error"?, "owner", "changed_by", "changed_at"}], "count"}'),
    ),
    examples=(
        ("Let only the owner write in a namespace, and see what that means for another agent",
         ('ai-memory --agent-id ai:lead namespace set-standard acme/ops -c "Deploy on weekdays only." '
          '--governance \'{"write": "owner"}\'\nai-memory namespace access acme/ops --agent ai:planner')),
        ("See what holds in a namespace below", "ai-memory namespace get-standard acme/ops/alerts --inherit"),
    ),
)
