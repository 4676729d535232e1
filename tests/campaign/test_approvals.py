"""Any interleaving and duplication of queueing, votes, decisions and expiry over three nodes.

Nodes that know the same ops agree on everything and show the same; what was approved is done once, and nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aimem import service
from aimem.errors import AimemError, ApprovalRequired
from aimem.model import Blank, Dot, Op, decode_entry
from aimem.ports import Connection
from aimem.service import Node
from aimem.store import MEMORY, Transaction, digest, oplog
from aimem.wire import AgentRequest, CreateMemory, DecisionRequest, ImportRequest, PendingQuery, UpdateMemory
from tests.campaign.plan import examples
from tests.nodes import START, FakeClock, InlineThreads, open_node, principal, seeded_chance
from tests.service.test_writing import govern

VOTERS: Final = ("alice", "carol", "dave", "bob")
POLICIES: Final = (
    '{"write": "approve", "delete": "approve"}',
    '{"write": "approve", "delete": "approve", "approver": {"agent": "carol"}}',
    '{"write": "approve", "delete": "approve", "approver": {"consensus": 2}}',
)
HOME: Final = 0
NODES: Final = range(3)
SEEDS: Final = {
    "memories": [{"id": name, "title": name, "content": "x", "namespace": "acme"} for name in ("kept", "gone")]
}
DAY_S: Final = 24 * 3600.0

VOTE = st.tuples(
    st.just("vote"), st.sampled_from(NODES), st.integers(0, 3), st.sampled_from(VOTERS), st.booleans()
)
DELIVER = st.tuples(st.just("deliver"), st.sampled_from(NODES), st.sampled_from(NODES), st.integers(0, 40))
SHARE = st.tuples(st.just("share"), st.sampled_from(NODES), st.sampled_from(NODES))
OTHER = st.sampled_from([("settle",), ("wait", 1.0), ("wait", 3.0), ("overwrite",), ("again", 0), ("again", 2)])
STEPS = st.lists(VOTE | SHARE | DELIVER | OTHER, max_size=24)


def read_ops(conn: Connection) -> list[Op]:
    return [op for _, op in oplog.read_after(conn, 0, 1_000)]


def ids(conn: Connection) -> list[str]:
    return [str(row[0]) for row in conn.execute("SELECT id FROM memory_view")]


def fold(transaction: Transaction, op: Op) -> None:
    transaction.fold(op)


def fold_all(transaction: Transaction, ops: list[Op]) -> None:
    for op in ops:
        transaction.fold(op)


class Replicas:
    """Three nodes without a network: ops are handed over one by one, in any order."""

    def __init__(self, nodes: list[Node], clocks: list[FakeClock]) -> None:
        self.nodes, self.clocks = nodes, clocks
        self.known: list[dict[Dot, Op]] = [{} for _ in nodes]
        self.actions: list[str] = []

    async def learn(self) -> None:
        """Note what each node has written."""
        for known, node in zip(self.known, self.nodes, strict=True):
            known.update({op.dot: op for op in await node.store.read(read_ops)})

    async def deliver(self, source: int, target: int, place: int) -> None:
        """Hand one op over, once more if it is known there already."""
        await self.learn()
        ops = sorted(self.known[source].values(), key=lambda op: op.stamp)
        if ops and source != target:
            op = ops[place % len(ops)]
            await self.nodes[target].store.write(fold, op)
            self.known[target][op.dot] = op

    async def share(self, source: int, target: int) -> None:
        """Hand everything over."""
        await self.learn()
        ops = self.known[source]
        if source != target:
            await self.nodes[target].store.write(fold_all, list(ops.values()))
            self.known[target].update(ops)

    async def vote(self, node: int, action: int, voter: str, approves: bool) -> None:
        """Vote, where that is possible."""
        act = service.approve_pending if approves else service.reject_pending
        try:
            await act(self.nodes[node], principal(voter), self.actions[action % len(self.actions)], DecisionRequest())
        except AimemError as error:
            if error.code not in {"not_found", "not_entitled", "own_action", "already_decided", "pending_expired"}:
                raise

    async def again(self, node: int) -> None:
        """Ask again for what may be asked for again."""
        for action in list(self.actions):
            try:
                answer = await service.ask_again(self.nodes[node], principal("bob"), action, None)
            except AimemError as error:
                if error.code not in {"not_found", "conflict", "already_decided"}:
                    raise
            else:
                self.actions.append(str(answer.pending_id))

    async def take(self, step: tuple[object, ...]) -> None:
        """Do one step."""
        match step:
            case ("vote", int(node), int(action), str(voter), bool(approves)):
                await self.vote(node, action, voter, approves)
            case ("deliver", int(source), int(target), int(place)):
                await self.deliver(source, target, place)
            case ("share", int(source), int(target)):
                await self.share(source, target)
            case ("settle",):
                for node in self.nodes:
                    await service.settle_due(node)
            case ("wait", float(days)):
                for clock in self.clocks:
                    clock.advance(days * DAY_S)
            case ("overwrite",):
                await self.nodes[HOME].store.write(overwrite)
            case ("again", int(node)):
                await self.again(node)

    async def check_agreement(self) -> None:
        """Nodes that know the same are the same."""
        await self.learn()
        for one, other in ((0, 1), (0, 2), (1, 2)):
            if self.known[one].keys() == self.known[other].keys():
                first, second = self.nodes[one], self.nodes[other]
                assert await first.store.read(digest) == await second.store.read(digest)
                assert await shown(first) == await shown(second)

    async def meet(self) -> None:
        """Let everybody know everything, and the home decide."""
        for _ in range(2):
            for source, target in ((1, 0), (2, 0), (0, 1), (0, 2), (1, 2), (2, 1)):
                await self.share(source, target)
            for node in self.nodes:
                await service.settle_due(node)


def overwrite(transaction: Transaction) -> None:
    """Change a memory that an action is about, as somebody may whom no policy stops."""
    fields = {"content": "changed meanwhile"}
    if transaction.load(MEMORY, "kept").born is not None:
        transaction.emit("update", [transaction.change(MEMORY, "kept", fields)])


async def shown(node: Node) -> Mapping[str, tuple[object, ...]]:
    """How every action stands."""
    found = await service.list_pending(node, principal("alice"), PendingQuery())
    return {
        one.id: (one.status, one.executed, one.result_id, one.error, len(one.approvals), one.votes, one.asked_again_as)
        for one in found.pending
    }


@asynccontextmanager
async def open_replicas(folder: Path, policy: str) -> AsyncIterator[Replicas]:
    """Three nodes; at the first of them three actions of bob wait."""
    clocks = [FakeClock(START) for _ in NODES]
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(open_node(
                folder / f"{number}.db", clock=clocks[number], chance=seeded_chance(number), threads=InlineThreads()
            ))
            for number in NODES
        ]
        replicas = Replicas(nodes, clocks)
        home, bob = nodes[HOME], principal("bob")
        await service.import_memories(home, bob, msgspec.convert(SEEDS, ImportRequest))
        for name in VOTERS:
            await service.register_agent(home, bob, AgentRequest(agent_id=name, agent_type="human"))
        await govern(home, "acme", policy)
        for act in (
            service.remember(home, bob, CreateMemory(title="new", content="x", namespace="acme"), None),
            service.update(home, bob, "kept", UpdateMemory(content="asked for"), None),
            service.delete(home, bob, "gone", None),
        ):
            try:
                await act
            except ApprovalRequired as waiting:
                replicas.actions.append(str(waiting.details["pending_id"]))
        assert len(replicas.actions) == 3
        for node in NODES[1:]:
            await replicas.deliver(HOME, node, 0)     # by which they know that the home is there
        yield replicas


def effects(ops: Mapping[Dot, Op]) -> dict[str, list[str]]:
    """By memory: the kinds of ops that touched it."""
    found: dict[str, list[str]] = {}
    for op in ops.values():
        for data in op.entries:
            entry = decode_entry(data)
            if not isinstance(entry, Blank) and entry.kind == MEMORY.name:
                found.setdefault(entry.key, []).append(op.kind)
    return found


@examples(brief=8, full=150)
@given(policy=st.sampled_from(POLICIES), steps=STEPS)
async def test_replicas_that_know_the_same_agree_and_an_effect_happens_once(
    policy: str, steps: list[tuple[object, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_replicas(Path(folder), policy) as replicas:
            for step in steps:
                await replicas.take(step)
                await replicas.check_agreement()
            await replicas.meet()
            await replicas.check_agreement()
            assert replicas.known[0].keys() == replicas.known[1].keys() == replicas.known[2].keys()
            await check_effects(replicas)


async def check_effects(replicas: Replicas) -> None:
    """What was approved was done, once; what was not, was not."""
    stands = await shown(replicas.nodes[HOME])
    touched = effects(replicas.known[HOME])
    assert all(kinds.count("pending_decision") <= 1 for kinds in touched.values())
    done = [str(memory_id) for status, executed, memory_id, *_ in stands.values() if executed is True]
    assert all(status == "approved" for status, executed, *_ in stands.values() if executed is True)
    assert sorted(done) == sorted(name for name, kinds in touched.items() if "pending_decision" in kinds)
    for number in NODES:
        there = set(await replicas.nodes[number].store.read(ids))
        assert ("gone" in there) == ("gone" not in done)
        assert there - {"gone", "kept"} == set(done) - {"gone", "kept"}
