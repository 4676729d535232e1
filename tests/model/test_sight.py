"""Who sees what: the table of design §8 for one home, and what `as_agent` makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimem.model import AgentId, Credential, Namespace, Principal, Role, Sight

SCOPES = [None, "private", "team", "unit", "org", "collective"]
HOMES = ["acme/eng/db/bot", "acme/eng/bot", "acme/bot", "acme", None]


def agent(home: str | None, *, agent_id: str = "bot", as_agent: str | None = None) -> Principal:
    return Principal(
        agent_id=AgentId(agent_id), credential=Credential.AGENT_KEY, role=Role.AGENT,
        home=None if home is None else Namespace(home), as_agent=None if as_agent is None else Namespace(as_agent),
    )


def operator(*, role: Role = Role.OPERATOR, as_agent: str | None = None) -> Principal:
    place = None if as_agent is None else Namespace(as_agent)
    return Principal(agent_id=AgentId("root"), credential=Credential.SOCKET, role=role, as_agent=place)


@pytest.mark.parametrize(("home", "scope", "seen", "hidden"), [
    ("acme/eng/db/bot", "org", ["acme", "acme/ops", "acme/eng/db/bot/x"], ["acme2", "other", "global"]),
    ("acme/eng/db/bot", "unit", ["acme/eng", "acme/eng/web"], ["acme", "acme/ops", "acme/engine"]),
    ("acme/eng/db/bot", "team", ["acme/eng/db", "acme/eng/db/other"], ["acme/eng", "acme/eng/dbx"]),
    ("acme/eng/db/bot", None, ["acme/eng/db", "acme/eng/db/other"], ["acme/eng", "acme/eng/dbx"]),
    ("acme/eng/db/bot", "private", ["acme/eng/db/bot"], ["acme/eng/db/bot/x", "acme/eng/db", "acme"]),
    ("acme/bot", "unit", ["acme/bot", "acme/bot/x"], ["acme", "acme/other"]),
    ("acme/bot", "team", ["acme", "acme/other"], ["acmé", "other"]),
    ("acme", "org", ["acme", "acme/x/y"], ["acme2"]),
    ("acme", "unit", ["acme", "acme/x/y"], ["acme2"]),
    ("acme", "team", ["acme", "acme/x"], ["acme2", "ac"]),
    ("acme", "private", ["acme"], ["acme/x"]),
    ("acme", "collective", ["acme", "other/x"], []),
    (None, "collective", ["acme", "other/x"], []),
    (None, "org", [], ["acme", "global"]),
    (None, None, [], ["acme", "global"]),
])
def test_a_home_sees_the_scope_at_these_namespaces(
    home: str | None, scope: str | None, seen: list[str], hidden: list[str]
) -> None:
    for namespace in (*seen, *hidden):
        is_seen = agent(home).sees(namespace=namespace, scope=scope, author="another")
        assert is_seen == (namespace in seen), namespace


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("scope", SCOPES)
def test_an_author_sees_its_own_rows_wherever_they_lie(home: str | None, scope: str | None) -> None:
    assert agent(home).sees(namespace="far/away", scope=scope, author="bot")
    assert not Sight(agent_id=None, home=None).sees(namespace="far/away", scope=None, author=None)


@pytest.mark.parametrize("role", [Role.OPEN, Role.OPERATOR])
def test_operators_and_everybody_without_keys_see_all_until_they_narrow(role: Role) -> None:
    for scope in SCOPES:
        assert operator(role=role).sees(namespace="x/y", scope=scope, author="another")
    narrowed = operator(role=role, as_agent="x/bot")
    assert narrowed.sees(namespace="x/y", scope=None, author="another")
    assert not narrowed.sees(namespace="z", scope=None, author="another")
    # as_agent alone decides: nothing is its own
    assert not narrowed.sees(namespace="z", scope="private", author="root")


def test_an_unknown_scope_is_seen_by_its_author_alone() -> None:
    assert not agent("acme/bot").sees(namespace="acme/bot", scope="galaxy", author="another")
    assert agent("acme/bot").sees(namespace="acme/bot", scope="galaxy", author="bot")


paths = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map("/".join)


@given(st.none() | paths, paths, paths, st.sampled_from(SCOPES), st.sampled_from(["bot", "another"]))
def test_as_agent_never_widens(home: str | None, place: str, namespace: str, scope: str | None, author: str) -> None:
    row = {"namespace": namespace, "scope": scope, "author": author}
    if agent(home, as_agent=place).sees(**row):
        assert agent(home).sees(**row)
