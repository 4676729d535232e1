"""What every test stands on: Trio for async tests, a clean home, no network, and no silent skip in CI."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

IN_CI = bool(os.environ.get("CI"))
TESTS = Path(__file__).resolve().parent
STAGES_APART = frozenset({"abuse", "bench", "cycles", "load", "quality"})
"""Folders that `.ci/run` runs as stages of their own."""
STAGES_DEEPER = frozenset({"campaign", "mesh", "sim", "tui"})
"""Folders that a plain run takes in brief and `.ci/run`, which names them, as a whole (each by its conftest.py)."""

WORKERS = 2
"""A plain run takes so many processes: two cores are what it has at least, and more of them wait for the disk."""

LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", ""})


def _is_loopback(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name in LOOPBACK_NAMES or name.endswith(".localhost")


def _refuse_network(event: str, args: tuple[object, ...]) -> None:
    """An audit hook: nothing in the process can get past it, whichever library it uses."""
    if event == "socket.connect":
        address = args[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise RuntimeError(f"a test tried to reach {address[0]!r}: tests use loopback and Unix sockets only")
    elif event == "socket.getaddrinfo" and args[0] is not None and not _is_loopback(args[0]):
        raise RuntimeError(f"a test tried to look up {args[0]!r}: tests use loopback and Unix sockets only")


sys.addaudithook(_refuse_network)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Share a plain run, and stages that take minutes, among processes. Whoever names files gets one."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    plain = {"-q", "-v", "tests/campaign", "tests/sim", "tests/tui"}
    if set(config.invocation_params.args) <= plain | {arg for arg in config.invocation_params.args if "=" in arg}:
        # The long tests come together, near the end: whoever is done takes over what the other still has before it.
        config.option.numprocesses, config.option.dist = WORKERS, "worksteal"
        # Workers must collect the same tests in the same order, also where parameters come from sets.
        os.environ.setdefault("PYTHONHASHSEED", "0")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A plain run leaves out the stages that would take it past ten minutes; name their folder to run them."""
    if collection_path.parent != TESTS or collection_path.name not in STAGES_APART:
        return None
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    return None if any(path.resolve().is_relative_to(collection_path) for path in named) else True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: a test that could not run proved nothing. An expected failure is no skip."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where every capability must be present: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def own_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tester's own settings, memories and identity are neither read nor changed."""
    for name in [name for name in os.environ if name.startswith("AI_MEMORY_")]:
        monkeypatch.delenv(name)
    if "tmp_path" not in request.fixturenames:
        return
    home: Path = request.getfixturevalue("tmp_path_factory").mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.fixture(autouse=True)
def quiet_machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that asserts a time runs while no other process of the run tests anything."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    shared = tmp_path_factory.getbasetemp().parent
    alone = request.node.get_closest_marker("timing") is not None
    with (shared / "turnstile").open("w") as turnstile, (shared / "running").open("w") as running:
        # Whoever wants to be alone holds the turnstile, so that nobody new begins while it waits.
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(turnstile, fcntl.LOCK_UN)
        yield


@pytest.fixture
def autojump_clock() -> trio.testing.MockClock:
    """Virtual time: a test that asks for this clock runs on it, and time leaps whenever every task waits."""
    return trio.testing.MockClock(autojump_threshold=0)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Async tests and fixtures run under Trio; folders whose code runs on any event loop override this fixture."""
    if "autojump_clock" in request.fixturenames:
        return "trio", {"clock": request.getfixturevalue("autojump_clock")}
    return "trio", {}


@pytest.fixture
async def nursery(anyio_backend: object) -> AsyncIterator[trio.Nursery]:
    """A nursery that ends with the test: what still runs then is cancelled."""
    async with trio.open_nursery() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


@pytest.fixture
def bound_by_permissions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For tests of unwritable files: root ignores permissions unless it gave up that capability (`.ci/run` does)."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o500)
    try:
        (closed / "probe").touch()
    except PermissionError:
        yield
    else:
        pytest.skip("this user ignores file permissions; run the tests as another user than root")
