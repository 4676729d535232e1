"""Where a node listens: TCP addresses and the Unix socket beside the database."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import ipaddress
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import trio
from msgspec import Struct

from aimem.errors import Code, Denied, InvalidRequest, Unavailable
from aimem.store import SOCKET_SUFFIX

SOCKET_PATH_MAX_BYTES: Final = 100      # the kernel takes 107; a little is left for a suffix
BACKLOG: Final = 1024     # a flood must not fill it within a moment of the server; the kernel may take fewer
TRANSPORT_EXTENSION: Final = "aimem.transport"      # in the `extensions` of an ASGI scope: a Transport


class Transport(StrEnum):
    """How a request came in: the value of the ASGI extension `aimem.transport`."""

    UNIX = "unix"
    TCP_LOOPBACK = "tcp-loopback"
    TCP = "tcp"
    IN_PROCESS = "in-process"


class Scheme(StrEnum):
    """What is spoken on a connection."""

    HTTP = "http"
    HTTPS = "https"


class Listener(Struct, frozen=True, kw_only=True):
    """A listening socket and what is to be said about it.

    Attributes:
      url: where a client finds it, with the real port; for a Unix socket its path.
    """

    socket: trio.SocketListener
    transport: Transport
    url: str
    scheme: Scheme = Scheme.HTTP


async def open_tcp(
    host: str, port: int, *, insecure: bool, scheme: Scheme = Scheme.HTTP
) -> tuple[Listener, ...]:
    """Listen on every address of a name.

    Args:
      host: an address or a name.
      port: 0 takes a free one, the same for all addresses.
      insecure: whether an address that other machines reach may be served without TLS.
      scheme: what will be spoken there; with TLS any address may be served.

    Raises:
      Denied(insecure_bind): an address is not a loopback address, there is no TLS, and `insecure` is false.
      InvalidRequest(config_invalid): the name or address is not one of this machine.
      Unavailable: the port is taken or needs privileges.
    """
    addresses = await _resolve(host, port)
    if _has_public(addresses) and not insecure and scheme is Scheme.HTTP:
        raise Denied(
            f"{host} is reachable from other machines and there is no TLS: listen on 127.0.0.1, give --tls-cert and"
            " --tls-key, or pass --insecure if something else protects this port",
            code=Code.INSECURE_BIND, field="host",
        )
    async with contextlib.AsyncExitStack() as opened:
        listeners = []
        for address in addresses:
            with _named(host, port):
                (listener,) = await trio.open_tcp_listeners(port, host=address, backlog=BACKLOG)
            opened.push_async_callback(listener.aclose)
            port = port or listener.socket.getsockname()[1]
            listeners.append(_tcp_listener(listener, address, port, scheme))
        opened.pop_all()
        return tuple(listeners)


async def is_exposed(host: str, port: int) -> bool:
    """Whether other machines reach an address of a name. Raises: InvalidRequest(config_invalid)."""
    return _has_public(await _resolve(host, port))


def _has_public(addresses: Sequence[str]) -> bool:
    return not all(map(_is_loopback, addresses))


def _tcp_listener(listener: trio.SocketListener, address: str, port: int, scheme: Scheme) -> Listener:
    shown = f"[{address}]" if ":" in address else address
    transport = Transport.TCP_LOOPBACK if _is_loopback(address) else Transport.TCP
    return Listener(socket=listener, transport=transport, url=f"{scheme}://{shown}:{port}", scheme=scheme)


async def _resolve(host: str, port: int) -> Sequence[str]:
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host))]
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:    # gaierror is the first; IDNA refuses a label of 64 characters
        reason = "it is no host name" if isinstance(error, UnicodeError) else error.strerror or error
        raise InvalidRequest(
            f"cannot listen on {host[:64]!r}: {reason}; give an address or a name of this machine",
            code=Code.CONFIG_INVALID, field="host",
        ) from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


@contextlib.contextmanager
def _named(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f"{host}:{port}"
        match error.errno:
            case errno.EADDRINUSE:
                raise Unavailable(f"{where} is in use by another program; stop it, or choose another --port") from error
            case errno.EACCES:
                raise Unavailable(f"{where} needs privileges; choose a --port above 1023") from error
            case errno.EADDRNOTAVAIL:
                raise InvalidRequest(
                    f"{host} is not an address of this machine", code=Code.CONFIG_INVALID, field="host"
                ) from error
            case _:
                raise Unavailable(f"cannot listen on {where}: {error.strerror or error}") from error


def choose_socket_path(db: Path, runtime_dir: Path | None) -> Path:
    """The Unix socket of a database: beside it, or in the runtime folder where that path is too long for the kernel.

    Args:
      db: the resolved path of the database file.
      runtime_dir: `$XDG_RUNTIME_DIR`, or None; without it a folder of the user's own under /tmp serves.
    """
    beside = db.with_name(db.name + SOCKET_SUFFIX)
    name = hashlib.sha256(os.fsencode(db)).hexdigest()[:32] + SOCKET_SUFFIX
    choices = [beside, _private_folder() / name]
    if runtime_dir is not None and runtime_dir.is_absolute():
        choices.insert(1, runtime_dir / "ai-memory" / name)
    return next(path for path in choices if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES)


def _private_folder() -> Path:
    return Path(f"/tmp/ai-memory-{os.getuid()}")     # noqa: S108  # _prepare_folder checks whose it is


@contextlib.asynccontextmanager
async def open_unix(path: Path) -> AsyncIterator[Listener]:
    """Listen on a Unix socket that only the file's owner may connect to (0600), and remove it with the block.

    The caller holds the database's lock: a file that is there is a dead holder's.
    Raises: Unavailable if the socket cannot be made.
    """
    try:
        _prepare_folder(path.parent)
        _unlink(path)
        listening = await _bind_private(path)
    except OSError as error:
        raise Unavailable(f"cannot make the socket {path}: {error.strerror or error}") from error
    try:
        async with trio.SocketListener(listening) as listener:
            yield Listener(socket=listener, transport=Transport.UNIX, url=str(path))
    finally:
        with contextlib.suppress(OSError):
            _unlink(path)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


def _prepare_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # Anybody may make a folder of that name under /tmp, and would then own what is in it.
    if folder == _private_folder() and (found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode)):
        raise PermissionError(errno.EACCES, "the folder belongs to somebody else")


async def _bind_private(path: Path) -> trio.socket.SocketType:
    listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux takes the new file's mode from the socket: it is private before anybody can connect.
        os.fchmod(listening.fileno(), 0o600)
        await listening.bind(os.fspath(path))
        os.chmod(path, 0o600)    # noqa: PTH101  # Path's is one that Trio's linter takes for slow
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening
