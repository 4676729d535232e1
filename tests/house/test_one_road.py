"""Use cases write by one road: `service.write_as`, which judges every op. What writes no op may go past it."""

from __future__ import annotations

import ast
from pathlib import Path

SERVICE = Path(__file__).parents[2] / "aimem"
WITHOUT_OPS = {
    "embeddings.use_model", "embeddings.put", "embeddings.drop_unused", "embeddings.forget",
    "embeddings.forget_between", "fulltext.clear", "fulltext.rebuild", "fulltext.index_grams", "fulltext.keep_terms",
    "idempotency.drop_older", "_append_refusals", "adoption.forget", "adoption.note", "trimming.trim", "_forget_events",
    "_trim_events",
    "deliveries.add", "deliveries.forget", "deliveries.forget_gone", "deliveries.note_failed", "deliveries.note_taken",
    "deliveries.trim_dead", "buffers.drop", "buffers.shrink",
    "auditcheck.prune", "closure.close", "closure.note_joined", "renewal.note_caught_up",
    "_put_pins", "_forget_pin", "cluster.learn", "note_reload",
    "note_rejoin", "renewal.ask_rejoin", "renewal.note_rejoined",
    "cluster.propose", "cluster.settle", "cluster.forget", "served.note_served",
}
OF_THE_ROAD = {"_governed", "renewal.open_stream", "renewal.name_certificates", "self._begin_stream"}
OF_OTHERS = {
    "inbound.take", "inbound.refold_held", "adoption.adopt", "repair.mend",
}
"""Ops that other nodes wrote: judged there."""


def written_past_the_road() -> set[str]:
    found = set()
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                continue
            target = ast.unparse(node.func)
            if target.endswith("store.write") or (path.name == "store.py" and target == "self.write"):
                found.add(ast.unparse(node.args[0]))
            elif target.endswith("store.write_agreed"):
                found.add(ast.unparse(node.args[1]))
    return found


def test_nothing_writes_ops_but_by_the_road_that_judges_them() -> None:
    found = written_past_the_road()
    assert found - WITHOUT_OPS == OF_THE_ROAD | OF_OTHERS
    assert found >= WITHOUT_OPS, "a name here that nothing uses any more"
