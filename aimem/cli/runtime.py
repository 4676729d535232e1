"""What the command line is handed by the composition root: ways to reach a node, to be one, and to run coroutines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from aimem.config import Config

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aimem.cli.surroundings import Surroundings
    from aimem.client import Client
    from aimem.wire import BenchReport, BenchRequest, console, demo, doctor, keeping, meshbench, pki

T = TypeVar("T")


class Purpose(StrEnum):
    """What a process needs a node for; it decides what is started if this process becomes the holder."""

    COMMAND = "command"    # one request; no embedding in the background
    RECALL = "recall"      # the embedding model, and the backlog embedded
    SESSION = "session"    # everything, for long


class Attached(Struct, frozen=True, kw_only=True):
    """A node within reach.

    Attributes:
      client: asks it.
      holder: whether this process holds the database's lock (and so is the node).
      db: absolute path of the database.
      hint: what the holder wrote into the lock file, for people; may be empty or out of date.
    """

    client: Client
    holder: bool
    db: Path
    hint: str = ""


class Progress(Protocol):
    """Shows how far something is, as Screen.progress does."""

    def __call__(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Enter with a gerund and the sum that the calls will reach."""
        ...


class Stage(Protocol):
    """Where a demonstration is seen."""

    def tell(self, text: str) -> None:
        """Say a sentence, at once."""
        ...

    def begin_line(self) -> None:
        """Go on below the ^C that a terminal has shown."""
        ...

    def progress(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Show how far something is."""
        ...

    def show(self, report: demo.DemoReport) -> None:
        """Show what there is to try."""
        ...


class Pki(Protocol):
    """A folder with an authority and the certificates that it signed. Its functions raise AimemError."""

    def init(self, request: pki.InitRequest) -> pki.AuthorityOut:
        """Make the authority."""
        ...

    def issue(self, request: pki.IssueRequest) -> pki.IssuedOut:
        """Make a certificate, and put it on the list."""
        ...

    def remove(self, request: pki.RemoveRequest) -> pki.RemovedOut:
        """Take a node off the list."""
        ...

    def read(self, path: Path) -> tuple[pki.CertificateOut, ...]:
        """What the certificates of a file say."""
        ...

    def read_all(self) -> tuple[pki.CertificateOut, ...]:
        """What the certificates of the folder say."""
        ...


class Keeper(Protocol):
    """Keeps a database safe. Its functions raise AimemError."""

    def back_up(self, folder: Path, keep_count: int) -> keeping.BackupOut:
        """Make a backup, and let older ones go; 0 keeps all."""
        ...

    def restore(self, source: Path, trust: keeping.Trust) -> keeping.RestoreOut:
        """Put a backup, or a folder's newest whole one, in the place of the database."""
        ...

    def verify(self, paths: Sequence[Path]) -> keeping.VerifyOut:
        """Look whether the database is sound, or files and folders of backups are."""
        ...


class Runtime(Protocol):
    """The effects of the command line. The real one is made in `__main__`."""

    def open_client(self, config: Config, purpose: Purpose) -> AbstractAsyncContextManager[Attached]:
        """Reach the node of the configured database, becoming it if nobody holds the lock. Raises: AimemError."""
        ...

    def run_daemon(self, config: Config, reread: Callable[[], Config]) -> int:
        """Serve until told to stop; `reread` is for SIGHUP. Returns: the exit status. Raises: AimemError."""
        ...

    def run_mcp(self, config: Config) -> int:
        """Speak MCP on standard input and output until the client is done; the exit status. Raises: AimemError."""
        ...

    def run_bench(self, request: BenchRequest, around: Surroundings, progress: Progress) -> BenchReport:
        """Measure this program in a temporary folder. Raises: AimemError."""
        ...

    def run_mesh_bench(
        self, request: meshbench.MeshBenchRequest, around: Surroundings, progress: Progress
    ) -> meshbench.MeshBenchReport:
        """Measure a mesh of this program in a temporary folder. Raises: AimemError."""
        ...

    def run_scale_bench(
        self, request: meshbench.ScaleRequest, around: Surroundings, progress: Progress
    ) -> meshbench.ScaleReport:
        """Measure meshes of growing size in a temporary folder. Raises: AimemError, or a group of it."""
        ...

    def run_demo(self, request: demo.DemoRequest, around: Surroundings, stage: Stage) -> demo.DemoReport:
        """Start a mesh of this program, show it, and keep it until a signal. Raises: AimemError, or a group of it."""
        ...

    def find_socket(self, config: Config) -> Path:
        """Where the node of the configured database serves, or would. Raises: AimemError."""
        ...

    def run_console(self, request: console.ConsoleRequest) -> None:
        """Show the console until the user leaves it, or leave a picture of it. Raises: InvalidRequest."""
        ...

    def run_overview(self, request: console.ConsoleRequest) -> console.ConsoleOverview:
        """Ask all nodes once. Raises: InvalidRequest."""
        ...

    def open_pki(self, folder: Path) -> Pki:
        """The certificates of a folder, which need not be there yet."""
        ...

    def open_keeper(self, config: Config) -> Keeper:
        """Who keeps the configured database safe."""
        ...

    def run_doctor(
        self, reread: Callable[[], Config], agent_of: Callable[[Config], str | None]
    ) -> doctor.DoctorOut:
        """Look at the node and its machine, in a bounded time. What `reread` raises is a finding."""
        ...

    def run(self, async_fn: Callable[..., Awaitable[T]], *args: object) -> T:
        """Run a coroutine function to its end on the event loop (`trio.run`)."""
        ...
