"""Webhooks of a real daemon to a real receiver: signed, kept over a kill, tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from tests.supervisor.serving import serving
from tests.system.processes import START_S, daemon

pytestmark = pytest.mark.slow

SECRET = "correct horse"
ALLOWED = {"AI_MEMORY_WEBHOOKS_ALLOW_PRIVATE": "1"}


class Receiver:
    """An ASGI app that refuses the first delivery and takes the others."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._send, self._receive = trio.open_memory_channel[int](16)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        self.bodies.append(body)
        status = 500 if len(self.bodies) == 1 else 204
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        self._send.send_nowait(status)

    async def answered(self) -> int:
        """The status of the next answer."""
        with trio.fail_after(START_S):
            return await self._receive.receive()


def is_genuine(headers: dict[str, str], body: bytes) -> bool:
    key = hashlib.sha256(SECRET.encode()).digest()
    text = headers["x-ai-memory-timestamp"].encode() + b"." + body
    return headers["x-ai-memory-signature"] == "sha256=" + hmac.new(key, text, hashlib.sha256).hexdigest()


async def test_a_delivery_that_was_refused_survives_a_kill_and_is_taken(tmp_path: Path) -> None:
    db, receiver = tmp_path / "memory.db", Receiver()
    async with serving(receiver) as served:
        hook = {"url": f"http://127.0.0.1:{served.port}/in", "events": "memory_store", "secret": SECRET}
        async with daemon(db, **ALLOWED) as (process, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
            made = (await http.post("/api/v1/subscriptions", json=hook)).json()
            stored = (await http.post("/api/v1/memories", json={"title": "One", "content": "A secret text."})).json()
            assert await receiver.answered() == 500
            await process.kill()
        async with daemon(db, **ALLOWED) as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
            assert await receiver.answered() == 204
            assert (await http.get("/api/v1/subscriptions")).json()["subscriptions"][0]["id"] == made["id"]
        first, second = (json.loads(body) for body in receiver.bodies)
    assert all(is_genuine(*sent) for sent in zip(receiver.headers, receiver.bodies, strict=True))
    assert first["delivery_id"] == second["delivery_id"] == receiver.headers[1]["x-ai-memory-delivery"]
    assert (second["event"], second["memory_id"]) == ("memory_store", stored["id"])
    assert b"secret text" not in receiver.bodies[0] + receiver.bodies[1]


async def test_a_daemon_does_not_send_to_this_machine_unless_that_is_meant(tmp_path: Path) -> None:
    async with daemon(tmp_path / "memory.db") as (_, url), httpx.AsyncClient(base_url=url, timeout=START_S) as http:
        answer = await http.post("/api/v1/subscriptions", json={"url": f"{url}/api/v1/memories"})
    assert (answer.status_code, answer.json()["code"]) == (400, "webhook_url")
