"""A write that too few nodes have, or would have had."""

from __future__ import annotations

from msgspec import Struct


class ShortWriteOut(Struct, kw_only=True):
    """The last one.

    Attributes:
      outcome: not_applied (it was refused, and nothing stored) or indeterminate (it is stored, and acks were missing).
      why: the sentence that its caller got.
    """

    at: str
    outcome: str
    why: str
