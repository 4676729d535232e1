"""The feed of changed rows."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from aimem.store import ChangeFeed, changes


async def test_rows_of_several_commits_come_together_and_once() -> None:
    feed = ChangeFeed()
    feed.publish_nowait([1, 2])
    feed.publish_nowait({2, 3})
    assert await feed.wait() == {1, 2, 3}
    feed.publish_nowait([4])
    assert await feed.wait() == {4}


async def test_a_follower_waits_until_something_changes(autojump_clock: trio.testing.MockClock) -> None:
    feed = ChangeFeed()
    feed.publish_nowait([])
    with trio.move_on_after(1) as scope:
        await feed.wait()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.testing.wait_all_tasks_blocked)
        feed.publish_nowait([7])
        assert await feed.wait() == {7}


async def test_a_follower_that_leaves_loses_nothing() -> None:
    feed = ChangeFeed()
    with trio.CancelScope() as scope:
        scope.cancel()
        await feed.wait()
    feed.publish_nowait([1])
    with trio.CancelScope() as scope:
        scope.cancel()
        await feed.wait()
    assert await feed.wait() == {1}


async def test_a_follower_that_is_far_behind_is_told_to_look_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "CHANGES_KEPT", 10)
    feed = ChangeFeed()
    feed.publish_nowait(range(10))
    assert await feed.wait() == set(range(10))
    for start in range(0, 1_000, 5):
        feed.publish_nowait(range(start, start + 5))
    assert await feed.wait() is None
    feed.publish_nowait([3])
    assert await feed.wait() == {3}


async def test_a_follower_may_wait_first_and_take_later_what_came_meanwhile() -> None:
    feed = ChangeFeed()
    feed.publish_nowait([1])
    await feed.wait_any()
    feed.publish_nowait([2])
    await feed.wait_any()
    assert (feed.take_nowait(), feed.take_nowait()) == ({1, 2}, frozenset())
    feed.publish_all_nowait()
    assert feed.take_nowait() is None
