"""What each agent is shown by each node, and what the indexes hold: just what the rows say, no more and no less."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, cast  # JSON

import apsw
import httpx
import msgspec
import trio

from aimem.ports import Connection
from tests.sim.acts import AGENTS
from tests.sim.badges import Badge
from tests.sim.history import read_answer
from tests.sim.watch import Watcher

TRIES: Final = 8
PAUSE_S: Final = 3.0
SHOWN_MAX: Final = 200
_COLLECTIVE = "collective"
_LIVE = (
    "SELECT v.id, m.author, m.scope, v.expires_at IS NULL FROM memory_view AS v JOIN memories AS m ON m.id = v.id "
    "WHERE v.state = 'live'"
)
_TEXTS = (
    "SELECT v.no, CASE m.title_generated WHEN 1 THEN '' ELSE m.title END, m.content, m.tags "
    "FROM memory_view AS v JOIN memories AS m ON m.id = v.id WHERE v.state = 'live'"
)
_KEYS = "SELECT 1 FROM agent_keys"
_NUMBERS = "SELECT no FROM memory_view"
_ROWS_BITS: Final = 6
"""A row of the view has 64 of the index; texts as short as here fill the first one."""
_COLUMNS = "'title', 'content', 'tags'"
_VOCABULARY = "CREATE VIRTUAL TABLE temp.held_words USING fts5vocab (main, memory_fts, instance)"
_WORDS = f'SELECT doc, col, "offset", term FROM temp.held_words WHERE col IN ({_COLUMNS})'
_INDEX = (
    "CREATE VIRTUAL TABLE memory_fts USING fts5 (title, content, tags, content = '', tokenize = 'porter unicode61')"
)
_PUT_IN = "INSERT INTO memory_fts (rowid, title, content, tags) VALUES (?, ?, ?, ?)"

Place = tuple[object, ...]


def check_words(nodes: Mapping[str, Connection], watcher: Watcher, *, has_rotted: bool) -> None:
    """The index of words of each node holds each word of each live memory in its place, and nothing else.

    Args:
      has_rotted: whether rows went behind the store's back: of those the index may still have the words.
    """
    for name, conn in sorted(nodes.items()):
        known = {cast("int", row[0]) for row in conn.execute(_NUMBERS)}
        held, owed = set(_held(conn)), set(_owed(conn))
        if has_rotted:
            held = {place for place in held if cast("int", place[0]) >> _ROWS_BITS in known}
        watcher.checks += len(owed)
        for place in sorted(held ^ owed, key=str)[:1]:
            text = "lacks" if place in owed else "holds what is no more:"
            watcher.find("index", f"the index of words of {name} {text} {place}; {len(held ^ owed)} in all")


def _held(conn: Connection) -> Iterator[Place]:
    conn.execute(_VOCABULARY)
    try:
        yield from (tuple(row) for row in conn.execute(_WORDS).fetchall())
    finally:
        conn.execute("DROP TABLE temp.held_words")


def _owed(conn: Connection) -> Iterator[Place]:
    """What an index of these rows holds that was made all at once, and never changed."""
    fresh = apsw.Connection(":memory:")
    fresh.execute(_INDEX)
    for row in conn.execute(_TEXTS):
        no, title, content, tags = cast("tuple[int, str, str, str]", row)
        listed = " ".join(msgspec.json.decode(tags, type=list[str]))
        fresh.execute(_PUT_IN, (no << _ROWS_BITS, title, content, listed))
    fresh.execute(_VOCABULARY)
    yield from fresh.execute(_WORDS)


async def check_shown(
    http: httpx.AsyncClient, nodes: Callable[[], Mapping[str, Connection]], watcher: Watcher, *, is_secured: bool
) -> None:
    """Each node shows each agent its own memories and everybody's, and no others, and counts just those.

    Where agents have no keys, each sees all.
    """
    if is_secured and min(nodes().items())[1].execute(_KEYS).fetchone() is None:
        return      # its owner did not come to make the first one, and nobody else may
    for agent in AGENTS:
        badge = Badge({"X-Agent-Id": agent})
        if is_secured:
            badge = Badge({**badge.headers, "X-API-Key": await _make_key(http, min(nodes()), agent)})
        for name in sorted(nodes()):
            said: Sequence[str] = ()
            for _ in range(TRIES):      # a key has to come there first, and a memory may expire between two questions
                said = await _said_against(http, nodes()[name], name, agent, badge, is_secured=is_secured)
                if not said:
                    break
                await trio.sleep(PAUSE_S)
            watcher.checks += 1
            for text in said[:1]:
                watcher.find("shown", f"{name} {text}")


async def _make_key(http: httpx.AsyncClient, name: str, agent: str) -> str:
    for _ in range(TRIES):
        made = await http.post(f"http://{name}/api/v1/agents/keys", json={"agent_id": agent})
        if made.status_code == httpx.codes.CREATED:
            return str(read_answer(made.content)["key"])
        await trio.sleep(PAUSE_S)
    return ""


async def _said_against(
    http: httpx.AsyncClient, conn: Connection, name: str, agent: str, badge: Badge, *, is_secured: bool
) -> list[str]:
    asked = f"http://{name}/api/v1/memories?limit={SHOWN_MAX}", f"http://{name}/api/v1/taxonomy"
    listed, counted = [await http.get(url, headers=dict(badge.headers)) for url in asked]
    if listed.status_code != httpx.codes.OK or counted.status_code != httpx.codes.OK:
        return [f"does not answer {agent}: {listed.status_code}, {counted.status_code}"]
    memories = cast("list[Any]", read_answer(listed.content)["memories"])
    shown, found = {memory["id"] for memory in memories}, []
    rows = {str(row[0]): row[1:] for row in conn.execute(_LIVE).fetchall()}
    for key in sorted(shown | rows.keys()):
        author, scope, is_lasting = rows.get(key, ("nobody", None, 0))
        is_open = not is_secured or author == agent or scope == _COLLECTIVE
        if key in shown and not is_open:
            found.append(f"shows {agent} {key} of {author}, which is {scope or 'of no scope'}")
        if is_open and is_lasting and key not in shown and len(shown) < SHOWN_MAX:
            found.append(f"does not show {agent} {key} of {author}, which is {scope or 'of no scope'}")
    counts = Counter(str(memory["namespace"]) for memory in memories)
    told = dict(_counts(cast("dict[str, Any]", read_answer(counted.content)["tree"])))
    if told != counts and len(shown) < SHOWN_MAX:
        found.append(f"counts for {agent} {told}, and shows {dict(counts)}")
    return found


def _counts(tree: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Each namespace of a tree that has memories, and how many."""
    if tree["count"]:
        yield str(tree["namespace"]), tree["count"]
    for child in tree["children"]:
        yield from _counts(child)
