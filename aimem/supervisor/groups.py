"""Out of the groups that nurseries raise: the one error to tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import trio

from aimem.errors import Corrupt, leaves


@contextlib.contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the error that matters most instead of the group around it; the group stays its cause.

    Corruption comes first, since it ends the process; then what is no Exception (an interrupt); then the rest in order.
    A group of cancellations goes on as it is.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        found = [leaf for leaf in leaves(group) if not isinstance(leaf, trio.Cancelled)]
        if not found:
            raise
        raise min(found, key=_rank) from group


def _rank(error: BaseException) -> int:
    return 0 if isinstance(error, Corrupt) else 2 if isinstance(error, Exception) else 1
