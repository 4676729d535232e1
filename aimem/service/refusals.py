"""What is refused for who asks: forged identities, keys that are none any more, acts that need an operator."""

from __future__ import annotations

from aimem.model import Caller, Principal
from aimem.service.node import Node


async def note_refusal(node: Node, caller: Caller | Principal, rule: str, claim: str | None = None) -> None:
    """Take note that a request was refused at the door, or before it came to write.

    Args:
      caller: who asked, as far as it is proven.
      rule: the code of the refusal.
      claim: the id that the request named, if that was refused.
    """
    del caller, rule, claim
    node.counters.refused += 1
