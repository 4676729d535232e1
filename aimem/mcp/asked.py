"""One request to /mcp as far as HTTP goes, and its answer: values, without the SDK."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from msgspec import Struct

from aimem.config import McpProfile
from aimem.errors import Code, InvalidRequest
from aimem.mcp.session import Session
from aimem.model import rules

if TYPE_CHECKING:
    from aimem.client import Client

JSON_TYPE: Final = "application/json"
STREAM_TYPE: Final = "text/event-stream"
SESSION_HEADER: Final = "mcp-session-id"
VERSION_HEADER: Final = "mcp-protocol-version"
AGENT_HEADER: Final = "x-agent-id"

# Of two of these, another reader on the way might have taken the other.
_SINGLE: Final = (SESSION_HEADER, VERSION_HEADER, AGENT_HEADER, "mcp-method", "mcp-name", "content-type")


class Entrance(Struct, frozen=True, kw_only=True):
    """What the guard's verdict on a request means to us.

    Attributes:
      client: the way to the node with this caller's credential.
      agent_id: the agent that the credential is of, or None where the request may claim one.
    """

    client: Client
    agent_id: str | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """Who asks, and by which rules.

    Attributes:
      client: the way to the node with this caller's credential.
      agent_id: the agent that the credential is of, else what `X-Agent-Id` claims, or None.
      session: what the client said at its handshake, or None if it names no session.
      headers: by name in small letters.
    """

    client: Client
    agent_id: str | None
    session: Session | None
    profile: McpProfile
    headers: Mapping[str, str]


class Answer(Struct, frozen=True, kw_only=True):
    """What goes back: a JSON-RPC message, or nothing but a status."""

    status: int
    content: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def read_headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Headers by name. Raises: InvalidRequest if one that decides what a request means is given twice."""
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1").lower()
        if name in found and name in _SINGLE:
            raise InvalidRequest(f"the header {name} is given more than once; give it once", field=name)
        value = raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def read_agent(headers: Mapping[str, str]) -> str | None:
    """The identity that the request claims, if any. Raises: InvalidRequest if it is not well formed."""
    claimed = headers.get(AGENT_HEADER, "")
    return rules.agent_id(claimed, field="X-Agent-Id") if claimed else None


def read_profile(query_string: bytes, default: McpProfile) -> McpProfile:
    """The profile that `?profile=` asks for. Raises: InvalidRequest if there is none of that name."""
    given = parse_qs(query_string.decode("latin-1")).get("profile", [])
    if not given:
        return default
    if len(given) > 1 or given[0] not in set(McpProfile):
        raise InvalidRequest(
            f"profile is {given[0][:64]!r}; allowed is one of {', '.join(McpProfile)}", field="profile"
        )
    return McpProfile(given[0])


def require_json(headers: Mapping[str, str]) -> None:
    """Refuse what is not said to be JSON: a web page can send anything else without asking the browser.

    Raises: InvalidRequest(unsupported_media_type).
    """
    shown = headers.get("content-type", "").partition(";")[0].strip()
    if shown.lower() != JSON_TYPE:
        raise InvalidRequest(
            f"the Content-Type is {shown[:64] or 'none'}; allowed is {JSON_TYPE}",
            code=Code.UNSUPPORTED_MEDIA_TYPE, field="Content-Type",
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidRequest(
            "compressed bodies are not read; send the JSON as it is",
            code=Code.UNSUPPORTED_MEDIA_TYPE, field="Content-Encoding",
        )


def wants_stream(headers: Mapping[str, str]) -> bool:
    """Whether the client takes no plain JSON but only a stream of events; the protocol asks for both."""
    accepted = headers.get("accept", "*/*").lower()
    return STREAM_TYPE in accepted and not any(kind in accepted for kind in (JSON_TYPE, "*/*", "application/*"))
