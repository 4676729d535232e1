"""The six doors to the outside world, as protocols with their real makers.

Owns every way in which time, randomness, threads, sockets, files and the embedding model enter. Must never decide
anything: the simulation replaces each of them. The network port is the HTTP client's `AsyncBaseTransport`, so only the
resolver of it is here, and what TLS takes of OpenSSL; the embedder's real maker needs fastembed and lives in `search`.
The modules `certificates`, `issuing` and `sqlite` are slow to load and therefore imported where they are used.
"""

from typing import TYPE_CHECKING

from aimem.ports import durable
from aimem.ports.asking import client_context
from aimem.ports.chance import Chance, Signer, is_signed, system_chance
from aimem.ports.clock import Clock, system_clock
from aimem.ports.descriptors import raise_open_max
from aimem.ports.embedder import Embedder
from aimem.ports.files import (
    Connection,
    Cursor,
    DatabaseError,
    DatabaseFault,
    FileLock,
    Files,
    LockHeld,
    Mode,
    Parameters,
    Row,
    SqlValue,
    system_files,
)
from aimem.ports.heap import share_heap
from aimem.ports.material import ClientCertificate, HandshakeFailure, PeerMaterial, ServerMaterial
from aimem.ports.network import Resolver, system_resolver
from aimem.ports.secured import Secured, ServerSide, open_server_side
from aimem.ports.threads import Threads, delayed_threads, trio_threads

if TYPE_CHECKING:
    from aimem.ports import certificates, issuing, sqlite

__all__ = [
    "Chance",
    "ClientCertificate",
    "Clock",
    "Connection",
    "Cursor",
    "DatabaseError",
    "DatabaseFault",
    "Embedder",
    "FileLock",
    "Files",
    "HandshakeFailure",
    "LockHeld",
    "Mode",
    "Parameters",
    "PeerMaterial",
    "Resolver",
    "Row",
    "Secured",
    "ServerMaterial",
    "ServerSide",
    "Signer",
    "SqlValue",
    "Threads",
    "certificates",
    "client_context",
    "delayed_threads",
    "durable",
    "is_signed",
    "issuing",
    "open_server_side",
    "raise_open_max",
    "share_heap",
    "sqlite",
    "system_chance",
    "system_clock",
    "system_files",
    "system_resolver",
    "trio_threads",
]
