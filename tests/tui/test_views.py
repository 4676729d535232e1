"""What the screens show of a state: every figure that the operator needs, in words beside colours, in few columns."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from aimem.wire import PendingPage
from aimem_tui.sheet import MARKS, SPARKS, Column, Line, Row, Sheet, Tone, fit, sparkline
from aimem_tui.state import State
from aimem_tui.steps import Answered, Failed, Followed, GotDetail, GotDocket, Ticked
from aimem_tui.trouble import Trouble, TroubleKind
from aimem_tui.views.clocks import clock_sheet, focus_lines, verify_lines
from aimem_tui.views.frame import Tab, status_line, tab_line
from aimem_tui.views.mesh import event_sheet, members, mesh_sheet, quorum_lines, warning_lines
from aimem_tui.views.pending import QUESTION_LINES, detail_lines, heading_lines, pending_sheet, question_lines
from tests.tui.states import NOW, STREAMS, after, detail, health, lively, mesh, peer, pending

AWAY = Trouble(kind=TroubleKind.OFFLINE, what="nothing listens", advice="start it")
LOCKED = Trouble(kind=TroubleKind.LOCKED, what="the key has expired", advice="make another")


def text(line: Line) -> str:
    return "".join(one.text for one in line)


def texts(lines: tuple[Line, ...]) -> str:
    return "\n".join(map(text, lines))


def cells(sheet: Sheet, key: str) -> dict[str, str]:
    """Column -> text, of the row of that key."""
    [row] = [row for row in sheet.rows if row.key == key]
    return {column.title: one.text for column, one in zip(sheet.columns, row.cells, strict=True)}


def toned(rows: tuple[Row, ...]) -> list[tuple[str, Tone]]:
    return [(one.text, one.tone) for row in rows for one in row.cells]


def test_a_row_has_all_that_is_known_of_a_node() -> None:
    sheet = mesh_sheet(lively())
    own, behind = cells(sheet, "node-a"), cells(sheet, "https://c:1")
    assert own == {
        "node": "node-a ◂", "state": "▲ warning", "rtt ms": "5.5", "rtt": "▂▃▂▂█▂", "ack ms": "-", "ack": "",
        "behind": "0", "acked": "120", "breaker": "-", "clock": "-", "cert": "12d", "version": "0.1.0",
    }
    assert (behind["behind"], behind["acked"], behind["clock"], behind["cert"]) == ("-3/1s", "117", "+1.2", "300d")
    away = cells(sheet, "https://d:1")
    assert (away["state"], away["breaker"], away["behind"], away["clock"]) == (
        "✖ offline", "open", "-110/1m", "-900")


def test_acks_stand_beside_the_peer_that_gave_them() -> None:
    row = cells(mesh_sheet(lively()), "node-b")
    assert (row["state"], row["rtt ms"], row["ack ms"]) == ("✖ offline", "-", "1.7")
    assert set(row["ack"]) <= set(SPARKS)


def test_a_node_that_is_asked_and_a_peer_of_the_same_stream_are_one_row() -> None:
    state = after(
        Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=mesh("a")),
        Answered(place=1, now_s=100.0, rtt_ms=1, health=health(STREAMS["b"]), mesh=mesh("b")),
    )
    assert [member.name for member in members(state)] == ["node-a", "node-b", "node-c", "node-d"]


@pytest.mark.parametrize(("changes", "word"), [
    ({}, "● ok"), ({"status": "error"}, "✖ error"), ({"ready": False, "behind": 9}, "▲ catching up"),
    ({"ready": False}, "▲ not ready"), ({"warnings": ("w",)}, "▲ warning"),
])
def test_a_nodes_state_is_a_word_and_a_mark(changes: dict[str, object], word: str) -> None:
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(**changes), mesh=mesh()))
    assert cells(mesh_sheet(state), "node-a")["state"] == word


def test_what_is_old_is_marked_as_old_with_its_age() -> None:
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=mesh()), Ticked(now_s=130.0, wall=NOW))
    assert cells(mesh_sheet(state), "node-a")["state"] == "▲ old 30s"
    assert "asking https://a:1" in texts(quorum_lines(state))
    assert "what is shown is old" in text(status_line(after(Failed(place=0, trouble=LOCKED), state=state)))


def test_the_strip_says_whether_a_write_finds_its_quorum_and_why_the_last_one_did_not() -> None:
    told = texts(quorum_lines(lively()))
    assert "W 2 of N 4  ■■□□ 2 reachable  ● a write finds its quorum" in told      # neither node-b nor node-d
    assert "last 503 12m ago (refused, 2 writes so far): a write needs 2 nodes and 1 can be reached" in told
    alone = mesh("a", *(peer(name, state="unreachable") for name in "bcd"))
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=alone))
    assert "✖ writes are refused (503): 1 more node must be reachable" in texts(quorum_lines(state))


def both(**changes: object) -> State:
    """Two nodes of four that are asked and answer; `changes` are of the second as the first sees it."""
    seen = mesh("a", peer("b", **changes), peer("c"), peer("d"))
    return after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=seen),
                 Answered(place=1, now_s=100.0, rtt_ms=1, health=health(STREAMS["b"]), mesh=mesh("b")))


def judged(state: State) -> tuple[str, str, str]:
    """What the headline, the strip and the row of the second node say."""
    return text(status_line(state)), texts(quorum_lines(state)), cells(mesh_sheet(state), "node-b")["state"]


def test_headline_strip_and_row_judge_a_node_alike_whoever_noticed_first_that_it_is_away() -> None:
    headline, strip, row = judged(both())
    assert "4 of 4 nodes reachable, all well" in headline and "■■■■ 4 reachable" in strip and row == "● ok"
    headline, strip, row = judged(after(Failed(place=1, trouble=AWAY), state=both()))      # and node-a says: reachable
    assert "3 of 4 nodes reachable, 1 warning" in headline and "■■■□ 3 reachable" in strip and row == "✖ offline"
    headline, strip, row = judged(both(state="unreachable"))        # and this console reaches it
    assert "▲ 3 of 4 nodes reachable  " in headline and "■■■□ 3 reachable" in strip and row == "✖ cut off"


def test_a_node_that_nobody_but_this_console_misses_may_still_count_for_the_quorum() -> None:
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=mesh("a", peer("b"), members=2)),
                  Answered(place=1, now_s=100.0, rtt_ms=1, health=health(STREAMS["b"]), mesh=mesh("b")),
                  Failed(place=1, trouble=AWAY))
    assert "node-a still counts on 2: this console cannot reach all of them" in texts(quorum_lines(state))


def test_the_only_node_that_just_failed_is_not_told_to_be_reachable() -> None:
    state = after(Failed(place=0, trouble=AWAY), Failed(place=1, trouble=AWAY), state=both())
    headline, strip, _ = judged(state)
    assert "node-a: offline, last heard 0s ago; what is shown is old" in headline
    assert strip.startswith("✖ nothing listens: start it\n")
    assert "reachable" not in headline + strip
    assert texts(warning_lines(state)) == "✖ node-b: nothing listens: start it"      # node-a's stands in the strip


def test_without_an_answer_the_strip_says_what_to_do() -> None:
    assert texts(quorum_lines(after(Failed(place=0, trouble=LOCKED)))) == "✖ the key has expired: make another"
    assert texts(quorum_lines(after())) == "○ asking https://a:1"


def test_warnings_name_who_warns_and_stand_once() -> None:
    state = after(*(
        Answered(place=place, now_s=100.0, rtt_ms=1, health=health(stream, warnings=("both say so",)), mesh=mesh(name))
        for place, (name, stream) in enumerate((("a", STREAMS["a"]), ("b", STREAMS["b"])))
    ))
    assert texts(warning_lines(state)) == "▲ both say so"
    assert "node-a: a certificate expires in 12 days" in texts(warning_lines(lively()))
    assert "node-b: nothing listens at https://b:1: start its daemon" in texts(warning_lines(lively()))


def test_events_are_rows_or_a_sentence_why_there_are_none() -> None:
    first = event_sheet(lively()).rows[0]
    assert [one.text for one in first.cells] == [
        "11:59:29", "store", "memory key-29", "acme/ops", "ai:planner", "1 of 1"]
    assert event_sheet(after()).empty == "no node tells of events at the moment"
    assert "since this console opened" in event_sheet(after(Followed(place=0, is_followed=True))).empty


def test_the_matrix_shows_what_each_node_lacks_of_each_origin() -> None:
    sheet = clock_sheet(lively())
    assert [column.title for column in sheet.columns] == ["node", "lacks", "node-a", "node-b", "node-c", "node-d"]
    assert [one.text for one in sheet.rows[3].cells] == ["node-d", "-2110", "-110", "=", "=", "-2000"]
    tones = [one.tone for one in sheet.rows[3].cells[2:]]
    assert tones == [Tone.HEAT2, Tone.GOOD, Tone.GOOD, Tone.HEAT3]


def test_the_exact_numbers_stand_below_the_matrix() -> None:
    state = lively()
    assert texts(focus_lines(state, "node-d", 2)) == (
        f"node-d knows 10 of 120 ops of node-a, stream {STREAMS['a']}: 110 ops behind")
    assert "lacks 110 of node-a, 2000 of node-d" in texts(focus_lines(state, "node-d", 0))
    assert "all that anybody knows" in texts(focus_lines(state, "node-a", 1))


def test_an_origin_that_no_node_writes_any_more_is_a_column_too() -> None:
    old = {**mesh().vector, "e" * 32: 5}
    state = after(Answered(place=0, now_s=100.0, rtt_ms=1, health=health(), mesh=mesh(vector=old)))
    assert clock_sheet(state).columns[-1].title == "(eeeeee)"


def test_verdicts_of_the_digests_are_words() -> None:
    told = texts(verify_lines(lively()))
    assert "compared 4s ago by node-a: 3536cef9" in told
    assert "● node-b equal" in told
    assert "▲ node-d unreachable" in told
    assert "press v" in texts(verify_lines(after()))


def test_the_queue_shows_who_wants_what_since_when() -> None:
    row = cells(pending_sheet(lively()), "p1")
    assert row == {
        "age": "5m", "state": "▲ pending", "action": "store", "namespace": "acme/ops", "requested by": "ai:planner",
        "votes": "1/2", "what": "Title 1", "expires": "6d",
    }
    told = texts(heading_lines(lively()))
    assert "1 action waiting" in told
    assert "comment by you, p1: said; ▲ applied: on 2 of 3 nodes" in told


def test_an_action_is_shown_with_its_diff_votes_and_comments_and_what_came_of_it() -> None:
    told = texts(detail_lines(lively(), "p1"))
    for part in (
        "comment by you: said", "applied: on 2 of 3 nodes", "▲ node-d: no answer",
        "a consensus of 2; 2 approvals needed",
        "● approve ops:ann at 11:56:00: looks right", "change memory m1", "  - content: We ship on Mondays.",
        "  + content: We ship on Tuesdays.", "  - priority: 5", "  + priority: 8",
        "ops:bob at 11:57:00: who asked for this?",
    ):
        assert part in told, part
    assert "asking for what it would change" in texts(detail_lines(lively(), "p2"))


def test_an_empty_queue_an_unread_one_and_one_that_may_not_be_read_say_so() -> None:
    empty = PendingPage(count=0, pending=())
    assert "asking" in pending_sheet(after()).empty
    assert "press h" in pending_sheet(after(GotDocket(page=empty, shows_all=False))).empty
    assert "policies say what does" in pending_sheet(after(GotDocket(page=empty, shows_all=True))).empty
    assert pending_sheet(after(GotDocket(page=None, shows_all=False, trouble=LOCKED))).empty == (
        "the key has expired: make another")


def test_whoever_is_about_to_decide_sees_what_would_change_and_if_that_is_not_all() -> None:
    told = texts(question_lines(lively(), "p1"))
    assert "- content: We ship on Mondays." in told
    assert "+ content: We ship on Tuesdays." in told
    assert "more line" not in told
    change = detail(1).changes[0]
    long = replace(detail(1), changes=tuple(replace(change, field=f"field{no}") for no in range(20)))
    lines = question_lines(after(GotDetail(detail=long), state=lively()), "p1")
    assert len(lines) == 1 + QUESTION_LINES + 1
    assert "more lines: Escape, then Tab and the arrows show all" in text(lines[-1])
    assert "not known yet" in texts(question_lines(lively(), "p2"))


def test_what_waits_stands_beside_the_name_of_its_screen() -> None:
    tabs = (Tab(key="1", title="Mesh"), Tab(key="3", title="Pending"))
    page = PendingPage(count=1, pending=(pending(1),))
    told = text(tab_line(tabs, "Mesh", after(GotDocket(page=page, shows_all=False)), 80))
    assert told == "[1 Mesh] 3 Pending(1) "


def test_every_tone_that_judges_has_a_mark_of_its_own() -> None:
    assert len(set(MARKS.values())) == len(MARKS) == 4


@pytest.mark.parametrize("width", [200, 120, 80, 78, 60, 30])
def test_columns_fit_the_width_and_the_dispensable_go_first(width: int) -> None:
    columns = mesh_sheet(lively()).columns
    widths = fit(columns, width)
    kept = [place for place, wide in enumerate(widths) if wide]
    if width >= 60:
        assert sum(widths) + len(kept) - 1 <= width
    left_out = {columns[place].rank for place in range(len(columns)) if place not in kept}
    assert all(columns[place].rank <= min(left_out, default=9) for place in kept)
    assert (width >= 78) == (columns[kept[-1]].title == "version")


def test_columns_share_what_is_left() -> None:
    columns = (Column(title="a", width=5, share=1), Column(title="b", width=5, share=3), Column(title="c", width=5))
    assert fit(columns, 37) == (10, 20, 5)


def test_a_sparkline_scales_to_its_largest_value() -> None:
    assert sparkline((0.0, 4.0, 8.0), 2) == "▅█"
    assert sparkline((0.0, 0.0), 5) == "▁▁"
    assert sparkline((), 5) == ""


def test_a_state_that_changes_makes_no_sheet_of_another_state_differ() -> None:
    state = lively()
    assert mesh_sheet(state) == mesh_sheet(replace(state, happened=()))
