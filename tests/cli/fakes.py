"""A machine and a node for tests of the command line: streams in memory, a node that answers from a table."""

from __future__ import annotations

import io
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import trio
from trio.testing import MockClock

from aimem import operations
from aimem.cli import Attached, Keeper, Pki, Progress, Purpose, Stage, Surroundings, main
from aimem.client import Client
from aimem.config import Config
from aimem.errors import AimemError
from aimem.model import SECOND_US, Instant
from aimem.ports import Clock, system_chance, system_files
from aimem.wire import BenchReport, BenchRequest, console, demo, doctor, meshbench
from tests.nodes import FakeClock

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]
NOW = Instant(1_767_312_000_000_000)  # 2026-01-02T00:00:00Z

MEMORY = {
    "id": "3f2a9c1e-5b0d-4c8e-9f57-0a1b2c3d4e5f", "tier": "mid", "namespace": "project", "title": "Database",
    "content": "We chose SQLite.\nIt is one file.", "tags": ["db", "choice"], "priority": 5, "confidence": 1.0,
    "source": "cli", "access_count": 1, "created_at": "2026-01-01T00:00:00.000000Z",
    "updated_at": "2026-01-01T21:00:00.000000Z", "metadata": {"agent_id": "tester"},
}

NOTHING_SEEN = console.ConsoleOverview(
    verdict="unavailable", seen_by="", nodes=(), quorum=None, pending=None, warnings=()
)


class Stream(io.StringIO):
    """A text stream that is, or is no, terminal."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class FakeRuntime:
    """A runtime whose node is a function. Remembers what it was asked to do."""

    def __init__(self, handler: Handler, *, holder: bool = False) -> None:
        self.handler, self.holder = handler, holder
        self.requests: list[httpx.Request] = []
        self.purposes: list[Purpose] = []
        self.config: Config | None = None
        self.report: BenchReport | None = None
        self.benches: list[BenchRequest] = []
        self.mesh_report: meshbench.MeshBenchReport | None = None
        self.scale_report: meshbench.ScaleReport | None = None
        self.mesh_benches: list[meshbench.MeshBenchRequest] = []
        self.scale_benches: list[meshbench.ScaleRequest] = []
        self.demo_report = demo.DemoReport(folder="/demo", is_whole=True)
        self.demos: list[demo.DemoRequest] = []
        self.doctor_report: doctor.DoctorOut | None = None
        self.consoles: list[console.ConsoleRequest] = []
        self.overview = NOTHING_SEEN
        self.clock: trio.abc.Clock | None = None
        self.wall_clock: Clock = FakeClock(NOW)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.handler(request)

    @asynccontextmanager
    async def open_client(self, config: Config, purpose: Purpose) -> AsyncIterator[Attached]:
        self.config = config
        self.purposes.append(purpose)
        transport = httpx.MockTransport(self._answer)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
            client = Client(http, new_key=lambda: f"key-{len(self.requests)}")
            yield Attached(client=client, holder=self.holder, db=config.store.db, hint="pid 7")

    def run_daemon(self, config: Config, reread: Callable[[], Config]) -> int:
        self.config = config
        return 0

    def run_mcp(self, config: Config) -> int:
        self.config = config
        return 0

    def run_bench(self, request: BenchRequest, around: Surroundings, progress: Progress) -> BenchReport:
        assert self.report is not None, "this test measures nothing"
        self.benches.append(request)
        with progress("measuring", 1) as advance:
            advance(1)
        return self.report

    def run_mesh_bench(
        self, request: meshbench.MeshBenchRequest, around: Surroundings, progress: Progress
    ) -> meshbench.MeshBenchReport:
        assert self.mesh_report is not None, "this test measures nothing"
        self.mesh_benches.append(request)
        return self.mesh_report

    def run_scale_bench(
        self, request: meshbench.ScaleRequest, around: Surroundings, progress: Progress
    ) -> meshbench.ScaleReport:
        assert self.scale_report is not None, "this test measures nothing"
        self.scale_benches.append(request)
        return self.scale_report

    def run_demo(self, request: demo.DemoRequest, around: Surroundings, stage: Stage) -> demo.DemoReport:
        self.demos.append(request)
        for number, step in enumerate(self.demo_report.steps, 1):
            stage.tell(f"{number}. {step.what}")
        if self.demo_report.is_whole:
            stage.show(self.demo_report)
        else:
            stage.begin_line()
        return self.demo_report

    def run_doctor(
        self, reread: Callable[[], Config], agent_of: Callable[[Config], str | None]
    ) -> doctor.DoctorOut:
        assert self.doctor_report is not None, "this test looks at nothing"
        return self.doctor_report

    def find_socket(self, config: Config) -> Path:
        return Path(f"{config.store.db}.sock")

    def run_console(self, request: console.ConsoleRequest) -> None:
        self.consoles.append(request)

    def run_overview(self, request: console.ConsoleRequest) -> console.ConsoleOverview:
        self.consoles.append(request)
        return self.overview

    def open_pki(self, folder: Path) -> Pki:
        return operations.Pki(folder, system_files(), self.wall_clock)

    def open_keeper(self, config: Config) -> Keeper:
        return operations.Keeper(config.store.db, system_files(), self.wall_clock, system_chance())

    def run(self, async_fn: Callable[..., Awaitable[T]], *args: object) -> T:
        return trio.run(async_fn, *args, clock=self.clock)


class Outcome:
    """What a command line came to."""

    def __init__(self, status: int, out: str, err: str, runtime: FakeRuntime) -> None:
        self.status, self.out, self.err, self.runtime = status, out, err, runtime

    @property
    def json(self) -> object:
        """stdout as JSON."""
        return json.loads(self.out)

    @property
    def request(self) -> httpx.Request:
        """The only request."""
        [request] = self.runtime.requests
        return request

    @property
    def body(self) -> dict[str, object]:
        """What the first request carried, without nulls."""
        sent: dict[str, object] = json.loads(self.runtime.requests[0].content)
        return {name: value for name, value in sent.items() if value is not None}


class Machine:
    """Where command lines are run. Each look at the clock is `pace_s` later than the one before."""

    def __init__(self, root: Path) -> None:
        self.cwd = root / "project"
        self.home = root / "home"
        self.cwd.mkdir()
        self.home.mkdir()
        self.report: BenchReport | None = None
        self.mesh_report: meshbench.MeshBenchReport | None = None
        self.scale_report: meshbench.ScaleReport | None = None
        self.demo_report = demo.DemoReport(folder="/demo", is_whole=True)
        self.doctor_report: doctor.DoctorOut | None = None
        self.overview = NOTHING_SEEN
        self.pace_s = self._looks = 0
        self.wall_clock = FakeClock(NOW)
        self.environ: dict[str, str] = {"AI_MEMORY_NO_CONFIG": "1"}

    def _now(self) -> Instant:
        self._looks += 1
        return Instant(NOW + self._looks * self.pace_s * SECOND_US)

    def run(
        self, *argv: str, answer: object = None, status: int = 200, handler: Handler | None = None, stdin: bytes = b"",
        holder: bool = False, terminal: bool = False, environ: Mapping[str, str] | None = None, autojump: bool = False,
    ) -> Outcome:
        """Run one command line; the node answers every request with `answer`, or by `handler`."""
        runtime = FakeRuntime(handler or (lambda request: httpx.Response(status, json=answer)), holder=holder)
        runtime.report, runtime.mesh_report = self.report, self.mesh_report
        runtime.scale_report, runtime.doctor_report = self.scale_report, self.doctor_report
        runtime.wall_clock, runtime.demo_report = self.wall_clock, self.demo_report
        runtime.overview = self.overview
        runtime.clock = MockClock(autojump_threshold=0) if autojump else None
        out, err = Stream(terminal=terminal), Stream(terminal=terminal)
        around = Surroundings(
            stdin=io.BytesIO(stdin), stdout=out, stderr=err, environ={**self.environ, **(environ or {})}, cwd=self.cwd,
            home=self.home, host="box one", pid=42, program=("/bin/ai-memory",), now=self._now,
            rng=lambda: random.Random(1))
        result = main(argv, runtime, around)
        return Outcome(result, out.getvalue(), err.getvalue(), runtime)


def failing(error: BaseException) -> Handler:
    """A node that fails like this."""
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


def error_answer(error: AimemError, status: int) -> Handler:
    """A node that answers this error."""
    body = {"error": error.message, "code": error.code, **error.details}
    return lambda request: httpx.Response(status, json=body)
