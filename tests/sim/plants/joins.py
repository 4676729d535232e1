"""Bugs in the fold: how what is known becomes what is shown."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any  # what patched functions are handed

import msgspec
import pytest

from aimem.model import Blank, Entry, Merged, ObjectState, Stamp
from aimem.replication import Mending, merge
from aimem.service import comparing
from aimem.store import MEMORY, inbound, trimming, view
from aimem.store.fold import Fold
from aimem.store.transaction import Transaction
from aimem.supervisor import furnish
from tests.sim.machine import Process
from tests.sim.planting import APART, APART_S, Planted, storm
from tests.sim.ports import SPEAKER
from tests.sim.swarm import Fault
from tests.sim.watch import Watcher

Known = ObjectState
UNCHANGED = frozenset[str]()


def first_write_wins(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(merge, "_latest", lambda known, new: known)


def deletes_do_nothing(patch: pytest.MonkeyPatch) -> None:
    count = itertools.count(1)

    def join(state: Known, entry: Any, stamp: Stamp, *, maxima: Any) -> Merged:
        if not isinstance(entry, Blank) and entry.dead and next(count) % 3 == 0:
            return Merged(state=state, changed=UNCHANGED)
        return merge.merge_entry(state, entry, stamp, maxima=maxima)

    patch.setattr(furnish, "merge_entry", join)


def whole_row_merged(patch: pytest.MonkeyPatch) -> None:
    def join(state: Known, entry: Any, stamp: Stamp, *, maxima: Any) -> Merged:
        newest = max((cell.stamp for cell in state.fields.values()), default=stamp)
        if isinstance(entry, Entry) and not entry.dead and newest > stamp:
            return Merged(state=state, changed=UNCHANGED)
        return merge.merge_entry(state, entry, stamp, maxima=maxima)

    patch.setattr(furnish, "merge_entry", join)


def local_default_in_fold(patch: pytest.MonkeyPatch) -> None:
    def join(state: Known, entry: Any, stamp: Stamp, *, maxima: Any) -> Merged:
        if isinstance(entry, Entry) and entry.kind == MEMORY.name and entry.fields.get("scope", "") is None:
            entry = msgspec.structs.replace(entry, fields={**entry.fields, "scope": SCOPES[SPEAKER.get()]})
        return merge.merge_entry(state, entry, stamp, maxima=maxima)

    patch.setattr(furnish, "merge_entry", join)


SCOPES = {"n0": "private", "n1": "team", "n2": "collective"}
"""What each node's configuration would say of memories without a scope."""


def local_clock_in_fold(patch: pytest.MonkeyPatch) -> None:
    join = Transaction._join

    def join_if_fresh(self: Transaction, stamp: Stamp, entries: Sequence[Any]) -> Any:
        def is_fresh(entry: Any) -> bool:
            until = entry.fields.get("expires_at") if isinstance(entry, Entry) else None
            return not isinstance(until, int) or until > self.now

        return join(self, stamp, [entry for entry in entries if is_fresh(entry)])

    patch.setattr(Transaction, "_join", join_if_fresh)


def names_stored(patch: pytest.MonkeyPatch) -> None:
    judge, holders = view.judge_names, dict[tuple[object, ...], str]()

    def keep(rows: Any) -> list[view.Seen]:
        live = {one for one, state in rows if view.standing(state) == "live"}
        return sorted((as_stored(seen, live) for seen in judge(rows)), key=lambda row: (row.state == "live", row.id))

    def as_stored(seen: view.Seen, live: set[str]) -> view.Seen:
        if seen.id not in live:
            return seen
        name = SPEAKER.get(), seen.namespace, seen.title, seen.owner
        if holders.get(name) not in live:
            holders[name] = seen.holder or seen.id
        if holders[name] == seen.id:
            return msgspec.structs.replace(seen, state="live", holder=None)
        return msgspec.structs.replace(seen, state="shadow", holder=holders[name])

    patch.setattr(view, "judge_names", keep)


def death_forgotten(patch: pytest.MonkeyPatch) -> None:
    def join(state: Known, entry: Any, stamp: Stamp, *, maxima: Any) -> Merged:
        is_over = state.dead is not None and isinstance(entry, Entry) and not entry.dead
        return merge.merge_entry(Known() if is_over else state, entry, stamp, maxima=maxima)

    patch.setattr(furnish, "merge_entry", join)


def tombstone_forgotten(patch: pytest.MonkeyPatch) -> None:
    trim = trimming.trim

    def forget(transaction: Transaction, *given: Any) -> Any:
        size = trim(transaction, *given)
        transaction.conn.execute("DELETE FROM tombstones WHERE kind = 'memory'")
        return size

    patch.setattr(trimming, "trim", forget)


def deleted_comes_back_by_a_link(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fold, "_has_dead_end", lambda *_: False)


def ops_logged_not_applied(patch: pytest.MonkeyPatch) -> None:
    count, take = itertools.count(1), Transaction.take

    def skip(self: Transaction, op: Any, entries: Any) -> None:
        if next(count) % 7:
            take(self, op, entries)
        else:
            self._fold.log(op, tuple((entry.kind, entry.key) for entry in entries))
            self.pass_clock(op.stamp.hlc)

    patch.setattr(Transaction, "take", skip)


def held_ops_stay_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbound, "refold_held", lambda *_: None)


def inbound_texts_not_indexed(patch: pytest.MonkeyPatch) -> None:
    take_all = inbound._take_all

    def forget(transaction: Transaction, ops: Any) -> None:
        take_all(transaction, ops)
        transaction.reindex.clear()

    patch.setattr(inbound, "_take_all", forget)


def nothing_is_mended(patch: pytest.MonkeyPatch) -> None:
    class Looking:
        MEND = LOOK = Mending.LOOK

    patch.setattr(comparing, "Mending", Looking)


def disk_loses_a_row(patch: pytest.MonkeyPatch) -> None:
    look, spoiled = Watcher.look_at_dead, list[Watcher]()

    def lose(self: Watcher, process: Process) -> None:
        look(self, process)
        if process.writer is not None and process.name == "n1" and self not in spoiled:
            row = process.writer.execute("SELECT id FROM memories LIMIT 1").fetchone()
            if row is not None:
                spoiled.append(self)
                process.writer.execute("DELETE FROM memories WHERE id = ?", row)

    patch.setattr(Watcher, "look_at_dead", lose)


ROWS = (
    Planted(
        name="whole-row-merged", plant=whole_row_merged,
        weather=APART, seconds=APART_S,
        checks=frozenset({"convergence", "model", "acked"}),
        broken="The newest write wins a row as a whole: an older one of another field, met later, is dropped.",
    ),
    Planted(
        name="first-write-wins", plant=first_write_wins, weather=storm(),
        checks=frozenset({"convergence", "model", "acked"}),
        broken="Of two writes of a field the one that came first stays, whatever their stamps.",
    ),
    Planted(
        name="local-default-in-fold", plant=local_default_in_fold, weather=storm(),
        checks=frozenset({"convergence", "model"}),
        broken="A field that its writer left open is filled from each node's own configuration as the op is folded.",
    ),
    Planted(
        name="local-clock-in-fold", plant=local_clock_in_fold,
        weather=APART, seconds=APART_S, checks=frozenset({"convergence", "model", "acked"}),
        broken="What has expired by a node's own clock is not folded there.",
    ),
    Planted(
        name="names-stored", plant=names_stored, weather=APART, seconds=APART_S, checks=frozenset({"convergence"}),
        broken="Whichever memory is met first under a name keeps that name, instead of the one that was born first.",
    ),
    Planted(
        name="deletes-do-nothing", plant=deletes_do_nothing, weather=storm(),
        checks=frozenset({"resurrection", "model", "convergence", "acked"}),
        broken="Every third delete is logged and acknowledged, and deletes nothing.",
    ),
    Planted(
        name="tombstone-forgotten", plant=tombstone_forgotten, weather=storm(log_most=15),
        checks=frozenset({"resurrection"}),
        broken="Tombstones go with the ops that are trimmed from the log.",
    ),
    Planted(
        name="death-forgotten", plant=death_forgotten,
        weather=APART, seconds=APART_S,
        checks=frozenset({"resurrection", "model", "convergence", "acked"}),
        broken="A write of a deleted memory that is met after its delete makes the memory anew.",
    ),
    Planted(
        name="deleted-comes-back-by-a-link", plant=deleted_comes_back_by_a_link,
        weather=APART, seconds=APART_S,
        checks=frozenset({"resurrection", "model", "convergence"}),
        broken="A link that is met after the delete of one of its ends is stored.",
    ),
    Planted(
        name="ops-logged-not-applied", plant=ops_logged_not_applied, weather=storm(),
        checks=frozenset({"model", "convergence"}),
        broken="Every seventh op of another node is logged and not folded.",
    ),
    Planted(
        name="held-ops-stay-held", plant=held_ops_stay_held, weather=storm(Fault.OLDER, quorum=3, governed=True),
        checks=frozenset({"standing", "convergence", "model"}),
        broken="A new version does not apply the ops that the one before could not.",
    ),
    Planted(
        name="inbound-texts-not-indexed", plant=inbound_texts_not_indexed, weather=storm(),
        checks=frozenset({"convergence"}),
        broken="Texts that come from other nodes are not found by their words.",
    ),
    Planted(
        name="nothing-is-mended", plant=nothing_is_mended, weather=storm(Fault.ROT), checks=frozenset({"convergence"}),
        broken="Rows that a disk lost are looked for by comparing, and not joined again.",
    ),
    Planted(
        name="disk-loses-a-row", plant=disk_loses_a_row, weather=storm(compare_s=2.0), checks=frozenset({"divergence"}),
        broken="A disk loses a row behind the store's back (nodes that compare themselves say so).",
    ),
)
