"""What a node makes of ops that another node hands it: which it takes, and why it stops."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from aimem.model.causality import Dot
from aimem.model.op import Op, StreamHead


class StopReason(StrEnum):
    """Why the rest of a batch was not taken; the words are on the wire."""

    ASSUMED = "assumed"        # the receiver knows less than the sender assumed
    GAP = "gap"                # an op before this one is missing
    CLOCK = "clock"            # its writer's clock is too far ahead
    FORK = "fork"              # its writer signed two histories; the stream is closed
    CLOSED = "closed"          # the stream was closed before
    FORGED = "forged"          # the signature, or the hash of what is known, is another
    MALFORMED = "malformed"    # no origin of ours can have made it
    OWN = "own"                # it is of the receiver's own stream, which the receiver does not know so far
    STREAMS = "streams"        # the receiver knows as many streams as it can carry


class Stop(Struct, frozen=True):
    """Where a batch ended, and why."""

    reason: StopReason
    dot: Dot | None = None


class Take(Struct, frozen=True):
    """An op to be taken, and its stream's head after it."""

    op: Op
    head: StreamHead


class Intake(Struct, frozen=True, kw_only=True):
    """The verdict on a batch.

    Attributes:
      takes: in the order of the batch.
      skipped: ops that were known already.
    """

    takes: tuple[Take, ...]
    skipped: int = 0
    stop: Stop | None = None
