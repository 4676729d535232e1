"""Names of hosts: where the addresses of somebody else's host come from."""

from __future__ import annotations

import socket
from typing import Protocol

import trio


class Resolver(Protocol):
    """Finds the addresses of a host."""

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        """All addresses of a host, as text, in the order in which they are to be tried; at least one.

        Raises: OSError if it has none.
        """
        ...


async def _resolve(host: str, port: int) -> tuple[str, ...]:
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host!r:.80} is no name of a host") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def system_resolver() -> Resolver:
    """The machine's."""
    return _resolve
