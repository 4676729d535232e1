"""Somebody far away who subscribed, and takes what is sent to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final  # ASGI messages

import httpx
import msgspec
import trio

from tests.sim.ports import Power

HOST: Final = "hook.example.org"
ADDRESS: Final = "1.1.1.1"
"""Public as far as a node can tell; nothing leaves the simulation."""
Happening = tuple[str, str]
"""A subscription, and the version of what happened."""


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """Where a host is."""
    return (ADDRESS,) if host == HOST else ()


class Receiver:
    """A web server that takes every delivery, beside the machines of the mesh.

    Attributes:
      taken: what was delivered, by what it is about: the ids of the deliveries that said so.
    """

    def __init__(self) -> None:
        self.name, self.power = ADDRESS, Power()
        self.taken: dict[tuple[str, str, str, str], set[str]] = {}
        self.heard: set[Happening] = set()
        self.nursery: trio.Nursery | None = None

    @property
    def running(self) -> Receiver:
        """It never ends."""
        return self

    def spawn(self, fn: Callable[..., Any], *args: Any) -> bool:
        """Start the task of a request."""
        if self.nursery is not None:
            self.nursery.start_soon(fn, *args)
        return self.nursery is not None

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Take a delivery."""
        body = msgspec.json.decode((await receive())["body"])
        about = (body["subscription_id"], body["version"], body["event"], body["key"])
        self.taken.setdefault(about, set()).add(body["delivery_id"])
        self.heard.add(about[:2])
        await send({"type": "http.response.start", "status": httpx.codes.NO_CONTENT, "headers": []})
        await send({"type": "http.response.body", "body": b""})
