"""Policies as text, and which namespaces' policies count for one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from aimem.errors import Code, InvalidRequest
from aimem.model import Approver, GovernancePolicy, Namespace, rules

GLOBAL_RULE: Final = Namespace("*")
HUMAN: Final = "human"
CONSENSUS_MAX: Final = 100
PARENTS_MAX: Final = 8
"""Explicit parents that a lineage follows, all together."""

_AT: Final = re.compile(r" - at `\$\.([^`]+)`$")
_NAMED: Final = re.compile(r"(?:missing required|unknown) field `([^`]{1,64})`")
_encoder: Final = msgspec.json.Encoder()


def chain(namespace: str) -> tuple[Namespace, ...]:
    """The namespaces whose policies count for one, nearest first: itself, its ancestors, then `*`."""
    segments = namespace.split("/")
    paths = tuple(Namespace("/".join(segments[:count])) for count in range(len(segments), 0, -1))
    return paths if namespace == GLOBAL_RULE else (*paths, GLOBAL_RULE)


def lineage(namespace: Namespace, parent_of: Callable[[Namespace], Namespace | None]) -> tuple[Namespace, ...]:
    """The namespaces whose standards hold in one, the most general first.

    `*`, then explicit parents (of the root first, then of what lies below it), the ancestors and the namespace itself;
    each once, however the parents run in circles, and at most PARENTS_MAX parents.
    """
    path = [name for name in reversed(chain(namespace)) if name != GLOBAL_RULE]
    known = {GLOBAL_RULE, *path}
    parents: list[Namespace] = []
    for name in path:
        line: list[Namespace] = []
        parent = parent_of(name)
        while parent is not None and parent not in known and len(parents) + len(line) < PARENTS_MAX:
            known.add(parent)
            line.append(parent)
            parent = parent_of(parent)
        parents += reversed(line)
    return (GLOBAL_RULE, *parents, *path)


class _Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy as people write it: approver is "human", {"agent": id} or {"consensus": n}."""

    write: str
    promote: str = "any"
    delete: str = "owner"
    policy: str = "owner"
    approver: str | dict[str, str | int] = HUMAN


def parse_policy(text: str | bytes, *, field: str = "governance") -> GovernancePolicy:
    """Read a policy. Raises: InvalidRequest(malformed_policy) that says what is wrong with it."""
    try:
        return _parsed(text, field)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, code=Code.MALFORMED_POLICY, field=error.field) from None


def _parsed(text: str | bytes, field: str) -> GovernancePolicy:
    try:
        raw = msgspec.json.decode(text, type=_Text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        at = _AT.search(str(error)) or _NAMED.search(str(error))
        raise InvalidRequest(
            f"{field} is no policy: {error}; write it like "
            '{"write": "any", "promote": "any", "delete": "owner", "policy": "owner", "approver": "human"}',
            field=field if at is None else f"{field}.{at[1]}",
        ) from None
    levels = {}
    for name in ("write", "promote", "delete", "policy"):
        value = getattr(raw, name)
        if value not in ("any", "registered", "owner", "approve"):
            raise InvalidRequest(
                f"{field}.{name}: {value[:40]!r} is no level; allowed are any, registered, owner, approve",
                field=f"{field}.{name}",
            )
        levels[name] = value
    return msgspec.convert({**levels, "approver": _approver(raw.approver, field)}, GovernancePolicy, strict=False)


def _approver(raw: str | dict[str, str | int], field: str) -> Approver | str:
    at = f"{field}.approver"
    if raw == HUMAN:
        return HUMAN
    if isinstance(raw, dict) and len(raw) == 1:
        (name, value), = raw.items()
        if name == "agent" and isinstance(value, str):
            return Approver(agent=rules.agent_id(value, field=f"{at}.agent"))
        if name == "consensus" and isinstance(value, int):
            return Approver(consensus=rules.bounded(value, 1, CONSENSUS_MAX, field=f"{at}.consensus"))
    raise InvalidRequest(
        f'{at} is unknown; allowed are "human", {{"agent": "ID"}} and {{"consensus": N}}', field=at
    )


def dump_policy(policy: GovernancePolicy) -> str:
    """The canonical JSON text of a policy, all levels written out."""
    return _encoder.encode(policy).decode()


def approver_text(policy: GovernancePolicy) -> str:
    """Who has to approve, for sentences."""
    match policy.approver:
        case Approver(agent=str(agent)):
            return f"the agent {agent}"
        case Approver(consensus=int(count)):
            return f"{count} registered agents"
    return "a person (an operator)"
