"""The application starts once, before the first request, and ends after the last."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from quart_trio import QuartTrio
from trio.testing import MockClock

from aimem.errors import Unavailable
from aimem.supervisor.lifespan import open_lifespan


async def test_quart_app_is_started_once_and_ended() -> None:
    app, seen = QuartTrio("aimem"), []

    @app.before_serving
    async def up() -> None:
        seen.append("up")

    @app.after_serving
    async def down() -> None:
        seen.append("down")

    async with open_lifespan(app):
        assert seen == ["up"]
    assert seen == ["up", "down"]


async def test_app_that_refuses_to_start_is_named() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no room"})

    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match="no room")):
        async with open_lifespan(app):
            pytest.fail("it did not start")


async def test_app_that_hangs_at_its_end_is_cut(autojump_clock: MockClock) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await trio.sleep_forever()

    began = trio.current_time()
    async with open_lifespan(app):
        pass
    assert trio.current_time() - began == pytest.approx(5, abs=0.5)
