"""The condition that hides rows says just what the rule does, whatever rows and homes there are."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from aimem.model import AgentId, Credential, Namespace, Principal, Role
from aimem.store import visible_to

SEGMENT = st.sampled_from(["a", "b", "A", "a0", "a%", "a_", "aé", "a-b", "."])
PATH = st.lists(SEGMENT, min_size=1, max_size=5).map("/".join)
AGENT = st.sampled_from(["bot", "Bot", "another"])
ROW = st.tuples(PATH, st.sampled_from([None, "private", "team", "unit", "org", "collective", "galaxy"]), AGENT)
ROLE = st.sampled_from([Role.AGENT, Role.AGENT, Role.AGENT, Role.OPERATOR, Role.OPEN])


def seen_by_sql(principal: Principal, rows: list[tuple[str, str | None, str]]) -> set[int]:
    clause = visible_to(principal)
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE t (no INTEGER PRIMARY KEY, namespace TEXT, scope TEXT, author TEXT)")
        conn.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(no, *row) for no, row in enumerate(rows)])
        found = conn.execute(f"SELECT m.no FROM t m JOIN t v USING (no) WHERE {clause.sql}", clause.parameters)
        return {no for (no,) in found}


@given(st.lists(ROW, min_size=1, max_size=30), st.none() | PATH, st.none() | PATH, AGENT, ROLE)
@settings(max_examples=150)
def test_sql_and_rule_agree_on_every_row_and_home(
    rows: list[tuple[str, str | None, str]], home: str | None, place: str | None, agent: str, role: Role
) -> None:
    principal = Principal(
        agent_id=AgentId(agent), credential=Credential.AGENT_KEY, role=role,
        home=None if home is None else Namespace(home), as_agent=None if place is None else Namespace(place),
    )
    by_rule = {
        no for no, (namespace, scope, author) in enumerate(rows)
        if principal.sees(namespace=namespace, scope=scope, author=author)
    }
    assert seen_by_sql(principal, rows) == by_rule
