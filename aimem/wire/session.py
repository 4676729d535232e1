"""The start of a session: what an agent should know before it begins."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from aimem.wire.namespaces import InjectedStandard
from aimem.wire.recalled import ScoredMemory


class SessionRequest(Struct, kw_only=True):
    """Body of POST /session/start; `summary` asks the language model, if there is one, to say it in a paragraph."""

    namespace: str | None = None
    limit: int = 10
    agent_id: str | None = None
    summary: bool = False


class Session(Struct, kw_only=True):
    """Answer to the start of a session; `score` of its memories is 0, for nothing was asked. Nothing keeps the id.

    `standard`, `standards` and `standards_omitted` are as in RecallResult.
    """

    memories: tuple[ScoredMemory, ...]
    count: int
    mode: str
    session_id: str
    agent_id: str | UnsetType = UNSET
    summary: str | UnsetType = UNSET
    standard: InjectedStandard | UnsetType = UNSET
    standards: tuple[InjectedStandard, ...] | UnsetType = UNSET
    standards_omitted: int | UnsetType = UNSET
