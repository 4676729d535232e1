"""Which version is spoken with a peer."""

from __future__ import annotations

import pytest

from aimem.replication.tongue import RETRY_S, Tongue, mismatch
from aimem.wire import PROTOCOL, PROTOCOL_OLDEST


def older() -> Tongue:
    tongue = Tongue()
    assert tongue.note_refused((PROTOCOL_OLDEST,), 0.0)
    return tongue


def test_a_peer_that_refuses_our_version_is_asked_in_its_own_and_now_and_then_in_ours() -> None:
    tongue = older()
    assert tongue.for_exchange(RETRY_S) == PROTOCOL_OLDEST
    assert tongue.for_exchange(RETRY_S + 1) == PROTOCOL
    assert tongue.note_refused((PROTOCOL_OLDEST,), RETRY_S + 1)
    assert tongue.for_exchange(2 * RETRY_S) == PROTOCOL_OLDEST


def test_a_peer_that_was_started_anew_is_asked_in_our_version() -> None:
    lost, asking = older(), older()
    lost.note_lost()
    assert lost.for_exchange(1.0) == PROTOCOL
    asking.note_asked(PROTOCOL)
    assert asking.for_exchange(1.0) == PROTOCOL


def test_what_a_peer_asks_in_never_makes_it_older_and_never_newer_than_we_are() -> None:
    tongue = Tongue()
    tongue.note_asked(PROTOCOL_OLDEST)
    assert tongue.protocol == PROTOCOL
    tongue.note_asked(PROTOCOL + 1)
    assert tongue.protocol == PROTOCOL


@pytest.mark.parametrize("protocols", [(), (PROTOCOL_OLDEST - 1,), (PROTOCOL + 1, PROTOCOL + 2), (PROTOCOL,)])
def test_without_a_version_that_both_know_there_is_none_to_try(protocols: tuple[int, ...]) -> None:
    assert not Tongue().note_refused(protocols, 0.0)


def test_a_person_is_told_where_to_install_a_newer_version() -> None:
    assert mismatch((PROTOCOL + 1, PROTOCOL + 2)).endswith("install a newer version on this node")
    assert mismatch((PROTOCOL_OLDEST - 1,)).endswith("install a newer version on the peer")
