"""A root with the one-file program, a C library, and nothing else: no interpreter, no shell, no model."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

LIBRARIES: Final = (
    "/lib64/ld-linux-x86-64.so.2", *(
        f"/lib/x86_64-linux-gnu/{name}"
        for name in ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1")
    ),
)
"""The GNU C library, in its parts."""
ENTER: Final = """
mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" || exit 99
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp ${TERM:+"TERM=$TERM"} chroot "$0" /ai-memory "$@"
"""


class BareRoot:
    """Commands in it keep their process id, and the network is the machine's."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder = folder
        for name in ("proc", "dev", "root", "tmp", "data"):
            (folder / name).mkdir(parents=True)
        (folder / "root").chmod(0o700)
        for name in LIBRARIES:
            (folder / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, folder / name[1:])
        shutil.copy(program, folder / "ai-memory")

    def command(self, *words: str) -> list[str]:
        """A command line of the program in there, its database `/data/memory.db`."""
        return self.bare("--db", "/data/memory.db", *words)

    def bare(self, *words: str) -> list[str]:
        """The same without a database."""
        mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
        return ["unshare", *mapped, "--mount", "sh", "-c", ENTER, str(self.folder), *words]

    def ask(self, *words: str, bare: bool = False) -> str:
        """What a command prints; it must succeed."""
        line = self.bare(*words) if bare else self.command(*words)
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def unpacked(self) -> Path:
        """Where the program unpacked itself, seen from outside."""
        [folder] = (self.folder / "root" / ".cache" / "ai-memory").glob("*/")
        return folder
