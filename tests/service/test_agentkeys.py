"""Keys of agents: made by operators, shown once, ended at once."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from aimem import service
from aimem.errors import AimemError, Code, Conflict, Denied, InvalidRequest, NotFound, QuotaExceeded, Unauthenticated
from aimem.governance import Keyring
from aimem.model import AgentId, AgentKey, Caller, Credential, Instant, Namespace, Principal, Role, key_text
from aimem.ports import Connection
from aimem.service import Node, agentkeys
from aimem.wire import (
    AgentsQuery,
    AuditQuery,
    CreateMemory,
    IssuedKey,
    KeyRequest,
    KeysQuery,
    ListQuery,
    RotateRequest,
)
from tests.nodes import START, FakeClock, InlineThreads, open_node

OWNER = Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=Role.OPEN)
OPERATOR = msgspec.structs.replace(OWNER, role=Role.OPERATOR)
STRANGER = Principal(agent_id=AgentId("eve"), credential=Credential.OPEN)
DAY_S = 86_400


@asynccontextmanager
async def keyed(tmp_path: Path) -> AsyncIterator[tuple[Node, FakeClock]]:
    clock = FakeClock()
    async with open_node(tmp_path / "memory.db", clock=clock, threads=InlineThreads()) as node:
        yield node, clock


async def caller_of(node: Node, made: IssuedKey | str) -> Caller | str:
    """Whom the door would take for it, or the code of its refusal."""
    try:
        text = made if isinstance(made, str) else made.key
        return (await service.keyring(node)).caller_of(text, node.clock.now())
    except Unauthenticated as error:
        return error.code.value


async def test_a_key_says_which_agent_with_its_role_and_home(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot", home="acme/ops"))
        assert made.is_first
        assert await caller_of(node, made) == Caller(
            credential=Credential.AGENT_KEY, role=Role.AGENT, agent_id=AgentId("bot"), home=Namespace("acme/ops"),
            key_id=made.key_id,
        )
        second = await service.add_key(node, OPERATOR, KeyRequest(agent_id="ann", role="operator"))
        assert (second.is_first, (await caller_of(node, second)).role) == (False, Role.OPERATOR)


async def test_of_a_secret_only_its_hash_is_stored(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))

        def stored(conn: Connection) -> str:
            return str(conn.execute("SELECT secret_hash FROM agent_keys").fetchone()[0])

        assert await node.store.read(stored) == hashlib.sha256(made.key.encode()).hexdigest()
        secret = made.key.split("_", 2)[2].encode()     # it may have a _ itself
        listed = await service.list_keys(node, OPERATOR, KeysQuery())
    assert secret not in msgspec.json.encode(listed)
    for path in tmp_path.iterdir():
        assert secret not in path.read_bytes(), path.name


async def test_the_first_key_is_made_by_the_owner_of_the_socket_alone(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        for credential in (Credential.OPEN, Credential.API_KEY):
            who = msgspec.structs.replace(STRANGER, credential=credential)
            with pytest.raises(Denied, match="ai-memory agents key add ID") as caught:
                await service.add_key(node, who, KeyRequest(agent_id="eve", role="operator"))
            assert caught.value.code is Code.OPERATOR_REQUIRED
        assert not (await service.keyring(node)).is_closed
        assert (await service.list_agents(node, STRANGER, AgentsQuery())).total == 0


async def test_who_got_in_before_the_first_key_makes_none_after_it(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        with pytest.raises(Unauthenticated, match="repeat it with one"):
            await service.add_key(node, STRANGER, KeyRequest(agent_id="eve", role="operator"))


async def test_an_agent_is_registered_along_with_its_first_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        first = await service.add_key(node, OWNER, KeyRequest(agent_id="ai:planner@box"))
        again = await service.add_key(node, OPERATOR, KeyRequest(agent_id="ai:planner@box", agent_type="human"))
        assert (first.registered, again.registered) == (True, False)
        assert first.version != again.version
        (agent,) = (await service.list_agents(node, OPERATOR, AgentsQuery())).agents
        assert (agent.agent_id, agent.agent_type, agent.registered_by) == ("ai:planner@box", "ai:planner", "root")


@pytest.mark.parametrize(("agent_id", "role", "expected"), [
    ("human:ann", "agent", "human"), ("system:cron", "agent", "system"), ("ai:claude@box:pid-3", "agent", "ai:claude"),
    ("bot", "agent", "ai:unknown"), ("ann", "operator", "human"), ("ai:", "agent", "ai:unknown"),
    ("ai:a/b", "agent", "ai:a-b"),
])
async def test_the_type_of_an_agent_is_told_by_its_id(tmp_path, agent_id, role, expected):
    async with keyed(tmp_path) as (node, _):
        await service.add_key(node, OWNER, KeyRequest(agent_id=agent_id, role=role))
        (agent,) = (await service.list_agents(node, OPERATOR, AgentsQuery())).agents
    assert agent.agent_type == expected


async def test_a_revoked_key_is_refused_by_the_next_question(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        one = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        two = await service.add_key(node, OPERATOR, KeyRequest(agent_id="bot"))
        answer = await service.revoke_key(node, OPERATOR, one.key_id)
        assert (answer.revoked, answer.key_ids, answer.agent_id) == (1, (one.key_id,), "bot")
        assert await caller_of(node, one) == "key_revoked"
        assert isinstance(await caller_of(node, two), Caller)
        again = await service.revoke_key(node, OPERATOR, one.key_id)
        assert (again.revoked, again.version) == (0, msgspec.UNSET)


async def test_who_got_in_with_a_key_that_ended_meanwhile_neither_goes_on_nor_writes(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, clock):
        wish = KeyRequest(agent_id="bot", ttl_secs=DAY_S)
        made = [await service.add_key(node, who, wish) for who in (OWNER, OPERATOR)]
        within = [
            Principal(agent_id=AgentId("bot"), credential=Credential.AGENT_KEY, role=Role.AGENT, key_id=one.key_id)
            for one in made
        ]
        for who in within:
            await service.refuse_ended_caller(node, who)
        await service.revoke_key(node, OPERATOR, made[0].key_id)
        clock.advance(DAY_S)
        for who, code in zip(within, (Code.KEY_REVOKED, Code.KEY_EXPIRED), strict=True):
            with pytest.raises(Unauthenticated) as refused:
                await service.refuse_ended_caller(node, who)
            assert refused.value.code is code
            with pytest.raises(Unauthenticated) as refused:
                await service.remember(node, who, CreateMemory(title="late", content="c"))
            assert refused.value.code is code
        assert (await service.list_memories(node, OPERATOR, ListQuery())).count == 0
        await service.write_refusals(node)
        rows = (await service.list_audit(node, OPERATOR, AuditQuery(decision="denied"))).rows
        assert {(row.agent_id, row.rule) for row in rows} == {("bot", "key_revoked"), ("bot", "key_expired")}


async def test_who_got_in_before_the_first_key_writes_nothing_after_it(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        await service.refuse_ended_caller(node, STRANGER)
        await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        with pytest.raises(Unauthenticated):
            await service.refuse_ended_caller(node, STRANGER)
        with pytest.raises(Unauthenticated):
            await service.remember(node, STRANGER, CreateMemory(title="late", content="c"))
        await service.remember(node, OWNER, CreateMemory(title="by the file's owner", content="c"))


async def test_all_keys_of_an_agent_end_together_and_those_of_others_stay(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        mine = [await service.add_key(node, OWNER if i == 0 else OPERATOR, KeyRequest(agent_id="bot")) for i in (0, 1)]
        other = await service.add_key(node, OPERATOR, KeyRequest(agent_id="cat"))
        answer = await service.revoke_keys(node, OPERATOR, "bot")
        assert sorted(answer.key_ids) == sorted(key.key_id for key in mine)
        assert [await caller_of(node, key) for key in mine] == ["key_revoked"] * 2
        assert isinstance(await caller_of(node, other), Caller)
        assert (await service.revoke_keys(node, OPERATOR, "bot")).revoked == 0
        with pytest.raises(NotFound):
            await service.revoke_keys(node, OPERATOR, "nobody")


async def test_the_node_stays_closed_when_all_keys_have_ended(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, clock):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        await service.revoke_key(node, OPERATOR, made.key_id)
        clock.advance(400 * DAY_S)
        other = await service.add_key(node, OPERATOR, KeyRequest(agent_id="cat", ttl_secs=1))
        clock.advance(400 * DAY_S)
        await service.revoke_key(node, OPERATOR, other.key_id)
        assert (await service.keyring(node)).is_closed
        assert await service.access_mode(node) == "agent_keys"
        # Long after its end a key is like one that never was.
        assert await caller_of(node, made) == "unauthenticated"


async def test_a_key_expires_by_the_clock(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, clock):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot", ttl_secs=3600))
        assert isinstance(await caller_of(node, made), Caller)
        clock.advance(3601)
        assert await caller_of(node, made) == "key_expired"
        (row,) = (await service.list_keys(node, OPERATOR, KeysQuery())).keys
        assert row.status == "expired"


async def test_a_rotated_key_ends_at_once_or_after_its_grace(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, clock):
        old = await service.add_key(node, OWNER, KeyRequest(agent_id="bot", home="acme/x", ttl_secs=10 * DAY_S))
        clock.advance(9 * DAY_S)
        new = await service.rotate_key(node, OPERATOR, old.key_id, RotateRequest(grace_secs=60))
        assert (new.agent_id, new.home, new.replaces, new.registered) == ("bot", "acme/x", old.key_id, False)
        assert isinstance(await caller_of(node, old), Caller)
        clock.advance(61)
        assert await caller_of(node, old) == "key_expired"
        newest = await service.rotate_key(node, OPERATOR, new.key_id, RotateRequest())
        assert await caller_of(node, new) == "key_revoked"
        # The new one has as long a life as the old one was made for, not what was left of it.
        clock.advance(9 * DAY_S)
        assert isinstance(await caller_of(node, newest), Caller)


async def test_a_key_that_goes_on_for_its_grace_is_not_rotated_again(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        old = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        await service.rotate_key(node, OPERATOR, old.key_id, RotateRequest(grace_secs=60))
        with pytest.raises(Conflict, match="replaced already") as refused:
            await service.rotate_key(node, OPERATOR, old.key_id, RotateRequest(grace_secs=60))
        assert refused.value.code is Code.KEY_ENDED
        assert isinstance(await caller_of(node, old), Caller)


async def test_a_key_that_ended_is_not_rotated(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        await service.revoke_key(node, OPERATOR, made.key_id)
        with pytest.raises(Conflict) as caught:
            await service.rotate_key(node, OPERATOR, made.key_id, RotateRequest())
        assert caught.value.code is Code.KEY_ENDED


async def test_a_grace_never_prolongs_a_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, clock):
        old = await service.add_key(node, OWNER, KeyRequest(agent_id="bot", ttl_secs=60))
        await service.rotate_key(node, OPERATOR, old.key_id, RotateRequest(grace_secs=3600))
        clock.advance(61)
        assert await caller_of(node, old) == "key_expired"


@pytest.mark.parametrize("text", [
    "", "x", "aim_", "aim_0000000000000000_" + "A" * 43, "aim_0000000000000000_" + "A" * 42, "aim_ü", "\udcff",
])
async def test_what_is_no_key_lets_nobody_in(tmp_path: Path, text: str) -> None:
    async with keyed(tmp_path) as (node, _):
        await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        assert await caller_of(node, text) == "unauthenticated"


async def test_the_id_of_a_key_with_another_secret_tells_nothing(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        await service.revoke_key(node, OPERATOR, made.key_id)
        assert await caller_of(node, key_text(made.key_id, bytes(32))) == "unauthenticated"


def test_hashes_are_compared_in_constant_time_also_where_there_is_no_key(monkeypatch) -> None:
    compared = []

    def spy(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("aimem.governance.keyring.compare_digest", spy)
    key = AgentKey(
        key_id="0" * 16, agent_id=AgentId("bot"), secret_hash="0" * 64, role=Role.AGENT, created_by=AgentId("root"),
        created_at=Instant(0),
    )
    for ring in (Keyring(), Keyring(keys={key.key_id: key})):
        with pytest.raises(Unauthenticated):
            ring.caller_of(key_text(key.key_id, bytes(32)), START)
    assert compared == [(64, 64)] * 2


@pytest.mark.parametrize(("changes", "field"), [
    ({"agent_id": ""}, "agent_id"), ({"agent_id": "two words"}, "agent_id"), ({"agent_id": "a\0b"}, "agent_id"),
    ({"agent_id": "system"}, "agent_id"), ({"agent_id": "operator:api-key"}, "agent_id"),
    ({"agent_id": "x" * 129}, "agent_id"), ({"role": "curator"}, "role"), ({"role": "open"}, "role"),
    ({"role": "\ud800"}, "role"), ({"home": "a//b"}, "home"),
    ({"home": "x" * 600}, "home"), ({"ttl_secs": 0}, "ttl_secs"), ({"ttl_secs": 2**60}, "ttl_secs"),
    ({"expires_at": "tomorrow"}, "expires_at"), ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ({"expires_at": "2090-01-01T00:00:00Z", "ttl_secs": 5}, "expires_at"), ({"agent_type": "robot"}, "agent_type"),
])
async def test_a_bad_field_of_a_key_is_named_and_nothing_is_written(tmp_path, changes, field):
    async with keyed(tmp_path) as (node, _):
        with pytest.raises(InvalidRequest) as caught:
            await service.add_key(node, OWNER, KeyRequest(**{"agent_id": "bot", **changes}))
        assert caught.value.field == field
        assert not (await service.keyring(node)).is_closed


async def test_no_agent_lives_in_a_namespace_of_the_system(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        with pytest.raises(Denied) as caught:
            await service.add_key(node, OWNER, KeyRequest(agent_id="bot", home="_agents"))
        assert (caught.value.code, caught.value.field) == (Code.RESERVED_NAMESPACE, "home")


@pytest.mark.parametrize("key_id", ["", "x", "0" * 16, "../x", "\0", "A" * 16, "ü" * 16, "0" * 4000])
async def test_an_unknown_key_is_not_found(tmp_path: Path, key_id: str) -> None:
    async with keyed(tmp_path) as (node, _):
        await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        with pytest.raises(NotFound):
            await service.revoke_key(node, OPERATOR, key_id)
        with pytest.raises(NotFound):
            await service.rotate_key(node, OPERATOR, key_id, RotateRequest())


async def test_an_agent_has_a_bounded_number_of_valid_keys(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(agentkeys, "KEYS_OF_AGENT_MAX", 2)
    async with keyed(tmp_path) as (node, _):
        one = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        await service.add_key(node, OPERATOR, KeyRequest(agent_id="bot"))
        with pytest.raises(QuotaExceeded):
            await service.add_key(node, OPERATOR, KeyRequest(agent_id="bot"))
        await service.revoke_key(node, OPERATOR, one.key_id)
        await service.add_key(node, OPERATOR, KeyRequest(agent_id="bot"))


async def test_only_operators_deal_with_keys(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        made = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        bot = Principal(agent_id=AgentId("bot"), credential=Credential.AGENT_KEY, role=Role.AGENT, key_id=made.key_id)
        for act in (
            lambda: service.add_key(node, bot, KeyRequest(agent_id="bot")),
            lambda: service.list_keys(node, bot, KeysQuery()),
            lambda: service.rotate_key(node, bot, made.key_id, RotateRequest()),
            lambda: service.revoke_key(node, bot, made.key_id),
            lambda: service.revoke_keys(node, bot, "bot"),
        ):
            with pytest.raises(AimemError) as caught:
                await act()
            assert caught.value.code is Code.OPERATOR_REQUIRED
        assert isinstance(await caller_of(node, made), Caller)


async def test_a_damaged_key_lets_nobody_in_and_hides_no_other(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (node, _):
        bad = await service.add_key(node, OWNER, KeyRequest(agent_id="bot"))
        good = await service.add_key(node, OPERATOR, KeyRequest(agent_id="cat"))
        await node.store.write(
            lambda transaction: transaction.conn.execute(
                "UPDATE agent_keys SET role = 'curator' WHERE key_id = ?", (bad.key_id,)
            )
        )
        await service.add_key(node, OPERATOR, KeyRequest(agent_id="x"))
        assert await caller_of(node, bad) == "unauthenticated"
        assert isinstance(await caller_of(node, good), Caller)
        listed = await service.list_keys(node, OPERATOR, KeysQuery())
        assert (listed.unreadable, listed.total) == (1, 3)
