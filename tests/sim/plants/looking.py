"""Bugs in what callers see and find, the same on every node, and in who is waited for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any  # what patched functions are handed

import pytest

from aimem.ports import DatabaseError, DatabaseFault
from aimem.replication import quorum
from aimem.replication.renewal import Renewal
from aimem.service import lookup, taxonomy
from aimem.store import filters, memories, textindex
from aimem.store.filters import ALL
from aimem.store.writer import Writer
from tests.sim import processes
from tests.sim.planting import Planted, calm
from tests.sim.swarm import Fault

SECURED: dict[str, Any] = {"secured": True, "think_s": 0.2}
TWO_FIRST: dict[str, Any] = {"nodes": 4, "healed_first": 2}
"""Two of four are healed first, which suffice for a write."""


def last_words_not_indexed(patch: pytest.MonkeyPatch) -> None:
    split = textindex.split_parts
    patch.setattr(textindex, "split_parts", lambda text: split(text.rpartition(" ")[0]))


def dropped_stays_indexed(patch: pytest.MonkeyPatch) -> None:
    take_out = textindex._take_out

    def keep(conn: Any, no: int, part_count: int) -> Any:
        is_live = conn.execute("SELECT 1 FROM memory_view WHERE no = ? AND state = 'live'", (no,)).fetchone()
        return take_out(conn, no, part_count) if is_live else []

    patch.setattr(textindex, "_take_out", keep)


def everybody_sees_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(filters, "_seen_from", lambda *_: ALL)


def tree_counts_what_is_hidden(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(taxonomy, "visible_to", lambda _: ALL)


def what_is_known_is_not_found(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lookup, "memories", SimpleNamespace(**{**vars(memories), "find": lambda *_: None}))


def failed_sync_survived(patch: pytest.MonkeyPatch) -> None:
    failed = Writer._failed

    def take_for_full(self: Writer, conn: Any, signer: Any, tip: Any, count: int, error: Any, **given: Any) -> Any:
        return failed(self, conn, signer, tip, count, DatabaseError(str(error), DatabaseFault.FULL), **given)

    patch.setattr(processes, "ENDS_S", 3.0)     # the storm is a short one
    patch.setattr(Writer, "_failed", take_for_full)


def write_waits_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quorum.Rule, "needed", lambda self, _: self.members)


def loss_waits_for_all(patch: pytest.MonkeyPatch) -> None:
    known = Renewal.has_caught_up

    def wait_for_all(self: Renewal, peers: Any, now: float) -> bool:
        told = list(peers)
        return all(url in self._goals for url, _, _ in told) and known(self, told, now)

    patch.setattr(Renewal, "has_caught_up", wait_for_all)


ROWS = (
    Planted(
        name="last-words-not-indexed", plant=last_words_not_indexed, weather=calm(**SECURED),
        checks=frozenset({"index"}),
        broken="No node finds a text by its last word.",
    ),
    Planted(
        name="dropped-stays-indexed", plant=dropped_stays_indexed, weather=calm(**SECURED), checks=frozenset({"index"}),
        broken="The index of words keeps what was deleted.",
    ),
    Planted(
        name="everybody-sees-all", plant=everybody_sees_all, weather=calm(**SECURED), checks=frozenset({"shown"}),
        broken="Lists show what their reader may not see.",
    ),
    Planted(
        name="tree-counts-what-is-hidden", plant=tree_counts_what_is_hidden, weather=calm(**SECURED),
        checks=frozenset({"shown"}),
        broken="The tree of namespaces counts what its reader may not see.",
    ),
    Planted(
        name="what-is-known-is-not-found", plant=what_is_known_is_not_found, weather=calm(**SECURED),
        checks=frozenset({"session"}),
        broken="No memory is found by its id.",
    ),
    Planted(
        name="failed-sync-survived", plant=failed_sync_survived, weather=calm(Fault.SYNC_ERROR),
        checks=frozenset({"sync"}),
        broken="A process goes on after its disk failed a sync, as after one that is full.",
    ),
    Planted(
        name="write-waits-for-all", plant=write_waits_for_all, weather=calm(**TWO_FIRST),
        checks=frozenset({"progress"}),
        broken="A write waits for every node, and not for as many as it is to.",
    ),
    Planted(
        name="loss-waits-for-all", seeds=range(7, 15), plant=loss_waits_for_all,
        weather=calm(Fault.LOSE, Fault.RESTORE, **TWO_FIRST),
        checks=frozenset({"progress"}),
        broken="A node that lost its files takes no write before all its peers have told it what they know.",
    ),
)
