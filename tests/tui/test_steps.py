"""From one state to the next: what is known of nodes, what happened, what waits; all of it bounded."""

from __future__ import annotations

from aimem.model import SECOND_US, Instant
from aimem.wire import PendingPage, WriteOutcome
from aimem_tui.state import HAPPENED_MAX, HISTORY_MAX, STALE_S
from aimem_tui.steps import (
    OUTCOMES_MAX,
    Answered,
    Chosen,
    Decided,
    Failed,
    Followed,
    GotDocket,
    Measured,
    Spread,
    Ticked,
    Told,
)
from aimem_tui.trouble import Trouble, TroubleKind
from tests.tui.states import NOW, after, event, health, mesh, metrics, pending

OFFLINE = Trouble(kind=TroubleKind.OFFLINE, what="nothing listens", advice="start it")


def answered(place: int = 0, *, now_s: float = 100.0, rtt_ms: float = 5.0) -> Answered:
    name = "ab"[place]
    return Answered(place=place, now_s=now_s, rtt_ms=rtt_ms, health=health(), mesh=mesh(name))


def test_a_node_that_fails_keeps_what_it_said_and_is_stale_after_a_while() -> None:
    state = after(answered(), Failed(place=0, trouble=OFFLINE))
    assert state.nodes[0].trouble == OFFLINE
    assert state.nodes[0].mesh is not None
    assert state.eye is state.nodes[0]
    later = after(Ticked(now_s=100.5 + STALE_S, wall=NOW), state=state)
    assert later.nodes[0].is_stale(later.now_s)
    assert later.eye is None


def test_an_answer_ends_the_trouble() -> None:
    assert after(Failed(place=0, trouble=OFFLINE), answered()).nodes[0].trouble is None


def test_the_mesh_is_seen_through_another_node_while_the_chosen_one_is_silent() -> None:
    state = after(answered(1))
    assert (state.chosen, state.door) == (0, 1)
    assert after(answered(0), state=state).door == 0
    assert after(answered(0), Chosen(place=1), state=state).door == 1
    assert after(Chosen(place=3)).chosen == 1       # of two


def test_a_node_that_just_failed_is_looked_through_only_while_there_is_no_other() -> None:
    state = after(answered(0), answered(1), Failed(place=0, trouble=OFFLINE))
    assert (state.chosen, state.door) == (0, 1)
    assert after(Failed(place=1, trouble=OFFLINE), state=state).door == 0


def test_gauges_of_several_labels_are_not_added_up_and_counters_are() -> None:
    page = ('# TYPE c gauge\nc{which="a"} 30\nc{which="b"} 12\n'
            '# TYPE t counter\nt_total{which="a"} 1\nt_total{which="b"} 2\n')
    figures = after(Measured(place=0, now_s=100.0, metrics=page)).nodes[0].figures
    assert {name: one.value for name, one in figures.items()} == {
        'c{which="a"}': 30.0, 'c{which="b"}': 12.0, "t_total": 3.0}


def test_round_trips_and_events_are_bounded() -> None:
    state = after(*(answered(rtt_ms=float(no)) for no in range(HISTORY_MAX + 5)))
    assert state.nodes[0].rtts_ms == tuple(float(no) for no in range(5, HISTORY_MAX + 5))
    state = after(*(Told(place=0, event=event(no)) for no in range(HAPPENED_MAX + 7)))
    assert len(state.happened) == HAPPENED_MAX
    assert state.happened_count == HAPPENED_MAX + 7
    assert state.happened[0].key == f"key-{HAPPENED_MAX + 6}"


def test_one_change_that_two_nodes_tell_of_is_one_event() -> None:
    state = after(answered(0), answered(1), Told(place=0, event=event(1)), Told(place=1, event=event(1, own=False)),
                  Told(place=1, event=event(1, own=False)))
    assert [one.nodes for one in state.happened] == [("node-a", "node-b")]


def test_acks_are_means_between_two_looks_and_a_restart_counts_anew() -> None:
    looks = (metrics(2, 0.01), metrics(2, 0.01), metrics(4, 0.05), metrics(1, 0.003))
    [acks] = after(*(Measured(place=0, now_s=100.0, metrics=text) for text in looks)).nodes[0].acks.values()
    assert [round(mean, 6) for mean in acks.means_ms] == [5.0, 20.0]
    assert acks.count == 1
    assert after(Measured(place=0, now_s=100.0, metrics="nonsense")).nodes[0].acks == {}


def test_a_failure_ends_following() -> None:
    assert not after(Followed(place=0, is_followed=True), Failed(place=0, trouble=OFFLINE)).nodes[0].is_followed


def test_a_queue_that_cannot_be_read_keeps_what_was_read() -> None:
    page = PendingPage(count=1, pending=(pending(1),))
    docket = after(GotDocket(page=page, shows_all=False), GotDocket(page=None, shows_all=False, trouble=OFFLINE)).docket
    assert (docket.page, docket.trouble) == (page, OFFLINE)
    assert after(GotDocket(page=page, shows_all=True), GotDocket(page=page, shows_all=True)).docket.trouble is None


def test_decisions_are_remembered_up_to_a_bound_and_their_spread_with_them() -> None:
    spread = WriteOutcome(version="v", outcome="applied", got=2, needed=2, acked_by=("a", "b"), waiting_for={})
    docket = after(
        *(Decided(id=f"p{no}", did="approve", said="done") for no in range(OUTCOMES_MAX + 3)),
        Spread(id=f"p{OUTCOMES_MAX}", outcome=spread), Spread(id="unknown", outcome=spread),
    ).docket
    assert len(docket.outcomes) == OUTCOMES_MAX
    assert docket.outcomes[f"p{OUTCOMES_MAX}"].spread == spread
    assert "unknown" not in docket.outcomes


def test_time_is_what_was_ticked_last() -> None:
    state = after(Ticked(now_s=200.0, wall=Instant(NOW + SECOND_US)))
    assert (state.now_s, state.wall) == (200.0, NOW + SECOND_US)
