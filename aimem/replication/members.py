"""Whether all nodes work with the same list of members.

Each node hears of itself and its peers only; addresses differ by where one stands, so that lists compare by the names
in the answers. Who knows not all names yet says nothing: that is no difference.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from aimem.model import StreamId

_HASH_CHARS: Final = 32


class Agreement(StrEnum):
    """What is known of the lists."""

    AGREED = "agreed"
    UNKNOWN = "unknown"      # somebody did not answer yet, or does not know all names
    UNEQUAL = "unequal"


def members_hash(names: Iterable[str]) -> str:
    """One text for a list of names: 32 hex digits, whatever the order; two nodes of one name are two."""
    return hashlib.sha256(msgspec.json.encode(sorted(names))).hexdigest()[:_HASH_CHARS]


def agreement(own: str, told: Iterable[str]) -> Agreement:
    """Compare hashes of lists; an empty one is of a node that does not know its list yet."""
    hashes = [own, *told]
    if len(set(hashes) - {""}) > 1:
        return Agreement.UNEQUAL
    return Agreement.AGREED if all(hashes) else Agreement.UNKNOWN


def shared_names(names: Mapping[StreamId, str]) -> list[str]:
    """The names, in order, under which more than one stream is written now: somebody runs a copy of a node."""
    return sorted(name for name, count in Counter(names.values()).items() if count > 1)
