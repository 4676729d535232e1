"""Daemons that show each other certificates, started as the manual says; the names of their machines are made up."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import trio

from aimem.supervisor.listeners import choose_socket_path
from tests.pki import Issued, client_context, issue, make_ca, write_ca
from tests.system.members import Mesh, start_all
from tests.system.processes import command

HOSTS: Final = {"node-a": "127.0.7.1", "node-b": "127.0.7.2", "node-c": "127.0.7.3", "node-d": "127.0.7.4"}
"""Machines of these names, as the daemons see it; all listen on one port, each on an address of its own."""
NAMES: Final = tuple(HOSTS)
RELOADS: Final = "ai_memory_reloads_total"
RELOADING_S: Final = 30.0
DAYS: Final = 90.0
"""Longer than what is warned of."""
_MACHINE: Final = '''"""What the name service and the kernel would say on the machine {name}."""

import os
import socket

_ADDRESSES = {hosts!r}
_found = socket.getaddrinfo
_kernel = os.uname()


def _find(host, *rest, **more):
    name = host.decode() if isinstance(host, bytes) else host
    return _found(_ADDRESSES.get(name, host), *rest, **more)


socket.getaddrinfo = _find
os.uname = lambda: os.uname_result((_kernel.sysname, {name!r}, *_kernel[2:]))
'''
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class CertifiedMesh(Mesh):
    """Four nodes, each with a folder of its own: database, certificates, and the list of those that may connect.

    What agents show is one certificate of their own; all lists have it.
    """

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        """Make certificates and lists; nothing is started."""
        super().__init__(folder, 0, nursery, {})
        self.ports = [_free_port()] * len(NAMES)
        self._authority = make_ca()
        self._agents = issue(self._authority, "agents", days=DAYS)
        self.members = {number: issue(self._authority, name, days=DAYS) for number, name in enumerate(NAMES)}
        """What each node shows as a client now."""
        for number, name in enumerate(NAMES):
            self.home(number).mkdir(mode=0o700, exist_ok=True)
            (self.home(number) / "sitecustomize.py").write_text(_MACHINE.format(name=name, hosts=HOSTS))
            write_ca(self._authority, self.home(number))
            self._install(number)
            self._write_list(number, list(self.members.values()))

    def home(self, number: int) -> Path:
        """A node's folder."""
        return self.folder / NAMES[number]

    def db(self, number: int) -> Path:
        return self.home(number) / "memory.db"

    def url(self, number: int) -> str:
        return f"https://{HOSTS[NAMES[number]]}:{self.ports[number]}/api/v1"

    def client(self, headers: dict[str, str] | None = None, timeout: float = 60) -> httpx.AsyncClient:
        context = client_context(self._authority, self._agents, self.folder)
        return httpx.AsyncClient(headers=headers, timeout=timeout, verify=context)

    def owner(self, number: int) -> httpx.AsyncClient:
        """A client on a node's Unix socket, who needs neither certificate nor key."""
        # Without TLS no authorities have to be loaded, which takes longer than most questions.
        transport = httpx.AsyncHTTPTransport(uds=str(choose_socket_path(self.db(number), None)), verify=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1", timeout=60)

    def words(self, number: int) -> list[str]:
        home, port = self.home(number), self.ports[number]
        peers = ",".join(f"https://{name}:{port}" for name in NAMES if name != NAMES[number])
        return command(
            self.db(number), "serve", "--bind", f"{HOSTS[NAMES[number]]}:{port}", "--tier", "keyword",
            "--quorum-writes", "2", "--quorum-peers", peers, "--quorum-timeout-ms", "2000",
            "--tls-cert", f"{home}/server.pem", "--tls-key", f"{home}/server.key",
            "--mtls-allowlist", f"{home}/peer-fingerprints.txt",
            "--quorum-client-cert", f"{home}/client.pem", "--quorum-client-key", f"{home}/client.key",
            "--quorum-ca-cert", f"{home}/ca.pem", "--catchup-interval-secs", "1",
        )

    def surroundings(self, number: int) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join((str(self.home(number)), os.environ.get("PYTHONPATH", "")))}

    def _install(self, number: int) -> None:
        """Put a new pair for the server, and the client's, into a node's files."""
        name = NAMES[number]
        issue(self._authority, name, HOSTS[name], days=DAYS).write(self.home(number), "server")
        self.members[number].write(self.home(number), "client")

    def _write_list(self, number: int, who: Iterable[Issued]) -> None:
        text = allowlist_of(each.fingerprint for each in (*who, self._agents))
        (self.home(number) / "peer-fingerprints.txt").write_text(text, newline="")

    async def reload(self, *numbers: int) -> None:
        """Send nodes SIGHUP, and wait until each has taken what its files say."""
        async with trio.open_nursery() as nursery:
            for number in numbers:
                nursery.start_soon(self._reload, number)

    async def _reload(self, number: int) -> None:
        async with self.owner(number) as http:
            before = await counted(http, RELOADS, result="ok")
            self.processes[number].signal(signal.SIGHUP)
            with trio.fail_after(RELOADING_S):
                while True:
                    if await counted(http, RELOADS, result="ok") > before:
                        return
                    await trio.sleep(0.1)

    async def rotate(self, number: int) -> None:
        """Give a node new certificates as an operator does: the client's is listed before it is shown, and the old one
        is listed until it is shown no more."""
        others = [other for other in range(len(NAMES)) if other != number]
        old, new = self.members[number], issue(self._authority, NAMES[number], days=DAYS)
        self.members[number] = new
        await self._list_on(others, [*self.members.values(), old])
        self._install(number)
        await self.reload(number)
        await self._list_on(others, list(self.members.values()))

    async def remove(self, number: int) -> None:
        """Take a node off the lists of all others."""
        others = [other for other in range(len(NAMES)) if other != number]
        await self._list_on(others, [self.members[other] for other in others])

    async def put_back(self, number: int) -> None:
        """Put it on their lists again."""
        others = [other for other in range(len(NAMES)) if other != number]
        await self._list_on(others, self.members.values())

    async def _list_on(self, numbers: Sequence[int], who: Iterable[Issued]) -> None:
        """Write these nodes' lists, and let them take them."""
        listed = list(who)
        for number in numbers:
            self._write_list(number, listed)
        await self.reload(*numbers)


@contextlib.asynccontextmanager
async def certified(folder: Path) -> AsyncIterator[CertifiedMesh]:
    """A mesh with W of 2 whose nodes all serve; they are killed with the block."""
    async with trio.open_nursery() as nursery:
        mesh = CertifiedMesh(folder, nursery)
        await start_all(mesh)
        for number in range(len(mesh.ports)):
            async with mesh.owner(number) as http:
                # Who started first has met nobody yet: this asks all others.
                (await http.post("/mesh")).raise_for_status()
        yield mesh
        nursery.cancel_scope.cancel()


async def counted(http: httpx.AsyncClient, name: str, **labels: str) -> float:
    """The sum of all samples of a metric that have these labels; 0 without any."""
    page = (await http.get("/metrics")).raise_for_status().text
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(
        float(value) for found, told, value in _LINE.findall(page)
        if found == name and wanted <= set((told or "").split(","))
    )


async def vector_of(http: httpx.AsyncClient) -> dict[str, int]:
    """How many writes of each stream a node knows."""
    document: dict[str, Any] = (await http.get("/mesh")).raise_for_status().json()
    return dict(document["vector"])


def allowlist_of(fingerprints: Iterable[str]) -> str:
    """A list as people write it: one kind of line after the other."""
    kinds = (
        lambda plain: plain, lambda plain: f"sha256:{plain}", lambda plain: f"  {_colons(plain).upper()}  # a node",
        lambda plain: f"SHA256:{_colons(plain)}",
    )
    lines = [kinds[number % len(kinds)](plain) for number, plain in enumerate(fingerprints)]
    return "\r\n".join(("\ufeff# who may connect", "", *lines, ""))


def _colons(plain: str) -> str:
    return ":".join(plain[at : at + 2] for at in range(0, len(plain), 2))


def _free_port() -> int:
    """One that nothing listens on, on any of the addresses."""
    while True:
        with contextlib.ExitStack() as held:
            port = 0
            try:
                for host in HOSTS.values():
                    one = held.enter_context(socket.socket())
                    one.bind((host, port))
                    port = one.getsockname()[1]
            except OSError:
                continue        # taken on one of them: try another
            return int(port)
