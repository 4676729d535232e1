"""An Ollama without models, as an ASGI app: it answers in the shapes of the real one (recorded from 0.6), or badly."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from typing import Any

import trio

CHAT = {
    "model": "gemma4:e2b", "created_at": "2026-01-05T10:11:12.131415Z",
    "message": {"role": "assistant", "content": ""}, "done_reason": "stop", "done": True,
    "total_duration": 4_883_583_458, "load_duration": 1_334_875, "prompt_eval_count": 26,
    "prompt_eval_duration": 342_546_000, "eval_count": 282, "eval_duration": 4_535_599_000,
}
LISTED = {
    "name": "", "model": "", "modified_at": "2026-01-04T20:21:22.232425+01:00", "size": 5_590_000_000,
    "digest": "0a8c266910232fd3291e71e5ba1e058cc5af9d411192cf88b6d30e92b6e73163",
    "details": {"parent_model": "", "format": "gguf", "family": "gemma", "families": ["gemma"],
                "parameter_size": "5.1B", "quantization_level": "Q4_K_M"},
}
SLOWLY = object()
CLOSED = object()
HUGE = object()
BOMB = object()


class FakeOllama:
    """What it has and says.

    Attributes:
      models: as /api/tags lists them.
      says: the content of the next answers, the last one for ever; a function is called with the request.
      misbehaves: SLOWLY, CLOSED, HUGE, BOMB (64 MiB of blanks, compressed), a status, or the bytes of an answer; None
        to behave.
      requests: (path, decoded body) of each request.
      dimension: of embeddings.
    """

    def __init__(self, *says: str | Callable[[Any], str], models: tuple[str, ...] = ("gemma4:e2b",)) -> None:
        self.says = list(says) or ["yes"]
        self.models = models
        self.misbehaves: object = None
        self.requests: list[tuple[str, Any]] = []
        self.dimension = 768

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        request = json.loads(body) if body else None
        self.requests.append((scope["path"], request))
        if self.misbehaves is None:
            await _send(send, 200, json.dumps(self._answer(scope["path"], request)).encode())
        else:
            await self._misbehave(send)

    def _answer(self, path: str, request: Any) -> object:
        if path == "/api/tags":
            return {"models": [{**LISTED, "name": name, "model": name} for name in self.models]}
        if path == "/api/embed":
            return {
                "model": request["model"], "embeddings": [self._vector(text) for text in request["input"]],
                "total_duration": 14_143_917, "load_duration": 1_019_500, "prompt_eval_count": 8,
            }
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        content = said(request) if callable(said) else said
        return {**CHAT, "model": request["model"], "message": {"role": "assistant", "content": content}}

    def _vector(self, text: str) -> list[float]:
        """Longer than 1, as the real one's are not, so that normalising shows."""
        return [3.0 * math.sin((i + 1) * (1 + sum(map(ord, text)) % 97)) for i in range(self.dimension)]

    async def _misbehave(self, send: Any) -> None:
        if self.misbehaves is SLOWLY:
            await trio.sleep_forever()
        elif self.misbehaves is CLOSED:
            raise ConnectionResetError("the fake ends here")
        elif self.misbehaves is HUGE:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(40):
                await send({"type": "http.response.body", "body": b" " * 65_536, "more_body": True})
            await send({"type": "http.response.body", "body": b"{}"})
        elif self.misbehaves is BOMB:
            body = gzip.compress(b" " * 67_108_864, 1)
            headers = [(b"content-encoding", b"gzip"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        elif isinstance(self.misbehaves, int):
            error = {"error": "model runner has unexpectedly stopped"}
            await _send(send, self.misbehaves, json.dumps(error).encode())
        else:
            await _send(send, 200, bytes(self.misbehaves))  # type: ignore[call-overload]  # what the test put there


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
