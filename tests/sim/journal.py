"""The nodes' own words: what a node reports as its fault, or ends of, is a finding, whatever else holds."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aimem.errors import Corrupt, Unavailable
from tests.sim.ports import SPEAKER, Died
from tests.sim.watch import Watcher

LOGGER = "aimem"
DIFFERS = "peer.differs"
"""What a node says that lost rows, or whose peer did, when it compares itself with that peer."""
OTHER_MESH = "cluster.other"
"""What a node says of one that says it belongs to another mesh."""
AFTER_FAILED_SYNC = ("it is unknown whether", "the write-ahead log of ")
"""What a node says that ends after a sync which failed, in a commit or behind it; nothing else may end it."""


def is_of_the_world(error: BaseException) -> bool:
    """Whether an error is what the simulation did to the node: it ended its process, or its disk."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_of_the_world(one) for one in error.exceptions)
    if isinstance(error, Corrupt):
        return error.message.startswith(AFTER_FAILED_SYNC)
    return isinstance(error, Died | Unavailable)


class _Journal(logging.Handler):
    def __init__(self, watcher: Watcher, is_due: Callable[[str, str, str], bool]) -> None:
        super().__init__(logging.ERROR)
        self._watcher, self._is_due = watcher, is_due

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        of = str(getattr(record, "peer", getattr(record, "node", ""))).removeprefix("http://")
        if SPEAKER.get() == self._watcher.liar != "" or self._is_due(said, of, str(getattr(record, "key", ""))):
            return
        if said == DIFFERS:
            fields = (str(getattr(record, name, "")) for name in ("peer", "kind", "key", "lost"))
            self._watcher.find("divergence", f"a node compared itself with {' '.join(fields)}")
            return
        if record.exc_info is not None:
            error = record.exc_info[1]
            if error is None or is_of_the_world(error):
                return
            self._watcher.find("journal", f"{said} {''.join(traceback.format_exception(error))}"[-4000:])
            return
        name, reason = getattr(record, "error", ""), getattr(record, "reason", "")
        if name != Died.__name__ and not (name == Corrupt.__name__ and reason.startswith(AFTER_FAILED_SYNC)):
            self._watcher.find("journal", f"{said} {name} {reason} {getattr(record, 'where', '')}"[-4000:])


@contextmanager
def read_journals(watcher: Watcher, is_due: Callable[[str, str, str], bool]) -> Iterator[None]:
    """Read what nodes log as errors, inside the block; warnings and less go nowhere.

    Args:
      is_due: whether an error is what a node has to say, by its name, and the peer and the key of the object that
        it is about.
    """
    logger, handler = logging.getLogger(LOGGER), _Journal(watcher, is_due)
    was_spreading = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = was_spreading
