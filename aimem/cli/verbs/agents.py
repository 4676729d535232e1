"""Verbs on agents and their messages."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer
from aimem.cli.verbs.common import TIERS, limit
from aimem.cli.verbs.table import Argument, Option, Verb

_LIST: Final = Verb(
    name="list", summary="list registered agents, by id", run="agents:list_agents",
    options=(limit(1000), Option(flag="--offset", read=integer, default=0, help="Skip so many.")),
    prints='{"count", "agents", "total", "unreadable"?}',
)
_INBOX_OPTIONS: Final = (
    Option(flag="--unread-only", read=None, help="Leave out what was marked as read."),
    limit(50), Option(flag="--offset", read=integer, default=0, help="Skip so many of the first."),
    Option(flag="--mark-read", read=None, help="Mark the shown messages as read."),
)
_MESSAGE_IDS: Final = (Argument(name="id", count="+", help="The messages: of each the whole id."),)

AGENTS: Final = Verb(
    name="agents", summary="look after registered agents", run="agents:list_agents",
    about="Lists the agents that are registered, or registers one. A registration says what an agent is and can; it "
          "gives no rights.",
    options=_LIST.options, prints=_LIST.prints,
    children=(
        _LIST,
        Verb(name="register", summary="register an agent, or bring its registration up to date", run="agents:register",
             options=(Option(flag="--agent-id", dest="subject", default_text="the caller's own, if it is configured",
                             help="The agent to register."),
                      Option(flag="--agent-type", required=True,
                             help="human, system, or ai: with the name of a model or program."),
                      Option(flag="--capabilities", help="What it can do: words, divided by commas.")),
             prints='{"registered", "id", "agent_id", "agent_type", "capabilities", "registered_at", "last_seen_at", '
                    '"registered_by", "action", "version"}'),
        Verb(name="remove", summary="take a registration back", run="agents:remove",
             arguments=(Argument(name="id", help="The agent's id."),), prints='{"deleted", "id", "version"}'),
    ),
    examples=(("Register an agent and see who is there",
               ("ai-memory agents register --agent-id ai:planner --agent-type ai:claude-opus-4.7 "
               "--capabilities plan,review\nai-memory agents")),),
)
NOTIFY: Final = Verb(
    name="notify", summary="send a message to an agent", run="messages:notify", begins=True,
    about="Every message is a new one, whatever its title. Only its recipient sees it, in its inbox; no recall, search "
          "or list shows it. It is kept until it was marked as read, and from then on as long as its tier says. An "
          "inbox with 10,000 unread messages takes no more.",
    arguments=(Argument(name="target", help="The agent that it is for."),),
    options=(Option(flag="--title", short="-T", required=True, help="What it is about."),
             Option(flag="--content", short="-c", required=True, help="The text; - reads it from standard input."),
             Option(flag="--priority", short="-p", read=integer, default_text="5", help="1 (least) to 10."),
             Option(flag="--tier", short="-t", choices=TIERS, default="mid", help="How long it is kept once read.")),
    prints='{"id", "from", "to", "namespace", "tier", "delivered_at", "version"}',
    examples=(("Tell another agent something",
               'ai-memory --agent-id ai:planner notify ai:builder -T "Plan is ready" -c "Begin with the store."'),),
)
INBOX: Final = Verb(
    name="inbox", summary="read the messages that other agents sent", run="messages:inbox",
    about="Shows the messages to the agent that asks, by priority, then the newest first. Whose inbox that is the "
          "global option --agent-id says, or AI_MEMORY_AGENT_ID, or the configuration. Reading marks nothing.",
    options=_INBOX_OPTIONS,
    prints='{"agent_id", "namespace", "count", "unread_only", "messages", "unread_count"}',
    children=(
        Verb(name="list", summary="show the messages, as without a verb", run="messages:inbox",
             options=_INBOX_OPTIONS, prints="the same"),
        Verb(name="read", summary="mark messages as read", run="messages:mark_read", arguments=_MESSAGE_IDS,
             prints='{"read", "missing", "count", "version"?}'),
        Verb(name="delete", summary="delete messages for ever, read or not", run="messages:delete",
             arguments=_MESSAGE_IDS, prints='{"deleted", "missing"}'),
    ),
    examples=(("Read what is new, and mark it as read",
               ('ai-memory --agent-id ai:planner notify ai:builder -T "Plan is ready" -c "Begin with the store."\n'
               "ai-memory --agent-id ai:builder inbox --unread-only --mark-read")),),
)
