"""The tool that begins a session.

A handler translates parameters to a request of `wire` and the answer to text; it decides nothing.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from aimem.mcp.tools.common import AnswerFormat, Namespace
from aimem.mcp.tools.tool import Call, Effect, Tool, as_json
from aimem.mcp.toon import Format, standards_in, to_toon
from aimem.wire import SessionRequest


class SessionParams(Struct, kw_only=True, frozen=True):
    """Arguments of memory_session_start."""

    namespace: Namespace = None
    limit: Annotated[int, Meta(ge=1, le=50, description="How many at most.")] = 10
    format: AnswerFormat = Format.TOON_COMPACT


async def start(call: Call, given: SessionParams) -> str:
    """memory_session_start; with a summary where there is a language model."""
    request = SessionRequest(namespace=given.namespace, limit=given.limit, summary=True)
    session = await call.client.start_session(request, agent_id=call.agent_id)
    if given.format is Format.JSON:
        return as_json(session)
    facts = (
        ("count", session.count), ("mode", session.mode), ("session_id", session.session_id),
        ("summary", session.summary), ("standards_omitted", session.standards_omitted),
    )
    return to_toon(facts, session.memories, given.format, standards=standards_in(session))


TOOLS: Final = (
    Tool(
        name="memory_session_start", params=SessionParams, handle=start, effect=Effect.READS,
        description="The most important memories, to read once when a conversation begins.",
    ),
)
