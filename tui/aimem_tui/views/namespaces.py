"""The screen Namespaces: the tree with counts, and the policy that holds under the cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import msgspec

from aimem.wire import NamespaceStandards, PolicyOut, Taxonomy, TaxonomyNode
from aimem_tui.sheet import Column, Line, Row, Sheet, Tone, cell, line, marked
from aimem_tui.state import State
from aimem_tui.views.lists import looked
from aimem_tui.words import clock_time, count

COLUMNS: Final = (
    Column(title="namespace", width=24, share=1), Column(title="here", width=7, is_number=True),
    Column(title="with all below", width=14, is_number=True),
)
NO_POLICY: Final = PolicyOut(write="any", promote="any", delete="owner", policy="owner", approver="human")
"""What the editor begins with where no policy is set; levels are any, registered, owner and approve."""

_POLICY_ALONE: Final = "_standard:"
"""So a node titles the memory that carries a policy: it says nothing that the name of the namespace does not."""


def namespace_sheet(state: State) -> Sheet:
    """A row for each namespace, indented below its parent."""
    found, empty = looked(state, "namespaces", "the namespaces")
    rows = tuple(_rows(found.tree, 0)) if isinstance(found, Taxonomy) else ()
    return Sheet(columns=COLUMNS, rows=rows, empty=empty or "no namespace has a memory yet")


def _rows(node: TaxonomyNode, depth: int) -> Iterator[Row]:
    if node.namespace:
        yield Row(key=node.namespace, cells=(
            cell("  " * (depth - 1) + node.name), cell(count(node.count)), cell(count(node.subtree_count), Tone.DIM)))
    for child in node.children:
        yield from _rows(child, depth + 1)


def policy_lines(state: State, namespace: str | None) -> tuple[Line, ...]:
    """Which policy holds, whose it is, and what is set on the way down."""
    if namespace is None:
        return ()
    found, why = looked(state, "policy", "its policy")
    if not isinstance(found, NamespaceStandards) or found.namespace != namespace:
        return (line(cell(why or "asking for its policy …", Tone.DIM)),)
    lines = [line(cell(namespace, Tone.STRONG))]
    if isinstance(found.governance_error, str):
        lines.append(line(marked(f"its policy cannot be read, and denies: {found.governance_error}", Tone.BAD)))
    elif found.effective is None:
        lines.append(line("no policy holds here: everybody may do everything (e sets one)"))
    else:
        lines.append(line(f"holds, of {found.from_ or namespace}: ", cell(policy_text(found.effective), Tone.ACCENT)))
    for one in found.standards:
        own = "" if one.governance is None else f"policy {policy_text(one.governance)}"
        is_own = isinstance(one.title, str) and not one.title.startswith(_POLICY_ALONE)
        title = f" standard {one.title}" if is_own else ""
        when = "" if not isinstance(one.changed_at, str) else f" at {clock_time(one.changed_at)}"
        who = "" if not isinstance(one.changed_by, str) else f" by {one.changed_by}"
        lines.append(line("  ", cell(one.namespace, Tone.STRONG), f": {own}{title}{who}{when}"))
    return tuple(lines)


def policy_text(policy: PolicyOut) -> str:
    """A policy as one line."""
    approver = policy.approver if isinstance(policy.approver, str) else msgspec.json.encode(policy.approver).decode()
    return (f"write {policy.write}, promote {policy.promote}, delete {policy.delete}, policy {policy.policy}, "
            f"approver {approver}")


def policy_json(state: State, namespace: str) -> str:
    """What the editor begins with: the policy that is set here, or that holds, or none."""
    found, _ = looked(state, "policy", "")
    if not isinstance(found, NamespaceStandards) or found.namespace != namespace:
        return _as_json(NO_POLICY)
    own = next((one.governance for one in found.standards if one.namespace == namespace), None) or found.effective
    return _as_json(NO_POLICY if own is None else own)


def _as_json(policy: PolicyOut) -> str:
    """On several lines, and in ASCII: what would act on the terminal is an escape that JSON reads."""
    return json.dumps(msgspec.to_builtins(policy), indent=2)
