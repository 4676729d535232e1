"""A request of this process reaches the app as one from the network would, and says that it did not come from there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from quart import request
from quart_trio import QuartTrio

from aimem.supervisor.inprocess import InProcessTransport
from tests.supervisor.serving import answer


async def test_quart_app_sees_method_path_query_headers_body_and_transport() -> None:
    app = QuartTrio("aimem")

    @app.put("/a/<path:name>")
    async def put(name: str) -> list[Any]:
        transport = request.scope["extensions"]["aimem.transport"]
        return [name, request.args["q"], request.headers["X-Agent-Id"], (await request.get_data()).decode(), transport]

    async with httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://localhost") as http:
        found = await http.put("/a/b%20c", params={"q": "é"}, content="body", headers={"X-Agent-Id": "alice"})
    assert found.status_code == 200
    assert found.json() == ["b c", "é", "alice", "body", "in-process"]


async def test_app_that_ends_without_an_answer_is_a_transport_error() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        pass

    async with httpx.AsyncClient(transport=InProcessTransport(silent), base_url="http://localhost") as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/")


async def test_raw_path_is_handed_on_undecoded() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, scope["raw_path"] + b" " + scope["path"].encode())

    async with httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://localhost") as http:
        assert (await http.get("/memories/a%2Fb?x=1")).text == "/memories/a%2Fb /memories/a/b"
