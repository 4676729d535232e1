"""The composition root: hands the command line what it acts with.

Nothing is loaded before a verb needs it, so that `ai-memory --help` is instant.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import sys
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from aimem import cli

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from aimem.config import Config
    from aimem.mcp import DefaultAgent
    from aimem.operations import BenchPorts
    from aimem.supervisor import Ports
    from aimem.wire import BenchReport, BenchRequest, demo, meshbench

T = TypeVar("T")

_GARBAGE_COUNT: Final = 100_000
"""Objects that a command makes before it looks for rings among them. Loading our libraries makes some 200,000, none of
them garbage; at Python's 700 a quarter of a second goes into looking."""


class _Runtime:
    """The real effects: see cli.Runtime."""

    def __init__(self, *, sync_delay_ms: float = 0.0) -> None:
        """Act with the machine's ports; with a delay the disk's syncs take so much longer (see aimem.slowed)."""
        self._sync_delay_ms = sync_delay_ms

    def _ports(self) -> Ports:
        from msgspec.structs import replace

        from aimem import ports, supervisor

        machine = supervisor.system_ports()
        if not self._sync_delay_ms:
            return machine
        return replace(machine, threads=ports.delayed_threads(self._sync_delay_ms / 1000))

    def open_client(self, config: Config, purpose: cli.Purpose) -> AbstractAsyncContextManager[cli.Attached]:
        from aimem import config as settings
        from aimem import supervisor

        supervisor.set_up_logging_of_command(config.log)
        ports, environ = self._ports(), settings.system_environ()
        return supervisor.open_client(config, purpose, ports=ports, environ=environ)

    def run_daemon(self, config: Config, reread: Callable[[], Config]) -> int:
        from functools import partial

        import trio

        from aimem import config as settings
        from aimem import supervisor
        from aimem.ports import share_heap

        supervisor.set_up_logging(config.log)
        supervisor.make_room()
        share_heap()
        ports, environ = self._ports(), settings.system_environ()
        _collect_as_usual()
        faulthandler.enable()       # the SIGABRT of a watchdog then tells where each thread hangs
        trio.run(partial(supervisor.run_daemon, config, ports=ports, environ=environ, reread=reread))
        return cli.ExitStatus.OK

    def run_mcp(self, config: Config) -> int:
        import trio

        from aimem import mcp

        agent = _default_agent(config)
        _collect_as_usual()

        async def serve() -> None:
            async with self.open_client(config, cli.Purpose.SESSION) as attached:
                await mcp.run_mcp_on_stdio(attached.client, default_agent=agent, profile=config.mcp.profile)

        trio.run(serve)
        return cli.ExitStatus.OK

    def run_bench(self, request: BenchRequest, around: cli.Surroundings, progress: cli.Progress) -> BenchReport:
        from functools import partial

        import trio

        from aimem import operations

        program = operations.Program(command=around.program, environ=around.environ)
        return trio.run(partial(operations.run_bench, request, _bench_ports(), program, progress))

    def run_mesh_bench(
        self, request: meshbench.MeshBenchRequest, around: cli.Surroundings, progress: cli.Progress
    ) -> meshbench.MeshBenchReport:
        from functools import partial

        import trio

        from aimem import operations

        def program(delay_ms: int) -> operations.Program:
            slowed = (sys.executable, "-m", "aimem.slowed", str(delay_ms))
            return operations.Program(command=slowed if delay_ms else around.program, environ=around.environ)

        return trio.run(partial(operations.run_mesh_bench, request, program, _bench_ports(), progress))

    def run_scale_bench(
        self, request: meshbench.ScaleRequest, around: cli.Surroundings, progress: cli.Progress
    ) -> meshbench.ScaleReport:
        from functools import partial

        import trio

        from aimem import operations

        program = operations.Program(command=around.program, environ=around.environ)
        return trio.run(partial(operations.run_scale_bench, request, program, _bench_ports(), progress))

    def run_demo(
        self, request: demo.DemoRequest, around: cli.Surroundings, stage: cli.Stage
    ) -> demo.DemoReport:
        from functools import partial

        import trio

        from aimem import operations, ports

        outside = operations.DemoPorts(
            clock=ports.system_clock(), files=ports.system_files(), threads=ports.trio_threads()
        )
        program = operations.Program(command=around.program, environ=around.environ)
        return trio.run(partial(operations.run_demo, request, outside, program, stage))

    def open_pki(self, folder: Path) -> cli.Pki:
        from aimem import operations, ports

        return operations.Pki(folder, ports.system_files(), ports.system_clock())

    def open_keeper(self, config: Config) -> cli.Keeper:
        from aimem import config as settings
        from aimem import operations, ports, supervisor

        place = supervisor.locate(config.store.db, settings.system_environ())
        return operations.Keeper(place.db, ports.system_files(), ports.system_clock(), ports.system_chance())

    def run(self, async_fn: Callable[..., Awaitable[T]], *args: object) -> T:
        import trio

        return trio.run(async_fn, *args)


def _bench_ports() -> BenchPorts:
    from functools import partial

    from aimem import operations, ports, search

    return operations.BenchPorts(
        clock=ports.system_clock(), chance=ports.system_chance(), threads=ports.trio_threads(),
        files=ports.system_files(), delayed_threads=ports.delayed_threads,
        open_embedder=partial(search.open_minilm, None),
    )


def _default_agent(config: Config) -> DefaultAgent:
    """Who an MCP client is, if it does not say: see ai-memory(1), IDENTITY."""
    from aimem import mcp
    from aimem.ports import system_chance

    pid, suffix = os.getpid(), system_chance().token(4).hex()
    if config.identity.agent_key is not None:
        return mcp.proven_agent(config.identity.agent_id)
    if config.identity.anonymize:
        return mcp.anonymous_agent(config.identity.agent_id, pid=pid, suffix=suffix)
    return mcp.default_agent(config.identity.agent_id, host=os.uname().nodename, pid=pid, suffix=suffix)


def main() -> NoReturn:
    """Carry out this process's command line, and end the process with the exit status."""
    carry_out(sys.argv[1:])


def carry_out(words: Sequence[str], *, sync_delay_ms: float = 0.0) -> NoReturn:
    """Carry out a command line, and end the process with the exit status.

    Args:
      sync_delay_ms: by how much the disk's syncs are slowed (see aimem.slowed).
    """
    _spare_start()
    _leave(cli.main(words, _Runtime(sync_delay_ms=sync_delay_ms)))


def _spare_start() -> None:
    """Leave undone what only a long-lived process, or another program, needs at the start."""
    gc.set_threshold(_GARBAGE_COUNT)
    # httpx brings a command line of its own, and loads rich, pygments and click for it wherever these are installed.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # the documented way to refuse an import


def _collect_as_usual() -> None:
    """For a process that stays: garbage goes at Python's own pace, and what is loaded by now is never looked at."""
    gc.freeze()
    gc.set_threshold(700, 10, 10)


def _leave(status: int) -> NoReturn:
    """End the process without taking it apart.

    Everything that is to stay was written and closed by the blocks that opened it. To free each object of a hundred
    libraries one by one would take a fifth of a second, a third of a cold recall.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # what could not be written was told by then
                stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
