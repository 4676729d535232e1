"""Webhooks: HTTP requests to addresses that callers named, which may be traps.

Owns what such an address may be, the signature, and one attempt to deliver. Must never follow where an answer points
to, connect to an address that was not vetted, or know what is delivered and when.
"""

from aimem.webhooks.sender import Attempt, Letter, Sender
from aimem.webhooks.signing import signature, signing_key
from aimem.webhooks.targets import Reach, Target, parse_target, refusal_of

__all__ = [
    "Attempt",
    "Letter",
    "Reach",
    "Sender",
    "Target",
    "parse_target",
    "refusal_of",
    "signature",
    "signing_key",
]
