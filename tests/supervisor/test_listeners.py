"""Listening: where it is allowed, what it says when it is not, who may connect."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio

from aimem.errors import Code, Denied, InvalidRequest, Unavailable
from aimem.supervisor import listeners
from aimem.supervisor.listeners import Scheme, Transport, choose_socket_path, open_tcp, open_unix


async def test_port_zero_takes_a_free_port_and_says_which() -> None:
    (listener,) = await open_tcp("127.0.0.1", 0, insecure=False)
    async with listener.socket:
        port = listener.socket.socket.getsockname()[1]
        assert port and listener.url == f"http://127.0.0.1:{port}"
        assert listener.transport is Transport.TCP_LOOPBACK


async def test_address_of_ip6_is_shown_in_brackets() -> None:
    (listener,) = await open_tcp("::1", 0, insecure=False)
    async with listener.socket:
        assert listener.url.startswith("http://[::1]:")


async def test_name_with_two_addresses_gets_one_port() -> None:
    opened = await open_tcp("localhost", 0, insecure=False)
    ports = {listener.socket.socket.getsockname()[1] for listener in opened}
    for listener in opened:
        await listener.socket.aclose()
    assert len(ports) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_public_address_without_tls_is_refused(host: str) -> None:
    with pytest.raises(Denied, match="--insecure") as caught:
        await open_tcp(host, 0, insecure=False)
    assert caught.value.code is Code.INSECURE_BIND


async def test_public_address_with_tls_is_served_and_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "_is_loopback", lambda address: False)   # nothing here is to be reached from outside
    with pytest.raises(Denied, match="--tls-cert"):
        await open_tcp("127.0.0.1", 0, insecure=False)
    (listener,) = await open_tcp("127.0.0.1", 0, insecure=False, scheme=Scheme.HTTPS)
    async with listener.socket:
        assert listener.url.startswith("https://127.0.0.1:") and listener.scheme is Scheme.HTTPS


async def test_taken_port_is_named() -> None:
    (listener,) = await open_tcp("127.0.0.1", 0, insecure=False)
    async with listener.socket:
        port = listener.socket.socket.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port} is in use"):
            await open_tcp("127.0.0.1", port, insecure=False)


@pytest.mark.parametrize("host", ["not a name.localhost", "", "a" * 300, "a..b"])
async def test_host_that_is_none_is_a_configuration_error(host: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await open_tcp(host, 0, insecure=False)
    assert caught.value.code is Code.CONFIG_INVALID


async def test_unix_socket_is_private_and_goes_with_the_block(tmp_path: Path) -> None:
    path = tmp_path / "memory.db.sock"
    path.write_bytes(b"")       # a dead holder's
    async with open_unix(path) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert listener.transport is Transport.UNIX
        async with await trio.open_unix_socket(str(path)):
            pass
    assert not path.exists()


def test_long_path_moves_to_the_runtime_folder(tmp_path: Path) -> None:
    short, long = Path("/data/m.db"), Path("/data") / ("x" * 120) / "m.db"
    assert choose_socket_path(short, tmp_path) == Path("/data/m.db.sock")
    moved = choose_socket_path(long, Path("/run/user/1000"))
    assert moved.parent == Path("/run/user/1000/ai-memory") and len(os.fsencode(moved)) < 100
    assert moved != choose_socket_path(long / "other.db", Path("/run/user/1000"))
    assert choose_socket_path(long, None).parent == Path(f"/tmp/ai-memory-{os.getuid()}")


async def test_folder_for_a_moved_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "ai-memory" / "m.sock"
    async with open_unix(path):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
