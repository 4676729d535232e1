"""Which version of the language between nodes a message is in."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from aimem.errors import Code, InvalidRequest

PROTOCOL: Final = 3
PROTOCOL_OLDEST: Final = 2
"""What a node one version older speaks; it is answered in its own."""


class _Versioned(Struct, frozen=True):
    protocol: int = 0


def protocol_of(data: bytes) -> int:
    """Which protocol a body speaks; 0 for one of v0.6.3, which does not say.

    Raises: InvalidRequest(malformed_json).
    """
    try:
        return msgspec.json.decode(data, type=_Versioned).protocol
    except msgspec.ValidationError:
        return 0        # no object, or a protocol that is no number: whoever reads it as v0.6.3's says so
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}", code=Code.MALFORMED_JSON) from None
