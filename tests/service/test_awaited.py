"""Whose turn it is to make the vectors of a text: what is awaited, for how long, and what is looked at again."""

from __future__ import annotations

import pytest

from aimem.service import awaited
from aimem.service.awaited import EmbeddingWork, Share


def expecting(share: Share, *texts: bytes, now: float = 0.0) -> None:
    for no, text in enumerate(texts, start=1):
        share.expect(text, no, now)


def test_what_is_there_or_gone_is_awaited_no_more() -> None:
    work = EmbeddingWork()
    share = work.share("http://a")
    expecting(share, b"1", b"2", b"1")
    work.share("http://b").expect(b"1", 1, 0.0)
    assert (share.first(10), work.count) == ((b"1", b"2"), 3)
    work.settle(share, [b"1", b"other"])
    assert (share.first(10), work.count) == ((b"2",), 2)


def test_what_was_missing_is_asked_for_after_the_others() -> None:
    share = Share()
    expecting(share, b"1", b"2", b"3")
    share.put_back([b"1", b"gone"])
    assert share.first(2) == (b"2", b"3")
    assert share.first(10) == (b"2", b"3", b"1")


def test_the_grace_runs_from_the_last_that_its_writer_sent() -> None:
    share = Share()
    expecting(share, b"1", now=100.0)
    assert share.overdue([b"1", b"unknown"], 129.0, 30.0) == ()
    assert share.overdue([b"1", b"unknown"], 130.0, 30.0) == (b"1",)
    share.progress_at = 120.0
    assert share.overdue([b"1"], 149.0, 30.0) == ()
    assert share.overdue([b"1"], 150.0, 30.0) == (b"1",)


def test_what_is_released_is_looked_at_again_and_made_here_until_it_is_forgotten() -> None:
    work = EmbeddingWork()
    share = work.share("http://a")
    expecting(share, b"1", b"2", b"3")
    work.end_page(9)
    work.release(share, (b"2", b"3"))
    assert work.begin_page() == 1
    assert (work.is_released(b"2"), work.is_released(b"1"), share.first(10)) == (True, False, (b"1",))
    work.forget_released(work.released())
    assert not work.is_released(b"2")
    work.end_page(9)
    work.release(share, (b"3",))
    assert work.begin_page() == 9


def test_a_row_that_changes_while_its_page_is_looked_at_is_looked_at_again() -> None:
    work = EmbeddingWork()
    assert work.begin_page() == 0
    work.end_page(500)
    assert work.begin_page() == 500
    work.look_from(550)
    work.end_page(600)
    assert work.begin_page() == 549
    work.end_page(600)
    assert work.begin_page() == 600
    work.look_from(700)
    assert work.begin_page() == 600
    work.look_from(20)
    work.end_page(1100)
    assert work.begin_page() == 19


def test_what_found_no_room_is_looked_at_again_once_half_of_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaited, "AWAITED_MAX", 4)
    work = EmbeddingWork()
    share = work.share("http://a")
    expecting(share, b"1", b"2", b"3", b"4", b"5", b"6")
    assert (work.count, share.left_from) == (4, 5)
    work.end_page(6)
    work.settle(share, [b"1"])
    assert work.begin_page() == 6
    work.settle(share, [b"2"])
    assert (work.begin_page(), share.left_from) == (4, None)


def test_a_task_that_starts_again_awaits_nothing_and_looks_at_everything() -> None:
    work = EmbeddingWork()
    work.is_told = True
    expecting(work.share("http://a"), b"1")
    work.end_page(9)
    work.begin()
    assert (work.count, work.begin_page(), work.is_told) == (0, -1, False)
