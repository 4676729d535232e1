"""The log of a daemon at its most talkative has no word of what agents wrote, asked, or proved themselves with."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx
import pytest
import trio

from tests.system.processes import started
from tests.system.quoting import MARK

pytestmark = pytest.mark.slow

KEY = f"{MARK}-key"
HEADERS = {"X-API-Key": KEY, "X-Agent-Id": "alice"}
MEMORY = {
    "title": f"{MARK} title", "content": f"{MARK} content", "tags": [f"{MARK}-tag"], "namespace": "space",
    "metadata": {"note": f"{MARK} metadata"},
}
REFUSED: list[tuple[str, str, object]] = [
    ("POST", "/memories", {**MEMORY, "tier": MARK}), ("POST", "/memories", {**MEMORY, "priority": MARK}),
    ("POST", "/memories", {**MEMORY, "source": MARK}), ("POST", "/memories", {"title": MARK, MARK: [MARK]}),
    ("POST", "/memories", f'{{"title": "{MARK}'), ("POST", "/memories", f'{{"title": "{MARK}\\ud800"}}'),
    ("POST", "/memories/bulk", [MEMORY, {"content": MARK}, MARK]), ("GET", f"/memories/{MARK}", None),
    ("PUT", f"/memories/{MARK}", {"content": MARK}), ("GET", f"/search?q={MARK}%22%20AND%20(", None),
    ("GET", f"/search?limit={MARK}&q=x", None), ("GET", f"/{MARK}", None), (MARK, "/memories", None),
    ("POST", "/links", {"source_id": MARK, "target_id": MARK, "relation": MARK}),
    ("POST", "/subscriptions", {"url": f"http://{MARK}@h/", "secret": MARK, "events": MARK}),
    ("POST", "/import", {"memories": [{"title": MARK, "content": MARK, "id": MARK}], "digest": MARK}),
]
CALLS: list[tuple[str, object]] = [
    ("tools/call", {"name": "memory_store", "arguments": {"title": f"{MARK} title", "content": [MARK]}}),
    ("tools/call", {"name": "memory_recall", "arguments": {"context": f"{MARK} question"}}),
    ("tools/call", {"name": MARK, "arguments": {MARK: MARK}}), ("tools/call", {"name": [MARK]}),
    ("resources/read", {"uri": f"memory://{MARK}"}), (MARK, {MARK: MARK}), ("prompts/get", {"name": MARK}),
    ("notifications/cancelled", {"requestId": {MARK: MARK}, "reason": MARK}), ("notifications/progress", MARK),
]


async def say_all(url: str) -> dict[int, int]:
    """Say everything; how often each status came back."""
    counts: dict[int, int] = {}
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=HEADERS) as http:
        async def say(method: str, path: str, body: object = None, **headers: str) -> None:
            plain = {"content": body} if isinstance(body, str) else {"json": body}
            answer = await http.request(method, path, headers=headers, **({} if body is None else plain))  # type: ignore[arg-type]
            counts[answer.status_code] = counts.get(answer.status_code, 0) + 1

        for path in ("/memories", "/memories"):
            await say("POST", f"/api/v1{path}", MEMORY, **{"Idempotency-Key": f"{MARK}-once"})
        await say("GET", f"/api/v1/search?q={MARK}")
        for _ in range(2):
            await say("POST", "/api/v1/recall", {"context": f"{MARK} question"})
        for method, path, body in REFUSED:
            await say(method, f"/api/v1{path}", body)
        for name in ("X-API-Key", "X-Agent-Id", "Authorization", "Cookie", "X-Request-Id", "X-Consistency"):
            await say("GET", "/api/v1/stats", None, **{name: f"{MARK} {{value}}"})
        for number, (method, params) in enumerate(CALLS):
            message = {"jsonrpc": "2.0", "method": method, "params": params}
            if not method.startswith("notifications/"):
                message["id"] = number
            await say("POST", "/mcp", message, Accept="application/json, text/event-stream")
        await say("POST", "/mcp", f'{{"jsonrpc": "{MARK}', Accept="application/json, text/event-stream")
    return counts


async def say_no_http(url: str) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
    async with stream:
        await stream.send_all(f"GET /{MARK} {MARK}\r\n{MARK}\r\n\r\n".encode())
        with trio.move_on_after(5):
            await stream.receive_some()


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_word_of_agents_is_in_the_log(form: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.system.quoting", "--db", str(tmp_path / "memory.db"), "serve", "--port", "0"]
    environ = {"AI_MEMORY_LOG_LEVEL": "debug", "AI_MEMORY_LOG_FORMAT": form, "AI_MEMORY_API_KEY": KEY}
    async with started(words, **environ) as process:
        line = await process.stderr_line("listening on")
        url = line.split("listening on ")[1].split()[0]
        counts = await say_all(url)
        await say_no_http(url)
        process.terminate()
        said = await process.stderr_rest()
        assert await process.wait() == 0
    assert {200, 201, 400, 401, 404, 500} <= counts.keys(), counts
    for event in ("api.answered", "api.failed", "library.said", "node.ended"):
        assert event in said, said
    assert "task.restarting" in "".join(process.said) + said
    found = [line for line in ("".join(process.said) + said).splitlines() if re.search(MARK, line, re.IGNORECASE)]
    assert not found, "\n".join(found)
