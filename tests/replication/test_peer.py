"""One peer as a state machine: what is asked when, told as little scripts."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aimem.model import Dot, StopReason, StreamHead, StreamId, Vector
from aimem.replication import HeldThere, PeerRules, PeerState, Standing, breaker, is_reachable, lag
from aimem.replication.counts import failure_kind
from aimem.replication.peer import (
    Answered,
    Ask,
    Failed,
    Heard,
    Knocked,
    Look,
    Rest,
    step,
)
from aimem.replication.reach import offset_now

A, B, C = (StreamId(letter * 32) for letter in "abc")
RULES = PeerRules(interval_s=30, relay_s=0.5, patience_s=2)
HALF = 0.5


def head(stream: StreamId, seq: int, mark: int = 0) -> StreamHead:
    return StreamHead(stream=stream, seq=seq, hlc=seq, chain_hash=bytes([seq % 256, mark]) + bytes(30))


class Script:
    """A peer B of the node A."""

    def __init__(self, **mine: int) -> None:
        self.now = 0.0
        self.mine: dict[StreamId, int] = {A: 1, **{StreamId(k * 32): v for k, v in mine.items()}}
        self.causes: dict[StreamId, int] = {}
        self.state = PeerState()

    def look(self, wants: int = 512, spread: float = 1.0) -> Ask | Rest:
        event = Look(
            now=self.now, mine=self.mine, own=A, known=dict(self.mine), causes=self.causes or dict(self.mine),
            wants=wants, share=HALF, spread=spread,
        )
        self.state, effect = step(self.state, event, RULES)
        assert effect is not None
        return effect

    def answer(
        self, vector: Mapping[StreamId, int], *, stream: StreamId = B, more: bool = False,
        stopped: StopReason | None = None, mark: int = 0,
    ) -> None:
        heads = {name: head(name, seq, mark) for name, seq in vector.items()}
        event = Answered(
            now=self.now, node="b", stream=stream, heads=heads, named=vector, held=HeldThere(),
            own_head=head(A, self.mine[A]), more=more, stopped=stopped, offset_us=0, wall_us=0, share=HALF,
        )
        self.state, _ = step(self.state, event, RULES)

    def fail(self, reason: str = "timeout") -> None:
        self.state, _ = step(self.state, Failed(now=self.now, reason=reason, share=HALF), RULES)

    def hear(self, vector: Vector) -> None:
        self.state, _ = step(self.state, Heard(now=self.now, vector=vector), RULES)

    def met(self) -> Script:
        """After a first exchange with a peer that knows what we know."""
        self.look()
        self.answer(dict(self.mine))
        return self


def test_a_peer_is_first_asked_what_it_knows_and_then_sent_what_it_lacks() -> None:
    script = Script()
    assert script.look() == Ask(assumed={}, count=0, wants=512)
    script.answer({B: 1})
    assert script.look() == Ask(assumed={B: 1}, count=512, wants=0, until={A: 1})


def test_what_this_node_writes_goes_out_at_once() -> None:
    script = Script().met()
    assert isinstance(script.look(), Rest)
    script.mine[A] = 2
    assert script.look() == Ask(assumed={A: 1}, count=512, wants=0, until={A: 2})


def test_what_others_write_goes_out_late_and_only_after_the_peer_was_asked() -> None:
    script = Script().met()
    script.mine[C] = 1
    assert script.look() == Rest(0.375)
    script.now = 0.375
    assert script.look() == Ask(assumed={A: 1}, count=0, wants=0)
    script.answer({A: 1, B: 1})
    assert script.look() == Ask(assumed={A: 1, B: 1}, count=512, wants=0)


def test_the_more_nodes_there_are_the_later_each_looks_after_a_peer() -> None:
    script = Script().met()
    script.mine[C] = 1
    assert script.look(spread=7) == Rest(0.5 * (0.5 + HALF * 6.5))


def test_what_the_peer_has_is_fetched_late_and_only_if_its_writer_did_not_send_it_meanwhile() -> None:
    script = Script().met()
    script.hear({A: 1, C: 2})
    assert script.look() == Rest(0.375)
    script.now = 0.3
    script.mine[C] = 2
    script.look()
    script.now = 0.375
    assert isinstance(script.look(), Rest)
    script.hear({A: 1, C: 3})
    assert script.look() == Rest(0.75)
    script.now = 0.75
    assert script.look() == Ask(assumed={A: 1, C: 3}, count=0, wants=512)


def test_a_push_carries_own_ops_alone_as_their_causes_came_to_the_peer_from_whoever_wrote_them() -> None:
    script = Script().met()
    script.mine, script.causes = {A: 2, B: 1, C: 7}, {A: 2, B: 1, C: 5}
    assert script.look() == Ask(assumed={A: 1, B: 1, C: 5}, count=512, wants=0, until=script.causes)


def test_a_peer_that_did_not_get_the_causes_is_sent_everything_for_a_while() -> None:
    script = Script().met()
    script.mine = {A: 2, B: 1, C: 7}
    script.look()
    script.answer({A: 1, B: 1, C: 2}, stopped=StopReason.ASSUMED)
    everything = Ask(assumed={A: 1, B: 1, C: 2}, count=512, wants=0)
    assert script.look() == everything
    script.answer(dict(script.mine))
    script.mine = {A: 3, B: 1, C: 9}
    script.now = 4.9
    assert script.look() == Ask(assumed={A: 2, B: 1, C: 7}, count=512, wants=0)
    script.answer(dict(script.mine))
    script.now = 5.0
    script.mine = {A: 4, B: 1, C: 11}
    assert script.look() == Ask(assumed={A: 3, B: 1, C: 11}, count=512, wants=0, until=script.mine)


def test_a_peer_that_is_a_batch_behind_is_not_taken_to_have_the_causes() -> None:
    script = Script().met()
    script.mine = {A: 2, C: 512}
    assert script.look() == Ask(assumed={A: 1}, count=512, wants=0)


def test_a_push_fetches_what_is_due_and_nothing_else() -> None:
    script = Script().met()
    script.hear({A: 1, C: 2})
    script.look()
    script.mine[A] = 2
    assert script.look() == Ask(assumed={A: 1, C: 2}, count=512, wants=0, until={A: 2})
    script.answer({A: 2, C: 2})
    script.now = 0.375
    script.mine[A] = 3
    assert script.look() == Ask(assumed={A: 2, C: 2}, count=512, wants=512, until={A: 3})


def test_a_peer_that_writes_all_the_time_is_asked_once_in_an_interval_for_what_it_may_know() -> None:
    script = Script().met()
    asked = []
    while script.now < 60:
        script.mine[A] += 1
        effect = script.look()
        assert isinstance(effect, Ask)
        asked += [script.now] if effect.wants else []
        script.answer({A: script.mine[A]})
        script.now += 0.25
    assert asked == [26.25, 52.5]


def test_what_a_peer_names_and_never_hands_over_is_not_asked_for_all_the_time() -> None:
    script = Script().met()
    asked = []
    while script.now < 20:
        script.hear({A: 1, C: 9 + int(script.now * 100)})
        effect = script.look()
        if isinstance(effect, Ask):
            asked.append(script.now)
            script.answer({A: 1, C: 9 + int(script.now * 100)})
        script.now += 0.125
    assert asked == [0.375, 5.375, 10.375, 15.375]


def test_while_another_peer_is_drained_what_is_lacking_waits_for_that() -> None:
    script = Script().met()
    script.hear({A: 1, C: 2})
    script.look()
    script.now = 0.375
    assert script.look(wants=0) == Rest(26.25)
    assert isinstance(script.look(), Ask)


def test_what_the_peer_has_by_then_does_not_go_out_at_all() -> None:
    script = Script().met()
    script.mine[C] = 1
    script.look()
    script.now = 0.2
    script.hear({A: 1, C: 1})
    assert script.look() == Rest(26.25)


def test_a_peer_that_talks_all_the_time_gets_what_it_lacks_all_the_same() -> None:
    script = Script().met()
    script.mine[C] = 1
    while script.now < 2:
        script.hear({A: 1, B: int(script.now * 100)})
        effect = script.look()
        if isinstance(effect, Ask) and effect.count:
            return
        assert not isinstance(effect, Ask), "a fresh word need not be asked for"
        script.now += 0.01
    pytest.fail("it was never sent")


def test_a_quiet_peer_is_asked_once_in_an_interval() -> None:
    script = Script().met()
    assert script.look() == Rest(26.25)
    script.now = 26.25
    assert script.look() == Ask(assumed={A: 1}, count=0, wants=512)


def test_a_peer_that_takes_nothing_and_does_not_say_why_is_not_asked_over_and_over() -> None:
    script = Script().met()
    script.mine[A] = 2
    pauses = []
    for _ in range(8):
        assert isinstance(script.look(), Ask)
        script.answer({A: 1})
        rest = script.look()
        assert isinstance(rest, Rest)
        pauses.append(rest.until - script.now)
        script.now = rest.until
    assert pauses[1] > pauses[0]
    assert pauses[-1] > 3
    assert script.state.last_error == "took nothing"
    script.look()
    script.answer({A: 2})
    assert not script.state.failures


def test_a_peer_that_lacks_nothing_takes_nothing_and_is_well() -> None:
    script = Script().met()
    script.answer(dict(script.mine), more=True)
    assert isinstance(script.look(), Ask)
    script.answer(dict(script.mine))
    assert not script.state.failures


def test_while_a_peer_has_more_it_is_asked_again_unless_another_is_being_drained() -> None:
    script = Script().met()
    script.answer(dict(script.mine), more=True)
    assert isinstance(script.look(wants=0), Rest)
    assert isinstance(script.look(), Ask)


def test_failures_pause_for_longer_and_longer_and_a_success_ends_that() -> None:
    script = Script().met()
    script.mine[A] = 2
    pauses = []
    for _ in range(9):
        assert isinstance(script.look(), Ask)
        script.fail()
        rest = script.look()
        assert isinstance(rest, Rest)
        pauses.append(round(rest.until - script.now, 4))
        script.now = rest.until
    assert pauses == [0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 3.75, 3.75, 3.75]
    assert (breaker(script.state, RULES), script.state.batch_count) == ("open", 16)
    script.look()
    assert breaker(script.state, RULES) == "half_open"
    script.answer({A: 2})
    assert (breaker(script.state, RULES), script.state.failures, script.state.batch_count) == ("closed", 0, 32)


@pytest.mark.parametrize(("reason", "kind"), [
    ("timeout", "timeout"), ("nonsense: half a pair", "nonsense"), ("unreachable: refused", "unreachable"),
    ("tls: it refused our certificate", "tls"),
    ("it answered 503 shutting_down", "answered"), ("refused: fork", "refused"), ("took nothing", "refused"),
    ("the disk is full", "other"),
])
def test_whatever_a_peer_fails_with_is_counted_under_one_of_a_few_words(reason: str, kind: str) -> None:
    assert failure_kind(reason) == kind


def test_a_peer_that_asks_us_is_tried_again_at_once() -> None:
    script = Script().met()
    for _ in range(5):
        script.look()
        script.fail()
        script.now = script.state.due_at
    script.look()
    script.fail()
    assert isinstance(script.look(), Rest)
    script.hear({A: 1})
    assert isinstance(script.look(), Ask)


def test_a_peer_that_knows_less_than_was_assumed_is_sent_what_it_lacks() -> None:
    script = Script(c=9).met()
    script.mine[A] = 2
    script.look()
    script.answer({A: 1, C: 3}, stopped=StopReason.ASSUMED)
    assert script.state.failures == 0
    assert script.look() == Ask(assumed={A: 1, C: 3}, count=512, wants=0)


def test_a_peer_that_forgets_at_every_answer_is_not_asked_without_end() -> None:
    script = Script().met()
    script.mine[A] = 2
    for _ in range(4):
        assert isinstance(script.look(), Ask)
        script.answer({}, stopped=StopReason.ASSUMED)
    assert isinstance(script.look(), Rest)


def test_a_peer_that_refuses_is_no_place_for_a_quorum_but_what_it_has_counts() -> None:
    script = Script().met()
    script.mine[A] = 2
    script.look()
    script.answer({A: 1}, stopped=StopReason.CLOCK)
    assert script.state.last_error == "refused: clock"
    assert script.state.acked == {A: 1}
    assert not is_reachable(script.state, script.mine, script.now, RULES)


def test_the_latest_word_replaces_the_one_before() -> None:
    script = Script().met()
    assert script.state.acked == {A: 1}
    script.answer({})
    assert script.state.acked == {}


def test_only_what_was_answered_counts_as_an_ack() -> None:
    script = Script().met()
    script.hear({A: 9})
    assert (script.state.assumed, script.state.acked) == ({A: 9}, {A: 1})


def test_a_peer_that_was_never_asked_counts_as_reachable_and_one_that_hangs_does_not() -> None:
    script = Script()
    assert is_reachable(script.state, script.mine, script.now, RULES)
    script.look()
    assert is_reachable(script.state, script.mine, 1.9, RULES)
    assert not is_reachable(script.state, script.mine, 2.1, RULES)


def test_a_peer_that_fetched_a_batch_by_itself_is_asked_so_that_it_counts_again() -> None:
    script = Script(c=1).met()
    script.mine[C] = 600
    script.hear(dict(script.mine))
    assert not is_reachable(script.state, script.mine, script.now, RULES)
    effect = script.look()
    assert isinstance(effect, Ask) and effect.count == 0
    script.answer(dict(script.mine))
    assert is_reachable(script.state, script.mine, script.now, RULES)
    assert isinstance(script.look(), Rest)


def test_a_peer_a_batch_behind_is_not_reachable() -> None:
    script = Script().met()
    script.mine[A] = 512
    assert is_reachable(script.state, script.mine, 0, RULES)
    script.mine[A] = 513
    assert lag(script.state, script.mine) == 512
    assert not is_reachable(script.state, script.mine, 0, RULES)


def test_what_a_peer_asked_with_ends_its_lag_and_makes_it_no_more_reachable() -> None:
    script = Script().met()
    script.mine[C] = 600
    assert lag(script.state, script.mine) == 600
    script.hear({A: 1, C: 600})
    assert lag(script.state, script.mine) == 0
    assert not is_reachable(script.state, script.mine, 0, RULES)


@pytest.mark.parametrize(
    ("stream", "vector", "mark", "standing"),
    [
        (A, {A: 1}, 0, Standing.SELF),
        (B, {A: 2}, 0, Standing.FORKED),
        (B, {A: 1}, 1, Standing.FORKED),
        (B, {A: 1}, 0, Standing.PEER),
        (B, {}, 1, Standing.PEER),
    ],
)
def test_an_answer_tells_whether_it_is_a_peers(
    stream: StreamId, vector: dict[StreamId, int], mark: int, standing: Standing
) -> None:
    script = Script()
    script.look()
    script.answer(vector, stream=stream, mark=mark)
    assert script.state.standing is standing
    counts = is_reachable(script.state, {}, script.now, RULES)
    assert counts is (standing is Standing.PEER)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_whatever_happens_a_peer_that_comes_back_is_sent_everything_in_the_end(seed: int) -> None:
    rng = random.Random(seed)
    script = Script()
    peer: dict[StreamId, int] = {}
    for phase in ("trouble", "calm"):
        for _ in range(200):
            script.now += rng.choice([0, 0.01, 0.3, 5])
            if phase == "trouble" and rng.random() < 0.3:
                grown = rng.choice([A, C])
                script.mine[grown] = script.mine.get(grown, 0) + rng.randint(1, 700)
            if phase == "trouble" and rng.random() < 0.2:
                script.hear({stream: rng.randint(0, seq) for stream, seq in peer.items()})
            effect = script.look()
            if isinstance(effect, Rest):
                assert effect.until >= script.now, "it would spin"
                script.now = max(script.now, effect.until) if phase == "calm" else script.now
                continue
            if phase == "trouble" and rng.random() < 0.4:
                script.fail()
                continue
            is_above = all(peer.get(stream, 0) >= seq for stream, seq in effect.assumed.items())
            if is_above:
                room = effect.count
                for stream, seq in script.mine.items():
                    take = min(room, max(0, seq - peer.get(stream, 0)))
                    peer[stream], room = peer.get(stream, 0) + take, room - take
            script.answer(peer, stopped=None if is_above else StopReason.ASSUMED)
    assert peer == script.mine
    assert lag(script.state, script.mine) == 0


def test_held_ops_are_remembered_with_the_word_that_named_them() -> None:
    state = replace(PeerState(), held=HeldThere(dots=frozenset({Dot(A, 1)})))
    assert step(state, Heard(now=1, vector={}), RULES)[0].held.dots == {Dot(A, 1)}


@pytest.mark.parametrize(
    ("wall_us", "passed_s", "offset_us"),
    [(1_000_000, 0.0, 300), (31_000_000, 30.0, 300), (91_000_000, 30.0, -59_999_700), (1_000_000, 30.0, 30_000_300)],
)
def test_a_step_of_our_clock_shows_in_every_offset(wall_us: int, passed_s: float, offset_us: int) -> None:
    state = PeerState(answered_at=5.0, offset_us=300, wall_us=1_000_000)
    assert offset_now(state, wall_us, 5.0 + passed_s) == offset_us
    assert offset_now(PeerState(), wall_us, passed_s) is None


def test_a_peer_that_nobody_met_is_asked_soon_when_a_stranger_asks_and_one_that_is_known_is_not() -> None:
    def due_when_knocked(script: Script) -> float:
        for _ in range(12):
            script.look()
            script.fail()
            script.now = script.state.due_at
        script.look()
        script.fail()
        assert script.state.due_at > script.now + 1
        for _ in range(3):      # as often as may be
            script.state, _ = step(script.state, Knocked(now=script.now), RULES)
        return script.state.due_at - script.now

    assert due_when_knocked(Script()) == pytest.approx(RULES.first_pause_s)
    assert due_when_knocked(Script().met()) > 1


def test_a_peer_that_took_nothing_and_asks_is_asked_after_a_pause_unless_it_knows_more_by_then() -> None:
    script = Script().met()
    script.mine[A] = 3
    script.look()
    script.answer({A: 1})
    assert script.state.last_error == "took nothing"
    script.hear({A: 1})
    assert isinstance(script.look(), Rest)
    script.hear({A: 2})
    assert isinstance(script.look(), Ask)
