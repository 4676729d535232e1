"""Who an MCP client is when it does not say so itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from aimem.model import AgentId, rules

DefaultAgent = Callable[[str | None], str | None]
"""From the client's own name (`clientInfo.name`, None before it said one) to the agent id that its calls claim: None
where a key says whose they are."""

HttpAgent = Callable[[str | None, str | None], str | None]
"""From the client's name and the nonce of its session (None: it has none) to the agent id of its calls, if any."""

# Together with `ai:`, `@`, `:pid-` and a pid of 7 digits these stay below the 128 bytes of an agent id.
_CLIENT_MAX_CHARS: Final = 48
_HOST_MAX_CHARS: Final = 56
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_NAME = r"[A-Za-z0-9_.-]+"
_GENERATED = re.compile(
    rf"ai:{_NAME}@{_NAME}:(?:pid-\d+|mcp(?:-{_NAME})?)|host:{_NAME}:pid-\d+-[0-9a-f]+"
    rf"|anonymous:(?:pid-\d+-[0-9a-f]+|(?:mcp|req)-{_NAME})", re.ASCII
)


def default_agent(configured: str | None, *, host: str, pid: int, suffix: str) -> DefaultAgent:
    """The chain of default identities: configured, else the client's name, else the host's.

    Args:
      configured: `AI_MEMORY_AGENT_ID` or `--agent-id`; empty counts as absent.
      host: name of this machine, as the system tells it.
      pid: of this process.
      suffix: 8 hex digits, drawn once for this process.

    Raises: InvalidRequest if the configured id is not well formed.
    """
    if configured:
        checked = rules.agent_id(configured)
        return lambda _: checked
    place = _part(host, _HOST_MAX_CHARS)

    def name(client: str | None) -> str:
        said = _part(client or "", _CLIENT_MAX_CHARS)
        if said:
            return AgentId(f"ai:{said}@{place or 'unknown'}:pid-{pid}")
        return AgentId(f"host:{place}:pid-{pid}-{suffix}") if place else AgentId(f"anonymous:pid-{pid}-{suffix}")

    return name


def anonymous_agent(configured: str | None, *, pid: int, suffix: str) -> DefaultAgent:
    """The chain of an anonymized process: a configured id counts, the names of host and client stay out.

    Raises: InvalidRequest if the configured id is not well formed.
    """
    agent = rules.agent_id(configured) if configured else AgentId(f"anonymous:pid-{pid}-{suffix}")
    return lambda _: agent


def proven_agent(configured: str | None) -> DefaultAgent:
    """For a process with an agent's key, which says who it is: a configured id is claimed, and has to be the same.

    Raises: InvalidRequest if the configured id is not well formed.
    """
    agent = rules.agent_id(configured) if configured else None
    return lambda _: agent


def client_part(name: str) -> str:
    """A client's name as a part of an agent id; may be empty."""
    return _part(name, _CLIENT_MAX_CHARS)


def http_agent(host: str) -> HttpAgent:
    """The chain of default identities over HTTP: the client's name, told apart by its session, else none.

    Args:
      host: name of the node's machine. The client's own is not known, and its address would say too much.
    """
    place = _part(host, _HOST_MAX_CHARS) or "unknown"

    def name(client: str | None, nonce: str | None) -> str | None:
        said = _part(client or "", _CLIENT_MAX_CHARS)
        mark = "mcp" if nonce is None else f"mcp-{nonce[:8]}"
        if said:
            return AgentId(f"ai:{said}@{place}:{mark}")
        return None if nonce is None else AgentId(f"anonymous:{mark}")

    return name


def anonymous_http_agent(client: str | None, nonce: str | None) -> str | None:
    """The chain of an anonymized node: the session alone."""
    del client
    return None if nonce is None else AgentId(f"anonymous:mcp-{nonce[:8]}")


def is_generated(agent_id: str) -> bool:
    """Whether an id is one that is made of a process or a session: nobody chose it, and the next one has another."""
    return _GENERATED.fullmatch(agent_id) is not None


def _part(text: str, max_chars: int) -> str:
    """A name as part of an agent id: runs of foreign characters become one dash, dashes at the ends go."""
    return _FOREIGN.sub("-", text).strip("-")[:max_chars].strip("-")
