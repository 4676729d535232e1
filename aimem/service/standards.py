"""Standards: the memory that says how things are done in a namespace, and which policy holds there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from aimem.errors import InvalidRequest
from aimem.governance import Ruling, chain, lineage, parse_policy
from aimem.model import Instant, Memory, MemoryId, Namespace, NamespaceRule, Principal, format_instant, rules
from aimem.ports import Connection
from aimem.search import token_cost
from aimem.service.node import Node
from aimem.store import memories, namespaces, visible_to
from aimem.wire import (
    InjectedStandard,
    NamespaceStandard,
    NamespaceStandards,
    PolicyOut,
    memory_fields,
    policy_out,
)

EVERYWHERE: Final = Namespace("*")
INJECTED_MAX_TOKENS: Final = 4_096
"""What standards may add to a recall or the start of a session; about 16 KiB of text."""

TAG: Final = "_namespace_standard"
EMPTY: Final = "This namespace has a policy; its standard has no text yet."
"""Content of a standard that was made only because a policy was set. It is shown, but not given to agents."""


class Holding(Struct, frozen=True, kw_only=True):
    """The policy that holds in a namespace, in wire form."""

    effective: PolicyOut | None = None
    from_: Namespace | None = None
    error: str | UnsetType = UNSET


async def standard_of(node: Node, who: Principal, namespace: str) -> NamespaceStandard:
    """What is set for a namespace, and the policy that holds there. Raises: InvalidRequest."""
    return await node.store.read(_standard_of, who, rules.namespace(namespace), node.clock.now())


async def standards_for(node: Node, who: Principal, namespace: str) -> NamespaceStandards:
    """The standards that hold in a namespace, the most general first. Raises: InvalidRequest."""
    return await node.store.read(_standards_for, who, rules.namespace(namespace), node.clock.now())


def _standard_of(conn: Connection, who: Principal, namespace: Namespace, now: Instant) -> NamespaceStandard:
    rule = namespaces.find(conn, namespace)
    return _shown(conn, who, namespace, rule, holding_in(conn, namespace), now)


def _standards_for(conn: Connection, who: Principal, namespace: Namespace, now: Instant) -> NamespaceStandards:
    names = chain_of(conn, namespace)
    rules_by_name = {rule.namespace: rule for rule in namespaces.rules_of(conn, names)}
    shown = [
        _shown(conn, who, name, rules_by_name[name], holding_in(conn, name), now)
        for name in names if name in rules_by_name and _is_set(rules_by_name[name])
    ]
    holding = holding_in(conn, namespace)
    return NamespaceStandards(
        namespace=namespace, chain=names, standards=tuple(shown), count=len(shown), effective=holding.effective,
        from_=holding.from_, governance_error=holding.error,
    )


def _is_set(rule: NamespaceRule) -> bool:
    return rule.standard_id is not None or rule.governance is not None


def _shown(
    conn: Connection, who: Principal, namespace: Namespace, rule: NamespaceRule | None, holding: Holding, now: Instant
) -> NamespaceStandard:
    own = NamespaceStandard(
        namespace=namespace, standard_id=None, effective=holding.effective, from_=holding.from_,
        governance_error=holding.error,
    )
    if rule is None or not (_is_set(rule) or rule.parent is not None):
        return own
    memory = None if rule.standard_id is None else memories.find(conn, rule.standard_id, now, visible_to(who))
    own.standard_id = shown_id(who, rule.standard_id, memory)
    if memory is not None:
        own.title, own.content, own.priority = memory.title, memory.content, memory.priority
    elif rule.standard_id is not None:
        hidden = " or not for the caller to see" if who.sights else ""
        own.warning = f"a standard is set, but it is not there: deleted, archived, expired{hidden}"
    own.governance = holding.effective if holding.from_ == namespace else None
    own.parent = UNSET if rule.parent is None else rule.parent
    own.owner = UNSET if rule.owner is None else rule.owner
    own.changed_by, own.changed_at = rule.changed_by, format_instant(rule.changed_at)
    return own


def shown_id(who: Principal, standard_id: MemoryId | None, memory: Memory | None) -> MemoryId | None:
    """The id of a standard, for whoever may see the memory; whoever sees everything is told of a lost one too."""
    return standard_id if memory is not None or not who.sights else None


def holding_in(conn: Connection, namespace: Namespace) -> Holding:
    """The policy that holds in a namespace, as the gate finds it."""
    rule = namespaces.nearest_policy(conn, chain(namespace))
    if rule is None:
        return Holding()
    policy = Ruling.of(rule).policy
    if policy is None:
        return Holding(from_=rule.namespace, error=why_unreadable(rule.governance or ""))
    return Holding(effective=policy_out(policy), from_=rule.namespace)


def why_unreadable(text: str) -> str:
    """What is wrong with the stored text of a policy."""
    try:
        parse_policy(text)
    except InvalidRequest as error:
        return f"{error.message}; until an operator sets it anew, everything is denied"
    return ""


def chain_of(conn: Connection, namespace: Namespace) -> tuple[Namespace, ...]:
    """Where standards for a namespace are looked for, the most general first."""

    def parent_of(name: Namespace) -> Namespace | None:
        rule = namespaces.find(conn, name)
        return None if rule is None else rule.parent

    return lineage(namespace, parent_of)


class Injected(Struct, frozen=True, kw_only=True):
    """Standards that go with an answer, the most general first, with the tokens that they take."""

    standards: tuple[InjectedStandard, ...] = ()
    ids: frozenset[MemoryId] = frozenset()
    tokens: int = 0
    omitted: int = 0

    @property
    def one(self) -> InjectedStandard | UnsetType:
        """The answer's field `standard`."""
        return self.standards[0] if len(self.standards) == 1 else UNSET

    @property
    def several(self) -> tuple[InjectedStandard, ...] | UnsetType:
        """The answer's field `standards`."""
        return self.standards if len(self.standards) > 1 else UNSET


def injected(
    conn: Connection, who: Principal, namespace: Namespace | None, now: Instant, budget: int | None
) -> Injected:
    """The standards that a caller is to be told with what it reads in a namespace (None: anywhere, so only `*`).

    Only those that it may see, each memory once, those without text left out. Where they are too long, the nearest
    ones are kept.

    Args:
      budget: tokens that they may take, besides the bound of their own; None for that alone.
    """
    names = (EVERYWHERE,) if namespace is None else chain_of(conn, namespace)
    found = _memories_of(conn, who, names, now)
    left = INJECTED_MAX_TOKENS if budget is None else min(budget, INJECTED_MAX_TOKENS)
    kept: list[tuple[Namespace, Memory]] = []
    for name, memory in reversed(found):
        cost = token_cost(memory.title, memory.content)
        if cost <= left:
            kept.append((name, memory))
            left -= cost
    return Injected(
        standards=tuple(
            InjectedStandard(**memory_fields(memory), standard_of=name) for name, memory in reversed(kept)
        ),
        ids=frozenset(memory.id for _, memory in kept),
        tokens=sum(token_cost(memory.title, memory.content) for _, memory in kept),
        omitted=len(found) - len(kept),
    )


def _memories_of(
    conn: Connection, who: Principal, names: Sequence[Namespace], now: Instant
) -> list[tuple[Namespace, Memory]]:
    """The standards of these namespaces as far as there is anything to tell, each at the nearest that has it."""
    by_name = {rule.namespace: rule.standard_id for rule in namespaces.rules_of(conn, names)}
    found: dict[MemoryId, tuple[Namespace, Memory]] = {}
    for name in names:
        memory_id = by_name.get(name)
        memory = None if memory_id is None else memories.find(conn, memory_id, now, visible_to(who))
        if memory is not None and memory.content != EMPTY:
            found.pop(memory.id, None)
            found[memory.id] = (name, memory)
    return list(found.values())


def standing_for(conn: Connection, ids: Iterable[MemoryId]) -> str:
    """A warning for whoever takes memories away, if they are standards; empty if none is."""
    shown_max = 8
    found = namespaces.with_standard(conn, tuple(ids), shown_max + 1)
    if not found:
        return ""
    more = " and more" if len(found) > shown_max else ""
    return (
        f"this was the standard of {', '.join(found[:shown_max])}{more}, which has none now; policies stay as they are"
    )
