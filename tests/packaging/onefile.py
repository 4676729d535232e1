"""`python -m tests.packaging.onefile [FILE]`: prove the one-file program where there is a C library and nothing else.

Without FILE it is built first, which takes some minutes and the network. In a root of its own (this needs root, or user
namespaces) it has to do what the installed program does; then its size and its starts are told, the starts beside those
of this environment's program, as ratios. The last line is OK.
"""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import httpx
import trio
from packaging.utils import canonicalize_name

import aimem
from tests.house.sources import MANUAL, ROOT
from tests.packaging.bareroot import BareRoot
from tests.packaging.units import FOLDER as UNITS
from tests.system.processes import Process, environment, started
from tests.system.test_doors import PARAPHRASES, STORED
from tests.system.test_service import Manager
from tests.tui.terminal import Terminal

BUILD: Final = ROOT / "packaging" / "onefile" / "build"
STARTS: Final = 7
PATIENCE: Final = 10
HANDSHAKE: Final[dict[str, Any]] = {
    "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
}
WIDE_REGISTER: Final = re.compile(r"%[yz]mm\d")


async def words_and_pages(root: BareRoot) -> None:
    """It says what it is, in every page of the manual, and how it is completed."""
    assert root.ask("--version", bare=True).split()[-1] == aimem.__version__
    assert "usage: ai-memory" in root.ask("--help", bare=True)
    assert not [path for path in root.folder.rglob("*python*") if root.unpacked not in path.parents]
    for page in ("ai-memory.1", "ai-memory-recall.1", "ai-memory-config.5", "ai-memory-mesh.7"):
        assert root.ask("man", page, bare=True) == (MANUAL / page).read_text()
    for shell in ("bash", "zsh", "fish"):
        here = subprocess.run(
            [sys.executable, "-m", "aimem", "completions", shell], cwd=ROOT, capture_output=True, text=True, check=True)
        assert root.ask("completions", shell, bare=True) == here.stdout


async def doors(root: BareRoot) -> None:
    """What came in by one door is recalled by a paraphrase through each: command line, MCP, HTTP."""
    texts = {door: {"title": title, "content": content, "namespace": "n"} for door, (title, content) in STORED.items()}
    root.ask("store", *(word for name, text in texts["cli"].items() for word in (f"--{name}", text)))
    async with started(root.command("mcp")) as mcp:
        await mcp.call("initialize", **HANDSHAKE)
        await mcp.tool("memory_store", **texts["mcp"])
    async with daemon(root) as (process, http):
        (await http.post("/memories", json=texts["http"])).raise_for_status()
        while (await http.get("/index", params={"wait_below": 0})).json()["embedding_backlog"]:
            pass
        async with started(root.command("mcp")) as mcp:
            await mcp.call("initialize", **HANDSHAKE)
            for door, question in PARAPHRASES.items():
                for answer in (
                    json.loads(root.ask("recall", question, "--json")),
                    (await http.get("/recall", params={"context": question})).json(),
                    await mcp.tool("memory_recall", context=question, format="json"),
                ):
                    assert found(answer) == ("hybrid", STORED[door][0]), answer
        assert await process.stop() == 0
    # Without a daemon, too. A busy machine may take longer to load the model than a command waits for it.
    question = PARAPHRASES["mcp"]
    answers = (json.loads(root.ask("recall", question, "--json")) for _ in range(PATIENCE))
    assert any(found(answer) == ("hybrid", STORED["mcp"][0]) for answer in answers)


def found(answer: dict[str, Any]) -> tuple[str, str]:
    """How it was found, and the first title."""
    return answer["mode"], answer["memories"][0]["title"] if answer["memories"] else ""


async def console(root: BareRoot) -> None:
    """It shows the node in a terminal, and obeys keys; and prints it for people and for programs."""
    async with daemon(root) as (process, _):
        seen = json.loads(root.ask("console", "--once", "--json"))
        assert (seen["verdict"], [node["state"] for node in seen["nodes"]]) == ("ok", ["ok"]), seen
        assert "1 of 1 node reachable" in root.ask("console", "--once")
        terminal = Terminal(root.command("console"))
        try:
            terminal.until(b"1 of 1 node reachable, all well", b"Quit")
            terminal.type(b"4")
            terminal.until(*(title.encode() for title, _ in STORED.values()))
            terminal.type(b"q")
            assert terminal.close() == 0
        finally:
            terminal.kill()
        assert await process.stop() == 0


async def copies(root: BareRoot) -> None:
    """It backs up, verifies and restores."""
    root.ask("backup", "--to", "/data/copies", "--keep", "2")
    root.ask("forget", "--namespace", "n")
    assert json.loads(root.ask("list", "--json"))["count"] == 0
    root.ask("restore", "--from", "/data/copies")
    assert json.loads(root.ask("list", "--json"))["count"] == len(STORED)
    assert json.loads(root.ask("verify", "--json"))["sound"]


async def itself_anew(root: BareRoot) -> None:
    """It starts itself: the nodes of the demonstration, the client's line for MCP, and a node with a slow disk."""
    assert json.loads(root.ask("demo", "--once", "--json", bare=True))
    config = json.loads(root.ask("mcp", "--print-config"))
    assert config["mcpServers"]["ai-memory"]["command"] == "/ai-memory"
    async with started(root.bare("-m", "aimem.slowed", "5", "--db", "/data/slow.db", "serve", "--port", "0")) as slow:
        await slow.stderr_line("listening on")
        assert await slow.stop() == 0


async def service(root: BareRoot) -> None:
    """Under the system calls that its unit leaves it, the process that was started tells the service manager."""
    with tempfile.TemporaryDirectory() as name:
        manager = Manager(Path(name, "notify"))
        await manager.open()
        line = [sys.executable, "-m", "tests.system.sandbox", str(UNITS / "ai-memory.service"), str(
            root.folder / "ai-memory"), "--db", f"{name}/memory.db", "serve", "--port", "0"]
        async with started(line, HOME="/nonexistent", XDG_CACHE_HOME=name, **manager.environ) as process:
            await manager.says("STATUS=opening")
            assert f"MAINPID={process.pid}" in (await manager.says("READY=1")).split("\n")
            await manager.says("WATCHDOG=1")
            process.terminate()
            await manager.says("STOPPING=1")
            assert await process.wait() == 0
        manager.close()


async def contents(root: BareRoot) -> None:
    """Every data file and licence is inside, and nothing was compiled for one kind of processor alone."""
    inside = root.unpacked / "_internal"
    tracked = subprocess.run(["git", "ls-files", "aimem"], cwd=ROOT, capture_output=True, text=True, check=True)
    data = [name for name in tracked.stdout.split() if not name.endswith(".py")]
    for name in data:
        assert (inside / name).read_bytes() == (ROOT / name).read_bytes(), name
    assert {path.name for path in (inside / "aimem" / "man").iterdir()} == {path.name for path in MANUAL.iterdir()}
    assert (root.unpacked / "LICENSE").exists() and (root.unpacked / "NOTICE").exists()
    there = {canonicalize_name(path.name.partition("-")[0]) for path in inside.glob("*.dist-info")}
    assert needed_distributions() <= there
    [index] = inside.glob("annoy/annoylib*.so")
    code = subprocess.run(["objdump", "-d", str(index)], capture_output=True, text=True, check=True).stdout
    assert "%xmm0" in code and not WIDE_REGISTER.search(code)


def needed_distributions() -> set[str]:
    """The names of all that the program needs here, itself included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = {project["name"]}
    left = [re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]]
    while left:
        one = canonicalize_name(left.pop())
        if one in found:
            continue
        with contextlib.suppress(metadata.PackageNotFoundError):     # for another system, or an older Python
            needs = metadata.distribution(one).requires or ()
            left += [re.split(r"[^\w.-]", line)[0] for line in needs if "extra ==" not in line]
            found.add(one)
    return found


@contextlib.asynccontextmanager
async def daemon(root: BareRoot) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """A daemon in the root, and a client of its routes."""
    async with started(root.command("serve", "--port", "0")) as process:
        url = (await process.stderr_line("listening on")).split("listening on ")[1].split()[0]
        async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=60) as http:
            yield process, http


def seconds(line: list[str], environ: dict[str, str]) -> float:
    """How long a command takes."""
    begun = time.monotonic()
    subprocess.run(line, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    return time.monotonic() - begun


def print_starts(file: Path, root: BareRoot) -> None:
    """Print its size, its first start and its later ones, these beside the same commands of this environment."""
    size_mb, unpacked_mb = (sum(path.lstat().st_size for path in paths) / 1e6 for paths in (
        [file], root.unpacked.rglob("*")))
    print(f"size {size_mb:.0f} MB, unpacked {unpacked_mb:.0f} MB")
    with tempfile.TemporaryDirectory() as name:
        environ = {**environment(), "HOME": name, "XDG_CACHE_HOME": name, "AI_MEMORY_TIER": "semantic"}
        installed = [sys.executable, "-m", "aimem"]
        print(f"first start, --help: {seconds([str(file), '--help'], environ):.2f} s")
        db = ["--db", f"{name}/memory.db"]
        for words in (["--help"], [*db, "store", "-c", "The harbour is deep."], [*db, "recall", "how many fathoms?"]):
            # In turn, so that whatever else the machine does slows both.
            pairs = [(seconds([str(file), *words], environ), seconds([*installed, *words], environ))
                     for _ in range(STARTS)]
            one, other = (statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"{words[min(2, len(words) - 1)]}: {one:.2f} s, {one / other:.2f} times the installed one")


CHECKS: Final[tuple[Callable[[BareRoot], Awaitable[None]], ...]] = (
    words_and_pages, doors, console, copies, itself_anew, service, contents)


def main(words: list[str]) -> None:
    """Build the file unless it is named, check all, print the figures."""
    with tempfile.TemporaryDirectory(prefix="ai-memory-bare-root.") as name:
        folder = Path(name)
        if words:
            file = Path(words[0]).absolute()
        else:
            begun = time.monotonic()
            subprocess.run([str(BUILD), name], check=True)
            print(f"built in {time.monotonic() - begun:.0f} s")
            file = folder / "ai-memory"
        root = BareRoot(folder / "root", file)
        for check in CHECKS:
            begun = time.monotonic()
            trio.run(check, root)
            print(f"{check.__name__}: {time.monotonic() - begun:.1f} s", flush=True)
        print_starts(file, root)
    print("OK")


if __name__ == "__main__":
    main(sys.argv[1:])
