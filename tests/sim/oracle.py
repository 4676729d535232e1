"""A model of the join, written from the design and not from the code: what the nodes must hold, given the ops.

Deliberately naive: dictionaries, all ops at once, in an order drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from aimem.model import Blank, Entry, Op, Stamp, decode_entry
from aimem.ports import Connection
from aimem.store import KINDS, STREAM
from aimem.store.kinds import all_objects

State = dict[str, object]
Objects = dict[tuple[str, str], State]
Dead = dict[tuple[str, str], str]

_TOMBSTONES = "SELECT kind, key, stamp FROM tombstones"


class Model:
    """All objects that a set of ops makes."""

    def __init__(self) -> None:
        self.objects: Objects = {}
        self.dead: Dead = {}

    def take(self, ops: Iterable[Op], rng: random.Random) -> None:
        """Join ops, in any order."""
        shuffled = list(ops)
        rng.shuffle(shuffled)
        for op in shuffled:
            for data in op.entries:
                self._join(decode_entry(data), op.stamp)

    def _join(self, entry: Entry | Blank, stamp: Stamp) -> None:
        if entry.kind == STREAM.name and (entry.key != stamp.stream or isinstance(entry, Blank) or entry.dead):
            return      # what is known of a stream its own writer says, and nobody ends one
        if isinstance(entry, Blank):
            self._bury((entry.kind, entry.key), entry.dead_since)
            return
        key = (entry.kind, entry.key)
        if entry.dead:
            self._bury(key, stamp.text())
            return
        found = self.objects.setdefault(key, {"born": None, "author": None, "fields": {}})
        if entry.create is not None and (found["born"] is None or stamp.text() < found["born"]):
            found["born"], found["author"] = stamp.text(), entry.create.author
        fields: dict[str, tuple[str, object]] = found["fields"]  # type: ignore[assignment]
        for name, value in entry.fields.items():
            known = fields.get(name)
            if known is None or self._wins(key[0], name, (stamp.text(), value), known):
                fields[name] = (stamp.text(), value)

    @staticmethod
    def _wins(kind: str, name: str, new: tuple[str, object], known: tuple[str, object]) -> bool:
        if name not in KINDS[kind].maxima:
            return new[0] > known[0]
        one, other = list(new[1]), list(known[1])  # type: ignore[call-overload]
        return one > other or (one == other and new[0] < known[0])

    def _bury(self, key: tuple[str, str], stamp: str) -> None:
        self.dead[key] = min(stamp, self.dead.get(key, stamp))

    def value(self, kind: str, key: str, field: str) -> object:
        """What a field of an object holds; None if there is none."""
        fields = self.objects.get((kind, key), {}).get("fields", {})
        assert isinstance(fields, dict)
        return fields[field][1] if field in fields else None

    def lines(self) -> dict[str, str]:
        """What a node must hold: object -> its state, as text."""
        dead_ids = {key for kind, key in self.dead if kind == "memory"}
        shown = {}
        for (kind, key), state in self.objects.items():
            ends = KINDS[kind].split_key(key)[: KINDS[kind].end_count] if KINDS[kind].end_count else ()
            if (kind, key) not in self.dead and not dead_ids.intersection(ends):
                shown[f"{kind} {key}"] = _text(state["born"], state["author"], state["fields"])
        for (kind, key), stamp in self.dead.items():
            ends = KINDS[kind].split_key(key)[: KINDS[kind].end_count] if KINDS[kind].end_count else ()
            if not dead_ids.intersection(ends):
                shown[f"{kind} {key}"] = f"dead {stamp}"
        return shown


def _text(born: object, author: object, fields: object) -> str:
    assert isinstance(fields, dict)
    return msgspec.json.encode([born, author, sorted([name, *cell] for name, cell in fields.items())]).decode()


def lines_of(conn: Connection) -> dict[str, str]:
    """What a node holds, as `Model.lines` says it."""
    held = {}
    for kind in KINDS.values():
        for key, state in all_objects(conn, kind):
            fields = {name: (cell.stamp.text(), cell.value) for name, cell in state.fields.items()}
            born = None if state.born is None else state.born.text()
            held[f"{kind.name} {key}"] = _text(born, state.author, fields)
    for dead_kind, dead_key, stamp in conn.execute(_TOMBSTONES):
        assert isinstance(stamp, bytes)
        held[f"{dead_kind} {dead_key}"] = f"dead {stamp.hex()}"
    return held
