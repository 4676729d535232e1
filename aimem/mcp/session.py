"""Sessions over HTTP: what a client said at the handshake, carried by the client itself.

The id of a session holds all that the server would have to remember, so any number of clients may come and go without a
word, and a restart of the node ends no session. It is no credential: it says no more than an `X-Agent-Id` would.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from msgspec import Struct

ENDED_MAX: Final = 4096
"""Ended sessions that are remembered; beyond them the oldest is forgotten, and would be served again."""

_TOKEN = re.compile(
    r"(?P<nonce>[0-9a-f]{16})\.(?P<version>\d{4}-\d{2}-\d{2})\.(?P<client>[A-Za-z0-9_.-]{0,48})", re.ASCII
)


class Session(Struct, frozen=True, kw_only=True):
    """What a client said of itself.

    Attributes:
      nonce: 16 hex digits that tell sessions of equal clients apart.
      version: of the protocol, as negotiated.
      client: its name, as part of an agent id; may be empty.
    """

    nonce: str
    version: str
    client: str

    @property
    def token(self) -> str:
        """The `Mcp-Session-Id`."""
        return f"{self.nonce}.{self.version}.{self.client}"


def read_session(token: str) -> Session | None:
    """The session of an `Mcp-Session-Id`, or None if it is none of ours."""
    found = _TOKEN.fullmatch(token)
    return Session(**found.groupdict()) if found else None


class EndedSessions:
    """Which sessions their clients ended: a bounded number of nonces."""

    def __init__(self, max_count: int = ENDED_MAX) -> None:
        self._max_count = max_count
        self._nonces: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, session: Session) -> bool:
        return session.nonce in self._nonces

    def add(self, session: Session) -> None:
        """Serve it no more."""
        self._nonces[session.nonce] = None
        self._nonces.move_to_end(session.nonce)
        if len(self._nonces) > self._max_count:
            self._nonces.popitem(last=False)
