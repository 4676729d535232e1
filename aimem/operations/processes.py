"""What a whole process costs: the time until a command has answered, and the memory that a daemon keeps."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE  # noqa: TID251 - a bench starts this very program, as its user would
from typing import Final

import trio
from msgspec import Struct
from msgspec.structs import replace

from aimem.errors import Unavailable
from aimem.operations.benchnode import NAMESPACE, BenchPorts
from aimem.operations.corpus import Corpus
from aimem.operations.latency import Progress
from aimem.operations.timing import resident_mb, result_of, size_of, timed_ms
from aimem.wire import (
    BenchRequest,
    BenchResult,
    BenchSize,
    ImportMemory,
    IndexStatus,
    RecallResult,
    decode_body,
    encode,
)

_STARTS_MAX: Final = 5
_TEXTS_FEW: Final = 20
_TEXTS_MANY: Final = 1_000
_QUESTION: Final = "what did we say about the trip?"
_HELP_P95_MS: Final = 150.0
_KEYWORD_P95_MS: Final = 700.0
_SEMANTIC_P95_MS: Final = 2_000.0
_IDLE_MB: Final = 350.0
_USED_MB: Final = 450.0
_LISTENING: Final = re.compile(rb"listening on https?://([0-9.]+):(\d+)")


class Program(Struct, frozen=True, kw_only=True):
    """How to start this program again: its command, and the environment to start it in."""

    command: tuple[str, ...]
    environ: Mapping[str, str]

    def line(self, db: Path, *words: str) -> list[str]:
        """A command line on a database."""
        return [*self.command, "--db", str(db), *words]

    def other(self, module: str, *words: str) -> Program:
        """Another module of ours with its first words: by the interpreter, whose part the one-file program plays."""
        interpreter = self.command if getattr(sys, "frozen", False) else (sys.executable,)
        return replace(self, command=(*interpreter, "-m", module, *words))

    @property
    def shown(self) -> tuple[str, ...]:
        """The command as a user types it."""
        [*started, name] = self.command
        return self.command if started else (Path(name).name,)

    def plain(self) -> dict[str, str]:
        """The environment without our settings: the user's own must not reach what is started."""
        kept = {name: value for name, value in self.environ.items() if not name.startswith("AI_MEMORY_")}
        return {**kept, "AI_MEMORY_NO_CONFIG": "1"}

    def surroundings(self, tier: str) -> dict[str, str]:
        """The same for a bench, with a tier: the user's settings must not move the figures."""
        return {**self.plain(), "AI_MEMORY_TIER": tier, "AI_MEMORY_AGENT_ID": "bench"}


async def cold_starts(
    folder: Path, ports: BenchPorts, program: Program, request: BenchRequest, progress: Progress
) -> tuple[BenchResult, ...]:
    """Time whole commands, each in a process of its own; the one that needs the model only where there is one.

    Raises: Unavailable if a command fails.
    """
    db, count = folder / "cold.db", min(_STARTS_MAX, request.iterations)
    await _import(folder, db, ports, program, _TEXTS_FEW)

    async def timed(what: str, tier: str, *words: str) -> list[float]:
        with progress(f"starting {what}", count) as advance:
            return await timed_ms(lambda _: _run(program, db, tier, *words), count, 1, advance)

    results = [
        result_of("cold_help", "--help, cold", await timed("help", "keyword", "--help"), target_p95_ms=_HELP_P95_MS),
        result_of(
            "cold_recall_keyword", "recall by keyword, cold", await timed("recall", "keyword", "recall", _QUESTION),
            target_p95_ms=_KEYWORD_P95_MS,
        ),
    ]
    if await has_model(program, db):
        spent = await timed("recall with the model", "semantic", "recall", _QUESTION)
        results.append(
            result_of("cold_recall_semantic", "recall by meaning, cold", spent, target_p95_ms=_SEMANTIC_P95_MS)
        )
    return tuple(results)


async def has_model(program: Program, db: Path) -> bool:
    """Whether a recall of this program is by meaning. Raises: Unavailable if it fails."""
    answer = decode_body(RecallResult, await _run(program, db, "semantic", "recall", _QUESTION, "--json"))
    return answer.mode == "hybrid"


async def daemon_memory(
    folder: Path, ports: BenchPorts, program: Program, request: BenchRequest, progress: Progress
) -> tuple[BenchSize, ...]:
    """Resident memory of a daemon with the model: once it has answered, and after it has embedded many texts.

    Raises: Unavailable if a command fails.
    """
    db, count = folder / "daemon.db", min(_TEXTS_MANY, request.rows)
    with progress(f"measuring a daemon's memory, {count} texts", 2) as advance:
        async with _daemon(program, db) as (pid, host, port):
            await _run(program, db, "semantic", "recall", _QUESTION)     # answered once the model is loaded
            idle = resident_mb(pid)
            advance(1)
            await _import(folder, db, ports, program, count)
            await _wait_until_embedded(host, port)
            used = resident_mb(pid)
            advance(1)
    return (
        size_of("daemon_idle", "daemon, idle", idle, target_mb=_IDLE_MB),
        size_of("daemon_used", f"daemon, {count:,} texts later", used, target_mb=_USED_MB),
    )


async def _import(folder: Path, db: Path, ports: BenchPorts, program: Program, count: int) -> None:
    """Store texts by the command line, through the daemon if there is one."""
    texts = folder / f"{db.stem}.jsonl"
    await ports.threads.run(partial(_write_texts, texts, count), limiter=trio.CapacityLimiter(1))
    await _run(program, db, "keyword", "import", str(texts))


def _write_texts(path: Path, count: int) -> None:
    corpus = Corpus()
    items = (ImportMemory(content=corpus.turn(number).text, namespace=NAMESPACE) for number in range(count))
    path.write_bytes(b"".join(encode(item) + b"\n" for item in items))


async def _run(program: Program, db: Path, tier: str, *words: str) -> bytes:
    """Run a command to its end; what it printed."""
    done = await trio.run_process(
        program.line(db, *words), capture_stdout=True, capture_stderr=True, check=False,
        env=program.surroundings(tier),
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise Unavailable(f"`ai-memory {words[0]}` ended with status {done.returncode} during the bench: {said}")
    return done.stdout


@asynccontextmanager
async def _daemon(program: Program, db: Path) -> AsyncIterator[tuple[int, str, int]]:
    """A daemon with the model, on a free port of loopback; it is told to end with the block."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process, program.line(db, "serve", "--port", "0"), stdin=b"", stdout=PIPE, stderr=PIPE,
                check=False, env=program.surroundings("semantic"),
            )
        )
        try:
            host, port = await listening(process)
            nursery.start_soon(drain, process)
            yield process.pid, host, port
        finally:
            process.terminate()


async def listening(process: trio.Process) -> tuple[str, int]:
    """Where it serves, as soon as it says so."""
    said = b""
    if process.stderr is not None:
        async for data in process.stderr:
            said += data
            if found := _LISTENING.search(said):
                return found[1].decode(), int(found[2])
    raise Unavailable(f"`ai-memory serve` ended during the bench: {said.decode(errors='replace').strip()}")


async def drain(process: trio.Process) -> None:
    """Read on, so that the daemon never waits for us to."""
    if process.stderr is not None:
        async for _ in process.stderr:
            pass


async def _wait_until_embedded(host: str, port: int) -> None:
    while True:
        status = decode_body(IndexStatus, await _get(host, port, "/api/v1/index?wait_below=0"))
        if not status.embedding_backlog:
            return


async def _get(host: str, port: int, path: str) -> bytes:
    """The body of an answer. One request on a connection of its own: no client is needed for that."""
    async with await trio.open_tcp_stream(host, port) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join([data async for data in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        status_line = head.partition(b"\r\n")[0].decode(errors="replace")
        raise Unavailable(f"{path} was answered with {status_line} during the bench")
    return body
