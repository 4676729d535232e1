"""Verbs on agents and their messages."""

from __future__ import annotations

from typing import Final

from aimem.cli.values import integer, lifetime
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

_ID: Final = Argument(name="id", help="The agent's id.")
_EXPIRES: Final = Option(
    flag="--expires", read=lifetime,
    help="When the key ends: a time to live like 90d, 12h or 30m, or an RFC 3339 time. Without it it does not end.")
_ISSUED: Final = (
    '{"key", "key_id", "agent_id", "role", "home", "created_at", "expires_at", "registered", "is_first", "replaces"?, '
    '"replaced_until"?, "version"}')
_KEY: Final = Verb(
    name="key", summary="make, list, replace and end keys of agents",
    about="A key proves which agent a caller is. The first one is made over the Unix socket, by the owner of the "
          "database; from then on callers over TCP need a key, and that stays so. A key is shown once, when it is "
          "made; only its hash is kept. An agent presents it as the header X-API-Key, or with AI_MEMORY_API_KEY to the "
          "commands and to mcp. These verbs are for operators: whoever may open the socket, and agents with that role.",
    children=(
        Verb(name="add", summary="make a key for an agent, and register it if it is not", run="agentkeys:add",
             begins=True,
             arguments=(_ID,),
             options=(Option(flag="--home", help="The namespace that the agent lives in: it decides what it sees."),
                      Option(flag="--role", choices=("agent", "operator"), default="agent",
                             help="operator: sees everything and administers the node."),
                      _EXPIRES,
                      Option(flag="--agent-type", default_text="told by the id",
                             help="As what to register it: human, system, or ai: with a name."),
                     Option(flag="--force", read=None,
                            help="Make the first key although peers have no api_key to show.")),
             prints=_ISSUED),
        Verb(name="list", summary="list keys, without their secrets", run="agentkeys:list_keys",
             options=(Option(flag="--agent", help="Only keys of this agent."), limit(1000),
                      Option(flag="--offset", read=integer, default=0, help="Skip so many.")),
             prints='{"count", "keys", "total", "unreadable"?}'),
        Verb(name="rotate", summary="replace a key by a new one", run="agentkeys:rotate",
             arguments=(Argument(name="key_id", help="The key's id, as list shows it."),),
             options=(Option(flag="--grace", read=lifetime, default_text="the old key ends at once",
                             help="For how long the old key goes on beside the new one, like 1h; at most 30d."),
                      Option(flag="--expires", read=lifetime, default_text="as long as the old one was to live",
                             help="When the new key ends.")),
             prints=_ISSUED),
        Verb(name="revoke", summary="end a key, or all of an agent, for the very next request",
             run="agentkeys:revoke",
             arguments=(Argument(name="key_id", count="?", help="The key's id, as list shows it."),),
             options=(Option(flag="--all-of", placeholder="AGENT", help="End all keys of this agent."),),
             prints='{"revoked", "key_ids", "agent_id", "version"?}'),
    ),
)

AGENTS: Final = Verb(
    name="agents", summary="look after registered agents", run="agents:list_agents",
    about="Lists the agents that are registered, or registers one. A registration says what an agent is and can; it "
          "gives no rights by itself. What proves an agent is a key: see key.",
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
             arguments=(_ID,), prints='{"deleted", "id", "version"}'),
        _KEY,
    ),
    examples=(("Register an agent and see who is there",
               ("ai-memory agents register --agent-id ai:planner --agent-type ai:claude-opus-4.7 "
               "--capabilities plan,review\nai-memory agents")),
              ("Give an agent a key, and work as that agent",
               ("key=$(ai-memory agents key add ai:planner --home acme/planning --expires 90d)\n"
                'AI_MEMORY_API_KEY=$key ai-memory store -c "Begin with the store." -n acme/planning'))),
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
