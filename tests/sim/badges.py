"""Under which names, and with which keys, requests come."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

SHARED_KEY: Final = "the key of this mesh"
"""Of nodes among each other, and of operators, where agents have keys."""


class Key(Struct, frozen=True):
    """A key of an agent."""

    key_id: str
    agent: str
    text: str


class Badge(Struct, frozen=True):
    """What a request shows. `key_id` is empty where it shows no agent's key."""

    headers: Mapping[str, str]
    key_id: str = ""


NO_KEY: Final = Key("0" * 16, "nobody", "")
OPERATOR: Final = Badge({"X-API-Key": SHARED_KEY})


def choose(rng: random.Random, agent: str, keys: Sequence[Key] | None, *, as_operator: bool) -> Badge:
    """Take a badge: an agent's, as a rule with its latest key, now and then with an older one, which may have ended.

    Args:
      keys: that were made, in the order of their making; None in a mesh without keys.
    """
    if keys is None:
        return Badge({"X-Agent-Id": agent})
    own = [key for key in keys if key.agent == agent]
    if as_operator or not own or rng.random() < 0.25:
        return OPERATOR
    key = own[-1] if rng.random() < 0.7 else rng.choice(own)
    return Badge({"X-Agent-Id": agent, "X-API-Key": key.text}, key.key_id)
