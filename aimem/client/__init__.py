"""The typed HTTP client of a node: one coroutine for each route, wire values in and out, our errors raised.

Owns paths, headers and the way back from an error answer to an error family. Must never import Trio: the console and
other programs use it under asyncio. It never retries: a transport may, because each write carries an idempotency key.
"""

from aimem.client.client import Client
from aimem.client.failures import error_of_answer

__all__ = ["Client", "error_of_answer"]
