"""The ground that the tests stand on is itself tested."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
import sniffio
import trio


async def test_async_tests_run_under_trio() -> None:
    assert sniffio.current_async_library() == "trio"


async def test_time_leaps_when_a_test_asks_for_the_autojump_clock(autojump_clock: trio.testing.MockClock) -> None:
    before = trio.current_time()
    await trio.sleep(86_400)
    assert trio.current_time() - before == pytest.approx(86_400)


async def test_a_nursery_ends_with_its_test(nursery: trio.Nursery) -> None:
    nursery.start_soon(trio.sleep_forever)
    await trio.testing.wait_all_tasks_blocked()
    assert len(nursery.child_tasks) >= 1


def test_no_test_reaches_the_network() -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match="loopback"):
        outside.connect(("192.0.2.1", 9))
    with pytest.raises(RuntimeError, match="loopback"):
        socket.getaddrinfo("example.org", 80)


def test_the_home_of_a_test_is_its_own(tmp_path: Path) -> None:
    assert Path.home().is_relative_to(tmp_path.parent)
    assert not Path.home().is_relative_to(tmp_path)
    assert Path(os.environ["XDG_DATA_HOME"]).is_relative_to(Path.home())


@pytest.mark.usefixtures("bound_by_permissions")
def test_a_test_of_unwritable_files_runs_only_where_permissions_bind(tmp_path: Path) -> None:
    closed = tmp_path / "other"
    closed.mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        (closed / "probe").touch()
