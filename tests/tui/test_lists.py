"""What the screens show that ask only when they are opened: memories, namespaces, agents, conflicts, log, metrics."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec.structs import replace

from aimem.wire import NamespaceStandards
from aimem_tui.sheet import Sheet, Tone
from aimem_tui.state import Deed, Look
from aimem_tui.steps import Answered, Did, Looked, Measured
from aimem_tui.trouble import Trouble, TroubleKind
from aimem_tui.views.lists import (
    agent_sheet,
    audit_lines,
    audit_sheet,
    conflict_lines,
    conflict_sheet,
    metric_sheet,
)
from aimem_tui.views.memories import found_line, memory_lines, memory_sheet, question_lines
from aimem_tui.views.namespaces import NO_POLICY, namespace_sheet, policy_json, policy_lines
from tests.tui.looks import everything
from tests.tui.states import after, health, mesh, metrics
from tests.tui.test_views import cells, text, texts

EMPTY = json.dumps(msgspec.to_builtins(NO_POLICY), indent=2)
LOCKED = Trouble(kind=TroubleKind.LOCKED, what="only for operators", advice="show their key")
SHEETS = {
    "memories": memory_sheet, "namespaces": namespace_sheet, "agents": agent_sheet, "conflicts": conflict_sheet,
    "audit": audit_sheet,
}


@pytest.mark.parametrize("name", SHEETS)
def test_what_is_not_read_yet_empty_or_refused_says_so(name: str) -> None:
    sheet = SHEETS[name]
    assert sheet(after()).empty.startswith("asking for ")
    asked = after(Looked(name=name, of="", look=None))
    assert sheet(asked).empty.startswith("asking for ")
    refused = after(Looked(name=name, of="", look=Look(trouble=LOCKED)))
    assert sheet(refused).empty == "only for operators: show their key"


def test_a_new_question_keeps_the_old_answer_until_its_own_is_there() -> None:
    state = after(Looked(name="memories", of="other words", look=None), state=everything())
    assert len(memory_sheet(state).rows) == 2


def test_memories_come_with_score_author_and_age_and_a_contradicted_one_is_marked() -> None:
    sheet = memory_sheet(everything())
    assert cells(sheet, "m1") == {
        "score": "0.92", "title": "Release day 1", "namespace": "acme/ops", "tier": "mid", "prio": "7",
        "author": "ai:planner", "age": "1d",
    }
    assert cells(sheet, "m2")["title"] == "▲ Release day 2"
    assert text(found_line(everything())) == "2 found, hybrid; 3 left out as unrelated  promoted"


def test_a_memory_has_its_text_what_its_score_is_made_of_and_its_links_as_a_tree() -> None:
    told = texts(memory_lines(everything(), "m1"))
    for part in (
        "We ship on Tuesdays.\nLine two of 1.", "tags release", "expires in 5d",
        "score 0.919 = (0.850 [words 1.00 (rank 1), meaning 0.50 (rank 2)] + 0.000 time + 0.000 role) ×1.020 priority",
        "leads to\n  → supersedes\n      m2  since 2026-01-01, by ai:planner",
        "is led to by\n  ← related_to\n      m3  stated 2026-01-01",
    ):
        assert part in told, told
    assert "contradicted by newer: m1" in texts(memory_lines(everything(), "m2"))
    assert memory_lines(everything(), "gone") == ()


def test_what_is_asked_before_a_memory_is_deleted_is_about_it_and_not_about_its_score() -> None:
    told = texts(question_lines(everything(), "m1"))
    assert "Release day 1" in told and "We ship on Tuesdays." in told
    assert "score" not in told
    assert question_lines(everything(), "gone") == ()


def test_an_error_stands_once_in_the_place_of_the_rows() -> None:
    refused = after(Looked(name="memories", of="", look=Look(trouble=LOCKED)))
    assert text(found_line(refused)) == ""


def test_one_memory_is_never_shown_as_another_while_that_is_read() -> None:
    moved = after(Looked(name="memory", of="m2", look=None), state=everything())
    assert "Line two of 2." in texts(memory_lines(moved, "m2"))
    assert "Line two of 1." not in texts(memory_lines(moved, "m2"))


def test_what_was_not_done_is_told_in_another_tone() -> None:
    state = after(Did(screen="memories", deed=Deed(said="not deleted: no", is_done=False)), state=everything())
    assert found_line(state)[-1].tone is Tone.WARN


def test_namespaces_are_a_tree_with_counts() -> None:
    rows = [[one.text for one in row.cells] for row in namespace_sheet(everything()).rows]
    assert rows == [["acme", "3", "15"], ["  office", "12", "12"]]


def test_the_policy_that_holds_is_told_with_whose_it_is() -> None:
    told = texts(policy_lines(everything(), "acme"))
    assert "holds, of acme: write approve, promote any, delete owner, policy owner, approver human" in told
    assert "by ops:ann at 10:00:00" in told
    assert "asking for its policy" in texts(policy_lines(everything(), "acme/office"))
    assert '"write": "approve"' in policy_json(everything(), "acme")
    assert policy_json(after(), "acme") == EMPTY


def test_the_policy_of_one_namespace_is_never_shown_or_edited_as_anothers() -> None:
    moved = after(Looked(name="policy", of="acme/office", look=None), state=everything())
    assert texts(policy_lines(moved, "acme/office")) == "asking for its policy …"
    assert policy_json(moved, "acme/office") == EMPTY


def test_the_memory_that_carries_a_policy_is_not_told_as_a_text_to_read() -> None:
    found = everything().looks["policy"].value
    assert isinstance(found, NamespaceStandards)
    for title, is_told in (("_standard:acme", False), ("How we write", True)):
        standards = (replace(found.standards[0], title=title),)
        look = Look(of="acme", value=replace(found, standards=standards))
        told = texts(policy_lines(after(Looked(name="policy", of="acme", look=look), state=everything()), "acme"))
        assert (f"standard {title}" in told) is is_told


def test_a_policy_that_cannot_be_read_is_told_to_deny() -> None:
    state = everything()
    look = state.looks["policy"]
    broken = replace(look.value, governance_error="write: unknown level")  # type: ignore[type-var]
    state = after(Looked(name="policy", of="acme", look=Look(of="acme", value=broken)), state=state)
    assert "✖ its policy cannot be read, and denies: write: unknown level" in texts(policy_lines(state, "acme"))


def test_agents_stand_beside_their_keys_and_those_with_keys_alone_are_there_too() -> None:
    sheet = agent_sheet(everything())
    assert cells(sheet, "ai:planner") == {
        "agent": "ai:planner", "type": "ai:planner", "role": "agent", "home": "acme", "keys": "1, 1d left",
        "seen": "1m", "capabilities": "plan, recall",
    }
    assert cells(sheet, "ai:gone")["keys"] == "✖ revoked"


def test_a_value_that_lost_stands_beside_the_one_that_holds() -> None:
    row = cells(conflict_sheet(everything()), "0")
    assert (row["object"], row["field"], row["written by"], row["noted"]) == ("m1", "content", "node-d", "10m")
    told = texts(conflict_lines(everything(), "0"))
    assert "  - We ship on Mondays." in told
    assert "  + We ship on Tuesdays." in told
    assert conflict_lines(after(), "0") == ()


def test_a_row_of_the_audit_says_who_was_let_and_by_which_rule() -> None:
    sheet: Sheet = audit_sheet(everything())
    assert cells(sheet, "1")["decision"] == "denied"
    assert sheet.rows[1].cells[3].tone is Tone.BAD
    assert "rule      acme/ops: write=approve" in texts(audit_lines(everything(), "2"))


def test_counters_are_rates_and_gauges_values_and_what_moves_comes_first() -> None:
    sheet = metric_sheet(everything())
    recalls, memories = (cells(sheet, f"ai_memory_{name}") for name in ("recalls_total", 'memories{tier="mid"}'))
    assert (recalls["metric"], recalls["now"], recalls[""]) == ("recalls", "22.5", "/s")
    assert (memories["metric"], memories["now"], memories[""]) == ("memories, mid", "25", "")
    assert [row.key for row in sheet.rows[:2]] == ['ai_memory_memories{tier="mid"}', "ai_memory_recalls_total"]


def test_how_long_certificates_last_is_told_of_each_in_days() -> None:
    name = "ai_memory_certificate_expires_seconds"
    page = f'# TYPE {name} gauge\n{name}{{which="client"}} 31536001.5\n{name}{{which="server"}} 59.5\n'
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1.0, health=health(), mesh=mesh()),
                  Measured(place=0, now_s=100.0, metrics=page))
    rows = [[one.text for one in row.cells[:3]] for row in metric_sheet(state).rows]
    assert rows == [["certificate expires, client", "365d", ""], ["certificate expires, server", "59.5", "s"]]


def test_what_is_timed_is_a_rate_and_how_long_it_took_on_average() -> None:
    marks = ((0, 0.0), (4, 0.2), (4, 0.2), (8, 1.0))
    state = after(
        Answered(place=0, now_s=100.0, rtt_ms=1.0, health=health(), mesh=mesh()),
        *(Measured(place=0, now_s=100.0 + 4 * no, metrics=metrics(*mark)) for no, mark in enumerate(marks)),
    )
    sheet = metric_sheet(state)
    often, took = (cells(sheet, f"ai_memory_mesh_ack_seconds_{name}") for name in ("count", "sum"))
    assert (often["metric"], often["now"], often[""]) == ("mesh ack, how often", "1", "/s")
    assert (took["metric"], took["now"], took[""], took["course"]) == ("mesh ack, time each", "200", "ms", "▃█")


def test_a_node_that_counts_anew_makes_no_negative_rate() -> None:
    counts = ("5", "9", "1", "3")
    state = after(*(
        Measured(place=0, now_s=100.0 + 2 * no, metrics=f"# TYPE x counter\nx_total {count}\n")
        for no, count in enumerate(counts)
    ))
    assert state.nodes[0].figures["x_total"].course == (2.0, 1.0)
