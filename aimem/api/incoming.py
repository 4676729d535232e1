"""A request as the pipeline reads it, whoever took it in: the framework, or the door of the routes that come often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol  # Any: an ASGI scope is an open mapping


class Incoming(Protocol):
    """One request; its path is encoded as it was sent."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """ASGI's."""
        ...

    @property
    def method(self) -> str:
        """In capitals."""
        ...

    @property
    def path(self) -> str:
        """Without the query."""
        ...

    @property
    def query_string(self) -> bytes:
        """Of ASCII alone."""
        ...

    @property
    def mimetype(self) -> str:
        """Of the body, in small letters, without parameters; empty if it is not said."""
        ...

    def values_of(self, header: str) -> Sequence[str]:
        """All values that a header was given."""
        ...

    async def read(self) -> bytes:
        """The whole body, as it was sent. Raises: InvalidRequest(body_too_large), or the framework's word for it."""
        ...


def first_of(incoming: Incoming, header: str) -> str:
    """The first value of a header; empty if it was not sent."""
    return next(iter(incoming.values_of(header)), "")
