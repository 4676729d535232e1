"""Every door of the surface: what changes something obeys the policy of each level, whichever road leads to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import replace

from aimem.api import ROUTES, Effect
from aimem.model import AgentId, Level, Principal, Verb
from aimem.ports import Connection
from aimem.service import Node, write_refusals
from aimem.store import KINDS, MEMORY, NAMESPACE, PENDING, VOTE, Transaction, digest
from aimem.store.kinds import all_objects, load_object
from tests.governance.changing import CASES, MEMBER, OWNER, STRANGER, UNJUDGED, Case, Place
from tests.governance.knocking import Answer, Met, Request, agent, knock, operator
from tests.languages import ScriptedModel
from tests.nodes import InlineThreads, open_node, seeded_chance

UNREADABLE: Final = "unreadable"
REFUSED: Final = ((Level.REGISTERED, STRANGER), (Level.OWNER, MEMBER), (UNREADABLE, OWNER))
ASKED: Final = ((Level.APPROVE, OWNER),)
GRANTED: Final = ((Level.ANY, STRANGER), (Level.REGISTERED, MEMBER), (Level.OWNER, OWNER))
MAKING: Final = frozenset({"remember", "remember_many", "import_memories", "register_entity"})
"""They make something new, whatever their caller sees."""

ROWS_A_REQUEST: Final = 500


class Knock(Struct, frozen=True, kw_only=True):
    """A case, at a level, by a caller, at a place of its own."""

    case: Case
    level: str
    caller: str

    @property
    def place(self) -> Place:
        return Place(f"{self.case.route}-{self.case.verb}-{self.level}")

    @property
    def who(self) -> Principal:
        return operator(self.place.home) if self.case.is_for_operators else agent(self.caller, self.place.home)

    @property
    def governance(self) -> str:
        """The policy of the place: lax, but for the verb of the case."""
        levels = ",".join(
            f'"{verb}":"{self.level if verb is self.case.verb else Level.ANY}"' for verb in Verb
        )
        return "{" + ("" if self.level == UNREADABLE else levels) + "}"

    def __str__(self) -> str:
        return f"{self.case} at {self.level} by {self.who.agent_id}"


def knocks(steps: Iterable[tuple[str, str]]) -> list[Knock]:
    """These levels at every door; an operator counts as registered and as owner."""
    return [
        Knock(case=case, level=level, caller=caller) for case in CASES for level, caller in steps
        if not (case.is_for_operators and level in (Level.REGISTERED, Level.OWNER) and (level, caller) in REFUSED)
    ]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node with a model of language, all places on it, and a policy for each."""
    async with open_node(
        tmp_path / "doors.db", chance=seeded_chance(1), threads=InlineThreads(), language=ScriptedModel("some, tags"),
    ) as opened:
        yield opened


async def furnish(node: Node, asked: list[Knock]) -> None:
    """Make the places of these knocks, and then their policies: what lies there came before."""
    rows: dict[str, list[dict[str, Any]]] = {"memories": [], "archived": [], "links": []}
    for place in (one.place for one in asked):
        for section, more in place.rows().items():
            rows[section] += more
    for section, some in rows.items():
        for begin in range(0, len(some), ROWS_A_REQUEST):
            body = {"memories": [], section: some[begin : begin + ROWS_A_REQUEST], "trust_source": True}
            answer = await knock(node, "import_memories", operator(), Request(body=body))
            assert answer.met is Met.DONE, answer.text
    await knock(node, "register_agent", operator(), Request(body={"agent_id": MEMBER, "agent_type": "human"}))
    await node.store.write(_set_policies, {one.place.namespace: one.governance for one in asked})


def _set_policies(transaction: Transaction, texts: Mapping[str, str]) -> None:
    owner = AgentId(OWNER)
    entries = [
        transaction.create(NAMESPACE, namespace, owner, {
            "standard_id": None, "parent": None, "governance": text, "owner": owner, "changed_by": owner,
            "changed_at": transaction.now,
        })
        for namespace, text in texts.items()
    ]
    transaction.emit("namespace_meta", entries)


async def knock_at(node: Node, one: Knock) -> Answer:
    return await knock(node, one.case.route, one.who, one.case.ask(one.place))


def _count_ops(conn: Connection) -> int:
    row = conn.execute("SELECT count(*) FROM ops").fetchone()
    assert row is not None and isinstance(row[0], int)
    return row[0]


def _decided(conn: Connection, decision: str) -> dict[tuple[str, str], int]:
    """By whom and at which place, also below it: how often."""
    sql = "SELECT agent_id, namespace, count FROM audit WHERE decision = ?"
    found = Counter[tuple[str, str]]()
    for who, namespace, count in conn.execute(sql, (decision,)):
        found[str(who), "/".join(str(namespace).split("/")[:2])] += int(str(count))
    return found


def test_every_route_that_changes_something_is_tried_here() -> None:
    changing = {route.name for route in ROUTES if route.effect is not Effect.READ}
    tried = {case.route for case in CASES}
    assert tried.isdisjoint(UNJUDGED)
    assert changing - tried - UNJUDGED.keys() == set(), "routes without a case"
    assert tried - changing == set(), "cases without a route"


async def test_what_a_policy_forbids_is_refused_at_every_door_and_leaves_its_audit_row(node: Node) -> None:
    asked = knocks(REFUSED)
    await furnish(node, asked)
    before = await node.store.read(digest)
    for one in asked:
        answer = await knock_at(node, one)
        assert answer.met is Met.DENIED, f"{one}: {answer.met}, {answer.text}"
    assert await node.store.read(digest) == before
    await write_refusals(node)
    denied = await node.store.read(_decided, "denied")
    assert [str(one) for one in asked if not denied.get((one.who.agent_id, one.place.namespace))] == []


async def test_what_needs_approval_waits_at_every_door_and_changes_nothing_until_then(node: Node) -> None:
    asked = knocks(ASKED)
    await furnish(node, asked)
    before = await node.store.read(_all_but_pendings)
    for one in asked:
        answer = await knock_at(node, one)
        assert answer.met is Met.ASKED, f"{one}: {answer.met}, {answer.text}"
    assert await node.store.read(_all_but_pendings) == before
    waiting = await node.store.read(lambda conn: [state for _, state in all_objects(conn, PENDING)])
    expected = [(one.place.namespace, OWNER) for one in asked if one.case.waits and not one.case.is_for_operators]
    found = [(state.fields["namespace"].value, state.fields["requested_by"].value) for state in waiting]
    assert sorted(found) == sorted(
        [*expected, *((one.place.namespace, operator().agent_id) for one in asked if one.case.is_for_operators)]
    )
    told = await node.store.read(_decided, "asked")
    assert [str(one) for one in asked if one.case.waits and (one.who.agent_id, one.place.namespace) not in told] == []


def _all_but_pendings(conn: Connection) -> list[tuple[str, str, object]]:
    """Every replicated object but those of approvals."""
    return [
        (kind.name, key, state) for kind in KINDS.values() if kind not in (PENDING, VOTE)
        for key, state in sorted(all_objects(conn, kind), key=lambda found: found[0])
    ]


async def test_what_was_approved_is_done_as_it_was_asked_for_at_every_door(node: Node) -> None:
    asked = [one for one in knocks(ASKED) if one.case.waits]
    await furnish(node, asked)
    judge = replace(operator(), agent_id=AgentId("human:judge"))
    for one in asked:
        waiting = _pending_id(await knock_at(node, one))
        before = await node.store.read(_all_but_pendings)
        answer = await knock(node, "approve_pending", judge, Request(path={"pending_id": waiting}, body={}))
        assert answer.met is Met.DONE, f"{one}: {answer.text}"
        after = await node.store.read(_all_but_pendings)
        changed = {(kind, key) for kind, key, state in after if (kind, key, state) not in before}
        gone = {(kind, key) for kind, key, _ in before} - {(kind, key) for kind, key, _ in after}
        assert changed | gone, f"{one}: {answer.text}"


def _pending_id(answer: Answer) -> str:
    """Of what waits: an error's, or that of an answer to many, which has them in a list."""
    return str(answer.error.details["pending_id"] if answer.error else getattr(answer.value, "pending", ("",))[0])


async def test_what_a_policy_allows_is_done_at_every_door_and_leaves_its_audit_row(node: Node) -> None:
    asked = knocks(GRANTED)
    await furnish(node, asked)
    for one in asked:
        before = await node.store.read(_count_ops)
        answer = await knock_at(node, one)
        assert answer.met is Met.DONE, f"{one}: {answer.met}, {answer.text}"
        assert await node.store.read(_count_ops) > before, f"{one} wrote nothing: {answer.text}"
    allowed = await node.store.read(_decided, "allowed")
    assert [str(one) for one in asked if not allowed.get((one.who.agent_id, one.place.namespace))] == []


async def test_what_the_curator_did_is_taken_back_as_policies_let(node: Node) -> None:
    plan = "We deploy the release on Friday evening, after the freeze of the week."
    body = {"memories": [
        {"id": f"plan-{at}", "title": f"plan {at}", "content": plan, "namespace": "acme/plans", "tier": "long",
         "created_at": f"2026-01-0{at}T00:00:00Z", "updated_at": f"2026-01-0{at}T00:00:00Z"} for at in (1, 2)
    ]}
    await knock(node, "import_memories", operator(), Request(body=body))
    report = await knock(node, "curate", operator(), Request(body={}))
    assert '"action":"consolidate"' in report.text, report.text
    undo = Request(body={"last": 1})
    for text, met in (
        ("{}", Met.DENIED), ('{"write":"any","delete":"any"}', Met.DONE),
    ):
        await node.store.write(_set_policies, {"acme/plans": text})
        answer = await knock(node, "roll_back", operator(), undo)
        assert answer.met is met, answer.text


async def test_no_door_changes_what_its_caller_may_not_see(node: Node) -> None:
    asked = [Knock(case=case, level=Level.ANY, caller=STRANGER) for case in CASES if not case.is_for_operators]
    await furnish(node, asked)
    stranger = agent(STRANGER, "globex/desk")
    for one in asked:
        rows = [one.place.id(name) for name in ("one", "two", "thing", "away", "lost", "deep")]
        before = await node.store.read(lambda conn, ids=rows: [load_object(conn, MEMORY, row) for row in ids])
        request = one.case.ask(one.place)
        answer = await knock(node, one.case.route, stranger, request)
        after = await node.store.read(lambda conn, ids=rows: [load_object(conn, MEMORY, row) for row in ids])
        assert after == before, f"{one}: {answer.text}"
        assert "The words of" not in answer.text, one
        assert [row for row in rows if row in answer.text and row not in repr(request)] == [], one
        if one.case.route not in MAKING and one.case.verb is not Verb.POLICY:
            nowhere = Place(one.place.label[::-1])
            other = await knock(node, one.case.route, stranger, one.case.ask(nowhere))
            assert other.text.replace(nowhere.label, one.place.label) == answer.text, one
    links = await node.store.read(
        lambda conn: conn.execute("SELECT count(*) FROM links WHERE present = 1 AND valid_until IS NULL").fetchone())
    assert links == (len(asked),)


async def test_a_scope_is_changed_by_its_author_and_operators(node: Node) -> None:
    one = knocks(GRANTED)[0]
    await furnish(node, [one])
    wider = Request(path={"memory_id": one.place.id("one")}, body={"metadata": {"scope": "collective"}})
    for who, met in (
        (agent(STRANGER, one.place.home), Met.DENIED), (agent(OWNER, one.place.home), Met.DONE), (operator(), Met.DONE),
    ):
        answer = await knock(node, "update", who, wider)
        assert answer.met is met, answer.text
